//! What delivers: the seam between the worker and every kind of destination.
//!
//! A [`Deliverer`] serves one kind of subscriber (`webhook`, `memory`, or a kind of the application's own).
//! The worker opens one [`Destination`] per subscriber and hands it batches of deliveries.
//! Everything around it (ownership, limits, retries, order, settling) is the worker's business.
//!
//! # Recipe: a destination of your own
//!
//! Implement both traits, run [`crate::conformance`] against them in a test, and register the deliverer with
//! `Worker::builder().deliverer(..)`.
//! Subscribers of the new kind are then held only by workers that know it.

pub mod memory;

use std::{fmt, future::Future, pin::Pin, time::Duration};

pub use self::memory::Memory;
use crate::{delivery::Delivery, subscriber::Subscriber};

/// A future that may be sent between threads, boxed so that the traits stay object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens destinations of one kind.
pub trait Deliverer: fmt::Debug + Send + Sync + 'static {
    /// Returns the kind of subscriber that this deliverer serves, `webhook` for example.
    fn kind(&self) -> &str;

    /// Returns how many shards the group of this kind gets when it is first seen.
    ///
    /// The number is stored then and never changes, so that a subscriber's shard stays what it is.
    /// At most this many workers share the kind.
    fn shards(&self) -> u16 {
        16
    }

    /// Opens the destination of `subscriber`.
    ///
    /// It is called once per lane and again after every change of the subscriber; it does no network I/O.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be used. Each due delivery of the lane then fails with this error and is
    /// retried on its ladder, so that a repaired configuration loses nothing.
    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError>;
}

/// One subscriber's endpoint, ready to take deliveries.
///
/// # Contract
///
/// * **Answers.** [`deliver`](Self::deliver) returns exactly one answer per delivery, in the same order.
///   A missing answer counts as [`Verdict::Retry`].
/// * **At least once.** A delivery may come again, under the same event id, after a crash or a takeover.
/// * **Concurrency.** The worker calls `deliver` for several batches of one lane at once, never beyond the
///   lane's limit of deliveries in flight. Deliveries that share an ordering key never overlap.
/// * **Time.** A call is dropped after [`timeout`](Self::timeout); its deliveries then count as failed attempts.
/// * **Panics** are caught and count as failed attempts of the batch.
///
/// # Cancel safety
///
/// The future may be dropped at any await point. What was sent by then may be sent again.
pub trait Destination: fmt::Debug + Send + Sync + 'static {
    /// Returns the largest number of deliveries in one call, at least one.
    fn batch_max(&self) -> usize {
        1
    }

    /// Returns how many deliveries may be in flight where the subscriber itself sets no limit.
    fn in_flight_max(&self) -> usize {
        16
    }

    /// Returns how long one call may take in all.
    fn timeout(&self) -> Duration;

    /// Delivers a batch, oldest first, and says what became of each.
    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>>;
}

/// What became of one delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// What the worker has to do about it.
    pub verdict: Verdict,
    /// The status of the destination, an HTTP status for example.
    pub status: Option<u16>,
    /// What went wrong, for the attempt log; kept to its first 1,000 characters.
    pub error: Option<String>,
    /// The stored key by which the destination verifies, where that is known: the `secret_id` of a
    /// [`SigningKey`](crate::subscriber::SigningKey). The worker writes it down now and then.
    pub verified_by: Option<i32>,
}

/// What the worker has to do about an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The destination has it.
    Delivered,
    /// It may work later; the ladder says when.
    Retry,
    /// It may work later, and nothing of this lane may be sent before so much time has passed.
    RetryAfter(Duration),
    /// The destination takes nothing for so long, whatever it is: the lane waits, and no attempt is counted.
    Throttled(Duration),
    /// It can never work; the delivery is buried.
    Refused,
    /// It is not to be sent, and that is no failure: the delivery is settled, and the attempt log says why.
    Filtered,
    /// The destination is gone for good; the subscriber is disabled, and its deliveries wait.
    Gone,
}

impl Answer {
    /// Returns an answer that the destination has the delivery.
    #[must_use]
    pub const fn delivered() -> Self {
        Self { verdict: Verdict::Delivered, status: None, error: None, verified_by: None }
    }

    /// Returns an answer with `verdict`, explained by `error`.
    #[must_use]
    pub fn failed(verdict: Verdict, error: impl Into<String>) -> Self {
        Self { verdict, status: None, error: Some(error.into()), verified_by: None }
    }

    /// Returns an answer that the delivery was not sent on purpose, and why.
    #[must_use]
    pub fn filtered(reason: impl Into<String>) -> Self {
        Self::failed(Verdict::Filtered, reason)
    }

    /// Adds the status of the destination.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds the key by which the destination verifies, if that is known.
    #[must_use]
    pub const fn with_verified_by(mut self, secret_id: Option<i32>) -> Self {
        self.verified_by = secret_id;
        self
    }
}

/// A subscriber whose configuration a deliverer cannot use.
#[derive(Clone, Debug, thiserror::Error)]
#[error("open the destination: {reason}")]
pub struct OpenError {
    /// What is wrong, and what to do.
    pub reason: String,
}

impl OpenError {
    /// Returns the error for `reason`, a sentence for the person who will repair the subscriber.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}
