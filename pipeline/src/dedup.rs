//! Whether an event was there before: keys of days, in memory, committed with what they let through.
//!
//! A partition of `telemetry.events` has a window of keys, which whoever holds the partition keeps.
//! What a batch adds is noted apart until its transaction is committed, and dropped when it is aborted: otherwise the
//! same events, read again, would look like duplicates of themselves and be lost.
//! The keys of a batch are also written to `telemetry.seen`, in the same transaction, and read back from there by
//! whoever holds the partition next.
//!
//! An event with the key of another one and other content is a collision: it is let through, flagged, and a key of its
//! own from then on.
//! A key takes 16 bytes, in tables of which at least a quarter is used: see [`table`].

mod blob;
mod rebuild;
mod table;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, Hasher},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::blob::{BadBlob, KEY_BYTES};
use self::{
    Verdict::{Collision, Duplicate, New},
    table::{Slot, Table},
};

/// Tables of a partition: growing one of them stops nobody for long.
const TABLES: usize = 64;

/// With so many contents under one key, further ones are looked up by key and content: a stranger who sends the same
/// id again and again must not make everybody wait.
const CONTENTS_MAX: usize = 32;

/// An hour, in seconds: what is counted, and goes, together.
const HOUR: u32 = 3600;

/// By what an event is known: its key, and its content in short.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mark {
    /// From the event's id and device.
    pub key: [u8; 16],
    /// The beginning of the digest of its content.
    pub fingerprint: [u8; 8],
}

/// What is to become of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It was not there before.
    New,
    /// It was there before.
    Duplicate,
    /// Another one with its key was there before.
    Collision,
}

/// The keys of the partitions that are held.
#[derive(Debug)]
pub struct Dedup {
    window: Duration,
    bytes_max: usize,
    partitions: HashMap<i32, Partition>,
    /// What the open batch adds, in its order.
    added: Vec<(i32, Mark)>,
    /// The same by partition and key, to look it up.
    overlay: Overlay,
    /// Where the search for old keys goes on.
    swept: usize,
    /// What was seen before then is forgotten, in seconds since 1970.
    cut: u32,
}

/// The contents of each key of a partition.
type Overlay = HashMap<(i32, [u8; 16]), Vec<[u8; 8]>, BuildHasherDefault<OfDigest>>;

/// What went before its time, because there was no memory for it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Evicted {
    /// How many keys.
    pub keys: u64,
    /// How far the window reaches now, in seconds; that of the newest key that went.
    pub reaches_s: u64,
}

#[derive(Debug)]
struct Partition {
    tables: Vec<Table>,
    /// How many keys there are of each hour since 1970.
    hours: BTreeMap<u32, u64>,
}

impl Mark {
    const fn table(&self) -> usize {
        self.key[8] as usize % TABLES
    }

    fn slot(&self, seen_at: u32) -> Slot {
        let (mut key, mut fingerprint) = ([0; 8], [0; 4]);
        key.copy_from_slice(&self.key[..8]);
        fingerprint.copy_from_slice(&self.fingerprint[..4]);
        let (key, fingerprint) = (u64::from_be_bytes(key), u32::from_be_bytes(fingerprint));
        Slot { key, fingerprint, seen_at }
    }

    /// Returns the slot under which it is looked up once its key has too many contents.
    fn apart(&self, seen_at: u32) -> Slot {
        let slot = self.slot(seen_at);
        Slot { key: slot.key ^ u64::from_be_bytes(self.fingerprint).rotate_left(17), ..slot }
    }
}

impl Dedup {
    /// Returns one that holds nothing yet, looks back for `window`, and keeps at most `bytes_max` bytes of keys.
    #[must_use]
    pub fn new(window: Duration, bytes_max: usize) -> Self {
        Self {
            window,
            bytes_max,
            partitions: HashMap::new(),
            added: Vec::new(),
            overlay: HashMap::default(),
            swept: 0,
            cut: 0,
        }
    }

    /// Begins to hold a partition, without keys.
    pub fn gain(&mut self, partition: i32) {
        let tables = std::iter::repeat_with(Table::default).take(TABLES).collect();
        self.partitions.insert(partition, Partition { tables, hours: BTreeMap::new() });
    }

