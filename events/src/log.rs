//! What was registered, what of it is still to be delivered, and what was tried: the outbox as people look at it.
//!
//! It is read while workers write, so two looks may differ.
//! The queue has the one index that workers need; a look at one delivery or at one event's deliveries reads all that is
//! pending, which is for people and not for a loop.
//!
//! Our own lane, which expands large fan-outs, is not shown; an event whose fan-out is under way says so.

mod delivery;
mod event;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

pub use self::{
    delivery::{DeliveryDetail, DeliveryFilter, Pending, State, deliveries, delivery, retry},
    event::{EventDetail, EventFilter, EventSummary, event, events},
};
use crate::{Result, store};

/// One attempt to deliver, as far as the workers keep a log of them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// When its outcome was stored.
    pub at: DateTime<Utc>,
    /// The delivery; a replay has another one.
    pub delivery_id: i64,
    /// Who was called.
    pub subscriber_id: i32,
    /// The subscriber's name; `None` where nothing is known of it any more.
    pub subscriber: Option<String>,
    /// The lowest subscription that matched.
    pub subscription_id: Option<i32>,
    /// The number of the attempt, from one.
    pub attempt: i16,
    /// What came of it: `delivered`, `retry` or `bury`.
    pub outcome: String,
    /// The status of the destination, an HTTP status for example.
    pub status: Option<i16>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: Option<i32>,
    /// What went wrong.
    pub error: Option<String>,
}

/// How much waits for one subscriber.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Stats {
    /// The subscriber.
    pub subscriber_id: i32,
    /// Its name.
    pub name: String,
    /// Which deliverer serves it.
    pub kind: String,
    /// How many deliveries are pending, those in somebody's hands included.
    pub pending: i64,
    /// How many of them wait behind the head of their key.
    pub parked: i64,
    /// How many of them are due.
    pub due: i64,
    /// When the first of them is or was due; `None` where none will be by itself.
    pub oldest_due_at: Option<DateTime<Utc>>,
    /// How many dead letters there are that were not replayed.
    pub dead: i64,
}

/// Counts what waits, by subscriber; it reads all that is pending.
///
/// # Errors
///
/// A database that does not answer.
pub async fn stats(conn: &mut PgConnection) -> Result<Vec<Stats>> {
    store::log::stats(conn).await
}
