//! Sending events to analytics from a process that has no database.
//!
//! What is sent waits in memory, so a process that ends takes it along; an application with a database registers its
//! events instead, and a worker sends them.
//! Nothing is lost without being counted: every event that was accepted is delivered, waiting, or lost for a reason that
//! [`Client::counts`] and the observer of losses tell.
//!
//! ```text
//! send_event ──▶ queue ──batch──▶ sender (one task, one request at a time) ──▶ sink
//!      │            │                   │
//!   refused      dropped         rejected, given up, expired, shut down
//! ```

mod builder;
mod counts;
mod error;
mod event;
mod http;
mod queue;
mod retry;
mod sender;
mod shared;
mod sources;

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

pub use self::{
    builder::{Builder, QueueLimits},
    counts::{Counts, Loss, LossReason},
    error::{BuildError, SendError},
    event::Event,
    queue::WhenFull,
    retry::Retry,
    sources::Sources,
};
use self::{
    queue::{Item, Pushed},
    shared::Shared,
};
use crate::{
    Level, Memory, TelemetryData,
    wire::{Identity, Message, Name, Properties, Sink},
};

/// Sends events to a sink from a process that has no database.
///
/// Clones share the queue. When the last one is dropped, what waits is still sent; [`Client::shutdown`] waits for it.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    // Ends the sender once nobody can send any more.
    _closer: Arc<Closer>,
}

/// Where a client sends to.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A service.
    Sink(Box<Sink>),
    /// What keeps the messages, for tests. Messages are there as soon as they are sent.
    Memory(Memory),
}

/// What has become of an event that was handed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// It waits to be sent, under this id.
    Queued(Uuid),
    /// It is not collected: the level does not allow it, or the process was asked not to track.
    Ignored,
    /// There was no room, and the newest are dropped then. It is counted.
    Dropped,
}

/// What a client still has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Left {
    /// How many events wait.
    pub queued: usize,
    /// How many are in a request that was not answered yet, or wait to be sent again.
    pub in_flight: usize,
}

/// Closes the queue when it is dropped.
#[derive(Debug)]
struct Closer(Arc<Shared>);

impl Client {
    /// Returns a builder of a client of `backend`, for the installation of this id.
    ///
    /// The installation is who acts where an event has no identity of its own.
    pub fn builder(backend: impl Into<Backend>, installation: Uuid, sources: Sources) -> Builder {
        Builder::new(backend.into(), installation, sources)
    }

    fn new(shared: Arc<Shared>) -> Self {
        let closer = Arc::new(Closer(Arc::clone(&shared)));
        Self { shared, _closer: closer }
    }

    /// Sends an event of the installation.
    ///
    /// It returns at once: the event waits in memory until its batch leaves.
    ///
    /// # Errors
    ///
    /// The event is none that the sink takes; the queue is full and refuses; or the client was shut down.
    pub fn send_event(&self, event: &Event, data: &TelemetryData) -> Result<Sent, SendError> {
        self.send_event_of(event, Identity::default(), data)
    }

    /// Sends an event of somebody; without a user and an anonymous id it is one of the installation.
    ///
    /// # Errors
    ///
    /// As with [`Client::send_event`].
    pub fn send_event_of(
        &self,
        event: &Event,
        identity: Identity,
        data: &TelemetryData,
    ) -> Result<Sent, SendError> {
        let shared = &self.shared;
        if !shared.level().allows(event.level()) {
            shared.ignored();
            return Ok(Sent::Ignored);
        }
        let now = shared.sources.now();
        let id = shared.sources.event_id(now);
        let name = Name::new(event.name())?;
        let identity = identity.or_installation(shared.installation)?;
        let properties = Properties::of_telemetry(event.name(), data, &shared.context);
        let message =
            Message::new(id, event.call(), name, identity, now)?.with_properties(properties);
        self.hand_over(event, message)
    }

    fn hand_over(&self, event: &Event, message: Message) -> Result<Sent, SendError> {
        let id = message.id();
        let sink = match &self.shared.backend {
            Backend::Sink(sink) => sink,
            Backend::Memory(memory) => {
                self.shared.keep(memory, message)?;
                return Ok(Sent::Queued(id));
            }
        };
        let encoded = sink.encode(&message)?;
        match self.shared.push(Item::new(id, event, encoded))? {
            Pushed::Kept => Ok(Sent::Queued(id)),
            Pushed::Ignored => Ok(Sent::Ignored),
            Pushed::Refused => Err(SendError::Full),
            Pushed::Dropped => Ok(Sent::Dropped),
        }
    }

    /// Changes what is collected; what waits and is not allowed any more is dropped and counted as expired.
    ///
    /// What was lowered and raised again in between stays dropped.
    pub fn set_level(&self, level: Level) {
        self.shared.set_level(level);
    }

    /// Returns what is collected: `off` if the process was asked not to track.
    pub fn level(&self) -> Level {
        self.shared.level()
    }

    /// Sends what waits without gathering more, and waits until it is delivered or lost, `deadline` at the longest.
    ///
    /// Returns what is left of it; nothing of that is lost, the client goes on trying.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped changes nothing: what waits is still sent.
    pub async fn flush(&self, deadline: Duration) -> Left {
        self.shared.flush(deadline).await
    }

    /// Takes nothing more, waits like [`Client::flush`], and then stops.
    ///
    /// Returns what was left when time was up; it is lost, and counted as such.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves a client that takes nothing more and goes on sending.
    pub async fn shutdown(&self, deadline: Duration) -> Left {
        self.shared.close();
        let left = self.shared.flush(deadline).await;
        self.shared.stop();
        left
    }

    /// Returns how many events have taken which way.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl From<Sink> for Backend {
    fn from(sink: Sink) -> Self {
        Self::Sink(Box::new(sink))
    }
}

impl From<Memory> for Backend {
    fn from(memory: Memory) -> Self {
        Self::Memory(memory)
    }
}

impl Left {
    /// Returns whether nothing is left.
    pub const fn is_empty(self) -> bool {
        self.queued == 0 && self.in_flight == 0
    }
}
