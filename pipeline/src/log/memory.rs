//! A log in memory, for tests and for trying things out: it is gone with the process.
//!
//! Groups share partitions evenly, in the order in which members have joined; a member learns what it has lost at its
//! next turn, and until then nobody else gets it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::{Bounds, Change, Limits, Log, Member, Outcome, Position, Reader, Start, Turn};
use crate::{
    Error, Result,
    record::{Output, Record},
    topic::Spec,
};

/// How long a member waits for something to happen.
const IDLE: Duration = Duration::from_millis(100);

/// A log in memory; clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, Vec<Vec<Record>>>,
    groups: HashMap<(String, String), Group>,
    members: u64,
    aborts: u32,
    clock: DateTime<Utc>,
}

#[derive(Debug, Default)]
struct Group {
    /// In the order in which they have joined.
    members: Vec<u64>,
    /// Who holds each partition.
    held: BTreeMap<i32, u64>,
    positions: BTreeMap<i32, i64>,
}

/// A member of a group of a log in memory.
#[derive(Debug)]
pub struct MemoryMember {
    shared: Arc<Shared>,
    id: u64,
    group: (String, String),
    /// Where each partition that is held is read on.
    next: BTreeMap<i32, i64>,
}

/// A reader of a log in memory.
#[derive(Debug)]
pub struct MemoryReader {
    records: std::vec::IntoIter<Record>,
}

impl Memory {
    /// Returns an empty log, whose clock stands at the beginning of 1970.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the clock, by which records get their time.
    pub fn set_clock(&self, now: DateTime<Utc>) {
        self.shared.lock().clock = now;
    }

    /// Makes the next `times` commits abort.
    pub fn abort_next(&self, times: u32) {
        self.shared.lock().aborts = times;
    }

