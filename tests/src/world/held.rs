//! A deliverer of the kind `memory` that keeps what comes in until it is told to let go.

use std::{sync::Arc, time::Duration};

use tidings::{
    Deliverer, Destination,
    deliverer::{Answer, BoxFuture, OpenError},
    delivery::Delivery,
    subscriber::Subscriber,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::SOON;
use crate::signal::{Signal, watched};

/// Keeps deliveries until [`release`](Self::release); those that come later pass. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct Held {
    released: Signal,
    traffic: Arc<watch::Sender<Traffic>>,
}

/// What has gone through a [`Held`].
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// The events of all attempts, in the order of their beginning.
    pub events: Vec<Uuid>,
    /// How many are inside.
    pub inside: usize,
    /// How many were inside at most.
    pub inside_max: usize,
    /// How many attempts have come to their end and were not dropped.
    pub finished: usize,
    /// How often a destination was opened: once for each subscriber, and again after each change of one.
    pub opened: usize,
}

impl Held {
    /// Returns a deliverer that keeps what comes in.
    #[must_use]
    pub fn new() -> Self {
        Self { released: Signal::new(), traffic: Arc::new(watch::Sender::default()) }
    }

    /// Returns a deliverer that lets everything through, and counts.
    #[must_use]
    pub fn open_from_the_start() -> Self {
        let held = Self::new();
        held.release();
        held
    }

    /// Lets go what is inside and what comes.
    pub fn release(&self) {
        self.released.raise();
    }

    /// Returns what has gone through so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic.borrow().clone()
    }

    /// Waits until the traffic fulfils a condition, and returns it.
    pub async fn wait_until(
        &self,
        what: &str,
        condition: impl Fn(&Traffic) -> bool + Send,
    ) -> Traffic {
        watched(self.traffic.subscribe(), SOON, what, condition).await
    }

    /// Waits until so many attempts have begun.
    pub async fn wait_for(&self, attempts: usize) {
        self.wait_until("attempts begin", |traffic| traffic.events.len() >= attempts).await;
    }
}

impl Default for Held {
    fn default() -> Self {
        Self::new()
    }
}

impl Deliverer for Held {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn open(&self, _: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        self.traffic.send_modify(|traffic| traffic.opened += 1);
        Ok(Box::new(self.clone()))
    }
}

impl Destination for Held {
    fn timeout(&self) -> Duration {
        Duration::from_hours(1)
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            let inside = Inside::enter(self, deliveries);
            self.released.wait(2 * SOON).await;
            drop(inside);
            self.traffic.send_modify(|traffic| traffic.finished += deliveries.len());
            deliveries.iter().map(|_| Answer::delivered()).collect()
        })
    }
}

/// Counts deliveries that are inside, until they are through or dropped.
struct Inside<'a>(&'a Held, usize);

impl<'a> Inside<'a> {
    fn enter(held: &'a Held, deliveries: &[Delivery]) -> Self {
        held.traffic.send_modify(|traffic| {
            traffic.events.extend(deliveries.iter().map(|delivery| delivery.event.event_id));
            traffic.inside += deliveries.len();
            traffic.inside_max = traffic.inside_max.max(traffic.inside);
        });
        Self(held, deliveries.len())
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.traffic.send_modify(|traffic| traffic.inside -= self.1);
    }
}
