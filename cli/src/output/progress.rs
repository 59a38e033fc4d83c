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
