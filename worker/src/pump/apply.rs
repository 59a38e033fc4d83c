//! Applying what came back: from a call, and from a destination.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use tidings::deliverer::Verdict;
use tokio::time::Instant;

use super::Pump;
use crate::{
    Result,
    flight::{Care, Careful, Flight, Landed, Outcome},
    health::Sign,
    lane::Progress,
    session::Link,
    settlement::{Action, Reason, Settlement},
    store::{Key, Nothing, Row, Summary, Work, Worked},
    telemetry,
};

/// A row that was due a moment too late is looked for a moment later.
const SLACK: Duration = Duration::from_millis(2);

/// The longest pause after calls that failed.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A row that somebody else has locked is tried again after so long.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// A careful delivery that could not be noted comes again after so long.
const UNNOTED_PAUSE: Duration = Duration::from_secs(1);

impl Pump {
    /// Applies the answer of a call.
    pub(super) fn apply(
        &mut self,
        (link, work, worked): (Link, Work, Result<Worked>),
        now: Instant,
    ) {
        self.link = Some(link);
        for reading in &work.readings {
            if let Some(lane) = self.state.lanes.get_mut(&reading.lane) {
                lane.reading = false;
            }
        }
        match worked {
            Ok(worked) => {
                self.state.failures = 0;
                self.state.pause_until = None;
                self.state.settle_max = None;
                self.settled(&work, &worked.summary, now);
                self.fetched(&work, worked, now);
            }
            Err(error) => self.failed(work, &error, now),
        }
    }

    /// A call whose outcome is unknown is repeated: every settlement matches the due time that was read.
    fn failed(&mut self, work: Work, error: &crate::Error, now: Instant) {
        self.state.failures = self.state.failures.saturating_add(1);
        telemetry::call_failed(error, self.state.failures, work.settlements.len());
        let count = work.settlements.len();
        if error.is_refusal() && self.state.failures > 1 {
            // One settlement that cannot be stored must not hold up the others for ever.
            if count == 1 {
                telemetry::settlement_dropped(
                    work.settlements.first().map(|(_, s)| s.read.delivery_id),
                );
                self.forget(work.settlements.into_iter().map(|(_, settlement)| settlement));
            } else {
                self.state.settle_max = Some((count / 2).max(1));
                self.requeue(work.settlements.into_iter().map(|(_, settlement)| settlement));
            }
        } else {
            self.requeue(work.settlements.into_iter().map(|(_, settlement)| settlement));
        }
        // The server may have crashed, also without a restart that a hold would see: settlements that were not on disk
        // are undone then, and their rows are below the cursors.
        self.rewind_all();
        let pause = Duration::from_millis(50) * self.state.failures.min(40);
        self.state.pause_until = Some(now + pause.min(PAUSE_MAX));
        if self.state.settlements.is_empty() {
            // Nothing to try it with but reads.
            self.state.failures = 0;
        }
    }

    fn requeue(&mut self, settlements: impl DoubleEndedIterator<Item = Settlement>) {
        for settlement in settlements.rev() {
            self.state.settlements.push_front(settlement);
        }
    }

    /// Forgets rows whose settlement was given up; they are read again.
    fn forget(&mut self, settlements: impl Iterator<Item = Settlement>) {
        for settlement in settlements {
            if let Some(lane) = self.state.lanes.get_mut(&settlement.read.lane) {
                lane.known.remove(&settlement.read.delivery_id);
                lane.rewind();
            }
            self.enqueue(settlement.read.lane);
        }
    }

    /// Takes settled rows out of the lanes' hands.
    fn settled(&mut self, work: &Work, summary: &Summary, now: Instant) {
        let set = |ids: &[i64]| ids.iter().copied().collect::<HashSet<_>>();
        let (lost, missing, locked) =
            (set(&summary.lost), set(&summary.missing), set(&summary.locked));
        telemetry::settled(&self.shared.counters, work, summary);
        for (_, settlement) in &work.settlements {
            let read = &settlement.read;
            let Some(lane) = self.state.lanes.get_mut(&read.lane) else {
                continue;
            };
            if lost.contains(&read.delivery_id) {
                // The next hold says so, and drops the lane.
                continue;
            }
            if locked.contains(&read.delivery_id) {
                self.state.settlements.push_back(settlement.clone());
                self.state.pause_until = Some(now + LOCKED_PAUSE);
                continue;
            }
            lane.known.remove(&read.delivery_id);
            lane.used_at = now;
            if missing.contains(&read.delivery_id)
                && !matches!(settlement.action, Action::Delivered | Action::Filtered)
            {
                // Somebody has moved it; it may lie below the cursor now.
                lane.rewind();
            }
            match settlement.action {
                Action::Retry(delay) | Action::Defer(delay) => {
                    lane.due_at(now + delay + SLACK);
                    self.set_timer(read.lane);
                }
                // Its follower, if it has one, has just become due.
                Action::Delivered | Action::Filtered | Action::Bury(_) => {
                    lane.ready |= read.key_hash.is_some();
                }
            }
            self.enqueue(read.lane);
        }
    }

