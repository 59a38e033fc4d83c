//! The third hop, where it is switched on: unique events become summaries of sessions, which are unique events too.
//!
//! ```text
//! unique ──▶ sessions of the partition ──over──▶ summary ──▶ unique
//!                │   ▲                                 └───▶ ledger, routes
//!     checkpoint ▼   │ read again from the checkpoint to the position, by whoever takes over, and after an abort
//!         telemetry.sessions
//! ```
//!
//! It is a group of its own, because where a session began is an offset of `telemetry.unique`, which nobody knows
//! before a commit; and an abort leaves no trace, because what is known is thrown away and read again.
//! What it writes comes back to it and is no part of any session.

mod held;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::held::{Held, Stored};
use crate::{
    Headers, Log, Output, Record, Result,
    gate::{Gate, Rules},
    hop::{Step, Tick},
    ledger::{self, Entry, entry},
    log::{Change, Limits, Position, Reader, Start},
    session::{Closed, Settings},
    steps::Steps,
    telemetry, topic,
    value::Value,
};

/// The group.
pub(crate) const GROUP: &str = "sessions";

/// How much is read at once of what was written.
const REBUILD: Limits = Limits { records: 5000, bytes: 16 * 1024 * 1024 };

/// How long nothing has to have come to a partition before a clock says that its sessions are over; what is on its way
/// through the pipeline comes before that.
const QUIET: Duration = Duration::from_mins(1);

/// How often the clock is asked at most.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// Asks for the time, where no record tells it: the database, which all members ask.
pub(crate) type Clock = Arc<dyn Fn() -> BoxFuture<'static, Result<DateTime<Utc>>> + Send + Sync>;

/// The third hop, and what it remembers.
pub(crate) struct Summarize<L> {
    log: L,
    steps: Arc<Steps>,
    settings: Settings,
    clock: Clock,
    gate: Option<Gate>,
    /// What may be kept.
    rules: Arc<Rules>,
    held: HashMap<i32, Held>,
    /// What the open transaction is about.
    touched: Vec<i32>,
    asked_at: Option<Instant>,
}

impl<L: Log> Summarize<L> {
    /// Returns the hop; without a gate everything is permitted.
    pub(crate) fn new(
        log: L,
        (steps, settings): (Arc<Steps>, Settings),
        clock: Clock,
        gate: Option<Gate>,
    ) -> Self {
        Self {
            log,
            steps,
            settings,
            clock,
            gate,
            rules: Arc::default(),
            held: HashMap::new(),
            touched: Vec::new(),
            asked_at: None,
        }
    }

    /// Reads the sessions of a partition back in, as they were when `committed` was reached.
    async fn rebuild(&self, partition: i32, committed: i64) -> Result<Held> {
        let stored = self.stored(partition).await?.filter(|stored| stored.offset <= committed);
        let from = stored.as_ref().map(|stored| stored.offset);
        let mut held = Held::new(self.settings.clone(), stored, committed);
        let mut closed = Vec::new();
        if let Some(from) = from.filter(|from| *from < committed) {
            let start = Start::Offset(from);
            let mut reader = self.log.reader(topic::UNIQUE, partition, start).await?;
            while let Some(records) = reader.next(REBUILD).await? {
                let before = records.iter().take_while(|record| record.offset < committed);
                before.for_each(|record| held.retake(record, &mut closed));
                if records.last().is_some_and(|last| last.offset >= committed) {
                    break;
                }
            }
        }
        held.rebuilt(committed);
        Ok(held)
    }

    /// Returns the last checkpoint of a partition.
    async fn stored(&self, partition: i32) -> Result<Option<Stored>> {
        let mut last = None;
        let start = Start::Beginning;
        let mut reader = self.log.reader(topic::SESSIONS, partition, start).await?;
        while let Some(records) = reader.next(REBUILD).await? {
            last = records.into_iter().next_back().or(last);
        }
        let read = |record: Record| {
            let stored = serde_json::from_slice(&record.value);
            stored
                .inspect_err(|error| {
                    telemetry::unreadable_sessions(partition, record.offset, error);
                })
                .ok()
        };
        Ok(last.and_then(read))
    }

    async fn ask_the_gate(&mut self) -> Result<()> {
        if let Some(gate) = &self.gate {
            self.rules = gate.refresh().await?;
        }
        Ok(())
    }

    /// Reads back in what an abort has made wrong.
    async fn refresh(&mut self) -> Result<()> {
        let stale = self.held.iter().filter(|(_, held)| held.is_stale);
        let stale: Vec<_> = stale.map(|(partition, held)| (*partition, held.position())).collect();
        for (partition, committed) in stale {
            let held = self.rebuild(partition, committed).await?;
            if let Some(stale) = self.held.get_mut(&partition) {
                stale.replace(held);
            }
        }
        Ok(())
    }

