//! How it goes while it goes: lines that move on a terminal, one line a second elsewhere.

use std::{
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use super::{
    outage::Conduct,
    paint::{Paint, count, millis},
    report::{Report, Standing},
    telemetry::Telemetry,
};

/// How often the lines move.
const TICK: Duration = Duration::from_millis(100);

/// The live view, on standard error.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    bar: ProgressBar,
    on_terminal: bool,
    paint: Paint,
}

/// A line of the log, which must not run into the moving lines.
#[derive(Debug)]
pub(crate) struct LogLine(ProgressBar);

impl Live {
    /// Returns a view that shows nothing yet.
    pub(crate) fn new(paint: Paint) -> Self {
        let bar = ProgressBar::new_spinner();
        // Also hidden on a terminal that cannot move its cursor.
        let on_terminal = !bar.is_hidden();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} ({elapsed})\n{msg}") {
            bar.set_style(style);
        }
        Self { bar, on_terminal, paint }
    }

    /// Says what is being done now.
    pub(crate) fn begin(&self, doing: &'static str) {
        self.bar.set_prefix(doing);
        self.bar.enable_steady_tick(TICK);
        if !self.on_terminal {
            self.say(doing);
        }
    }

    /// Shows how things stand.
    pub(crate) fn show(&self, report: &Report) {
        if self.on_terminal {
            self.bar.set_message(lines(report, self.paint));
        } else {
            self.say(&line(report));
        }
    }

    /// Takes the moving lines away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, said: &str) {
        // Whoever cannot be told cannot be told that either.
        drop(writeln!(LogLine(self.bar.clone()), "{said}"));
    }
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Live {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine(self.bar.clone())
    }
}

/// Returns the lines of a terminal.
fn lines(report: &Report, paint: Paint) -> String {
    let mut lines = vec![
        format!(
            "  {:<14}{:>9} taken     {:>7} rolled back, out of stock",
            "orders",
            count(report.told.taken),
            count(report.told.refused)
        ),
        format!("  {:<14}{:>9} registered", "events", count(report.registered())),
    ];
    lines.extend(report.subscribers.iter().map(|standing| {
        let conduct = match standing.conduct {
            Conduct::Well => paint.good(&standing.conduct.to_string()),
            _ => paint.warning(&standing.conduct.to_string()),
        };
        format!(
            "  {:<14}{:>9} verified  {:>7} retries  {:>7} waiting  {} dead  {conduct}",
            standing.name,
            count(standing.verified),
            count(standing.lane.retried),
            count(standing.lane.waiting),
            count(standing.lane.dead),
        )
    }));
    lines.push(format!("  {:<14}{}", "latency", latency(report)));
    let of = &report.telemetry;
    lines.push(format!(
        "  {:<14}{:>9} received  {:>7} unique   {:>7} duplicate  {} failed  {} files  {} rows",
        "telemetry",
        count(of.sum(|account| account.received)),
        count(of.sum(|account| account.unique)),
        count(of.sum(|account| account.duplicate)),
        of.sum(|account| account.failed),
        count(of.files.len()),
        count(of.rows),
    ));
    lines.join("\n")
}

/// Returns the one line of a log.
fn line(report: &Report) -> String {
    let standing = |standing: &Standing| {
        format!(
            "{}: {} verified, {} retries, {} waiting, {} dead, {}",
            standing.name,
            count(standing.verified),
            count(standing.lane.retried),
            count(standing.lane.waiting),
            count(standing.lane.dead),
            standing.conduct,
        )
    };
    let subscribers: Vec<_> = report.subscribers.iter().map(standing).collect();
    format!(
        "{:>3} s  orders: {} taken, {} rolled back | events: {} | {} | {} | {}",
        report.elapsed.as_secs(),
        count(report.told.taken),
        count(report.told.refused),
        count(report.registered()),
        subscribers.join(" | "),
        latency(report),
        telemetry(&report.telemetry),
    )
}

fn telemetry(of: &Telemetry) -> String {
    format!(
        "telemetry: {} received, {} unique, {} duplicate, {} failed, {} files, {} rows",
        count(of.sum(|account| account.received)),
        count(of.sum(|account| account.unique)),
        count(of.sum(|account| account.duplicate)),
        count(of.sum(|account| account.failed)),
        count(of.files.len()),
        count(of.rows),
    )
}

fn latency(report: &Report) -> String {
    let at = |quantile| millis(report.latency.value_at_quantile(quantile));
    format!("p50 {}  p99 {}", at(0.5), at(0.99))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::report::tests::good;

    #[test]
    fn line_of_a_log_says_all() {
        assert_eq!(
            line(&good()),
            " 12 s  orders: 2,140 taken, 260 rolled back | events: 6,123 \
             | warehouse: 6,123 verified, 0 retries, 0 waiting, 0 dead, up \
             | accounting: 6,123 verified, 1,042 retries, 0 waiting, 0 dead, up | p50 5.0 ms  p99 9.9 ms \
             | telemetry: 263 received, 252 unique, 10 duplicate, 1 failed, 2 files, 252 rows"
        );
    }

    #[test]
    fn lines_of_a_terminal_have_their_numbers_below_each_other() {
        let lines = lines(&good(), Paint { colours: false });
        let ends: Vec<_> = lines.lines().filter_map(|line| line.find(" verified")).collect();
        assert_eq!(ends.len(), 2);
        assert_eq!(ends[0], ends[1]);
    }
}
