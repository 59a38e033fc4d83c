//! The engine of a worker: keeps its lanes, starts deliveries, settles and fetches in one call after another.
//!
//! A worker has a few pumps, and each shard belongs to one of them, so that everything about a lane is known in one
//! place and changed by one task. A pump makes at most one call at a time: while one runs, outcomes gather, and the
//! next call settles them all and fetches more. So batches grow with the load, and an idle pump adds no latency.
//!
//! ```text
//!   wake-up, scan, timer ──▶ lane is ready ──▶ call: settle + fetch ──▶ flights ──▶ outcomes ─┐
//!                                                  ▲                                          │
//!                                                  └──────────────── settlements ◀────────────┘
//! ```

mod apply;
mod compose;
mod note;
mod shards;
mod verified;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tidings::{secret::Keyring, subscriber, wake::Waker};
use tidings_ownership::{Holdings, ShardId};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::note::Notes;
use crate::{
    Result,
    bound::Bound,
    flight::Landed,
    health::{self, Health},
    lane::Lane,
    log::AttemptLog,
    roster::Roster,
    session::{Database, Link},
    settlement::Settlement,
    store::{Pending, Work, Worked},
    telemetry::{self, Counters},
};

/// A lane that nobody has written to for so long is forgotten; it is found again by the scan.
const IDLE_MAX: Duration = Duration::from_mins(1);

/// Lanes of other workers are asked for again after so long.
const FOREIGN_MAX: Duration = Duration::from_secs(5);

/// What a pump shares with the rest of its worker.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) roster: Roster,
    pub(crate) keyring: Option<Keyring>,
    pub(crate) log: AttemptLog,
    pub(crate) durable: bool,
    /// One permit: careful deliveries are alone in the process.
    pub(crate) careful: Arc<Semaphore>,
    pub(crate) counters: Arc<Counters>,
    /// What is done about destinations that are not well.
    pub(crate) health: health::Rules,
    /// How many pumps there are.
    pub(crate) pumps: usize,
}

/// What a pump hears.
#[derive(Debug)]
pub(crate) enum Message {
    /// A batch has returned.
    Landed(Landed),
    /// A call has been answered, or not.
    Called(Box<(Link, Work, Result<Worked>)>),
    /// Subscribers have been read, from that time on.
    Loaded(Vec<i32>, Instant, Result<Vec<subscriber::Lane>>),
    /// Lanes with pending rows have been found.
    Found(Arc<[Pending]>),
    /// The database knows that a lane is held back.
    HeldBack(i32),
    /// The database knows how the destination of a lane is doing, or, where that is false, could not be told.
    Noted(i32, bool),
    /// The subscriber of a lane that was stopped could not be disabled.
    NotDisabled(i32),
}

/// The engine.
#[derive(Debug)]
pub(crate) struct Pump {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) holdings: watch::Receiver<Arc<Holdings>>,
    pub(crate) release: mpsc::UnboundedSender<tidings_ownership::holder::Release>,
    pub(crate) messages: mpsc::UnboundedReceiver<Message>,
    pub(crate) sender: mpsc::UnboundedSender<Message>,
    pub(crate) stop: CancellationToken,
    /// `None` while a call is under way.
    pub(crate) link: Option<Link>,
    pub(crate) state: State,
}

/// What a pump knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    lanes: HashMap<i32, Lane>,
    /// Lanes to be read, in the order of their asking.
    queue: VecDeque<i32>,
    /// Attempts that are over.
    settlements: VecDeque<Settlement>,
    /// When lanes have to be looked at again.
    timers: BTreeSet<(Instant, i32)>,
    bound: Bound,
    /// Lanes whose subscribers are being read.
    loading: HashSet<i32>,
    /// Lanes whose subscribers have changed and are to be read again.
    stale: HashSet<i32>,
    /// How destinations are doing, on its way to the database.
    notes: Notes,
    /// Lanes that are not ours, and when that was found out.
    foreign: HashMap<i32, Instant>,
    /// Shards that were given back and are still in the holdings.
    released: HashSet<(ShardId, i64)>,
    config_versions: HashMap<ShardId, i64>,
    /// Whether there was a hold since the lanes were last brought in line with it.
    held_anew: bool,
    /// Whether some shard is to be given up.
    leaving: bool,
    worker_id: Option<Uuid>,
    epoch: u64,
    /// How many settlements go into a call; halved when the database refuses one.
    settle_max: Option<usize>,
    failures: u32,
    /// No call before: the last one failed.
    pause_until: Option<Instant>,
    swept_idle_at: Option<Instant>,
    verified: verified::Verified,
}