    /// Forgets a partition.
    pub fn lose(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// Takes keys back in that were written when they were new; those before the window are left out.
    ///
    /// # Errors
    ///
    /// The bytes are no keys.
    pub fn restore(
        &mut self,
        partition: i32,
        keys: &[u8],
        (seen_at, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), BadBlob> {
        let oldest = self.oldest(now);
        let (seen_at, marks) = (seconds(seen_at), blob::read(keys)?);
        let Some(held) = self.partitions.get_mut(&partition) else { return Ok(()) };
        if seen_at >= oldest {
            marks.for_each(|mark| held.insert(mark, seen_at));
        }
        Ok(())
    }

    /// Says what is to become of an event; in a partition that is not held everything is new.
    ///
    /// What is let through is to be noted, once it is certain that it goes on.
    #[must_use]
    pub fn judge(&self, partition: i32, mark: Mark, now: DateTime<Utc>) -> Verdict {
        let held = self.partitions.get(&partition);
        let known = held.map_or(New, |held| held.judge(mark, self.oldest(now)));
        match self.overlay.get(&(partition, mark.key)) {
            Some(contents) if contents.contains(&mark.fingerprint) => Duplicate,
            Some(_) if known == New => Collision,
            _ => known,
        }
    }

    /// Notes an event that goes on with the batch.
    pub fn note(&mut self, partition: i32, mark: Mark) {
        self.overlay.entry((partition, mark.key)).or_default().push(mark.fingerprint);
        self.added.push((partition, mark));
    }

    /// Returns what the batch adds, to be written with it: for each partition its keys.
    #[must_use]
    pub fn added(&self) -> BTreeMap<i32, Vec<u8>> {
        let mut blobs: BTreeMap<i32, Vec<u8>> = BTreeMap::new();
        for (partition, mark) in &self.added {
            blob::write(blobs.entry(*partition).or_default(), mark);
        }
        blobs
    }

    /// Keeps what the batch has added: it is committed. Returns what had to go for it.
    pub fn committed(&mut self, now: DateTime<Utc>) -> Evicted {
        let seen_at = seconds(now);
        for (partition, mark) in self.added.drain(..) {
            if let Some(held) = self.partitions.get_mut(&partition) {
                held.insert(mark, seen_at);
            }
        }
        self.overlay.clear();
        self.sweep(now);
        self.bound(now)
    }

    /// Forgets what the batch has added: it is not committed.
    pub fn aborted(&mut self) {
        self.added.clear();
        self.overlay.clear();
    }

    /// Returns how many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.tables().map(Table::len).sum()
    }

    /// Returns how many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tables().map(Table::bytes).sum()
    }

    /// Returns how many bytes they may take.
    #[must_use]
    pub const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Returns how far back duplicates are known: as far as the window, unless keys had to go before.
    ///
    /// Keys that were read back in reach as far as they were written.
    #[must_use]
    pub fn reach(&self, now: DateTime<Utc>) -> Duration {
        let since_cut = seconds(now).saturating_sub(self.cut);
        self.window.min(Duration::from_secs(since_cut.into()))
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.partitions.values().flat_map(|partition| &partition.tables)
    }

    fn oldest(&self, now: DateTime<Utc>) -> u32 {
        let window = u32::try_from(self.window.as_secs()).unwrap_or(u32::MAX);
        seconds(now).saturating_sub(window)
    }

    /// Looks through one table of each partition for what is before the window.
    fn sweep(&mut self, now: DateTime<Utc>) {
        let oldest = self.oldest(now);
        for partition in self.partitions.values_mut() {
            partition.sweep(self.swept % TABLES, oldest);
        }
        self.swept += 1;
    }

    /// Lets the oldest hours go until the rest fits.
    fn bound(&mut self, now: DateTime<Utc>) -> Evicted {
        let mut evicted = Evicted::default();
        while self.bytes() > self.bytes_max {
            let hours = self.partitions.values().filter_map(|held| held.hours.keys().next());
            let Some(oldest) = hours.min().copied() else { break };
            let until = (oldest + 1) * HOUR;
            for partition in self.partitions.values_mut() {
                evicted.keys += (0..TABLES).map(|table| partition.sweep(table, until)).sum::<u64>();
            }
            evicted.reaches_s = u64::from(seconds(now).saturating_sub(until));
            self.cut = until;
        }
        evicted
    }
}

impl Partition {
    fn judge(&self, mark: Mark, oldest: u32) -> Verdict {
        let (table, slot) = (&self.tables[mark.table()], mark.slot(0));
        let (mut contents, mut verdict) = (0, New);
        for known in table.get(slot.key) {
            contents += 1;
            if known.seen_at < oldest {
                continue;
            }
            if known.fingerprint == slot.fingerprint {
                return Duplicate;
            }
            verdict = Collision;
        }
        if contents >= CONTENTS_MAX {
            let apart = mark.apart(0);
            let mut known = table.get(apart.key);
            if known.any(|slot| slot.fingerprint == apart.fingerprint && slot.seen_at >= oldest) {
                return Duplicate;
            }
        }
        verdict
    }

    fn insert(&mut self, mark: Mark, seen_at: u32) {
        let table = &mut self.tables[mark.table()];
        let slot = mark.slot(seen_at);
        let many = table.get(slot.key).count() >= CONTENTS_MAX;
        table.insert(if many { mark.apart(seen_at) } else { slot });
        *self.hours.entry(seen_at / HOUR).or_default() += 1;
    }

    fn sweep(&mut self, table: usize, oldest: u32) -> u64 {
        // Most often there is nothing that old, and nothing is looked through.
        if self.hours.keys().next().is_none_or(|hour| hour * HOUR >= oldest) {
            return 0;
        }
        let mut forgotten = 0;
        let hours = &mut self.hours;
        self.tables[table].forget(oldest, |seen_at| {
            forgotten += 1;
            let hour = seen_at / HOUR;
            if let Some(count) = hours.get_mut(&hour) {
                *count -= 1;
                if *count == 0 {
                    hours.remove(&hour);
                }
            }
        });
        forgotten
    }
}

/// Seconds since 1970, at least 1.
fn seconds(time: DateTime<Utc>) -> u32 {
    u32::try_from(time.timestamp().max(1)).unwrap_or(u32::MAX)
}

/// Takes the end of what is hashed, which is part of a digest, for its hash.
#[derive(Default)]
struct OfDigest(u64);

impl Hasher for OfDigest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().rev().take(8) {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_i32(&mut self, number: i32) {
        self.0 ^= u64::from(number.unsigned_abs());
    }

    // The length of an array, which is always the same.
    fn write_usize(&mut self, _: usize) {}
}

#[cfg(test)]
mod tests;