    /// Takes everything from a member of a group, as when its process has died without a word: it is fenced, and the
    /// others get its partitions.
    pub fn fence(&self, group: &str, topic: &str) {
        let mut state = self.shared.lock();
        if let Some(group) = state.groups.get_mut(&(group.to_owned(), topic.to_owned()))
            && !group.members.is_empty()
        {
            let gone = group.members.remove(0);
            group.held.retain(|_, member| *member != gone);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Returns all records of a topic, partition by partition.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<Record> {
        let state = self.shared.lock();
        state.topics.get(topic).into_iter().flatten().flatten().cloned().collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What panicked has changed nothing by halves: every change is one push or insert.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn topic(&self, topic: &str) -> Result<&Vec<Vec<Record>>> {
        let missing = || Error::NoSuchPartition { topic: topic.to_owned(), partition: 0 };
        self.topics.get(topic).ok_or_else(missing)
    }

    fn write(&mut self, outputs: Vec<Output>) -> Result<Vec<i64>> {
        for output in &outputs {
            let found = self.topic(&output.topic)?;
            if !usize::try_from(output.partition).is_ok_and(|partition| partition < found.len()) {
                let (topic, partition) = (output.topic.to_string(), output.partition);
                return Err(Error::NoSuchPartition { topic, partition });
            }
        }
        let appended_at = self.clock;
        let mut offsets = Vec::with_capacity(outputs.len());
        for output in outputs {
            let place = self.topics.get_mut(&*output.topic);
            let index = usize::try_from(output.partition).unwrap_or_default();
            let Some(records) = place.and_then(|partitions| partitions.get_mut(index)) else {
                continue;
            };
            let offset = i64::try_from(records.len()).unwrap_or(i64::MAX);
            offsets.push(offset);
            let Output { partition, key, headers, value, .. } = output;
            records.push(Record { partition, offset, appended_at, key, headers, value });
        }
        Ok(offsets)
    }
}

impl Log for Memory {
    type Member = MemoryMember;
    type Reader = MemoryReader;

    async fn id(&self) -> Result<String> {
        Ok("memory".to_owned())
    }

    async fn prepare(&self, topics: &[Spec]) -> Result<()> {
        let mut state = self.shared.lock();
        for spec in topics {
            let wanted = usize::try_from(spec.partitions).unwrap_or_default();
            let partitions = state
                .topics
                .entry(spec.name.clone().into_owned())
                .or_insert_with(|| vec![Vec::new(); wanted]);
            if partitions.len() != wanted {
                let found = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
                let (topic, wanted) = (spec.name.clone().into_owned(), spec.partitions);
                return Err(Error::Repartitioned { topic, found, wanted });
            }
        }
        Ok(())
    }

    async fn partitions(&self, topic: &str) -> Result<i32> {
        let state = self.shared.lock();
        Ok(i32::try_from(state.topic(topic)?.len()).unwrap_or(i32::MAX))
    }

    async fn append(&self, records: Vec<Output>) -> Result<Vec<i64>> {
        let offsets = self.shared.lock().write(records)?;
        self.shared.changed.notify_waiters();
        Ok(offsets)
    }

    async fn join(&self, group: &str, topic: &str) -> Result<MemoryMember> {
        let key = (group.to_owned(), topic.to_owned());
        let mut state = self.shared.lock();
        state.topic(topic)?;
        state.members += 1;
        let id = state.members;
        state.groups.entry(key.clone()).or_default().members.push(id);
        drop(state);
        self.shared.changed.notify_waiters();
        let (shared, next) = (Arc::clone(&self.shared), BTreeMap::new());
        Ok(MemoryMember { shared, id, group: key, next })
    }

    async fn reader(&self, topic: &str, partition: i32, start: Start) -> Result<MemoryReader> {
        let state = self.shared.lock();
        let records = usize::try_from(partition).ok().and_then(|n| state.topic(topic).ok()?.get(n));
        let Some(records) = records else {
            return Err(Error::NoSuchPartition { topic: topic.to_owned(), partition });
        };
        let is_after = |record: &&Record| match start {
            Start::Beginning => true,
            Start::Offset(offset) => record.offset >= offset,
            Start::Time(time) => record.appended_at >= time,
        };
        let records: Vec<_> = records.iter().filter(is_after).cloned().collect();
        Ok(MemoryReader { records: records.into_iter() })
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>> {
        let state = self.shared.lock();
        let bounds = |(partition, records): (i32, &Vec<Record>)| Bounds {
            partition,
            first: 0,
            end: i64::try_from(records.len()).unwrap_or(i64::MAX),
        };
        Ok((0..).zip(state.topic(topic)?).map(bounds).collect())
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>> {
        let state = self.shared.lock();
        let partitions = state.topic(topic)?.len();
        let group = state.groups.get(&(group.to_owned(), topic.to_owned()));
        let position = |partition| group.and_then(|group| group.positions.get(&partition).copied());
        Ok((0..).take(partitions).map(position).collect())
    }

    async fn members(&self, group: &str, topic: &str) -> Result<usize> {
        let state = self.shared.lock();
        let group = state.groups.get(&(group.to_owned(), topic.to_owned()));
        Ok(group.map_or(0, |group| group.members.len()))
    }
}

impl MemoryMember {
    /// Gives up what is above the share, takes what is free below it, and says what has changed.
    fn share(&mut self) -> Result<Option<Change>> {
        let mut state = self.shared.lock();
        let partitions = state.topic(&self.group.1)?.len();
        let Some(group) = state.groups.get_mut(&self.group) else { return Ok(None) };
        let Some(rank) = group.members.iter().position(|member| *member == self.id) else {
            return Err(Error::Fenced { group: self.group.0.clone() });
        };
        let members = group.members.len();
        let is_mine =
            |partition: i32| usize::try_from(partition).is_ok_and(|n| n % members == rank);
        let mut change = Change::default();
        group.held.retain(|partition, member| {
            let goes = *member == self.id && !is_mine(*partition);
            if goes {
                change.lost.push(*partition);
            }
            !goes
        });
        for partition in (0..).take(partitions).filter(|partition| is_mine(*partition)) {
            if let std::collections::btree_map::Entry::Vacant(free) = group.held.entry(partition) {
                free.insert(self.id);
                let offset = group.positions.get(&partition).copied().unwrap_or_default();
                change.gained.push(Position { partition, offset });
            }
        }
        drop(state);
        for partition in &change.lost {
            self.next.remove(partition);
        }
        self.next.extend(change.gained.iter().map(|gained| (gained.partition, gained.offset)));
        if change == Change::default() {
            return Ok(None);
        }
        self.shared.changed.notify_waiters();
        Ok(Some(change))
    }

    fn take(&mut self, limits: Limits) -> Result<Vec<Record>> {
        let state = self.shared.lock();
        let topic = state.topic(&self.group.1)?;
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for (partition, next) in &mut self.next {
            let records = usize::try_from(*partition).ok().and_then(|n| topic.get(n));
            let from = usize::try_from(*next).unwrap_or(usize::MAX);
            for record in records.and_then(|records| records.get(from..)).unwrap_or_default() {
                let full = taken.len() >= limits.records || bytes >= limits.bytes;
                if full && !taken.is_empty() {
                    return Ok(taken);
                }
                bytes += record.value.len();
                *next = record.offset + 1;
                taken.push(record.clone());
            }
        }
        Ok(taken)
    }
}

impl Member for MemoryMember {
    async fn next(&mut self, limits: Limits) -> Result<Turn> {
        let shared = Arc::clone(&self.shared);
        // Listens before it looks, so that nothing falls between.
        let changed = shared.changed.notified();
        if let Some(change) = self.share()? {
            return Ok(Turn::Changed(change));
        }
        let records = self.take(limits)?;
        if !records.is_empty() {
            return Ok(Turn::Records(records));
        }
        drop(tokio::time::timeout(IDLE, changed).await);
        Ok(Turn::Idle)
    }

    async fn commit(&mut self, outputs: Vec<Output>, positions: &[Position]) -> Result<Outcome> {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let fenced = || Error::Fenced { group: self.group.0.clone() };
        let Some(group) = state.groups.get_mut(&self.group) else { return Err(fenced()) };
        if positions.iter().any(|at| group.held.get(&at.partition) != Some(&self.id)) {
            return Err(fenced());
        }
        if state.aborts > 0 {
            state.aborts -= 1;
            for (partition, next) in &mut self.next {
                *next = group.positions.get(partition).copied().unwrap_or_default();
            }
            return Ok(Outcome::Aborted);
        }
        // Before the positions move: what cannot be written leaves everything as it was.
        state.write(outputs)?;
        let Some(group) = state.groups.get_mut(&self.group) else { return Err(fenced()) };
        group.positions.extend(positions.iter().map(|at| (at.partition, at.offset)));
        self.shared.changed.notify_waiters();
        Ok(Outcome::Committed)
    }

    async fn leave(self) {}
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(group) = state.groups.get_mut(&self.group) {
            group.members.retain(|member| *member != self.id);
            group.held.retain(|_, member| *member != self.id);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

impl Reader for MemoryReader {
    async fn next(&mut self, limits: Limits) -> Result<Option<Vec<Record>>> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.is_empty() || (taken.len() < limits.records && bytes < limits.bytes) {
            let Some(record) = self.records.next() else { break };
            bytes += record.value.len();
            taken.push(record);
        }
        Ok((!taken.is_empty()).then_some(taken))
    }
}
