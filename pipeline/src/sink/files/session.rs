//! One membership of a sink in its group: from joining to shutdown, or to the first thing that goes wrong.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    Sink,
    filing::Filing,
    open::{Closed, Open},
};
use crate::{
    Error, Result,
    ledger::Entry,
    log::{Change, Limits, Member, Outcome, Position, Turn},
    metrics::Seat,
    record::Record,
    store, telemetry,
};

/// What is taken from the log at once: enough that what happens once for each batch costs nothing.
const LIMITS: Limits = Limits { records: 10_000, bytes: 4 * 1024 * 1024 };

/// How often the database is asked for the time while nothing comes.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// A membership.
pub(super) struct Session<'a, M> {
    sink: &'a Sink,
    member: M,
    filing: Filing<'a>,
    /// The committed position of each partition that is held.
    positions: BTreeMap<i32, i64>,
    open: BTreeMap<i32, Open>,
    clock_asked: Option<Instant>,
    seat: Seat,
}

impl<'a, M: Member> Session<'a, M> {
    pub(super) fn new(sink: &'a Sink, member: M, filing: Filing<'a>) -> Self {
        let (positions, open) = (BTreeMap::new(), BTreeMap::new());
        let seat = sink.metrics.group.seat();
        Self { sink, member, filing, positions, open, clock_asked: None, seat }
    }

    /// Works until shutdown, and leaves the group in any case.
    pub(super) async fn work(mut self, shutdown: &CancellationToken) -> Result<()> {
        let sink = self.sink;
        let worked = tokio::select! {
            worked = self.turns(shutdown) => worked,
            () = sink.overtime(shutdown) => {
                telemetry::sink_left_open(&sink.options.name);
                Ok(())
            }
        };
        self.open.clear();
        self.gauge();
        self.member.leave().await;
        worked
    }

    async fn turns(&mut self, shutdown: &CancellationToken) -> Result<()> {
        while !shutdown.is_cancelled() {
            match self.member.next(LIMITS).await? {
                Turn::Changed(change) => self.change(&change),
                Turn::Records(records) => self.take(records).await?,
                Turn::Idle => self.look_at_the_clock().await?,
            }
            self.gauge();
            self.roll(|open, sink| open.is_due(&sink.options.roll, Instant::now())).await?;
        }
        self.roll(|open, _| open.is_whole()).await
    }

    /// Forgets what is lost: nothing of it was committed, and its next owner reads it again.
    fn change(&mut self, change: &Change) {
        self.seat.changed(change);
        for partition in &change.lost {
            self.open.remove(partition);
            self.positions.remove(partition);
        }
        for gained in &change.gained {
            self.open.remove(&gained.partition);
            self.positions.insert(gained.partition, gained.offset);
        }
    }

    async fn take(&mut self, records: Vec<Record>) -> Result<()> {
        let metrics = &self.sink.metrics;
        metrics.taken.fetch_add(records.len() as u64, Ordering::Relaxed);
        let bytes: usize = records.iter().map(|record| record.value.len()).sum();
        metrics.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut queues: BTreeMap<i32, VecDeque<Record>> = BTreeMap::new();
        for record in records {
            queues.entry(record.partition).or_default().push_back(record);
        }
        for (partition, mut queue) in queues {
            while let Some(record) = queue.front() {
                let offset = record.offset;
                let open = self.open.remove(&partition);
                let mut open = if let Some(open) = open {
                    open
                } else {
                    let first = self.positions.get(&partition).copied().unwrap_or(offset);
                    self.filing.begin(partition, first).await?
                };
                let (roll, name) = (self.sink.options.roll, self.sink.options.name.clone());
                let filled = spawn_blocking(move || {
                    let due = open.take(&mut queue, &roll, &name)?;
                    Ok::<_, Error>((open, queue, due))
                });
                let (open, rest, is_due) = filled.await??;
                queue = rest;
                self.open.insert(partition, open);
                if is_due && !self.put(partition).await? {
                    // Everything after the last commits comes again, the rest of this batch too.
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Closes what has become old while nothing came, by the database's clock.
    async fn look_at_the_clock(&mut self) -> Result<()> {
        let asked = self.clock_asked.is_some_and(|asked| asked.elapsed() < CLOCK_EVERY);
        if self.open.is_empty() || asked {
            return Ok(());
        }
        self.clock_asked = Some(Instant::now());
        let now = store::plan::now(&self.sink.pool).await?;
        self.roll(|open, sink| open.is_older(sink.options.roll.age, now)).await
    }

    /// Closes and puts the files of the partitions that `is_due` names.
    async fn roll(&mut self, is_due: impl Fn(&Open, &Sink) -> bool + Send) -> Result<()> {
        let due = self.open.iter().filter(|(_, open)| is_due(open, self.sink));
        let due: Vec<i32> = due.map(|(partition, _)| *partition).collect();
        for partition in due {
            if !self.put(partition).await? {
                break;
            }
        }
        Ok(())
    }

    /// Closes the files of a partition, has them filed, and commits; false if the commit was aborted.
    async fn put(&mut self, partition: i32) -> Result<bool> {
        let Some(open) = self.open.remove(&partition) else { return Ok(true) };
        if self.filing.hooks.refresh().await?.changes != open.edition().changes {
            // Some of its events may not be kept by now; which they are is found out by reading them again.
            return Err(self.sink.rejudged());
        }
        let topic_id = Arc::clone(&self.filing.topic_id);
        let Some(mut closed) = spawn_blocking(move || open.close(&topic_id)).await?? else {
            return Ok(true);
        };
        let metrics = &self.sink.metrics;
        metrics.rolled.fetch_add(closed.files.len() as u64, Ordering::Relaxed);
        let begun = Instant::now();
        self.filing.file(&mut closed).await?;
        metrics.flush.add(begun.elapsed());
        let days = closed.sunk();
        let Closed { first, last, rejected, records, .. } = closed;
        let sink = self.sink.options.name.clone();
        let next = last + 1;
        let mut outputs = rejected;
        outputs.push(Entry::Sink { sink, partition, first, next, days: days.clone() }.output());
        let position = Position { partition, offset: next };
        let begun = Instant::now();
        if self.member.commit(outputs, &[position]).await? == Outcome::Aborted {
            metrics.group.aborted();
            self.open.clear();
            return Ok(false);
        }
        metrics.group.committed(records, begun.elapsed());
        self.positions.insert(partition, position.offset);
        metrics.commit(records, &days);
        telemetry::files_committed(&self.sink.options.name, partition, first, last);
        Ok(true)
    }

    /// Says how many files are open.
    fn gauge(&self) {
        let open: usize = self.open.values().map(Open::files).sum();
        self.sink.metrics.open.store(open as u64, Ordering::Relaxed);
    }
}

impl Sink {
    /// Returns when closing has taken too long.
    async fn overtime(&self, shutdown: &CancellationToken) {
        shutdown.cancelled().await;
        tokio::time::sleep(self.options.closing_max).await;
    }
}
