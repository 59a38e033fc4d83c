//! Sending events of the log to a sink again: what it has refused before, and what was lost behind it.
//!
//! It has no group and moves no position. What the sink has not taken yet is left to the sink, so that its account stays
//! right. An event that is there is recognised by its document id, so it may be done as often as one likes.
//!
//! What the sink has refused before and takes now moves in its account from rejected to stored, once.

use std::collections::HashSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;

use super::{
    drive::Target,
    event::{Event, document_id},
    hooks::Hooks,
};
use crate::{
    Error, Failed, Log, Record, Result, Stage,
    log::{Bounds, Limits, Reader as _, Start},
    store::erasure,
    topic,
};

/// How much is read at once of what has failed.
const FAILED: Limits = Limits { records: 1_000, bytes: 16 * 1024 * 1024 };

/// Which records are sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Range {
    /// What the log took from a moment on and before another one, of all partitions.
    Time {
        /// The first moment.
        from: DateTime<Utc>,
        /// The moment after the last one.
        until: DateTime<Utc>,
    },
    /// A part of a partition.
    Offsets {
        /// The partition.
        partition: i32,
        /// The first offset.
        first: i64,
        /// The offset after the last one.
        next: i64,
    },
}

/// What is to be sent again, and by what it is judged.
#[derive(Debug)]
pub struct Job<'a> {
    /// Where the sink is accounted for.
    pub pool: &'a PgPool,
    /// Whether an event may leave.
    pub hooks: &'a dyn Hooks,
    /// Which records.
    pub range: Range,
}

/// What became of records that were sent again.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Resent {
    /// Records that were looked at: all below but `pending`.
    pub taken: u64,
    /// Stored now.
    pub stored: u64,
    /// There already.
    pub already_there: u64,
    /// Refused, as before.
    pub rejected: u64,
    /// Not sent, because they may not leave any more.
    pub filtered: u64,
    /// Of those that are there now, how many the sink had refused; its account has them as stored now.
    pub recovered: u64,
    /// Left to the sink, which has not taken them yet.
    pub pending: u64,
}

/// A part of a partition that a sink has taken, at least up to `committed`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) partition: i32,
    pub(super) start: Start,
    until: DateTime<Utc>,
    next: i64,
    committed: i64,
}

impl Range {
    /// Returns the parts of all partitions that are in it.
    ///
    /// # Errors
    ///
    /// The sink has never committed, or offsets that the log does not have any more.
    pub(super) async fn slices<L: Log>(&self, log: &L, sink: &str) -> Result<Vec<Slice>> {
        let committed = log.committed(&format!("sink.{sink}"), topic::UNIQUE).await?;
        if committed.iter().all(Option::is_none) {
            return Err(Error::NeverRun { sink: sink.to_owned() });
        }
        let bounds = log.bounds(topic::UNIQUE).await?;
        let committed = |partition: i32| {
            let index = usize::try_from(partition).unwrap_or(usize::MAX);
            committed.get(index).copied().flatten().unwrap_or_default()
        };
        match *self {
            Self::Time { from, until } => {
                let slice = |Bounds { partition, .. }| Slice {
                    partition,
                    start: Start::Time(from),
                    until,
                    next: i64::MAX,
                    committed: committed(partition),
                };
                Ok(bounds.into_iter().map(slice).collect())
            }
            Self::Offsets { partition, first, next } => {
                let topic = topic::UNIQUE;
                let Some(of) = bounds.into_iter().find(|of| of.partition == partition) else {
                    return Err(Error::NoSuchPartition { topic: topic.to_owned(), partition });
                };
                if first < of.first {
                    return Err(Error::Gone { topic, partition, wanted: first, first: of.first });
                }
                let (start, until) = (Start::Offset(first), DateTime::<Utc>::MAX_UTC);
                Ok(vec![Slice { partition, start, until, next, committed: committed(partition) }])
            }
        }
    }
}

impl Slice {
    /// Returns whether a record is beyond its end.
    fn is_over(&self, record: &Record) -> bool {
        record.offset >= self.next || record.appended_at >= self.until
    }
}

/// Sends what the job names to a target.
pub(super) async fn send<L: Log, T: Target>(
    log: &L,
    target: &T,
    job: &Job<'_>,
    mut progress: impl FnMut(&Resent) + Send,
) -> Result<Resent> {
    let mut resent = Resent::default();
    for slice in job.range.slices(log, target.name()).await? {
        let mut refused = None;
        let mut reader = log.reader(topic::UNIQUE, slice.partition, slice.start).await?;
        let mut is_over = false;
        while !is_over && let Some(records) = reader.next(target.limits()).await? {
            is_over = records.iter().any(|record| slice.is_over(record));
            let (taken, pending): (Vec<_>, Vec<_>) = records
                .into_iter()
                .filter(|record| !slice.is_over(record))
                .partition(|record| record.offset < slice.committed);
            resent.pending += pending.len() as u64;
            if let (Some(first), None) = (taken.first(), &refused) {
                // It was refused after it had come in.
                let from = (slice.partition, first.appended_at);
                refused = Some(self::refused(log, target.name(), from).await?);
            }
            if !taken.is_empty() {
                job.hooks.refresh().await?;
                let refused = refused.get_or_insert_default();
                part(target, job, (taken, refused), &mut resent).await?;
            }
            progress(&resent);
        }
    }
    Ok(resent)
}

/// Has a target decide records, and accounts for those that it had refused.
async fn part<T: Target>(
    target: &T,
    job: &Job<'_>,
    (records, refused): (Vec<Record>, &mut HashSet<Bytes>),
    resent: &mut Resent,
) -> Result<()> {
    resent.taken += records.len() as u64;
    let (mut before, mut others) = (Vec::new(), Vec::new());
    for record in records {
        match Event::read(record) {
            Ok(event) if !job.hooks.permits(&event.record) => resent.filtered += 1,
            Ok(event) if refused.contains(&event.id) => before.push(event),
            Ok(event) => others.push(event),
            // What is no event cannot be stored, whatever is done about the sink.
            Err(_) => resent.rejected += 1,
        }
    }
    let mut recovered: Vec<_> = before.iter().map(|event| (event.id.clone(), event.day)).collect();
    for events in [before, others] {
        let verdicts = target.decide(events).await;
        let sum = verdicts.sum();
        resent.stored += sum.stored;
        resent.already_there += sum.already_there;
        resent.rejected += sum.rejected;
        for output in verdicts.rejected() {
            let id = document_id(&output.value);
            recovered.retain(|(one, _)| Some(one) != id.as_ref());
        }
    }
    let text = |id: &Bytes| String::from_utf8_lossy(id).into_owned();
    let events: Vec<_> = recovered.iter().map(|(id, day)| (text(id), *day)).collect();
    if !events.is_empty() {
        let moved = erasure::recover_events(job.pool, target.name(), &events).await?;
        resent.recovered += u64::try_from(moved).unwrap_or_default();
    }
    Ok(())
}

/// Returns the document ids of what a sink has refused of a partition since a moment.
async fn refused<L: Log>(
    log: &L,
    sink: &str,
    (partition, since): (i32, DateTime<Utc>),
) -> Result<HashSet<Bytes>> {
    let mut ids = HashSet::new();
    let mut reader = log.reader(topic::FAILED, partition, Start::Time(since)).await?;
    while let Some(records) = reader.next(FAILED).await? {
        for record in records {
            let Some(Failed { stage: Stage::Sink, sink: Some(by), bytes, .. }) =
                Failed::read(&record)
            else {
                continue;
            };
            if by == sink {
                ids.extend(document_id(&bytes));
            }
        }
    }
    Ok(ids)
}