    /// Adds what is written for sessions that are over.
    fn write(&self, partition: i32, closed: Vec<Closed>, outputs: &mut Vec<Output>) -> Counted {
        let mut counted = Counted::default();
        for Closed { event, source, syncts, since, channel } in closed {
            if !self.rules.allows(&event, since) {
                continue;
            }
            let key = event.at(&["context", "did"]).and_then(Value::as_str).unwrap_or_default();
            let unique = Output {
                topic: topic::UNIQUE.into(),
                partition,
                key: Some(key.to_owned().into_bytes().into()),
                headers: Headers::new(),
                value: event.to_bytes().into(),
            };
            for topic in self.steps.router().topics(&event, &channel) {
                outputs.push(Output { topic: topic.into(), ..unique.clone() });
            }
            outputs.push(unique);
            let place = (source.partition, source.offset, entry::day(syncts));
            *counted.0.entry(place).or_default() += 1;
        }
        counted
    }

    /// Takes records of one partition.
    fn take(&mut self, of: &[Record], outputs: &mut Vec<Output>) {
        let (Some(first), Some(last)) = (of.first(), of.last()) else { return };
        let partition = first.partition;
        let Some(held) = self.held.get_mut(&partition) else { return };
        let mut closed = Vec::new();
        for record in of {
            if super::caught(|| held.take(record, &mut closed)).is_none() {
                telemetry::unsummarized(partition, record.offset);
            }
        }
        let checkpoint = held.checkpoint_due(partition, last.appended_at);
        self.touched.push(partition);
        let counted = self.write(partition, closed, outputs);
        outputs.extend(counted.entry(partition, (first.offset, last.offset + 1)));
        outputs.extend(checkpoint);
    }
}

/// How many summaries there are of each batch, by its place in the raw log and its day.
#[derive(Debug, Default)]
struct Counted(BTreeMap<(i32, i64, i32), u64>);

impl Counted {
    /// Returns the entry of the ledger; none where there is nothing to count.
    fn entry(self, partition: i32, (first, next): (i64, i64)) -> Option<Output> {
        let refined = |((partition, offset, day), count)| ledger::Refined {
            partition,
            offset,
            day,
            derived: count,
            unique: count,
            ..ledger::Refined::default()
        };
        let batches: Vec<_> = self.0.into_iter().map(refined).collect();
        let entry = Entry::Sessions { partition, first, next, batches };
        (!entry.is_empty()).then(|| entry.output())
    }
}

impl<L: Log> Step for Summarize<L> {
    async fn changed(&mut self, change: &Change) -> Result<()> {
        for partition in &change.lost {
            self.held.remove(partition);
        }
        for gained in &change.gained {
            let held = self.rebuild(gained.partition, gained.offset).await?;
            self.held.insert(gained.partition, held);
        }
        if !change.gained.is_empty() {
            let open = self.held.values().map(Held::open).sum();
            telemetry::sessions_rebuilt(change.gained.len(), open);
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<Option<Tick>> {
        if self.asked_at.is_some_and(|at| at.elapsed() < ASKED_EVERY) {
            return Ok(None);
        }
        self.asked_at = Some(Instant::now());
        self.refresh().await?;
        let quiet = self.held.iter().filter(|(_, held)| held.is_quiet(QUIET));
        let quiet: Vec<_> = quiet.map(|(partition, _)| *partition).collect();
        if quiet.is_empty() {
            return Ok(None);
        }
        let now = (self.clock)().await?;
        self.ask_the_gate().await?;
        let time = (now - QUIET).timestamp_millis();
        let mut tick = Tick::default();
        for partition in quiet {
            let Some(held) = self.held.get_mut(&partition) else { continue };
            let mut closed = Vec::new();
            if !held.tell(time, &mut closed) {
                continue;
            }
            let (next, checkpoint) = (held.next(), held.checkpoint(partition, now));
            self.touched.push(partition);
            tick.positions.push(Position { partition, offset: next });
            let counted = self.write(partition, closed, &mut tick.outputs);
            tick.outputs.extend(counted.entry(partition, (next, next)));
            tick.outputs.push(checkpoint);
        }
        Ok((!tick.positions.is_empty()).then_some(tick))
    }

    async fn prepare(&mut self, _: &[Record]) -> Result<bool> {
        self.refresh().await?;
        self.ask_the_gate().await?;
        Ok(true)
    }

    fn process(&mut self, records: Vec<Record>) -> Vec<Output> {
        let mut outputs = Vec::new();
        for of in records.chunk_by(|a, b| a.partition == b.partition) {
            self.take(of, &mut outputs);
        }
        outputs
    }

    fn committed(&mut self) {
        for partition in self.touched.drain(..) {
            if let Some(held) = self.held.get_mut(&partition) {
                held.committed();
            }
        }
    }

    fn aborted(&mut self) {
        for partition in self.touched.drain(..) {
            if let Some(held) = self.held.get_mut(&partition) {
                held.is_stale = true;
            }
        }
    }
}

impl<L> fmt::Debug for Summarize<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Summarize").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
