//! The second hop: each event once, checked, redacted and enriched.
//!
//! What it remembers are the keys of the partitions that it holds; see [`crate::dedup`].

mod event;
mod gear;
mod outputs;
mod tally;

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

pub(crate) use self::gear::Gear;
use self::{
    event::{Meeting, Refined},
    outputs::Outputs,
    tally::Tally,
};
use crate::{
    Failed, Log, Output, Record, Result, bundle,
    dedup::{Dedup, Evicted},
    hop::{Step, unbundle::fault},
    identity::Scratch,
    log::Change,
    metrics::{Counts, Keys, Metrics},
    provenance::Provenance,
    reason::Reason,
    record::Headers,
    telemetry, topic,
};

/// How many keys are written in one record: 2.4 MB.
const BLOB_KEYS: usize = 100_000;

/// The second hop, and what it remembers.
pub(crate) struct Refine<L> {
    log: L,
    gear: Gear,
    dedup: Dedup,
    clock: fn() -> DateTime<Utc>,
    scratch: Scratch,
    /// The log's time of the batch at hand, or of the last one.
    now: DateTime<Utc>,
    /// What the open batch counts.
    counts: Counts,
    /// Keys that went, of which the ledger does not know yet.
    evicted: Option<Evicted>,
    /// Where it is counted, and as which member.
    metrics: (Arc<Metrics>, usize),
}

impl<L: Log> Refine<L> {
    pub(crate) fn new(
        log: L,
        gear: Gear,
        (window, bytes_max): (Duration, usize),
        clock: fn() -> DateTime<Utc>,
    ) -> Self {
        let dedup = Dedup::new(window, bytes_max);
        let (scratch, now) = (Scratch::default(), DateTime::UNIX_EPOCH);
        let (counts, evicted, metrics) = (Counts::default(), None, (Arc::default(), 0));
        Self { log, gear, dedup, clock, scratch, now, counts, evicted, metrics }
    }

    /// Counts for these metrics, as this member.
    pub(crate) fn counted(mut self, metrics: Arc<Metrics>, member: usize) -> Self {
        self.metrics = (metrics, member);
        self
    }

    /// Says what is held.
    fn gauge(&self, now: DateTime<Utc>) {
        let (metrics, member) = &self.metrics;
        let keys = Keys {
            count: self.dedup.keys() as u64,
            bytes: self.dedup.bytes() as u64,
            bytes_max: self.dedup.bytes_max() as u64,
            reach_s: self.dedup.reach(now).as_secs(),
        };
        metrics.keep(*member, keys);
    }

    /// Takes what is in one record, and adds what is written for it.
    fn take(&mut self, record: &Record, tally: &mut Tally, outputs: &mut Outputs) {
        let Some(provenance) = Provenance::of_events(record) else {
            let provenance = Provenance::of_raw(record);
            tally.begin(&provenance);
            // What is no bundle either says more.
            let reason = bundle::read(record).err().unwrap_or_else(no_provenance);
            return refuse(record, (provenance, reason), tally, outputs);
        };
        tally.begin(&provenance);
        let events = match bundle::read(record) {
            Ok(events) => events,
            Err(reason) => return refuse(record, (provenance, reason), tally, outputs),
        };
        let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key));
        let device = key.as_deref().unwrap_or_default();
        for (index, text) in events {
            let bytes = record.value.slice_ref(text.get().as_bytes());
            let meeting = Meeting {
                provenance: &provenance,
                device,
                partition: record.partition,
                index,
                bytes,
                key: record.key.clone(),
                now: self.now,
                snapshot: &self.gear.snapshot,
                rules: &self.gear.rules,
            };
            let before = outputs.len();
            let refined = super::caught(|| {
                event::refine(
                    &meeting,
                    &self.gear.steps,
                    &mut self.dedup,
                    (&mut self.scratch, outputs),
                )
            });
            let refined = refined.unwrap_or_else(|| {
                telemetry::panicked("refine", record.partition, record.offset);
                outputs.truncate(before);
                self.scratch = Scratch::default();
                outputs.push(meeting.failed(crate::Stage::CheckEvent, vec![fault()]));
                Refined::Failed
            });
            tally.count(&refined);
        }
    }
}

/// Keeps a record that is none of ours.
fn refuse(
    record: &Record,
    (provenance, reason): (Provenance, Reason),
    tally: &mut Tally,
    outputs: &mut Outputs,
) {
    let failed = Failed::batch(provenance, reason, record.value.clone());
    outputs.push(failed.output(record.partition));
    tally.count(&Refined::Failed);
}

fn no_provenance() -> Reason {
    let message = "it has no header `source`; write to telemetry.raw instead";
    Reason::new("$", "no_provenance", message)
}

impl<L: Log> Step for Refine<L> {
    async fn changed(&mut self, change: &Change) -> Result<()> {
        for partition in &change.lost {
            self.dedup.lose(*partition);
        }
        if !change.gained.is_empty() {
            let gained: Vec<_> = change.gained.iter().map(|gained| gained.partition).collect();
            self.dedup.rebuild(&self.log, &gained, (self.clock)()).await?;
            telemetry::rebuilt(change.gained.len(), self.dedup.keys(), self.dedup.bytes());
        }
        self.gauge((self.clock)());
        Ok(())
    }

    async fn prepare(&mut self, records: &[Record]) -> Result<bool> {
        self.gear.load(records).await
    }

    fn process(&mut self, records: Vec<Record>) -> Vec<Output> {
        let latest = records.iter().map(|record| record.appended_at).max();
        self.now = latest.map_or(self.now, |latest| latest.max(self.now));
        self.counts = Counts::default();
        let mut evicted = self.evicted;
        let mut outputs = Outputs::with_capacity(records.len() * 24);
        for of in records.chunk_by(|a, b| a.partition == b.partition) {
            let mut tally = Tally::default();
            for record in of {
                self.take(record, &mut tally, &mut outputs);
            }
            tally.add_to(&mut self.counts);
            outputs.extend(tally.output(of, evicted.take()));
        }
        for (partition, keys) in self.dedup.added() {
            let blobs = keys.chunks(BLOB_KEYS * crate::dedup::KEY_BYTES);
            outputs.extend(blobs.map(|blob| Output {
                topic: topic::SEEN.into(),
                partition,
                key: None,
                headers: Headers::new(),
                value: blob.to_vec().into(),
            }));
        }
        outputs.into_list()
    }

    fn committed(&mut self) {
        let evicted = self.dedup.committed(self.now);
        self.metrics.0.count(&self.counts);
        self.evicted = (evicted.keys > 0).then_some(evicted);
        if let Some(evicted) = self.evicted {
            self.metrics.0.evict(evicted);
            telemetry::evicted(evicted);
        }
        self.gauge(self.now);
    }

    fn aborted(&mut self) {
        self.dedup.aborted();
    }
}

impl<L> fmt::Debug for Refine<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Refine").field("now", &self.now).finish_non_exhaustive()
    }
}
