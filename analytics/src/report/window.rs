//! The time that a report is about, and when the next one is due.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Moment, baseline::Baseline, error::Error};

/// The shortest and the longest interval.
const INTERVAL_MIN: Duration = Duration::from_mins(1);
const INTERVAL_MAX: Duration = Duration::from_hours(31 * 24);

/// The time that a report is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Window {
    /// When the window before it ended.
    #[serde(rename = "window_start")]
    pub start: DateTime<Utc>,
    /// When the report was made.
    #[serde(rename = "window_end")]
    pub end: DateTime<Utc>,
    /// How long it was meant to be, in seconds. It is longer where reports were missed.
    pub interval_seconds: u64,
    /// The how manieth report of the environment it is, from zero; a gap is a report that was lost.
    pub sequence: u64,
    /// The process that reports.
    pub boot_id: Uuid,
    /// Whether it ended early, because the process stopped or somebody wanted to know.
    pub partial: bool,
}

impl Window {
    pub(super) fn new(earlier: &Baseline, schedule: &Schedule, moment: Moment) -> Self {
        let Moment { now, boot_id, partial } = moment;
        let start = earlier.window_start();
        Self {
            start,
            // A clock that was set back makes a window of no length, not one that ends before it begins.
            end: now.max(start),
            interval_seconds: schedule.interval.as_secs(),
            sequence: earlier.sequence(),
            boot_id,
            partial,
        }
    }
}

/// When reports are due: once in each interval, at a point that differs from one environment to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    interval: Duration,
    phase: Duration,
}

impl Schedule {
    /// Returns the schedule of an environment.
    ///
    /// Environments that were started together do not report together, and one that is restarted keeps its rhythm.
    ///
    /// # Errors
    ///
    /// The interval is shorter than a minute or longer than 31 days.
    pub fn new(environment: Uuid, interval: Duration) -> Result<Self, Error> {
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
            return Err(Error::Interval { seconds: interval.as_secs() });
        }
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, environment.as_bytes()).as_u64_pair().0;
        let phase = Duration::from_millis(hash % millis(interval).unsigned_abs());
        Ok(Self { interval, phase })
    }

    /// Returns how long an interval is.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns how long after the beginning of an interval the report is due; intervals begin with the Unix time 0.
    pub const fn phase(&self) -> Duration {
        self.phase
    }

    /// Returns when the first report after `now` is due; those that were missed are skipped.
    pub fn next_after(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let into = (now.timestamp_millis() - millis(self.phase)).rem_euclid(millis(self.interval));
        let floor = now.timestamp_millis() - into;
        let next = DateTime::from_timestamp_millis(floor).unwrap_or(now);
        next + TimeDelta::milliseconds(millis(self.interval))
    }
}

/// Whole milliseconds; the intervals are bounded, so they fit.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn interval_is_a_minute_to_31_days() {
        let made = |seconds| Schedule::new(Uuid::from_u128(1), Duration::from_secs(seconds));
        for seconds in [0, 59, 31 * 86_400 + 1] {
            assert_eq!(made(seconds), Err(Error::Interval { seconds }));
        }
        assert!(made(60).is_ok() && made(31 * 86_400).is_ok());
    }

    #[test]
    fn environments_report_at_different_points_of_the_hour() {
        let phases: std::collections::HashSet<_> = (1..=100)
            .map(|id| Schedule::new(Uuid::from_u128(id), HOUR).unwrap().phase().as_secs() / 360)
            .collect();
        assert_eq!(phases.len(), 10, "one in each tenth of the hour at least");
    }

    proptest! {
        #[test]
        fn next_report_is_due_within_an_interval_at_the_phase(
            id: u128, seconds in 60_u64..100_000, now in -2_000_000_000_000_i64..4_000_000_000_000,
        ) {
            let schedule = Schedule::new(Uuid::from_u128(id), Duration::from_secs(seconds)).unwrap();
            let now = DateTime::from_timestamp_millis(now).unwrap();
            let next = schedule.next_after(now);
            prop_assert!(next > now);
            prop_assert!(next - now <= TimeDelta::seconds(i64::try_from(seconds).unwrap()));
            let interval = i64::try_from(seconds).unwrap() * 1000;
            let phase = i64::try_from(schedule.phase().as_millis()).unwrap();
            prop_assert_eq!(next.timestamp_millis().rem_euclid(interval), phase);
            // The one after it is an interval later.
            let gap = (schedule.next_after(next) - next).to_std().unwrap();
            prop_assert_eq!(gap, schedule.interval());
        }
    }
}
