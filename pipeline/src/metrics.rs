//! What a pipeline counts, as Prometheus reads it.
//!
//! Counters of events grow when what they count is committed: what is aborted and done again counts once.
//! Labels are groups, steps, outcomes, sinks, topics and partitions, which are few; nothing that a client says becomes
//! a label.

mod group;
mod page;
mod sink;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use self::page::Page;
pub use self::sink::SinkMeter;
pub(crate) use self::{
    group::{Group, Seat},
    page::Histogram,
};
use crate::{dedup::Evicted, lag::Lag};

/// The counters of one pipeline in one process.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) unbundle: Arc<Group>,
    pub(crate) refine: Arc<Group>,
    pub(crate) ledger: Arc<Group>,
    /// Where sessions are summarised.
    sessions: OnceLock<Arc<Group>>,
    events: Mutex<Counts>,
    /// By member of `refine`.
    keys: Mutex<BTreeMap<usize, Keys>>,
    evicted_keys: AtomicU64,
    sinks: Mutex<Vec<(String, SinkMeter)>>,
    lags: Mutex<Vec<Lag>>,
}

/// What both hops have done with batches and events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) batches: u64,
    pub(crate) batches_failed: u64,
    /// Events in batches that could be read.
    pub(crate) received: u64,
    /// Those that were handed on.
    pub(crate) passed: u64,
    /// Those that were no events.
    pub(crate) unbundle_failed: u64,
    /// Events that `refine` has taken.
    pub(crate) taken: u64,
    pub(crate) derived: u64,
    /// Derived ones too.
    pub(crate) unique: u64,
    pub(crate) duplicate: u64,
    pub(crate) failed: u64,
    pub(crate) filtered: u64,
    pub(crate) collision: u64,
}

/// What a member of `refine` keeps of events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Keys {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
    /// How far back duplicates are known, in seconds.
    pub(crate) reach_s: u64,
}

/// A name, what it is, and where it is read.
type Gauge = (&'static str, &'static str, fn(&Keys) -> u64);

impl Metrics {
    /// Adds what a sink counts, under the name by which its group is known.
    pub fn add_sink(&self, name: impl Into<String>, meter: SinkMeter) {
        lock(&self.sinks).push((name.into(), meter));
    }

    /// Returns what counts the sessions, which are counted from then on.
    pub(crate) fn sessions(&self) -> Arc<Group> {
        Arc::clone(self.sessions.get_or_init(Arc::default))
    }

    /// Returns whether sessions are summarised.
    pub(crate) fn has_sessions(&self) -> bool {
        self.sessions.get().is_some()
    }

    /// Returns the names of the sinks that were added.
    #[must_use]
    pub fn sinks(&self) -> Vec<String> {
        lock(&self.sinks).iter().map(|(name, _)| name.clone()).collect()
    }

    /// Counts what was committed.
    pub(crate) fn count(&self, counts: &Counts) {
        lock(&self.events).add(counts);
    }

    /// Takes note of what a member of `refine` keeps.
    pub(crate) fn keep(&self, member: usize, keys: Keys) {
        lock(&self.keys).insert(member, keys);
    }

    /// Counts keys that went before their time.
    pub(crate) fn evict(&self, evicted: Evicted) {
        self.evicted_keys.fetch_add(evicted.keys, Relaxed);
    }

    /// Takes note of how far groups are behind; an empty list where it is not known.
    pub(crate) fn measured(&self, lags: Vec<Lag>) {
        *lock(&self.lags) = lags;
    }

