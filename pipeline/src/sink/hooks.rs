//! What the pipeline adds to a sink: whether an event may leave, and what is written about those that were decided.

use std::{collections::BTreeMap, fmt, ops::AddAssign};

use chrono::NaiveDate;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use serde::Deserialize;

use crate::{
    Result,
    gate::Gate,
    ledger::{Entry, Sunk},
    level::Taken,
    log::Position,
    record::{Output, Record},
    value::Value,
};

/// What became of events at a sink.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Stored by this commit's requests.
    pub stored: u64,
    /// There already, from a try whose commit did not take effect.
    pub already_there: u64,
    /// Refused by the sink, and written to [`topic::FAILED`](crate::topic::FAILED).
    pub rejected: u64,
    /// Not sent, because they may not leave.
    pub filtered: u64,
}

/// Counts by the UTC day of `syncts`; where an event has none that can be read, of when the log took it.
pub type Days = BTreeMap<NaiveDate, Counts>;

/// What one commit of a sink is about.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    /// The sink.
    pub sink: &'a str,
    /// Where each partition is read on.
    pub positions: &'a [Position],
    /// What became of the events before that.
    pub days: &'a Days,
}

/// What the pipeline adds to a sink; `()` adds nothing.
pub trait Hooks: fmt::Debug + Send + Sync + 'static {
    /// Brings up to date by what [`permits`](Self::permits) judges; called before events are decided.
    ///
    /// Answers with a number that grows when less is permitted than before.
    ///
    /// # Errors
    ///
    /// It cannot be known what is permitted; nothing may leave.
    fn refresh(&self) -> BoxFuture<'_, Result<Edition>> {
        ready(Ok(Edition::default())).boxed()
    }

    /// Returns whether an event may leave. Asked for each event, and again when it is read again.
    fn permits(&self, _record: &Record) -> bool {
        true
    }

    /// Returns what is written in the transaction of a commit.
    ///
    /// It may be called again for the same events, where a commit did not take effect.
    fn account(&self, _tally: &Tally<'_>) -> Vec<Output> {
        Vec::new()
    }
}

/// By what events were judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Edition {
    /// How often it has changed while this process has looked.
    pub changes: u64,
    /// The last tombstone that is known; the largest number where tombstones are not asked for.
    pub tombstone: i64,
}

impl Default for Edition {
    /// Of who permits everything.
    fn default() -> Self {
        Self { changes: 0, tombstone: i64::MAX }
    }
}

impl Hooks for () {}

/// Lets leave what the levels and the tombstones of an installation permit, and writes each commit to the ledger.
#[derive(Debug)]
pub struct Guard {
    gate: Gate,
}

impl Guard {
    /// Returns the hooks of an installation's sinks.
    #[must_use]
    pub const fn new(gate: Gate) -> Self {
        Self { gate }
    }
}

#[derive(Deserialize)]
struct At {
    syncts: i64,
}

impl Hooks for Guard {
    fn refresh(&self) -> BoxFuture<'_, Result<Edition>> {
        async {
            let rules = self.gate.refresh().await?;
            Ok(Edition { changes: rules.changes(), tombstone: rules.tombstones().last() })
        }
        .boxed()
    }

    fn permits(&self, record: &Record) -> bool {
        let rules = self.gate.rules();
        // Most often nothing is forbidden, and nothing has to be read.
        if rules.permits_all(i64::MIN) {
            return true;
        }
        let at = serde_json::from_slice::<At>(&record.value);
        if at.is_ok_and(|at| rules.permits_all(at.syncts)) {
            return true;
        }
        // What is no event is for the sink to refuse.
        let Ok(event) = Value::parse(&record.value) else { return true };
        let unknown = Taken { syncts: i64::MIN, is_registered: false };
        rules.permits(&event, Taken::of_unique(&event).unwrap_or(unknown))
    }

    fn account(&self, tally: &Tally<'_>) -> Vec<Output> {
        Ledger.account(tally)
    }
}

/// Writes each commit of a sink to the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ledger;

impl Hooks for Ledger {
    fn account(&self, tally: &Tally<'_>) -> Vec<Output> {
        let [at, ..] = tally.positions else { return Vec::new() };
        let sunk = |(day, counts): (&NaiveDate, &Counts)| {
            let Counts { stored, already_there, rejected, filtered } = *counts;
            let day = day.signed_duration_since(NaiveDate::default()).num_days();
            Sunk {
                day: i32::try_from(day).unwrap_or_default(),
                taken: stored + already_there + rejected + filtered,
                stored,
                already_there,
                rejected,
                filtered,
            }
        };
        let entry = Entry::Sink {
            sink: tally.sink.to_owned(),
            partition: at.partition,
            first: at.offset,
            next: at.offset,
            days: tally.days.iter().map(sunk).collect(),
        };
        vec![entry.output()]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.stored += other.stored;
        self.already_there += other.already_there;
        self.rejected += other.rejected;
        self.filtered += other.filtered;
    }
}
