//! What a run has measured: a table for people, and rows for programs.

use std::{path::Path, time::Duration};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::fixture::Fixture;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Its name, which never changes.
    #[serde(rename = "row")]
    pub(crate) name: &'static str,
    /// The median of the turns.
    pub(crate) value: f64,
    /// What it counts.
    pub(crate) unit: &'static str,
    /// The lowest turn.
    pub(crate) low: f64,
    /// The highest turn.
    pub(crate) high: f64,
    /// Under which conditions.
    pub(crate) note: String,
}

/// The figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Says what the machine can do: nothing else tells what an absolute figure is worth.
    #[expect(clippy::print_stdout, reason = "a person reads along")]
    pub(crate) async fn print_machine(&self, fixture: &Fixture) -> Result<()> {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        println!("{cores} cores · {} · fsync {}", fixture.version().await?, fixture.fsync_time());
        println!("{}\n", fixture.settings().await?);
        Ok(())
    }

    /// Adds the figure of several turns.
    #[expect(clippy::print_stdout, reason = "a person reads along")]
    pub(crate) fn add(
        &mut self,
        row: &'static str,
        unit: &'static str,
        turns: &[f64],
        note: String,
    ) {
        let mut sorted = turns.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted.first().copied(), sorted.last().copied());
        let row = Row {
            name: row,
            value: sorted.get(sorted.len() / 2).copied().unwrap_or_default(),
            unit,
            low: low.unwrap_or_default(),
            high: high.unwrap_or_default(),
            note,
        };
        println!(
            "{:<24} {:>12.3} {:<14} {:>12.3} – {:<12.3} {}",
            row.name, row.value, row.unit, row.low, row.high, row.note
        );
        self.rows.push(row);
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(&self.rows)? + "\n")?;
        Ok(())
    }
}

/// Shows how far a measurement has come, on a terminal.
pub(crate) fn progress(what: &'static str, turns: usize) -> ProgressBar {
    let bar = ProgressBar::new(turns as u64).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
