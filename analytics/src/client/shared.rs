//! What a client and its sender share: the queue, what is in flight, and the counts.
//!
//! The lock is held for moments and never across a wait; the observer is called without it.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use super::{
    Backend, Left,
    counts::{Counts, Loss, LossReason},
    error::SendError,
    queue::{Item, Pushed, Queue},
    retry::Retry,
    sources::Sources,
};
use crate::{
    Level, Memory,
    wire::{Context, Message, Outcome, Sink},
};

/// What does not change after a client was made.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) backend: Backend,
    pub(super) installation: Uuid,
    pub(super) context: Context,
    pub(super) sources: Sources,
    pub(super) retry: Retry,
    pub(super) linger: Duration,
    pub(super) observer: Observer,
}

/// Who is told of each loss.
pub(super) struct Observer(Box<dyn Fn(Loss) + Send + Sync>);

/// What a client and its sender share.
#[derive(Debug)]
pub(super) struct Shared {
    setup: Setup,
    /// Whether the process was asked not to track; then no level counts.
    do_not_track: bool,
    state: Mutex<State>,
    /// Wakes the sender.
    work: Notify,
    /// Wakes those that flush.
    progress: Notify,
    sender: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// What the sender has taken, by place; an event is settled by taking it out, so never twice.
    in_flight: BTreeMap<u64, (Uuid, &'static str)>,
    level: Level,
    /// The lowest level since the sender took its batch: raising it again does not bring back what was lowered.
    level_lowest: Level,
    is_closed: bool,
    sequence: u64,
    /// Up to which place nothing waits for company.
    flush_to: u64,
    counts: Counts,
}

/// When the next batch leaves.
enum Due {
    Now,
    At(Instant),
    /// When something comes.
    Unknown,
    /// Nothing comes any more.
    Never,
}

impl std::ops::Deref for Shared {
    type Target = Setup;

    fn deref(&self) -> &Setup {
        &self.setup
    }
}

impl Shared {
    /// Returns what a client shares; without a level nothing is ever collected.
    pub(super) fn new(setup: Setup, queue: Queue, level: Option<Level>) -> Self {
        let do_not_track = level.is_none();
        let level = level.unwrap_or(Level::Off);
        let state = State {
            queue,
            in_flight: BTreeMap::new(),
            level,
            level_lowest: level,
            is_closed: false,
            sequence: 0,
            flush_to: 0,
            counts: Counts::default(),
        };
        Self {
            setup,
            do_not_track,
            state: Mutex::new(state),
            work: Notify::new(),
            progress: Notify::new(),
            sender: OnceLock::new(),
        }
    }

    /// Remembers how the sender is stopped.
    pub(super) fn started(&self, sender: AbortHandle) {
        // There is one sender, so this is the first time.
        self.sender.set(sender).ok();
    }

    pub(super) fn level(&self) -> Level {
        self.state().level
    }

    pub(super) fn set_level(&self, level: Level) {
        if self.do_not_track {
            return;
        }
        let expired = {
            let mut state = self.state();
            state.level = level;
            state.level_lowest = state.level_lowest.min(level);
            state.queue.expire(level)
        };
        self.dropped(&expired, LossReason::Expired);
    }

    pub(super) fn ignored(&self) {
        self.state().counts.ignored += 1;
    }

    /// Hands a message to a sink in memory.
    pub(super) fn keep(&self, memory: &Memory, message: Message) -> Result<(), SendError> {
        if self.state().is_closed {
            return Err(SendError::Closed);
        }
        memory.accept(message)?;
        let counts = &mut self.state().counts;
        counts.accepted += 1;
        counts.delivered += 1;
        Ok(())
    }

    /// Takes an event into the queue.
    pub(super) fn push(&self, mut item: Item) -> Result<Pushed, SendError> {
        let (pushed, dropped) = {
            let mut state = self.state();
            if state.is_closed {
                return Err(SendError::Closed);
            }
            if !state.level.allows(item.event.level()) {
                state.counts.ignored += 1;
                return Ok(Pushed::Ignored);
            }
            state.sequence += 1;
            item.sequence = state.sequence;
            let (pushed, dropped) = state.queue.push(item);
            let counts = &mut state.counts;
            if pushed == Pushed::Kept {
                counts.accepted += 1;
            } else {
                counts.turned_away += 1;
            }
            (pushed, dropped)
        };
        self.dropped(&dropped, LossReason::QueueFull);
        self.work.notify_one();
        Ok(pushed)
    }

    /// Waits until a batch is due; false once there will be none any more.
    pub(super) async fn ready(&self, sink: &Sink) -> bool {
        loop {
            match self.due(sink) {
                Due::Now => return true,
                Due::Never => return false,
                Due::Unknown => self.work.notified().await,
                Due::At(time) => tokio::select! {
                    () = sleep_until(time) => return true,
                    () = self.work.notified() => {}
                },
            }
        }
    }

