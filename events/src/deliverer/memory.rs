//! A deliverer that keeps what it is given, for tests and for measuring.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use uuid::Uuid;

use super::{Answer, BoxFuture, Deliverer, Destination, OpenError};
use crate::{delivery::Delivery, subscriber::Subscriber};

/// A rule by which the memory answers.
type Script = dyn Fn(&Delivery) -> Answer + Send + Sync;

/// Delivers into memory. Cloning shares what was delivered.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    kind: String,
    keep: usize,
    batch_max: usize,
    delivered: AtomicU64,
    kept: Mutex<VecDeque<Delivery>>,
    changed: watch::Sender<u64>,
    script: Option<Box<Script>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Memory").field("kind", &self.shared.kind).finish_non_exhaustive()
    }
}

impl Memory {
    /// Returns a memory of kind `memory` that accepts everything and keeps the last 10,000 deliveries.
    #[must_use]
    pub fn new() -> Self {
        Self::build("memory", 10_000, 1, None)
    }

    /// Returns a memory of another kind that accepts everything and keeps the last 10,000 deliveries.
    #[must_use]
    pub fn of_kind(kind: &str) -> Self {
        Self::build(kind, 10_000, 1, None)
    }

    /// Returns a memory that accepts everything in batches and keeps only the count.
    #[must_use]
    pub fn counting(batch_max: usize) -> Self {
        Self::build("memory", 0, batch_max, None)
    }

    /// Returns a memory of kind `memory` that answers as `script` says.
    #[must_use]
    pub fn scripted(script: impl Fn(&Delivery) -> Answer + Send + Sync + 'static) -> Self {
        Self::build("memory", 10_000, 1, Some(Box::new(script)))
    }

    fn build(kind: &str, keep: usize, batch_max: usize, script: Option<Box<Script>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind: kind.to_owned(),
                keep,
                batch_max,
                delivered: AtomicU64::new(0),
                kept: Mutex::new(VecDeque::new()),
                changed: watch::Sender::new(0),
                script,
            }),
        }
    }

    /// Returns how many deliveries were attempted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.delivered.load(Ordering::Acquire)
    }

    /// Returns what was attempted and is still kept, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Returns the event ids of [`deliveries`](Self::deliveries).
    #[must_use]
    pub fn event_ids(&self) -> Vec<Uuid> {
        self.deliveries().iter().map(|delivery| delivery.event.event_id).collect()
    }

    /// Waits until at least `count` deliveries were attempted.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_for(&self, count: u64) {
        let mut changed = self.shared.changed.subscribe();
        while self.count() < count && changed.changed().await.is_ok() {}
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Deliverer for Memory {
    fn kind(&self) -> &str {
        &self.shared.kind
    }

    fn open(&self, _subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(self.clone()))
    }
}

impl Destination for Memory {
    fn batch_max(&self) -> usize {
        self.shared.batch_max
    }

    fn in_flight_max(&self) -> usize {
        2000
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        let answers = deliveries
            .iter()
            .map(|delivery| match &self.shared.script {
                Some(script) => script(delivery),
                None => Answer::delivered(),
            })
            .collect();
        if self.shared.keep > 0 {
            let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(deliveries.iter().cloned());
            let over = kept.len().saturating_sub(self.shared.keep);
            kept.drain(..over);
        }
        let more = deliveries.len() as u64;
        let count = self.shared.delivered.fetch_add(more, Ordering::AcqRel) + more;
        self.shared.changed.send_replace(count);
        Box::pin(std::future::ready(answers))
    }
}
