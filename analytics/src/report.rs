//! What an installation reports of itself, again and again: how much has happened since the last report, and what there
//! is now.
//!
//! Everything here is pure: the caller brings the time, keeps the [`Baseline`] (in the transaction in which it registers
//! the report, so that a crash loses neither), and sees to it that one process reports.
//!
//! ```text
//! Collectors ─collect─▶ Gathered ─┐
//!                                 ├─▶ Report ─▶ messages for Segment and PostHog, webhook, dry run
//! Baseline (the last one) ────────┘      └────▶ Baseline (the next one)
//! ```
//!
//! The first report has traits only; statistics are differences, and begin with the second.

mod baseline;
mod collector;
mod counter;
mod environment;
mod error;
mod reading;
mod render;
mod statistics;
mod truncate;
mod window;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

pub use self::{
    baseline::{Baseline, GroupSent},
    collector::{
        CollectError, Collected, Collecting, Collector, CollectorError, Collectors, Gathered,
    },
    counter::{Counter, Counters, Total},
    environment::Environment,
    error::Error,
    reading::{Reading, Statistics, Traits, statistics, traits},
    statistics::{Deltas, Sample, Source},
    window::{Schedule, Window},
};

/// The event of each interval, as the services of analytics are told it.
pub const EVENT_NAME: &str = "Environment Rolled Up";

/// The type of the event by which the call `group` is registered, from the first report on.
pub const DESCRIBED: &str = "tidings:environment:described";

/// The type of the event by which the call `track` is registered, from the second report on.
pub const ROLLED_UP: &str = "tidings:environment:rolled-up";

/// What is reported of one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Of which installation.
    pub environment: Environment,
    /// Of which time.
    pub window: Window,
    /// What has happened in it; none in the first report of all.
    pub statistics: Option<Deltas>,
    /// What there is at its end.
    pub traits: Map<String, Json>,
    /// The collectors that had nothing to tell, and why.
    pub collector_errors: Vec<CollectorError>,
}

/// When and by whom a report is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// The time, which is the end of the window.
    pub now: DateTime<Utc>,
    /// The process that reports, by an id that it draws when it starts.
    pub boot_id: Uuid,
    /// Whether the window ends early, because the process stops or somebody wants to know.
    pub partial: bool,
}

impl Report {
    /// Returns the report that follows `baseline`, and the baseline that follows the report.
    ///
    /// Both belong into one transaction. The same baseline leads to the same ids, so a report that is made again after a
    /// crash is the same one to whoever gets it.
    pub fn next(
        environment: Environment,
        schedule: &Schedule,
        baseline: Option<&Baseline>,
        gathered: Gathered,
        moment: Moment,
    ) -> (Self, Baseline) {
        let Gathered { samples, traits, errors } = gathered;
        let first = Baseline::begin(moment.now);
        let earlier = baseline.unwrap_or(&first);
        let window = Window::new(earlier, schedule, moment);
        let (statistics, next) = earlier.advance(&samples, window.end);
        let report = Self {
            environment,
            window,
            statistics: baseline.map(|_| statistics),
            traits,
            collector_errors: errors,
        };
        (report, next)
    }
}

#[cfg(test)]
mod tests;
