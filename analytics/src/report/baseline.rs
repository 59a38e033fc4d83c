//! What the next report begins with: the counters as the last one has read them.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::statistics::{Deltas, Sample, Source};

/// For how many reports a process that is not seen any more is remembered: 30 days of hours.
///
/// One that comes back later would count from the beginning again.
const REMEMBERED_MAX: u64 = 720;

/// What the next report begins with. It is stored as JSON, in the transaction in which the report is registered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Baseline {
    window_start: DateTime<Utc>,
    sequence: u64,
    sources: BTreeMap<Source, Known>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupSent>,
}

/// What was last read of a source.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Known {
    /// By which report.
    sequence: u64,
    counters: BTreeMap<String, u64>,
}

/// The traits that were last told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GroupSent {
    /// A hash of them.
    pub hash: String,
    /// When that was.
    pub sent_at: DateTime<Utc>,
}

impl Baseline {
    /// Returns the baseline of an environment that has never reported.
    pub(super) const fn begin(now: DateTime<Utc>) -> Self {
        Self { window_start: now, sequence: 0, sources: BTreeMap::new(), group: None }
    }

    /// Returns when the next window begins.
    pub const fn window_start(&self) -> DateTime<Utc> {
        self.window_start
    }

    /// Returns the how manieth report the next one is, from zero.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns whether the call `group` is due: the traits have another `hash`, or it was last sent so long before `now`.
    ///
    /// Sending it with each report is simple; sending it when something has changed is cheaper where calls are paid for.
    pub fn is_group_due(&self, hash: &str, now: DateTime<Utc>, at_least_every: Duration) -> bool {
        self.group.as_ref().is_none_or(|sent| {
            let age = (now - sent.sent_at).to_std().unwrap_or_default();
            sent.hash != hash || age >= at_least_every
        })
    }

    /// Returns the baseline with a note that the call `group` was sent.
    #[must_use]
    pub fn with_group(mut self, hash: impl Into<String>, sent_at: DateTime<Utc>) -> Self {
        self.group = Some(GroupSent { hash: hash.into(), sent_at });
        self
    }

    /// Returns what was added since, and the baseline of the window that begins at `end`.
    ///
    /// What was not read this time, because its collector failed or its process did not answer, keeps its place: the
    /// report that reads it again covers both windows.
    pub(super) fn advance(&self, samples: &[Sample], end: DateTime<Utc>) -> (Deltas, Self) {
        let mut statistics = Deltas::default();
        let mut sources = self.sources.clone();
        for Sample { source, counters } in samples {
            let known = sources.entry(*source).or_default();
            known.sequence = self.sequence;
            for (name, current) in counters {
                let earlier = known.counters.insert(name.clone(), *current);
                statistics.add(name, *source, earlier, *current);
            }
        }
        sources.retain(|source, known| {
            let age = self.sequence.saturating_sub(known.sequence);
            *source == Source::Durable || age <= REMEMBERED_MAX
        });
        let sequence = self.sequence + 1;
        (statistics, Self { window_start: end, sequence, sources, group: self.group.clone() })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn sample(boot: u128, orders: u64) -> Sample {
        let counters = [("orders".to_owned(), orders)].into();
        Sample { source: Source::Process(Uuid::from_u128(boot)), counters }
    }

    fn orders(baseline: &mut Baseline, samples: &[Sample]) -> u64 {
        let (statistics, next) = baseline.advance(samples, baseline.window_start());
        *baseline = next;
        statistics.values.get("orders").copied().unwrap_or_default()
    }

    #[test]
    fn process_that_misses_a_report_is_not_counted_twice() {
        let mut baseline = Baseline::begin(DateTime::UNIX_EPOCH);
        assert_eq!(orders(&mut baseline, &[sample(1, 5), sample(2, 1)]), 6);
        assert_eq!(orders(&mut baseline, &[sample(2, 2)]), 1);
        assert_eq!(orders(&mut baseline, &[sample(1, 7), sample(2, 2)]), 2);
    }

    #[test]
    fn process_that_is_gone_is_forgotten_in_the_end() {
        let mut baseline = Baseline::begin(DateTime::UNIX_EPOCH);
        orders(&mut baseline, &[sample(1, 5)]);
        for _ in 0..REMEMBERED_MAX {
            orders(&mut baseline, &[]);
        }
        assert_eq!(baseline.sources.len(), 1);
        orders(&mut baseline, &[]);
        assert_eq!(baseline.sources.len(), 0);
    }

    #[test]
    fn baseline_is_read_as_it_is_stored() {
        let mut baseline =
            Baseline::begin(DateTime::UNIX_EPOCH).with_group("h", DateTime::UNIX_EPOCH);
        orders(&mut baseline, &[sample(1, 5)]);
        let stored = serde_json::to_string(&baseline).unwrap();
        assert_eq!(serde_json::from_str::<Baseline>(&stored).unwrap(), baseline);
        assert_eq!(
            stored,
            r#"{"window_start":"1970-01-01T00:00:00Z","sequence":1,"sources":{"process:00000000-0000-0000-0000-000000000001":{"sequence":0,"counters":{"orders":5}}},"group":{"hash":"h","sent_at":"1970-01-01T00:00:00Z"}}"#
        );
    }

    #[test]
    fn group_is_due_when_it_has_changed_or_is_old() {
        let day = Duration::from_hours(24);
        let at = |hours: i64| DateTime::from_timestamp(hours * 3600, 0).unwrap();
        let never = Baseline::begin(at(0));
        assert!(never.is_group_due("a", at(0), day));
        let sent = never.with_group("a", at(0));
        let table = [("a", 23, false), ("a", 24, true), ("b", 1, true), ("a", -1, false)];
        for (hash, hours, due) in table {
            assert_eq!(sent.is_group_due(hash, at(hours), day), due, "{hash} {hours}");
        }
    }
}