    /// Moves the cursors and starts what is new.
    fn fetched(&mut self, work: &Work, worked: Worked, now: Instant) {
        if let Some(pair) = worked.pair {
            self.state.bound.add(pair);
        }
        // A row may be due in the very microsecond of the bound: whoever drew its id behind the pair read the same one.
        let bound = (self.state.bound.at(worked.summary.horizon))
            .map(|bound| bound - TimeDelta::microseconds(1));
        let clock = worked.pair.map(|pair| pair.read_at);
        let owned: HashSet<i32> = worked.summary.owned.iter().copied().collect();
        let mut by_lane: HashMap<i32, Vec<Row>> = HashMap::new();
        for row in worked.rows {
            by_lane.entry(row.read.lane).or_default().push(row);
        }
        // From the lane at which the answer was cut on, nothing was read to its end.
        let mut cut = false;
        for reading in &work.readings {
            if !owned.contains(&reading.holding) {
                continue;
            }
            let rows = by_lane.remove(&reading.lane).unwrap_or_default();
            cut |= rows.iter().any(|row| row.cut);
            let last: Option<Key> = rows.last().map(|row| (row.read.due_at, row.read.delivery_id));
            let end = !cut && rows.len() < usize::try_from(reading.limit).unwrap_or(usize::MAX);
            let Some(lane) = self.state.lanes.get_mut(&reading.lane) else {
                continue;
            };
            lane.ready = !end || lane.stirred;
            lane.advance(Progress { last, end, bound, clock }, now);
            self.start(reading.lane, rows, now);
            if self.state.lanes.get(&reading.lane).is_some_and(|lane| lane.ready) {
                self.enqueue(reading.lane);
            }
        }
    }

    /// Starts the rows of a lane that are not in hand yet.
    fn start(&mut self, id: i32, rows: Vec<Row>, now: Instant) {
        let held = self.holdings.borrow().clone();
        let Some(lane) = self.state.lanes.get_mut(&id) else {
            return;
        };
        let trusted = held.is_trusted(now) && held.term(&lane.shard) == Some(lane.term);
        let mut capacity = lane.capacity(now);
        let backstop = lane.is_backstop(now);
        let mut reads = Vec::new();
        let mut deliveries = Vec::new();
        let mut without = Vec::new();
        for row in rows {
            if row.parked || lane.known.contains_key(&row.read.delivery_id) {
                continue;
            }
            if backstop {
                telemetry::sweep_found(&self.shared.counters, id, row.read.delivery_id);
            }
            let delivery = match row.delivery {
                Ok(delivery) => delivery,
                Err(nothing) => {
                    lane.known.insert(row.read.delivery_id, row.read.due_at);
                    without.push((row.read, nothing));
                    continue;
                }
            };
            if !trusted || capacity == 0 {
                // Read and not started: it lies below the cursor now.
                lane.rewind();
                break;
            }
            capacity -= 1;
            lane.known.insert(row.read.delivery_id, row.read.due_at);
            reads.push(row.read);
            deliveries.push(delivery);
        }
        let term = lane.term;
        lane.in_flight += reads.len();
        if !reads.is_empty() {
            lane.health.started();
        }
        if let Some(bucket) = &mut lane.bucket {
            bucket.take(reads.len());
        }
        telemetry::fetched(&self.shared.counters, reads.len());
        self.launch(id, reads, deliveries, &held);
        for (read, nothing) in without {
            let (action, text) = match nothing {
                Nothing::Gone => (
                    Action::Bury(Reason::EventGone),
                    "the event is gone: its partition was dropped, or it was erased",
                ),
                Nothing::Withheld => (
                    Action::Filtered,
                    "it has no telemetry that may leave: none was registered, the level forbids it, or its subject is suppressed",
                ),
            };
            telemetry::withheld(&self.shared.counters, &action);
            self.state.settlements.push_back(Settlement::unattempted(read, term, action, text));
        }
    }

