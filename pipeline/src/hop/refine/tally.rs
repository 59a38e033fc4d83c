//! Counts what became of events, by the batch that they came in.

use super::event::Refined;
use crate::{
    Output, Record,
    dedup::Evicted,
    ledger::{self, Entry, entry},
    metrics::Counts,
    provenance::Provenance,
};

/// The counts of some records of one partition.
#[derive(Debug, Default)]
pub(super) struct Tally {
    batches: Vec<ledger::Refined>,
}

impl Tally {
    /// Goes on with the events of a batch.
    pub(super) fn begin(&mut self, provenance: &Provenance) {
        let (partition, offset) = (provenance.source.partition, provenance.source.offset);
        if self
            .batches
            .last()
            .is_some_and(|last| (last.partition, last.offset) == (partition, offset))
        {
            return;
        }
        let day = entry::day(provenance.syncts);
        self.batches.push(ledger::Refined { partition, offset, day, ..ledger::Refined::default() });
    }

    /// Counts an event of the batch.
    pub(super) fn count(&mut self, refined: &Refined) {
        let Some(batch) = self.batches.last_mut() else { return };
        batch.taken += 1;
        match refined {
            Refined::Unique { derived, collision } => {
                batch.unique += 1 + derived;
                batch.derived += derived;
                batch.collision += u64::from(*collision);
            }
            Refined::Duplicate => batch.duplicate += 1,
            Refined::Failed => batch.failed += 1,
            Refined::Filtered => batch.filtered += 1,
        }
    }

    /// Returns the entry of the ledger for these records, which are of one partition.
    ///
    /// It also says which keys went before their time.
    pub(super) fn output(self, records: &[Record], evicted: Option<Evicted>) -> Option<Output> {
        let ([first, ..], [.., last]) = (records, records) else { return None };
        let (partition, first, next) = (first.partition, first.offset, last.offset + 1);
        let batches = self.batches;
        Some(Entry::Refine { partition, first, next, batches, evicted }.output())
    }

    /// Adds what was counted.
    pub(super) fn add_to(&self, counts: &mut Counts) {
        for batch in &self.batches {
            counts.add(&Counts {
                taken: batch.taken,
                derived: batch.derived,
                unique: batch.unique,
                duplicate: batch.duplicate,
                failed: batch.failed,
                filtered: batch.filtered,
                collision: batch.collision,
                ..Counts::default()
            });
        }
    }
}