impl Pump {
    /// Works until `stop` is cancelled.
    pub(crate) async fn run(mut self) {
        let mut waker = Waker::new();
        let stop = self.stop.clone();
        loop {
            let now = Instant::now();
            self.follow_holdings(now);
            self.ring_timers(now);
            self.call(now);
            let next = self.next_timer(now);
            tokio::select! {
                () = stop.cancelled() => return,
                message = self.messages.recv() => match message {
                    Some(message) => self.hear(message, Instant::now()),
                    None => return,
                },
                lanes = waker.woken() => self.stir(&lanes, Instant::now()),
                changed = self.holdings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.state.held_anew = true;
                }
                () = tokio::time::sleep_until(next) => {}
            }
            let now = Instant::now();
            while let Ok(message) = self.messages.try_recv() {
                self.hear(message, now);
            }
        }
    }

    fn hear(&mut self, message: Message, now: Instant) {
        match message {
            Message::Landed(landed) => self.land(landed, now),
            Message::Called(called) => self.apply(*called, now),
            Message::Loaded(ids, began, lanes) => self.loaded(&ids, began, lanes, now),
            Message::Found(pending) => self.found(&pending, now),
            Message::HeldBack(id) => {
                if let Some(lane) = self.state.lanes.get_mut(&id) {
                    lane.noted(now);
                }
            }
            Message::Noted(id, written) => self.health_noted(id, written, now),
            // Read again with the next hold: it is on, and the next failure is another reason to disable it.
            Message::NotDisabled(id) => {
                self.state.stale.insert(id);
            }
        }
    }

    /// Starts a call, unless one is under way or there is nothing to do.
    fn call(&mut self, now: Instant) {
        if self.link.is_none() || self.state.pause_until.is_some_and(|until| now < until) {
            return;
        }
        let Some(work) = self.compose(now) else {
            return;
        };
        let Some(mut link) = self.link.take() else {
            return;
        };
        let sender = self.sender.clone();
        // In a task of its own: a call that is dropped halfway would leave its connection in the middle of an answer.
        tokio::spawn(async move {
            let worked = link.work(&work).await;
            drop(sender.send(Message::Called(Box::new((link, work, worked)))));
        });
    }

    /// Looks at lanes that something was written to.
    fn stir(&mut self, ids: &[i32], now: Instant) {
        let mut unknown = Vec::new();
        for id in ids {
            if let Some(lane) = self.state.lanes.get_mut(id) {
                lane.stirred = lane.reading;
                lane.ready = true;
                lane.used_at = now;
                self.enqueue(*id);
            } else {
                unknown.push(*id);
            }
        }
        self.load(unknown, now);
    }

    /// Looks at lanes that a scan has found.
    fn found(&mut self, pending: &[Pending], now: Instant) {
        let mut unknown = Vec::new();
        let (index, pumps) = (self.index, self.shared.pumps);
        for row in pending.iter().filter(|row| is_of(&row.shard, index, pumps)) {
            let due_in = row.due_in_ms.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs()));
            match (self.state.lanes.get_mut(&row.lane), due_in) {
                // What is due may be what is in hand: then the next settlement looks again.
                (Some(lane), Some(Duration::ZERO)) if lane.known.is_empty() || !lane.ready => {
                    lane.ready = true;
                    lane.used_at = now;
                    self.enqueue(row.lane);
                }
                (Some(lane), Some(due_in)) if due_in > Duration::ZERO => {
                    lane.due_at(now + due_in);
                    lane.used_at = now;
                    self.set_timer(row.lane);
                }
                (Some(_), _) => {}
                // Soon due, or all parked: its owner makes heads due when it takes the lane up.
                (None, Some(due_in)) if due_in > IDLE_MAX / 2 => {}
                (None, _) => unknown.push(row.lane),
            }
        }
        self.load(unknown, now);
    }

    /// Puts a lane into the queue of lanes to be read.
    fn enqueue(&mut self, id: i32) {
        if let Some(lane) = self.state.lanes.get_mut(&id)
            && !lane.queued
            && !lane.reading
        {
            lane.queued = true;
            self.state.queue.push_back(id);
        }
    }

    fn set_timer(&mut self, id: i32) {
        if let Some(at) = self.state.lanes.get(&id).and_then(|lane| lane.wake_at) {
            self.state.timers.insert((at, id));
        }
    }

    fn ring_timers(&mut self, now: Instant) {
        while let Some((at, id)) = self.state.timers.first().copied() {
            if at > now {
                break;
            }
            self.state.timers.pop_first();
            if let Some(lane) = self.state.lanes.get_mut(&id)
                && lane.wake_at == Some(at)
            {
                lane.wake_at = None;
                lane.ready = true;
                self.enqueue(id);
            }
        }
        let idle = self.state.swept_idle_at.get_or_insert(now);
        if now.duration_since(*idle) > IDLE_MAX / 4 {
            *idle = now;
            self.state.verified.sweep(now);
            self.state.foreign.retain(|_, at| now.duration_since(*at) < FOREIGN_MAX);
            self.state.lanes.retain(|_, lane| {
                !lane.is_drained()
                    || lane.ready
                    || lane.wake_at.is_some()
                    || now.duration_since(lane.used_at) < IDLE_MAX
            });
            let State { lanes, notes, .. } = &mut self.state;
            notes.retain(|id| lanes.contains_key(&id));
        }
    }

    fn next_timer(&self, now: Instant) -> Instant {
        let lane = self.state.timers.first().map(|(at, _)| *at);
        let pause = self.state.pause_until.filter(|until| *until > now);
        let soonest = now + Duration::from_secs(1);
        [lane, pause].into_iter().flatten().min().map_or(soonest, |at| at.min(soonest))
    }

    /// Reads the subscribers of lanes, in a task of its own.
    fn load(&mut self, ids: Vec<i32>, now: Instant) {
        let state = &mut self.state;
        let ids: Vec<i32> = ids
            .into_iter()
            .filter(|id| {
                state.foreign.get(id).is_none_or(|at| now.duration_since(*at) >= FOREIGN_MAX)
                    && state.loading.insert(*id)
            })
            .collect();
        if ids.is_empty() {
            return;
        }
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        tokio::spawn(async move {
            let lanes = load(&shared, &ids).await;
            drop(sender.send(Message::Loaded(ids, now, lanes)));
        });
    }

    fn loaded(
        &mut self,
        ids: &[i32],
        began: Instant,
        lanes: Result<Vec<subscriber::Lane>>,
        now: Instant,
    ) {
        for id in ids {
            self.state.loading.remove(id);
        }
        let lanes = match lanes {
            Ok(lanes) => lanes,
            Err(error) => {
                telemetry::load_failed(&error);
                // With the next hold. What is not known yet is found again by the scan.
                let known = ids.iter().filter(|id| self.state.lanes.contains_key(id));
                self.state.stale.extend(known);
                return;
            }
        };
        for read in lanes {
            let shard = ShardId { group: read.kind.as_str().into(), shard: read.shard };
            let id = read.subscriber_id;
            let mine = is_of(&shard, self.index, self.shared.pumps);
            let term = if mine { self.holdings.borrow().term(&shard) } else { None };
            let Some(term) = term.filter(|term| !self.is_released(&shard, *term)) else {
                self.state.foreign.insert(id, now);
                continue;
            };
            let retry_after = read.retry_after;
            let terms = self.shared.roster.open(
                &read,
                &self.shared.database,
                (&self.holdings, &shard, term),
            );
            let rules = self.health_rules(&shard);
            let lane = match self.state.lanes.get_mut(&id) {
                Some(lane) if lane.term == term => {
                    let goes_on = lane.terms.stopped && !terms.stopped;
                    lane.change(terms, now);
                    if read.trouble.is_none() && (goes_on || self.state.notes.is_known(id, began)) {
                        // A person has resumed the subscriber.
                        lane.health = Health::anew(rules);
                    }
                    lane
                }
                _ => {
                    if read.trouble.is_some() {
                        self.state.notes.knew(id, began);
                    }
                    let health = Health::resume(rules, read.trouble.as_ref(), now);
                    let lane = Lane::new((shard.clone(), term), terms, health, now);
                    self.state.lanes.entry(id).insert_entry(lane).into_mut()
                }
            };
            lane.held_back(retry_after.map(|floor| now + floor), began);
            self.enqueue(id);
        }
        self.load_stale(now);
    }

    /// Reads the subscribers again that have changed; those that are being read already come after that.
    fn load_stale(&mut self, now: Instant) {
        let State { stale, loading, .. } = &mut self.state;
        let ids = stale.extract_if(|id| !loading.contains(id)).collect();
        self.load(ids, now);
    }

    fn is_released(&self, shard: &ShardId, term: i64) -> bool {
        self.state.released.contains(&(shard.clone(), term))
    }
}

/// Returns whether a shard is the part of the pump with that index.
fn is_of(shard: &ShardId, index: usize, pumps: usize) -> bool {
    (usize::from(shard.shard.unsigned_abs()) + shard.group.len()) % pumps == index
}

/// Reads the subscribers of lanes, and makes the parked heads of their keys due: whoever parked them may be gone.
async fn load(shared: &Shared, ids: &[i32]) -> Result<Vec<subscriber::Lane>> {
    let mut tx = shared
        .database
        .begin()
        .await
        .map_err(crate::Error::unanswered("read the subscribers of the lanes"))?;
    let lanes = subscriber::lanes(&mut tx, shared.keyring.as_ref(), ids).await?;
    let unparked = crate::store::unpark(&mut tx, ids).await?;
    tx.commit().await.map_err(crate::Error::unanswered("read the subscribers of the lanes"))?;
    telemetry::unparked(unparked);
    Ok(lanes)
}
