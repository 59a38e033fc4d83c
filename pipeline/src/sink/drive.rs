//! The loop of a sink: reads ahead, has events decided, commits in order.
//!
//! ```text
//! next ──▶ flight (a task) ──decided──▶ commit(rejected, accounts, positions)
//!   ▲          up to three at a time         │ aborted: all flights are forgotten
//!   └────────────────────────────────────────┘
//! ```
//!
//! What is decided and not committed is decided again by whoever comes next, so a target has to recognise an event that
//! it has.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::NaiveDate;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    event::{self, Event},
    hooks::{Counts, Days, Hooks, Tally},
    metrics::Metrics,
};
use crate::{
    Log, Result,
    hop::Retreat,
    log::{Change, Limits, Member, Outcome, Position, Turn},
    metrics::Seat,
    reason::Reason,
    record::{Output, Record},
    telemetry, topic,
};

/// Flights at a time: two that are sent, and one that is made ready.
const FLIGHTS: usize = 3;

/// How often the log hears of a member whose flights are all waiting: it would be given up after minutes.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// How long flights may take to land when the sink is stopped. What does not is read again.
const GRACE: Duration = Duration::from_secs(5);

/// Where the events of a sink go.
pub(super) trait Target: Send + Sync + 'static {
    /// Returns the name of the sink.
    fn name(&self) -> &str;

    /// Returns how much is taken at once.
    fn limits(&self) -> Limits;

    /// Returns what counts.
    fn metrics(&self) -> &Metrics;

    /// Decides every event, however long it takes; dropped when nobody wants to know any more.
    fn decide(&self, events: Vec<Event>) -> impl Future<Output = Verdicts> + Send;
}

/// What became of events, by partition, so that those of a lost one can be forgotten.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    counts: BTreeMap<(i32, NaiveDate), Counts>,
    rejected: Vec<Output>,
}

/// What became of one event.
#[derive(Debug)]
pub(super) enum Verdict {
    Stored,
    AlreadyThere,
    Filtered,
    Rejected(Reason),
}

impl Verdicts {
    /// Takes what became of an event.
    pub(super) fn put(&mut self, sink: &str, event: &Event, verdict: Verdict) {
        self.count(sink, &event.record, event.day, verdict);
    }

    /// Takes those of other events.
    pub(super) fn extend(&mut self, other: Self) {
        for (key, counts) in other.counts {
            *self.counts.entry(key).or_default() += counts;
        }
        self.rejected.extend(other.rejected);
    }

    fn count(&mut self, sink: &str, record: &Record, day: NaiveDate, verdict: Verdict) {
        let counts = self.counts.entry((record.partition, day)).or_default();
        match verdict {
            Verdict::Stored => counts.stored += 1,
            Verdict::AlreadyThere => counts.already_there += 1,
            Verdict::Filtered => counts.filtered += 1,
            Verdict::Rejected(reason) => {
                counts.rejected += 1;
                self.rejected.push(event::rejected(sink, record, &reason));
            }
        }
    }
}

/// Records on their way.
struct Flight {
    /// Where each of its partitions is read on after it; those that were lost are gone.
    positions: BTreeMap<i32, i64>,
    records: u64,
    lost: BTreeSet<i32>,
    task: AbortOnDropHandle<Verdicts>,
    landed: Option<Verdicts>,
}

/// Reads unique events as the group of the target, until `shutdown`.
///
/// # Errors
///
/// What does not pass by itself; the rest is waited for.
pub(super) async fn run<L: Log, T: Target>(
    log: &L,
    target: Arc<T>,
    hooks: Arc<dyn Hooks>,
    shutdown: &CancellationToken,
) -> Result<()> {
    let group = format!("sink.{}", target.name());
    let (mut retreat, commits) = (Retreat::default(), &target.metrics().commits);
    while !shutdown.is_cancelled() {
        let before = commits.load(Ordering::Relaxed);
        let served = async {
            let member = log.join(&group, topic::UNIQUE).await?;
            let (target, hooks) = (Arc::clone(&target), Arc::clone(&hooks));
            let seat = target.metrics().group.seat();
            let drive = Drive { member, target, hooks, flights: VecDeque::new(), seat };
            drive.serve(shutdown).await
        };
        match served.await {
            Ok(()) => break,
            Err(error) => {
                target.metrics().group.restarted();
                let commits = commits.load(Ordering::Relaxed) - before;
                retreat.after(&group, error, commits, shutdown).await?;
            }
        }
    }
    Ok(())
}

struct Drive<M, T> {
    member: M,
    target: Arc<T>,
    hooks: Arc<dyn Hooks>,
    flights: VecDeque<Flight>,
    seat: Seat,
}

impl<M: Member, T: Target> Drive<M, T> {
    async fn serve(mut self, shutdown: &CancellationToken) -> Result<()> {
        while !shutdown.is_cancelled() {
            if self.flights.len() < FLIGHTS {
                self.turn(self.target.limits()).await?;
            } else {
                let landing = timeout(KEEP_ALIVE, self.land());
                if let Some(Err(_)) = shutdown.run_until_cancelled(landing).await {
                    // One record more is little, and the log has heard of us.
                    self.turn(Limits { records: 1, bytes: 1 }).await?;
                }
            }
            self.commit().await?;
        }
        let landing = async {
            while !self.flights.is_empty() {
                self.land().await;
                self.commit().await?;
            }
            Ok(())
        };
        // What is still on its way then is read again by the next member.
        let landed = timeout(GRACE, landing).await.unwrap_or(Ok(()));
        self.member.leave().await;
        landed
    }