    /// Returns when the next batch leaves, as it looks now.
    fn due(&self, sink: &Sink) -> Due {
        let state = self.state();
        let Some(first) = state.queue.first() else {
            return if state.is_closed { Due::Never } else { Due::Unknown };
        };
        let limits = sink.limits();
        let is_full = state.queue.len() >= limits.batch_events_max()
            || state.queue.bytes() >= limits.batch_bytes_max();
        if is_full || state.is_closed || first.sequence <= state.flush_to {
            return Due::Now;
        }
        Due::At(first.queued_at + self.linger)
    }

    /// Takes the oldest events, as many as fit into one request.
    pub(super) fn take(&self, sink: &Sink) -> Vec<Item> {
        let mut state = self.state();
        let state = &mut *state;
        state.level_lowest = state.level;
        let (mut batch, mut items) = (sink.batch(), Vec::new());
        while let Some(first) = state.queue.first() {
            if batch.push(first.encoded.clone()).is_err() {
                break;
            }
            state.in_flight.insert(first.sequence, (first.id, first.event.name()));
            items.extend(state.queue.pop());
        }
        items
    }

    /// Returns those that the level has allowed ever since they were taken; the others are lost.
    pub(super) fn still_allowed(&self, items: Vec<Item>) -> Vec<Item> {
        let lowest = self.state().level_lowest;
        let (allowed, expired) =
            items.into_iter().partition(|item| lowest.allows(item.event.level()));
        let expired: Vec<_> = expired;
        self.lost(&expired, LossReason::Expired, None);
        allowed
    }

    /// Counts an answer to a whole request.
    pub(super) fn answered(&self, outcome: &Outcome) {
        let counts = &mut self.state().counts;
        *counts.requests.entry(outcome.as_str()).or_default() += 1;
        if outcome.pauses_sink() {
            counts.paused = outcome.reason().map(ToOwned::to_owned);
        } else if *outcome == Outcome::Delivered {
            counts.paused = None;
        }
    }

    pub(super) fn delivered(&self, items: &[Item]) {
        {
            let mut state = self.state();
            for item in items {
                let settled = state.in_flight.remove(&item.sequence).is_some();
                state.counts.delivered += u64::from(settled);
            }
        }
        self.progress.notify_waiters();
    }

    /// Counts and tells what was in flight and will not arrive.
    pub(super) fn lost(&self, items: &[Item], reason: LossReason, details: Option<&str>) {
        let settled = {
            let mut state = self.state();
            let lost = items.iter().filter_map(|item| state.in_flight.remove(&item.sequence));
            lost.collect()
        };
        self.count_lost(settled, reason, details);
    }

    /// Counts and tells what was taken out of the queue and will not be sent.
    fn dropped(&self, items: &[Item], reason: LossReason) {
        let dropped = items.iter().map(|item| (item.id, item.event.name())).collect();
        self.count_lost(dropped, reason, None);
    }

    fn count_lost(
        &self,
        lost: Vec<(Uuid, &'static str)>,
        reason: LossReason,
        details: Option<&str>,
    ) {
        if lost.is_empty() {
            return;
        }
        let count = u64::try_from(lost.len()).unwrap_or(u64::MAX);
        *self.state().counts.lost.entry(reason).or_default() += count;
        for (id, event) in lost {
            let details = details.map(ToOwned::to_owned);
            self.observer.tell(Loss { id, event, reason, details });
        }
        self.progress.notify_waiters();
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.work.notify_one();
    }

    /// Waits until what there is now is settled; returns what is left of it.
    pub(super) async fn flush(&self, deadline: Duration) -> Left {
        let target = {
            let mut state = self.state();
            state.flush_to = state.sequence;
            state.sequence
        };
        self.work.notify_one();
        let settled = async {
            loop {
                let mut progress = std::pin::pin!(self.progress.notified());
                // Before the look, or a settlement in between would be missed.
                progress.as_mut().enable();
                if self.left(target).is_empty() {
                    break;
                }
                progress.await;
            }
        };
        timeout(deadline, settled).await.ok();
        self.left(target)
    }

    /// Stops the sender; what is left is lost.
    pub(super) fn stop(&self) {
        if let Some(sender) = self.sender.get() {
            sender.abort();
        }
        let mut lost = Vec::new();
        {
            let mut state = self.state();
            lost.extend(std::mem::take(&mut state.in_flight).into_values());
            while let Some(item) = state.queue.pop() {
                lost.push((item.id, item.event.name()));
            }
        }
        self.count_lost(lost, LossReason::Shutdown, None);
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.state();
        let (queued, in_flight) = (state.queue.len(), state.in_flight.len());
        Counts { queued, in_flight, ..state.counts.clone() }
    }

    fn left(&self, target: u64) -> Left {
        let state = self.state();
        Left {
            queued: state.queue.len_up_to(target),
            in_flight: state.in_flight.range(..=target).count(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer {
    pub(super) fn none() -> Self {
        Self(Box::new(drop))
    }

    pub(super) fn new(observer: impl Fn(Loss) + Send + Sync + 'static) -> Self {
        Self(Box::new(observer))
    }

    /// Tells of a loss. An observer that panics must not stop the sender.
    fn tell(&self, loss: Loss) {
        catch_unwind(AssertUnwindSafe(|| (self.0)(loss))).ok();
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer(..)")
    }
}
