//! What the rules have in common: topics, records, and a member that is asked until it has enough.

use std::{
    collections::BTreeMap,
    fmt::Display,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::Failure;
use crate::{
    Result,
    log::{Limits, Log, Member, Position, Reader, Start, Turn},
    record::{Headers, Output, Record},
    topic::{RECORD_BYTES_MAX, Spec},
};

/// How long something that has to come is waited for.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// More than any rule writes.
pub(super) const ALL: Limits = Limits { records: 10_000, bytes: 64 * 1024 * 1024 };

/// The longest that a member waits, with room for a busy machine.
pub(super) const TURN_MAX: Duration = Duration::from_secs(5);

/// Fails with `found` unless `holds`.
pub(super) fn ensure<F: Into<String>>(
    holds: bool,
    rule: &'static str,
    found: impl FnOnce() -> F,
) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure { rule, found: found().into() }) }
}

/// Returns what makes a failure of an error.
pub(super) fn broken<E: Display>(rule: &'static str) -> impl Fn(E) -> Failure {
    move |error| Failure { rule, found: format!("the error: {error}") }
}

/// Returns what a topic of the suite is to be.
pub(super) fn spec(name: &'static str, partitions: i32) -> Spec {
    let (retention, record_bytes_max) = (Duration::from_hours(24), RECORD_BYTES_MAX);
    Spec { name: name.into(), partitions, retention, record_bytes_max, append_time: true }
}

/// Makes topics.
pub(super) async fn prepare(log: &impl Log, topics: &[(&'static str, i32)]) -> Result<(), Failure> {
    let specs: Vec<_> = topics.iter().map(|(name, partitions)| spec(name, *partitions)).collect();
    log.prepare(&specs).await.map_err(broken("topics that are missing are made"))
}

/// Returns a record without key and headers.
pub(super) fn output(topic: &'static str, partition: i32, value: impl Into<String>) -> Output {
    let value = Bytes::from(value.into());
    Output { topic: topic.into(), partition, key: None, headers: Headers::new(), value }
}

/// Writes a record for each of `values`.
pub(super) async fn append(
    log: &impl Log,
    topic: &'static str,
    partition: i32,
    values: impl IntoIterator<Item = impl ToString> + Send,
) -> Result<Vec<i64>, Failure> {
    let records: Vec<_> =
        values.into_iter().map(|value| output(topic, partition, value.to_string())).collect();
    log.append(records).await.map_err(broken("records are appended"))
}

/// Returns everything that a partition has.
pub(super) async fn read(
    log: &impl Log,
    topic: &str,
    partition: i32,
    start: Start,
) -> Result<Vec<Record>, Failure> {
    let rule = "a reader hands out what a partition has, and then ends";
    let mut reader = log.reader(topic, partition, start).await.map_err(broken(rule))?;
    let mut found = Vec::new();
    while let Some(records) = reader.next(ALL).await.map_err(broken(rule))? {
        found.extend(records);
    }
    Ok(found)
}

/// Returns the values as text.
pub(super) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
}

/// Returns the first numbers as texts.
pub(super) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// A member with what it holds.
pub(super) struct Hand<M> {
    pub(super) member: M,
    /// Where each partition that is held was read on when it was gained.
    pub(super) held: BTreeMap<i32, i64>,
}

impl<M: Member> Hand<M> {
    /// Joins a group.
    pub(super) async fn join(
        log: &impl Log<Member = M>,
        group: &str,
        topic: &str,
    ) -> Result<Self, Failure> {
        let member = log.join(group, topic).await.map_err(broken("a group can be joined"))?;
        Ok(Self { member, held: BTreeMap::new() })
    }

    /// Takes one turn, and returns its records.
    pub(super) async fn turn(&mut self, limits: Limits) -> Result<Vec<Record>, Failure> {
        let rule = "a member is told of changes and of records of what it holds";
        let turn = tokio::time::timeout(TURN_MAX, self.member.next(limits)).await;
        let late = |_| Failure {
            rule: "a member waits no longer than half a second",
            found: format!("it still waits after {TURN_MAX:?}"),
        };
        match turn.map_err(late)?.map_err(broken(rule))? {
            Turn::Idle => Ok(Vec::new()),
            Turn::Changed(change) => {
                for partition in &change.lost {
                    let was = self.held.remove(partition).is_some();
                    ensure(was, rule, || format!("lost {partition}, which it did not hold"))?;
                }
                for Position { partition, offset } in change.gained {
                    let was = self.held.insert(partition, offset).is_some();
                    ensure(!was, rule, || format!("gained {partition}, which it held"))?;
                }
                Ok(Vec::new())
            }
            Turn::Records(records) => {
                ensure(!records.is_empty(), rule, || "records, but none")?;
                let stray =
                    records.iter().find(|record| !self.held.contains_key(&record.partition));
                ensure(stray.is_none(), rule, || format!("{stray:?} of what it does not hold"))?;
                Ok(records)
            }
        }
    }

    /// Takes turns until there are `count` records, and returns them by partition.
    pub(super) async fn take(&mut self, count: usize) -> Result<Vec<Record>, Failure> {
        let (deadline, mut taken) = (Instant::now() + PATIENCE, Vec::new());
        while taken.len() < count {
            ensure(Instant::now() < deadline, "records that are there are handed out", || {
                format!("{} of {count} after {PATIENCE:?}", taken.len())
            })?;
            taken.extend(self.turn(ALL).await?);
        }
        // What belongs to different partitions comes in any order.
        taken.sort_by_key(|record| record.partition);
        Ok(taken)
    }

    /// Takes turns until it holds `count` partitions.
    pub(super) async fn hold(&mut self, count: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.held.len() < count {
            ensure(Instant::now() < deadline, "free partitions are gained", || {
                format!("{:?} after {PATIENCE:?}, and not {count}", self.held)
            })?;
            let records = self.turn(ALL).await?;
            ensure(records.is_empty(), "there are no records yet", || format!("{records:?}"))?;
        }
        Ok(())
    }
}

/// Returns the positions after these records.
pub(super) fn after(records: &[Record]) -> Vec<Position> {
    let mut positions = BTreeMap::new();
    for record in records {
        let offset = positions.entry(record.partition).or_insert(record.offset + 1);
        *offset = (*offset).max(record.offset + 1);
    }
    positions.into_iter().map(|(partition, offset)| Position { partition, offset }).collect()
}
