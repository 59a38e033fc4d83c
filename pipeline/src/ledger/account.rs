//! What became of the telemetry of a day, and whether the numbers agree.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::Entry;
use crate::{
    Result,
    dedup::Evicted,
    provenance::Source,
    store::{self, DayRow, EvictedRow},
};

/// How many records of the ledger are read at a time.
const PAGE: i32 = 200;

/// How long after a batch was taken its events may be refined and still be found by [`of_batches`].
const SETTLED_WITHIN: Days = Days::new(7);

/// The account of one day (UTC, by when the relay took the events).
///
/// `received + derived = unique + duplicate + failed + filtered + pending`
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Account {
    /// The day.
    pub day: NaiveDate,
    /// Batches that were taken apart.
    pub batches: i64,
    /// Batches that could not be read; they are kept in `telemetry.failed` as a whole.
    pub batches_failed: i64,
    /// How many bytes those have.
    pub bytes_failed: i64,
    /// Events in the batches that could be read.
    pub received: i64,
    /// Events that were made of others, such as one for each item that was shared.
    pub derived: i64,
    /// Events that went on to the sinks, derived ones too.
    pub unique: i64,
    /// Of those, events with the id of another one and other content.
    pub collisions: i64,
    /// Events that were there already.
    pub duplicate: i64,
    /// Events that were refused, and are kept with their reasons.
    pub failed: i64,
    /// Events that may not be kept, by the level or because their subject was erased.
    pub filtered: i64,
    /// Events that were handed on and wait to be refined.
    pub pending: i64,
    /// What each sink has done with the unique ones.
    pub sinks: Vec<SinkAccount>,
}

/// What a sink has done with the unique events of a day.
///
/// `unique = stored + already_there + rejected + filtered + pending`
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SinkAccount {
    /// The sink.
    pub sink: String,
    /// Events it has stored.
    pub stored: i64,
    /// Events it had stored before.
    pub already_there: i64,
    /// Events its service refuses; they are kept with its reason.
    pub rejected: i64,
    /// Events that may not be kept any more.
    pub filtered: i64,
    /// Events it has not taken yet.
    pub pending: i64,
}

/// A batch, and what became of its events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct BatchAccount {
    /// How many events it has.
    pub received: u64,
    /// How many bytes it has, if it could not be read at all.
    pub broken_bytes: u64,
    /// As in [`Account`].
    pub derived: u64,
    /// As in [`Account`].
    pub unique: u64,
    /// As in [`Account`].
    pub collisions: u64,
    /// As in [`Account`].
    pub duplicate: u64,
    /// As in [`Account`].
    pub failed: u64,
    /// As in [`Account`].
    pub filtered: u64,
    /// How many were handed on.
    pub passed: u64,
    /// How many of those were taken.
    pub taken: u64,
}

impl Account {
    /// Returns whether everything that came in is accounted for, here and in each sink.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let out = self.unique + self.duplicate + self.failed + self.filtered + self.pending;
        let sinks = self.sinks.iter().all(|sink| {
            let out = sink.stored + sink.already_there + sink.rejected + sink.filtered;
            sink.pending >= 0 && out + sink.pending == self.unique
        });
        self.pending >= 0 && self.received + self.derived == out && sinks
    }

    /// Adds up what the steps and sinks have done.
    fn of(day: NaiveDate, rows: &[DayRow]) -> Self {
        let mut account = Self { day, ..Self::default() };
        for row in rows.iter().filter(|row| row.step != "sink") {
            account.batches += row.batches;
            account.batches_failed += row.batches_failed;
            account.bytes_failed += row.bytes_failed;
            account.received += row.received;
            account.derived += row.derived;
            account.unique += row.unique_events;
            account.collisions += row.collision;
            account.duplicate += row.duplicate;
            account.failed += row.failed;
            account.filtered += row.filtered;
            account.pending += row.passed - row.taken;
        }
        let sink = |row: &DayRow| SinkAccount {
            sink: row.sink.clone(),
            stored: row.stored,
            already_there: row.already_there,
            rejected: row.rejected,
            filtered: row.filtered,
            pending: account.unique - row.taken,
        };
        account.sinks = rows.iter().filter(|row| row.step == "sink").map(sink).collect();
        account
    }
}

impl BatchAccount {
    /// Returns how many events were handed on and wait to be refined.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        self.passed.saturating_sub(self.taken)
    }

    /// Returns whether everything that came in is accounted for.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        let out = self.unique + self.duplicate + self.failed + self.filtered + self.pending();
        self.taken <= self.passed && self.received + self.derived == out
    }
}

/// Returns the account of a day.
///
/// # Errors
///
/// A database that does not answer.
pub async fn of_day(conn: &mut PgConnection, day: NaiveDate) -> Result<Account> {
    Ok(Account::of(day, &store::read_days(conn, day, day).await?))
}

