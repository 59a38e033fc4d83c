//! The log that the pipeline runs on: topics of partitions, read under offsets by groups, written in transactions.
//!
//! There are two, Kafka and Postgres, and one suite that both pass.
//! What differs between them ends here: steps and sinks know records, positions and commits.
//!
//! ```text
//!   join ──▶ Changed(gained) ──▶ Records ──▶ commit(outputs, positions) ──▶ Records ──▶ …
//!                 ▲                                │ Aborted: read again from the last commit
//!                 └── Changed(lost, gained) ◀──────┘
//! ```

mod appender;
pub mod conformance;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod postgres;

use std::{fmt, future::Future};

use chrono::{DateTime, Utc};

#[cfg(feature = "kafka")]
pub use self::kafka::Kafka;
pub use self::{appender::Appender, memory::Memory, postgres::Postgres};

use crate::{
    Result,
    record::{Output, Record},
    topic::Spec,
};

/// A log.
///
/// # Contract
///
/// * **Order.** Within a partition, offsets grow in the order in which writes become visible: a reader that goes on
///   from an offset never misses a record below it.
/// * **Visibility.** Only what is committed is read.
/// * **Names** are those of [`crate::topic`]; the log itself adds what tells installations apart.
pub trait Log: fmt::Debug + Clone + Send + Sync + 'static {
    /// A member of a group.
    type Member: Member;
    /// A reader without a group.
    type Reader: Reader;

    /// Returns what tells this log from every other one: its kind, and its installation.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    fn id(&self) -> impl Future<Output = Result<String>> + Send;

    /// Makes the topics that are missing, and checks those that are there.
    ///
    /// # Errors
    ///
    /// A topic that is there with another number of partitions ([`Error::Repartitioned`](crate::Error::Repartitioned)),
    /// or a log that does not answer.
    fn prepare(&self, topics: &[Spec]) -> impl Future<Output = Result<()>> + Send;

    /// Returns how many partitions a topic has.
    ///
    /// # Errors
    ///
    /// There is no such topic, or the log does not answer.
    fn partitions(&self, topic: &str) -> impl Future<Output = Result<i32>> + Send;

    /// Writes records, outside of any group; returns their offsets when they are durable.
    ///
    /// # Errors
    ///
    /// The log did not take them, or did not say so: a part of them may be there, and whoever repeats the call may
    /// write them twice.
    fn append(&self, records: Vec<Output>) -> impl Future<Output = Result<Vec<i64>>> + Send;

    /// Joins a group that reads a topic; partitions are shared with its other members.
    ///
    /// A group that has never committed begins at the beginning.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    fn join(&self, group: &str, topic: &str) -> impl Future<Output = Result<Self::Member>> + Send;

    /// Opens a reader of one partition, up to where it ends now: everything that was written before this call, in
    /// transactions too whose outcome is not yet known, which are waited for.
    ///
    /// # Errors
    ///
    /// There is no such partition, or the log does not answer.
    fn reader(
        &self,
        topic: &str,
        partition: i32,
        start: Start,
    ) -> impl Future<Output = Result<Self::Reader>> + Send;

    /// Returns where each partition of a topic begins and ends, by partition.
    ///
    /// # Errors
    ///
    /// There is no such topic, or the log does not answer.
    fn bounds(&self, topic: &str) -> impl Future<Output = Result<Vec<Bounds>>> + Send;

    /// Returns the committed position of a group in each partition; `None` where it has none.
    ///
    /// # Errors
    ///
    /// There is no such topic, or the log does not answer.
    fn committed(
        &self,
        group: &str,
        topic: &str,
    ) -> impl Future<Output = Result<Vec<Option<i64>>>> + Send;

    /// Returns how many members a group that reads a topic has now, in all processes; none where there is no such group.
    ///
    /// One that has died counts until the log holds it for dead.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    fn members(&self, group: &str, topic: &str) -> impl Future<Output = Result<usize>> + Send;

    /// Returns when the log took the first record at or behind each of these positions; `None` where there is none.
    ///
    /// # Errors
    ///
    /// There is no such partition, a position lies before its first record, or the log does not answer.
    fn taken_at(
        &self,
        topic: &str,
        positions: &[Position],
    ) -> impl Future<Output = Result<Vec<Option<DateTime<Utc>>>>> + Send {
        async move {
            let (mut times, one) =
                (Vec::with_capacity(positions.len()), Limits { records: 1, bytes: 1 });
            for at in positions {
                let mut reader = self.reader(topic, at.partition, Start::Offset(at.offset)).await?;
                let records = reader.next(one).await?.unwrap_or_default();
                times.push(records.first().map(|record| record.appended_at));
            }
            Ok(times)
        }
    }
}