    /// Returns everything in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::new();
        let sinks = lock(&self.sinks).clone();
        let hops =
            [("unbundle", &self.unbundle), ("refine", &self.refine), ("ledger", &self.ledger)];
        let hops = hops.map(|(name, group)| (name.to_owned(), Arc::clone(group)));
        let sessions = self.sessions.get().map(|group| ("sessions".to_owned(), Arc::clone(group)));
        let of_sinks = sinks.iter().map(|(name, meter)| (format!("sink.{name}"), meter.group()));
        group::render(
            &hops.into_iter().chain(sessions).chain(of_sinks).collect::<Vec<_>>(),
            &mut page,
        );
        self.render_events(&mut page);
        self.render_keys(&mut page);
        sink::render(&sinks, &mut page);
        self.render_lags(&mut page);
        page.into_text()
    }

    fn render_events(&self, page: &mut Page) {
        let counts = *lock(&self.events);
        page.counter("batches_total", "Batches taken apart, by whether they could be read.");
        let read = counts.batches - counts.batches_failed;
        page.line("batches_total", &[("outcome", "read")], read);
        page.line("batches_total", &[("outcome", "failed")], counts.batches_failed);
        page.counter("events_taken_total", "Events that a step has taken.");
        page.line("events_taken_total", &[("step", "unbundle")], counts.received);
        page.line("events_taken_total", &[("step", "refine")], counts.taken);
        page.counter(
            "events_total",
            "Events by step and what became of them; unique ones with those derived.",
        );
        for (step, outcome, count) in [
            ("unbundle", "passed", counts.passed),
            ("unbundle", "failed", counts.unbundle_failed),
            ("refine", "unique", counts.unique),
            ("refine", "duplicate", counts.duplicate),
            ("refine", "failed", counts.failed),
            ("refine", "filtered", counts.filtered),
        ] {
            page.line("events_total", &[("step", step), ("outcome", outcome)], count);
        }
        page.counter(
            "derived_events_total",
            "Events made of others, such as one for each shared item.",
        );
        page.line("derived_events_total", &[], counts.derived);
        page.counter(
            "collisions_total",
            "Unique events with the id of another one and other content.",
        );
        page.line("collisions_total", &[], counts.collision);
    }

    fn render_keys(&self, page: &mut Page) {
        let members = lock(&self.keys).clone();
        let gauges: [Gauge; 4] = [
            ("dedup_keys", "Keys of events that are held.", |keys| keys.count),
            ("dedup_bytes", "Memory that they take.", |keys| keys.bytes),
            ("dedup_bytes_max", "Memory that they may take.", |keys| keys.bytes_max),
            ("dedup_reach_seconds", "How far back duplicates are known.", |keys| keys.reach_s),
        ];
        for (name, help, read) in gauges {
            page.gauge(name, help);
            for (member, keys) in &members {
                page.line(name, &[("member", &member.to_string())], read(keys));
            }
        }
        page.counter(
            "dedup_evicted_keys_total",
            "Keys that went before their time because memory was full.",
        );
        page.line("dedup_evicted_keys_total", &[], self.evicted_keys.load(Relaxed));
    }

    fn render_lags(&self, page: &mut Page) {
        let lags = lock(&self.lags).clone();
        let rows = |page: &mut Page, name: &str, value: fn(&crate::lag::Partition) -> i64| {
            for lag in &lags {
                for of in &lag.partitions {
                    let partition = of.partition.to_string();
                    let labels = [
                        ("group", &*lag.group),
                        ("topic", &*lag.topic),
                        ("partition", &*partition),
                    ];
                    page.line(name, &labels, value(of));
                }
            }
        };
        page.gauge("lag_records", "Records that a group has not read yet, as measured last.");
        rows(page, "lag_records", |of| of.records);
        page.gauge("lag_seconds", "Age of the oldest record that a group has not read yet.");
        rows(page, "lag_seconds", |of| of.oldest_age_s.unwrap_or_default());
    }
}

impl Counts {
    /// Adds others.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.batches += other.batches;
        self.batches_failed += other.batches_failed;
        self.received += other.received;
        self.passed += other.passed;
        self.unbundle_failed += other.unbundle_failed;
        self.taken += other.taken;
        self.derived += other.derived;
        self.unique += other.unique;
        self.duplicate += other.duplicate;
        self.failed += other.failed;
        self.filtered += other.filtered;
        self.collision += other.collision;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