/// Returns how many keys of dedup went before their time since then, and how far back duplicates were still known at the
/// worst; nothing where none went.
///
/// # Errors
///
/// A database that does not answer.
pub async fn evicted(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Option<Evicted>> {
    let EvictedRow { keys, reaches_s } = store::read_evicted(conn, since).await?;
    let whole = |number: Option<i64>| u64::try_from(number.unwrap_or_default()).unwrap_or_default();
    Ok(keys.map(|keys| Evicted { keys: whole(Some(keys)), reaches_s: whole(reaches_s) }))
}

/// Returns the account of each batch of a day, by its place in the raw log.
///
/// It reads the ledger of that day and a week more, and holds some hundred bytes for each batch. The batches are those
/// of [`of_day`] only if both are read in one snapshot: in a transaction of isolation level `repeatable read`.
///
/// # Errors
///
/// A database that does not answer.
pub async fn of_batches(
    conn: &mut PgConnection,
    day: NaiveDate,
) -> Result<BTreeMap<Source, BatchAccount>> {
    let from = day.and_time(NaiveTime::MIN).and_utc();
    let until = from.checked_add_days(SETTLED_WITHIN).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let number = super::entry::day(from.timestamp_millis());
    let mut batches = BTreeMap::new();
    let mut after = (String::new(), i32::MIN, i64::MIN);
    loop {
        let place = (after.0.as_str(), after.1, after.2);
        let rows = store::read_entries(conn, (from, until), place, PAGE).await?;
        for row in &rows {
            if let Ok(entry) = Entry::read(row.entry.as_bytes()) {
                add(&mut batches, &entry, number);
            }
        }
        let Some(last) = rows.into_iter().next_back() else { return Ok(batches) };
        after = (last.log, last.partition, last.ledger_offset);
    }
}

fn add(batches: &mut BTreeMap<Source, BatchAccount>, entry: &Entry, day: i32) {
    match entry {
        Entry::Unbundle { partition, batches: of, .. } => {
            for one in of.iter().filter(|one| one.day == day) {
                let source = Source { partition: *partition, offset: one.offset };
                let batch: &mut BatchAccount = batches.entry(source).or_default();
                batch.received += one.received;
                batch.passed += one.passed;
                batch.failed += one.failed;
                batch.broken_bytes += one.broken_bytes;
            }
        }
        Entry::Refine { batches: of, .. } | Entry::Sessions { batches: of, .. } => {
            for one in of.iter().filter(|one| one.day == day) {
                let source = Source { partition: one.partition, offset: one.offset };
                let batch = batches.entry(source).or_default();
                batch.taken += one.taken;
                batch.derived += one.derived;
                batch.unique += one.unique;
                batch.collisions += one.collision;
                batch.duplicate += one.duplicate;
                batch.failed += one.failed;
                batch.filtered += one.filtered;
            }
        }
        Entry::Sink { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::entry::{Refined, Unbundled},
        *,
    };

    fn row(step: &str, sink: &str) -> DayRow {
        DayRow { step: step.to_owned(), sink: sink.to_owned(), ..DayRow::default() }
    }

    #[test]
    fn account_is_balanced_only_if_nothing_is_missing() {
        let unbundle =
            DayRow { batches: 5, received: 100, passed: 98, failed: 2, ..row("unbundle", "") };
        let refine = DayRow {
            taken: 90,
            derived: 3,
            unique_events: 70,
            duplicate: 20,
            failed: 2,
            filtered: 1,
            ..row("refine", "")
        };
        let sink =
            DayRow { taken: 60, stored: 50, already_there: 9, rejected: 1, ..row("sink", "files") };
        let account =
            Account::of(NaiveDate::default(), &[unbundle.clone(), refine.clone(), sink.clone()]);
        assert!(account.is_balanced(), "{account:?}");
        assert_eq!((account.pending, account.failed, account.sinks[0].pending), (8, 4, 10));
        for (lost_step, lost_sink) in [(1, 0), (0, 1)] {
            let refine = DayRow { unique_events: 70 - lost_step, ..refine.clone() };
            let sink = DayRow { stored: 50 - lost_sink, ..sink.clone() };
            let account = Account::of(NaiveDate::default(), &[unbundle.clone(), refine, sink]);
            assert!(!account.is_balanced(), "{account:?}");
        }
    }

    #[test]
    fn batch_is_pending_until_all_its_events_are_taken() {
        let (mut batches, source) = (BTreeMap::new(), Source { partition: 2, offset: 9 });
        let one = Unbundled { offset: 9, day: 7, received: 3, passed: 3, ..Unbundled::default() };
        let (partition, first, next) = (2, 9, 10);
        add(&mut batches, &Entry::Unbundle { partition, first, next, batches: vec![one] }, 7);
        assert_eq!((batches[&source].pending(), batches[&source].is_balanced()), (3, true));
        let one =
            Refined { partition: 2, offset: 9, day: 7, taken: 2, unique: 2, ..Refined::default() };
        let of_another_day = Refined { day: 8, ..one };
        let entry = Entry::Refine {
            partition: 5,
            first: 0,
            next: 1,
            batches: vec![one, of_another_day],
            evicted: None,
        };
        add(&mut batches, &entry, 7);
        assert_eq!((batches[&source].pending(), batches[&source].is_balanced()), (1, true));
        add(&mut batches, &entry, 7);
        assert!(!batches[&source].is_balanced(), "more was taken than there was");
    }
}
