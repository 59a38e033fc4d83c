//! A record of the ledger.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    dedup::Evicted,
    record::{Headers, Output},
    topic,
};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What one commit has done with one partition of what it has read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Entry {
    /// Batches of the raw log, taken apart.
    Unbundle {
        /// The partition of the raw log.
        partition: i32,
        /// The first offset that was read.
        first: i64,
        /// The offset that is read next.
        next: i64,
        /// Each batch.
        batches: Vec<Unbundled>,
    },
    /// Events, of which each is let through once.
    Refine {
        /// The partition of the events.
        partition: i32,
        /// The first offset that was read.
        first: i64,
        /// The offset that is read next.
        next: i64,
        /// What became of the events of each batch, as far as they were in these records.
        batches: Vec<Refined>,
        /// Keys of dedup that went before their time since the entry before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evicted: Option<Evicted>,
    },
    /// Sessions that were over, and of which summaries were made.
    Sessions {
        /// The partition of the unique events.
        partition: i32,
        /// The first offset that was read.
        first: i64,
        /// The offset that is read next; the first one where a clock has said that they were over.
        next: i64,
        /// How many summaries were made, by the batch of the session's last event.
        batches: Vec<Refined>,
    },
    /// What a sink has taken.
    Sink {
        /// Its name.
        sink: String,
        /// The partition of the unique events, or the first one of several.
        partition: i32,
        /// The first offset of it that was taken, where that is known, or else where it goes on.
        first: i64,
        /// The offset of it that is taken next.
        next: i64,
        /// Each day.
        days: Vec<Sunk>,
    },
}

/// A batch that was taken apart; written as an array, in this order.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "(i64, i32, u64, u64, u64, u64)", into = "(i64, i32, u64, u64, u64, u64)")]
pub struct Unbundled {
    /// Its offset in the raw log.
    pub offset: i64,
    /// The day when it was taken, in days since 1970 (UTC).
    pub day: i32,
    /// How many events it has.
    pub received: u64,
    /// How many were handed on.
    pub passed: u64,
    /// How many were no events.
    pub failed: u64,
    /// How many bytes it has, if it could not be read at all; it then counts as one failed batch without events.
    pub broken_bytes: u64,
}

/// What became of the events of a batch; written as an array, in this order.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "RefinedTuple", into = "RefinedTuple")]
pub struct Refined {
    /// The batch's partition of the raw log.
    pub partition: i32,
    /// The batch's offset there.
    pub offset: i64,
    /// The day when it was taken, in days since 1970 (UTC).
    pub day: i32,
    /// How many events were taken from what unbundle has handed on.
    pub taken: u64,
    /// How many events were made of them, such as one for each item that was shared.
    pub derived: u64,
    /// How many went on, derived ones too.
    pub unique: u64,
    /// How many were there already.
    pub duplicate: u64,
    /// How many were refused.
    pub failed: u64,
    /// How many may not be kept, by the level or because their subject was erased.
    pub filtered: u64,
    /// How many of the unique ones have the id of another one.
    pub collision: u64,
}

type RefinedTuple = (i32, i64, i32, u64, u64, u64, u64, u64, u64, u64);

/// What a sink did with the events of a day; written as an array, in this order.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "(i32, u64, u64, u64, u64, u64)", into = "(i32, u64, u64, u64, u64, u64)")]
pub struct Sunk {
    /// The day of `syncts`, in days since 1970 (UTC).
    pub day: i32,
    /// How many it has taken.
    pub taken: u64,
    /// How many it has stored.
    pub stored: u64,
    /// How many it had stored before.
    pub already_there: u64,
    /// How many its service refuses for what they are.
    pub rejected: u64,
    /// How many may not be kept any more.
    pub filtered: u64,
}

impl Entry {
    /// Returns it as a record for the ledger's partition of the same number.
    #[must_use]
    pub fn output(&self) -> Output {
        let (Self::Unbundle { partition, .. }
        | Self::Refine { partition, .. }
        | Self::Sessions { partition, .. }
        | Self::Sink { partition, .. }) = self;
        Output {
            topic: topic::LEDGER.into(),
            partition: *partition,
            key: None,
            headers: Headers::new(),
            // Numbers and names can always be written.
            value: serde_json::to_vec(self).map(Bytes::from).unwrap_or_default(),
        }
    }

    /// Returns whether it counts nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Unbundle { batches, .. } => batches.is_empty(),
            Self::Refine { batches, .. } | Self::Sessions { batches, .. } => batches.is_empty(),
            Self::Sink { days, .. } => days.is_empty(),
        }
    }

    /// Reads a record's value.
    ///
    /// # Errors
    ///
    /// It is none that this version writes.
    pub fn read(value: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(value)
    }
}

impl Refined {
    /// Returns whether everything that came in is accounted for.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.taken + self.derived == self.unique + self.duplicate + self.failed + self.filtered
    }
}

