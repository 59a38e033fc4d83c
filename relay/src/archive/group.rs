//! Items of an archive that are written together.

use bytes::Bytes;
use tidings_analytics::Level;
use tidings_pipeline::archive::{Archive, Batch, Entry, Item, Problem, Report, Status};

use super::Destination;
use crate::{
    gather::Record,
    raw,
    telemetry_batch::sift::{Sifted, sift},
};

/// How many items are written together.
const ITEMS_MAX: usize = 100;

/// How many bytes are written together, and one item more.
const BYTES_MAX: usize = 1_000_000;

/// Items with their records.
#[derive(Debug, Default)]
pub(super) struct Group {
    entries: Vec<Entry>,
    /// Each with the place of its entry.
    records: Vec<Record>,
    places: Vec<usize>,
    bytes: usize,
}

/// Reads the next group, away from the tasks that wait for the network; nothing where reading has panicked.
pub(super) async fn gathered(
    mut archive: Archive,
    destination: &Destination,
) -> Option<(Archive, Group)> {
    let destination = destination.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut group = Group::default();
        while group.entries.len() < ITEMS_MAX
            && group.bytes < BYTES_MAX
            && let Some(item) = archive.next()
        {
            group.push(item, &destination);
        }
        (archive, group)
    });
    reading.await.ok()
}

impl Group {
    fn push(&mut self, item: Item, destination: &Destination) {
        let sifted = item.batch.as_ref().ok().map(|batch| (batch, left(batch, destination.level)));
        let entry = match sifted {
            Some((batch, Ok(Sifted { body: Some(left), above }))) => {
                self.places.push(self.entries.len());
                self.bytes += left.len();
                self.records.push(record(batch, &item, left, destination));
                Entry::new(&item, Status::Accepted, above.len())
            }
            Some((_, Ok(Sifted { body: None, above }))) => {
                Entry::new(&item, Status::Filtered, above.len())
            }
            Some((_, Err(problem))) => {
                Entry::new(&Item { batch: Err(problem), ..item }, Status::Refused, 0)
            }
            None => Entry::new(&item, Status::Refused, 0),
        };
        self.entries.push(entry);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns how many bytes its records have.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many events it has.
    pub(super) fn events(&self) -> usize {
        self.entries.iter().map(|entry| entry.events).sum()
    }

    /// Takes the records out, to be written.
    pub(super) fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Reports what became of the items; `fresh` says of each record whether it was new.
    pub(super) fn finish(mut self, fresh: impl Iterator<Item = bool>, report: &mut Report) {
        for (place, fresh) in self.places.into_iter().zip(fresh) {
            if let Some(entry) = self.entries.get_mut(place).filter(|_| !fresh) {
                entry.status = Status::Repeated;
            }
        }
        for entry in self.entries {
            report.push(entry);
        }
    }
}

/// Leaves out what is above the level.
fn left(batch: &Batch, level: Level) -> Result<Sifted, Problem> {
    if level == Level::Full {
        return Ok(Sifted { body: Some(batch.bytes.clone()), above: Vec::new() });
    }
    sift(&batch.bytes, level).map_err(|error| Problem {
        code: "malformed_batch",
        message: format!("it is no batch of telemetry: {error}"),
    })
}

fn record(batch: &Batch, item: &Item, left: Bytes, destination: &Destination) -> Record {
    let mid = item.mid.as_deref();
    let headers = batch.headers(mid, &destination.importer, destination.syncts);
    raw::imported(destination.channel_id, batch, (mid, headers), left)
}
