//! The first hop: batches become events by device.

use std::sync::Arc;

use crate::{
    Failed, Output, Record, Result,
    hop::Step,
    ledger::{self, Entry},
    log::Change,
    metrics::{Counts, Metrics},
    provenance::Provenance,
    reason::Reason,
    telemetry,
    unbundle::unbundle,
};

/// Takes batches apart; it remembers nothing.
#[derive(Debug)]
pub(crate) struct Unbundle {
    partitions: i32,
    /// What the open batch counts.
    counts: Counts,
    metrics: Arc<Metrics>,
}

impl Unbundle {
    /// Returns the step for topics of so many partitions.
    pub(crate) fn new(partitions: i32) -> Self {
        Self { partitions, counts: Counts::default(), metrics: Arc::default() }
    }

    /// Counts for these metrics.
    pub(crate) fn counted(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Takes one batch apart, adds what is written for it, and returns what it counts.
    fn take(&self, record: &Record, outputs: &mut Vec<Output>) -> ledger::Unbundled {
        let unbundled = unbundle(record);
        let day = ledger::entry::day(unbundled.provenance.syncts);
        let offset = record.offset;
        let is_whole = |failed: &Failed| failed.index.is_none();
        let counts = if unbundled.failed.iter().any(is_whole) {
            let broken_bytes = (record.value.len() as u64).max(1);
            ledger::Unbundled { offset, day, broken_bytes, ..ledger::Unbundled::default() }
        } else {
            let (received, failed) = (unbundled.events as u64, unbundled.failed.len() as u64);
            let passed = received - failed;
            ledger::Unbundled { offset, day, received, passed, failed, broken_bytes: 0 }
        };
        let bundles = unbundled.bundles.iter();
        outputs.extend(bundles.map(|bundle| bundle.output(&unbundled.provenance, self.partitions)));
        outputs.extend(unbundled.failed.iter().map(|failed| failed.output(record.partition)));
        counts
    }

    fn count(&mut self, batch: &ledger::Unbundled) {
        self.counts.add(&Counts {
            batches: 1,
            batches_failed: u64::from(batch.broken_bytes > 0),
            received: batch.received,
            passed: batch.passed,
            unbundle_failed: batch.failed,
            ..Counts::default()
        });
    }
}

impl Step for Unbundle {
    async fn changed(&mut self, _: &Change) -> Result<()> {
        Ok(())
    }

    async fn prepare(&mut self, _: &[Record]) -> Result<bool> {
        Ok(true)
    }

    fn process(&mut self, records: Vec<Record>) -> Vec<Output> {
        self.counts = Counts::default();
        let mut outputs = Vec::with_capacity(records.len() * 2);
        for of in records.chunk_by(|a, b| a.partition == b.partition) {
            let [first, ..] = of else { continue };
            let mut batches = Vec::with_capacity(of.len());
            for record in of {
                let before = outputs.len();
                let taken = super::caught(|| self.take(record, &mut outputs));
                batches.push(taken.unwrap_or_else(|| {
                    // A fault of ours is no reason to stop everything behind it.
                    telemetry::panicked("unbundle", record.partition, record.offset);
                    outputs.truncate(before);
                    let provenance = Provenance::of_raw(record);
                    let day = ledger::entry::day(provenance.syncts);
                    let failed = Failed::batch(provenance, fault(), record.value.clone());
                    outputs.push(failed.output(record.partition));
                    let broken_bytes = (record.value.len() as u64).max(1);
                    let offset = record.offset;
                    ledger::Unbundled { offset, day, broken_bytes, ..ledger::Unbundled::default() }
                }));
            }
            for batch in &batches {
                self.count(batch);
            }
            let next = of.last().map_or(first.offset, |last| last.offset) + 1;
            let (partition, first) = (first.partition, first.offset);
            outputs.push(Entry::Unbundle { partition, first, next, batches }.output());
        }
        outputs
    }

    fn committed(&mut self) {
        self.metrics.count(&self.counts);
    }

    fn aborted(&mut self) {}
}

/// The reason of something that a fault of ours has met.
pub(crate) fn fault() -> Reason {
    let message =
        "it has met a fault of Tidings: report it with these bytes, and replay it after an update";
    Reason::new("$", "internal_fault", message)
}