impl Sunk {
    /// Returns the days of `counts` in their order; `counts` of one day are added.
    #[must_use]
    pub fn by_day(counts: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut days: BTreeMap<i32, Self> = BTreeMap::new();
        for count in counts {
            let sum = days.entry(count.day).or_insert(Self { day: count.day, ..Self::default() });
            sum.taken += count.taken;
            sum.stored += count.stored;
            sum.already_there += count.already_there;
            sum.rejected += count.rejected;
            sum.filtered += count.filtered;
        }
        days.into_values().collect()
    }
}

/// Returns the day (UTC) of a time in milliseconds, in days since 1970.
#[must_use]
pub fn day(ms: i64) -> i32 {
    i32::try_from(ms.div_euclid(DAY_MS)).unwrap_or(if ms < 0 { i32::MIN } else { i32::MAX })
}

impl From<(i64, i32, u64, u64, u64, u64)> for Unbundled {
    fn from(
        (offset, day, received, passed, failed, broken_bytes): (i64, i32, u64, u64, u64, u64),
    ) -> Self {
        Self { offset, day, received, passed, failed, broken_bytes }
    }
}

impl From<Unbundled> for (i64, i32, u64, u64, u64, u64) {
    fn from(of: Unbundled) -> Self {
        (of.offset, of.day, of.received, of.passed, of.failed, of.broken_bytes)
    }
}

impl From<RefinedTuple> for Refined {
    fn from(of: RefinedTuple) -> Self {
        let (partition, offset, day, taken, derived) = (of.0, of.1, of.2, of.3, of.4);
        let (unique, duplicate, failed, filtered, collision) = (of.5, of.6, of.7, of.8, of.9);
        Self {
            partition,
            offset,
            day,
            taken,
            derived,
            unique,
            duplicate,
            failed,
            filtered,
            collision,
        }
    }
}

impl From<Refined> for RefinedTuple {
    fn from(of: Refined) -> Self {
        (
            of.partition,
            of.offset,
            of.day,
            of.taken,
            of.derived,
            of.unique,
            of.duplicate,
            of.failed,
            of.filtered,
            of.collision,
        )
    }
}

impl From<(i32, u64, u64, u64, u64, u64)> for Sunk {
    fn from(of: (i32, u64, u64, u64, u64, u64)) -> Self {
        let (day, taken, stored, already_there, rejected, filtered) = of;
        Self { day, taken, stored, already_there, rejected, filtered }
    }
}

impl From<Sunk> for (i32, u64, u64, u64, u64, u64) {
    fn from(of: Sunk) -> Self {
        (of.day, of.taken, of.stored, of.already_there, of.rejected, of.filtered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_written_as_they_will_always_be_read() {
        let unbundled = Unbundled {
            offset: 7,
            day: 20_000,
            received: 20,
            passed: 19,
            failed: 1,
            broken_bytes: 0,
        };
        let refined = Refined {
            partition: 3,
            offset: 7,
            day: 20_000,
            taken: 19,
            derived: 2,
            unique: 15,
            duplicate: 3,
            failed: 2,
            filtered: 1,
            collision: 1,
        };
        let sunk =
            Sunk { day: 20_000, taken: 6, stored: 3, already_there: 1, rejected: 1, filtered: 1 };
        let (partition, first, next) = (3, 7, 8);
        for (entry, text) in [
            (
                Entry::Unbundle { partition, first, next, batches: vec![unbundled] },
                r#"{"step":"unbundle","partition":3,"first":7,"next":8,"batches":[[7,20000,20,19,1,0]]}"#,
            ),
            (
                Entry::Refine { partition, first, next, batches: vec![refined], evicted: None },
                r#"{"step":"refine","partition":3,"first":7,"next":8,"batches":[[3,7,20000,19,2,15,3,2,1,1]]}"#,
            ),
            (
                Entry::Sessions { partition, first, next, batches: vec![refined] },
                r#"{"step":"sessions","partition":3,"first":7,"next":8,"batches":[[3,7,20000,19,2,15,3,2,1,1]]}"#,
            ),
            (
                Entry::Sink { sink: "files".to_owned(), partition, first, next, days: vec![sunk] },
                r#"{"step":"sink","sink":"files","partition":3,"first":7,"next":8,"days":[[20000,6,3,1,1,1]]}"#,
            ),
        ] {
            assert_eq!(entry.output().value, text);
            assert_eq!(Entry::read(text.as_bytes()).unwrap(), entry);
        }
        assert!(refined.is_balanced());
    }

    #[test]
    fn days_are_those_of_utc() {
        for (ms, expected) in [
            (0, 0),
            (DAY_MS - 1, 0),
            (DAY_MS, 1),
            (-1, -1),
            (i64::MAX, i32::MAX),
            (i64::MIN, i32::MIN),
        ] {
            assert_eq!(day(ms), expected, "{ms}");
        }
    }

    #[test]
    fn counts_of_a_day_are_added() {
        let one = |day, stored| Sunk { day, taken: stored, stored, ..Sunk::default() };
        let days = Sunk::by_day([one(2, 1), one(1, 5), one(2, 3)]);
        assert_eq!(days, [one(1, 5), one(2, 4)]);
    }
}