    fn launch(
        &mut self,
        id: i32,
        mut reads: Vec<crate::settlement::Read>,
        mut deliveries: Vec<tidings::delivery::Delivery>,
        held: &tidings_ownership::Holdings,
    ) {
        let Some(lane) = self.state.lanes.get_mut(&id) else {
            return;
        };
        let batch_max = match &lane.terms.destination {
            Ok(opened) if !lane.careful => opened.batch_max,
            _ => 1,
        };
        while !reads.is_empty() {
            let rest = batch_max.min(reads.len());
            let (next_reads, next_deliveries) = (reads.split_off(rest), deliveries.split_off(rest));
            let careful = lane.careful.then(|| Careful {
                database: self.shared.database.clone(),
                worker_id: held.worker_id,
                shard: lane.shard.clone(),
                turn: Arc::clone(&self.shared.careful),
            });
            let flight = Flight {
                lane: id,
                term: lane.term,
                destination: lane.terms.destination.clone(),
                reads,
                deliveries,
                cancel: lane.cancel.clone(),
                careful,
            };
            flight.start(self.sender.clone());
            (reads, deliveries) = (next_reads, next_deliveries);
        }
    }

    /// Takes in a batch that has returned.
    pub(super) fn land(&mut self, landed: Landed, now: Instant) {
        let Some(lane) = self.state.lanes.get_mut(&landed.lane) else {
            return;
        };
        // Under a term that is gone nothing is settled any more.
        if lane.term != landed.term {
            return;
        }
        lane.in_flight = lane.in_flight.saturating_sub(landed.outcomes.len());
        lane.used_at = now;
        for outcome in landed.outcomes {
            self.decide(landed.lane, outcome, (landed.began, now));
        }
        if self.state.lanes.get(&landed.lane).is_some_and(|lane| lane.ready) {
            self.enqueue(landed.lane);
        }
    }

    fn decide(&mut self, id: i32, outcome: Outcome, (sent, now): (Instant, Instant)) {
        let Some(lane) = self.state.lanes.get_mut(&id) else {
            return;
        };
        let Outcome { read, answer, elapsed, care } = outcome;
        let unattempted = match care {
            Care::Attempted => None,
            Care::Unnoted => Some((
                Action::Defer(UNNOTED_PAUSE),
                "it could not be noted that it was about to start",
            )),
            Care::Poison => {
                let text = "its worker died twice while it was alone in flight";
                Some((Action::Bury(Reason::WorkerDied), text))
            }
        };
        if let Some((action, text)) = unattempted {
            lane.health.unattempted(now);
            self.state
                .settlements
                .push_back(Settlement::unattempted(read, lane.term, action, text));
            return;
        }
        let action = Action::after(answer.verdict, &read, &lane.terms.ladder, rand::random());
        let consequence = if action == Action::Filtered {
            // Nothing was sent, so it says nothing about the destination.
            lane.health.unattempted(now);
            None
        } else {
            let (sign, slots) = (Sign::of(&answer), lane.slots());
            lane.health.answered(sign, (sent, now), slots, rand::random())
        };
        match answer.verdict {
            Verdict::RetryAfter(floor) | Verdict::Throttled(floor) => {
                if lane.hold_back(now + floor) {
                    self.hold_back(id, floor);
                    self.set_timer(id);
                }
            }
            // Once for all that shared a request: a second time could come after a person has resumed it.
            Verdict::Gone if !lane.terms.stopped => {
                lane.terms.stopped = true;
                let reason =
                    answer.error.clone().unwrap_or_else(|| "the destination is gone".to_owned());
                let term = lane.term;
                self.disable(id, term, reason);
            }
            Verdict::Gone
            | Verdict::Delivered
            | Verdict::Filtered
            | Verdict::Retry
            | Verdict::Refused => {}
        }
        if let Some(consequence) = consequence {
            self.follow(id, consequence, answer.error.as_deref());
        }
        if let Some(secret_id) = answer.verified_by {
            self.note_verified(id, secret_id, now);
        }
        let Some(term) = self.state.lanes.get(&id).map(|lane| lane.term) else {
            return;
        };
        telemetry::attempted(&self.shared.counters, &read, &action, elapsed);
        self.state.settlements.push_back(Settlement::new(read, term, action, answer, elapsed));
    }
}