    async fn turn(&mut self, limits: Limits) -> Result<()> {
        match self.member.next(limits).await? {
            Turn::Changed(change) => {
                self.seat.changed(&change);
                let Change { lost, .. } = change;
                for flight in &mut self.flights {
                    flight.positions.retain(|partition, _| !lost.contains(partition));
                    flight.lost.extend(&lost);
                }
            }
            Turn::Records(records) => {
                self.hooks.refresh().await?;
                self.take_off(records);
            }
            Turn::Idle => {}
        }
        Ok(())
    }

    fn take_off(&mut self, records: Vec<Record>) {
        let (mut positions, count) = (BTreeMap::new(), records.len() as u64);
        for record in &records {
            positions.insert(record.partition, record.offset + 1);
        }
        let (target, hooks) = (Arc::clone(&self.target), Arc::clone(&self.hooks));
        let task = AbortOnDropHandle::new(tokio::spawn(fly(target, hooks, records)));
        let (records, lost) = (count, BTreeSet::new());
        self.flights.push_back(Flight { positions, records, lost, task, landed: None });
    }

    /// Waits until the first flight has landed.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has changed nothing.
    async fn land(&mut self) {
        if let Some(flight) = self.flights.front_mut()
            && flight.landed.is_none()
        {
            flight.landed = Some(joined((&mut flight.task).await));
        }
    }

    /// Commits what has landed, in order.
    async fn commit(&mut self) -> Result<()> {
        let (mut positions, mut days, mut outputs) = (BTreeMap::new(), Days::new(), Vec::new());
        let (mut rejected, mut records) = (0, 0);
        while let Some(front) = self.flights.front()
            && (front.landed.is_some() || front.task.is_finished())
        {
            self.land().await;
            let Some(flight) = self.flights.pop_front() else { break };
            let Flight { positions: theirs, lost, landed, .. } = flight;
            records += flight.records;
            let landed = landed.unwrap_or_default();
            for ((partition, day), counts) in landed.counts {
                if !lost.contains(&partition) {
                    *days.entry(day).or_default() += counts;
                }
            }
            outputs
                .extend(landed.rejected.into_iter().filter(|one| !lost.contains(&one.partition)));
            positions.extend(theirs);
        }
        if positions.is_empty() {
            return Ok(());
        }
        rejected += outputs.len();
        let at = |(partition, offset)| Position { partition, offset };
        let positions: Vec<_> = positions.into_iter().map(at).collect();
        let sink = self.target.name();
        outputs.extend(self.hooks.account(&Tally { sink, positions: &positions, days: &days }));
        let (metrics, begun) = (self.target.metrics(), Instant::now());
        match self.member.commit(outputs, &positions).await? {
            Outcome::Committed => {
                Metrics::add(&metrics.commits, 1);
                metrics.group.committed(records, begun.elapsed());
                telemetry::sink_committed(sink, &positions, rejected);
            }
            Outcome::Aborted => {
                metrics.group.aborted();
                self.flights.clear();
            }
        }
        Ok(())
    }
}

/// Reads records, leaves out what may not leave, and has the rest decided.
async fn fly<T: Target>(target: Arc<T>, hooks: Arc<dyn Hooks>, records: Vec<Record>) -> Verdicts {
    let (mut verdicts, mut events) = (Verdicts::default(), Vec::with_capacity(records.len()));
    let sink = target.name();
    for record in records {
        match Event::read(record) {
            Ok(event) if hooks.permits(&event.record) => events.push(event),
            Ok(event) => verdicts.put(sink, &event, Verdict::Filtered),
            Err(unread) => {
                let (record, reason) = *unread;
                let day = record.appended_at.date_naive();
                verdicts.count(sink, &record, day, Verdict::Rejected(reason));
            }
        }
    }
    let begun = Instant::now();
    verdicts.extend(target.decide(events).await);
    let (metrics, sum) = (target.metrics(), verdicts.sum());
    metrics.flush.add(begun.elapsed());
    let counters = [
        (&metrics.stored, sum.stored),
        (&metrics.already_there, sum.already_there),
        (&metrics.rejected, sum.rejected),
        (&metrics.filtered, sum.filtered),
    ];
    for (counter, count) in counters {
        counter.fetch_add(count, Ordering::Relaxed);
    }
    if let Some(first) = verdicts.rejected.first() {
        let reasons = first.headers.get("reasons").unwrap_or_default();
        let reasons: Vec<Reason> = serde_json::from_str(reasons).unwrap_or_default();
        let code = reasons.first().map_or("", |reason| &*reason.code);
        telemetry::sink_rejected(sink, verdicts.rejected.len(), code);
    }
    verdicts
}

impl Verdicts {
    /// Returns what was rejected, as records of the topic of failed events.
    pub(super) fn rejected(&self) -> &[Output] {
        &self.rejected
    }

    /// Returns the sum of all counts.
    pub(super) fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.counts.values() {
            sum += *counts;
        }
        sum
    }
}

/// Returns what a task has said; a panic of its goes on here.
fn joined(ended: Result<Verdicts, tokio::task::JoinError>) -> Verdicts {
    match ended {
        Ok(verdicts) => verdicts,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Cancelled by the runtime, which is going down.
        Err(_) => Verdicts::default(),
    }
}

#[cfg(test)]
mod tests;
