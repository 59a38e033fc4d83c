//! The progress of long work: a line that moves on a terminal, log lines elsewhere.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::telemetry;

/// How often the line moves.
const TICK: Duration = Duration::from_millis(100);

/// Long work, while it is shown. Dropping it clears the line.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    doing: &'static str,
}

impl Progress {
    /// Begins to show that `doing` is being done.
    pub(super) fn begin(bars: &MultiProgress, doing: &'static str) -> Self {
        let bar = bars.add(ProgressBar::new_spinner());
        if bar.is_hidden() {
            telemetry::progressed(doing, "");
        } else {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.set_message(doing);
            bar.enable_steady_tick(TICK);
        }
        Self { bar, doing }
    }

    /// Begins to show how much of `total` is done.
    pub(super) fn counted(bars: &MultiProgress, doing: &'static str, total: u64) -> Self {
        let bar = bars.add(ProgressBar::new(total));
        let template = "{msg} {wide_bar} {human_pos} of {human_len} ({eta} left)";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(doing);
        Self { bar, doing }
    }

    /// Says how much is done in all; where there is no terminal, once for each tenth.
    pub(crate) fn reach(&self, done: u64) {
        let total = self.bar.length().unwrap_or_default().max(1);
        let before = self.bar.position();
        self.bar.set_position(done);
        if self.bar.is_hidden() && before * 10 / total != done * 10 / total {
            telemetry::progressed(self.doing, &format!("{done} of {total}"));
        }
    }

    /// Says how far it is; on a terminal only, because it may be said often.
    pub(crate) fn set(&self, detail: &str) {
        self.bar.set_message(format!("{}: {detail}", self.doing));
    }

    /// Says how far it is, also where there is no terminal.
    pub(crate) fn say(&self, detail: &str) {
        self.set(detail);
        if self.bar.is_hidden() {
            telemetry::progressed(self.doing, detail);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
