//! The log: lines on standard error, as text or JSON.

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use indicatif::MultiProgress;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// The words that set a level for all of our own crates; anything else is a filter.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log of the process.
///
/// # Errors
///
/// The filter cannot be read.
pub(crate) fn start(
    filter: &str,
    format: Format,
    colours: bool,
    bars: MultiProgress,
) -> Result<()> {
    let filter = EnvFilter::try_new(directives(filter))
        .with_context(|| format!("read the log filter `{filter}`"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(BesideBars(bars));
    // A second start in one process, a test for example, keeps the first log.
    let started = match format {
        // Every message stands alone; which module it is from is for programs.
        Format::Text => builder.with_target(false).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(started);
    Ok(())
}

/// A bare level is for our own crates; of others only warnings are shown.
fn directives(filter: &str) -> String {
    let filter = filter.trim();
    match LEVELS.iter().find(|level| level.eq_ignore_ascii_case(filter)) {
        Some(&level @ ("off" | "error")) => level.to_owned(),
        Some(level) => format!("warn,tidings={level}"),
        None => filter.to_owned(),
    }
}

/// Standard error, with progress bars out of the way while a line is written.
#[derive(Clone, Debug)]
struct BesideBars(MultiProgress);

impl Write for BesideBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

impl MakeWriter<'_> for BesideBars {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_alone_is_for_our_own_crates() {
        let table = [
            ("info", "warn,tidings=info"),
            ("DEBUG", "warn,tidings=debug"),
            ("error", "error"),
            ("off", "off"),
            ("tidings_worker=trace,sqlx=debug", "tidings_worker=trace,sqlx=debug"),
        ];
        for (filter, expected) in table {
            assert_eq!(directives(filter), expected);
            assert!(EnvFilter::try_new(expected).is_ok(), "{expected}");
        }
    }
}