/// A member of a group, which holds partitions of one topic.
///
/// # Contract
///
/// * A partition is held by one member at a time; what a member does after it has lost one, without knowing it yet,
///   does not take effect.
/// * Records come in the order of their offsets, each once, from the committed position on; after an abort they come
///   again.
pub trait Member: Send + 'static {
    /// Waits for a change of what is held, or for records, and not longer than half a second.
    ///
    /// Changes come before the records of what was gained. Between two calls nothing is lost or gained.
    ///
    /// # Errors
    ///
    /// The member is of no use any more ([`Error::Fenced`](crate::Error::Fenced)): drop it, and what is known by it,
    /// and join again. A log that does not answer for a while is waited for and is no error.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have taken records, which come again only after an abort or when the partition is
    /// gained again: do not drop it, unless the member goes too.
    fn next(&mut self, limits: Limits) -> impl Future<Output = Result<Turn>> + Send;

    /// Writes `outputs` and moves the position of each partition in `positions` (the offset that is read next), in one
    /// transaction.
    ///
    /// Positions lie at or before what was handed out. An unknown outcome is asked for until it is known.
    ///
    /// # Errors
    ///
    /// [`Error::Fenced`](crate::Error::Fenced), as for [`next`](Self::next): nothing took effect, or another member
    /// has gone on from what did.
    fn commit(
        &mut self,
        outputs: Vec<Output>,
        positions: &[Position],
    ) -> impl Future<Output = Result<Outcome>> + Send;

    /// Leaves the group, so that others need not wait for a timeout.
    fn leave(self) -> impl Future<Output = ()> + Send;
}

/// Reads one partition, up to an end that was fixed when it was opened.
pub trait Reader: Send + 'static {
    /// Returns the next records; `None` when the end is reached.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    fn next(&mut self, limits: Limits) -> impl Future<Output = Result<Option<Vec<Record>>>> + Send;
}

/// How much is handed out at once; one record at least.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Records.
    pub records: usize,
    /// Bytes of their values.
    pub bytes: usize,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// Other partitions are held.
    Changed(Change),
    /// Records of what is held, in the order of their offsets within each partition.
    Records(Vec<Record>),
    /// Nothing for now.
    Idle,
}

/// What is held now and was not before, and the other way round.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Change {
    /// Partitions that are gone; whatever is known of them is forgotten. One that was lost and gained again is in both.
    pub lost: Vec<i32>,
    /// Partitions that have come, with where they are read on. Transactions of whoever held them are decided.
    pub gained: Vec<Position>,
}

/// A place in a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset of what is read next.
    pub offset: i64,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It took effect, all of it.
    Committed,
    /// Nothing took effect; records are read again from the last commit.
    Aborted,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// With the first record that is there.
    Beginning,
    /// At an offset, or the first one after it.
    Offset(i64),
    /// With the first record that is not older.
    Time(DateTime<Utc>),
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// The partition.
    pub partition: i32,
    /// The offset of the first record that is there.
    pub first: i64,
    /// The offset after the last one that can be read.
    pub end: i64,
}
