//! For the tests of applications: what an open transaction has registered, its deliveries without a worker, and
//! whether a catalogue fits the one before.
//!
//! A test opens a transaction, runs the code under test in it, looks, and rolls back.
//! Nothing is committed, so tests can share a database and run at once, and no worker has to be waited for.
//!
//! ```no_run
//! use schemars::JsonSchema;
//! use serde::Serialize;
//! use tidings::{
//!     Event, assert_registered,
//!     deliverer::Memory,
//!     refute_registered, register_event,
//!     testing::drain,
//! };
//!
//! #[derive(Event, Serialize, JsonSchema)]
//! #[event(name = "order:placed", version = 1)]
//! struct OrderPlaced { order: u64 }
//!
//! #[derive(Event, Serialize, JsonSchema)]
//! #[event(name = "order:refused", version = 1)]
//! struct OrderRefused { order: u64 }
//!
//! # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let mut tx = pool.begin().await?;
//! // The code under test.
//! register_event(&mut tx, &OrderPlaced { order: 7 }).await?;
//!
//! let seen = assert_registered!(&mut tx, OrderPlaced, |seen| seen.payload["order"] == 7);
//! assert_eq!(seen.scope, "");
//! refute_registered!(&mut tx, OrderRefused);
//!
//! // What its subscribers would get.
//! for (delivery, answer) in drain(&mut tx, &Memory::new()).await? {
//!     println!("{} gets {}: {answer:?}", delivery.subscriber_id, delivery.event.payload);
//! }
//! tx.rollback().await?;
//! # Ok(()) }
//! ```

mod batch;
mod catalogue;

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgTransaction;
use uuid::Uuid;

use self::batch::Queue;
pub use self::catalogue::{assert_compatible, assert_registrable, update_baseline};
use crate::{
    Answer, Destination, Error, Result, Verdict,
    delivery::Delivery,
    store::{self, testing as rows},
};

/// An event that the open transaction has registered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// The public id.
    pub event_id: Uuid,
    /// The colon path.
    pub event_type: String,
    /// The version of the type's schema.
    pub version: i16,
    /// The tenant; empty where the application has none.
    pub tenant: String,
    /// The scope path; empty at the root.
    pub scope: String,
    /// The key within which order is kept.
    pub ordering_key: Option<String>,
    /// When it happened, in the words of the application.
    pub occurred_at: DateTime<Utc>,
    /// The notification view.
    pub payload: Value,
    /// The telemetry view; null where there is none.
    pub telemetry: Value,
    /// What travels beside the payload, `traceparent` for example; null where there is nothing.
    pub headers: Value,
}

/// Returns the events that this open transaction has registered, of every type and in the order of registering.
///
/// What others have committed meanwhile is not among them, and what was rolled back to a savepoint is not either.
///
/// # Errors
///
/// The database did not answer; the transaction is lost.
pub async fn registered_all(tx: &mut PgTransaction<'_>) -> Result<Vec<Seen>> {
    rows::events(tx).await?.into_iter().map(Seen::try_from).collect()
}

/// Returns the events of `event_type` that this open transaction has registered, in the order of registering.
///
/// # Errors
///
/// Those of [`registered_all`].
pub async fn registered(tx: &mut PgTransaction<'_>, event_type: &str) -> Result<Vec<Seen>> {
    let mut seen = registered_all(tx).await?;
    seen.retain(|seen| seen.event_type == event_type);
    Ok(seen)
}

/// Hands what this open transaction has made due to `destination`, without any worker, and returns each delivery with
/// its answer, in the order of delivering.
///
/// The destination gets the deliveries of all subscribers, whatever their kind; each subscriber's come in the order of
/// registering, in batches as large as the destination takes.
/// An answer is settled as a worker would settle it: delivered ones are gone, refused ones are dead letters, and
/// after [`Verdict::Gone`] the subscriber is disabled.
/// A failed one stays due, behind it whatever has its ordering key, and the next call is the next attempt; after
/// [`Verdict::RetryAfter`] the subscriber's other deliveries wait for that call as well.
/// A delayed event is not due.
///
/// # Errors
///
/// A fan-out to more than 64 subscribers, which only a worker expands, or a database that does not answer.
///
/// # Cancel safety
///
/// Not cancel safe, as any transaction: roll back.
pub async fn drain(
    tx: &mut PgTransaction<'_>,
    destination: &dyn Destination,
) -> Result<Vec<(Delivery, Answer)>> {
    if let Some(event_id) = rows::expansion(tx).await? {
        return Err(Error::Unexpanded { event_id });
    }
    let mut queue = Queue::new(rows::deliveries(tx).await?);
    let mut done = Vec::new();
    while let Some(batch) = queue.next_batch(destination.batch_max()) {
        let (pending, deliveries): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let answers = deliver(destination, &deliveries).await;
        for ((pending, delivery), answer) in pending.into_iter().zip(deliveries).zip(answers) {
            settle(tx, &pending, &answer).await?;
            queue.answered(&pending, answer.verdict);
            done.push((delivery, answer));
        }
    }
    Ok(done)
}

/// Delivers a batch, and makes the answers as many as the deliveries.
async fn deliver(destination: &dyn Destination, deliveries: &[Delivery]) -> Vec<Answer> {
    let timeout = destination.timeout();
    let answers = tokio::time::timeout(timeout, destination.deliver(deliveries)).await;
    let (mut answers, error) = match answers {
        Ok(answers) => (answers, "the destination gave no answer for this delivery".to_owned()),
        Err(_) => (Vec::new(), format!("the destination took longer than {timeout:?}")),
    };
    answers.resize(deliveries.len(), Answer::failed(Verdict::Retry, error));
    answers
}

async fn settle(
    tx: &mut PgTransaction<'_>,
    pending: &rows::Pending,
    answer: &Answer,
) -> Result<()> {
    match answer.verdict {
        Verdict::Delivered | Verdict::Filtered => rows::delivered(tx, pending).await,
        // It waits as it is; the clock of a test does not move.
        Verdict::Throttled(_) => Ok(()),
        Verdict::Retry | Verdict::RetryAfter(_) => rows::failed(tx, pending).await,
        Verdict::Refused => rows::refused(tx, pending, answer).await,
        Verdict::Gone => {
            rows::failed(tx, pending).await?;
            let reason = answer.error.as_deref().unwrap_or("the destination is gone");
            store::disable(tx, pending.subscriber_id, None, reason).await?;
            Ok(())
        }
    }
}

/// Returns the first event that satisfies `predicate`.
///
/// # Panics
///
/// There is none, or the database did not answer.
#[doc(hidden)]
#[track_caller]
pub fn expect_one(
    all: Result<Vec<Seen>>,
    event_type: &str,
    predicate: impl Fn(&Seen) -> bool,
) -> Seen {
    let all = answered(all);
    let story = story(&all, event_type);
    let mut of_type = all.into_iter().filter(|seen| seen.event_type == event_type);
    match of_type.find(predicate) {
        Some(seen) => seen,
        None => panic!("no such `{event_type}` was registered in this transaction; {story}"),
    }
}

/// Checks that no event satisfies `predicate`.
///
/// # Panics
///
/// There is one, or the database did not answer.
#[doc(hidden)]
#[track_caller]
pub fn expect_none(all: Result<Vec<Seen>>, event_type: &str, predicate: impl Fn(&Seen) -> bool) {
    let all = answered(all);
    let found = all.iter().find(|seen| seen.event_type == event_type && predicate(seen));
    if let Some(found) = found {
        panic!("`{event_type}` was registered in this transaction: {}", found.payload);
    }
}

#[track_caller]
fn answered(all: Result<Vec<Seen>>) -> Vec<Seen> {
    match all {
        Ok(all) => all,
        Err(error) => panic!("read what this transaction has registered: {error:?}"),
    }
}

/// Tells what was registered, those of `event_type` with their content.
fn story(all: &[Seen], event_type: &str) -> String {
    let mut story = match all.len() {
        0 => return "nothing was registered".to_owned(),
        _ => "registered were:".to_owned(),
    };
    for seen in all {
        // Writing to a string cannot fail.
        write!(story, "\n  {}", seen.event_type).ok();
        if seen.event_type == event_type {
            write!(story, " {}", seen.payload).ok();
        }
    }
    story
}

impl TryFrom<rows::EventRow> for Seen {
    type Error = Error;

    fn try_from(row: rows::EventRow) -> Result<Self> {
        let event_id = row.event_id;
        let json = |column, text: Option<&str>| match text {
            None => Ok(Value::Null),
            Some(text) => serde_json::from_str(text).map_err(|_| Error::Corrupt {
                table: "event",
                column,
                row: event_id.to_string(),
            }),
        };
        Ok(Self {
            event_id,
            payload: json("payload", Some(&row.payload))?,
            telemetry: json("telemetry", row.telemetry.as_deref())?,
            headers: json("headers", row.headers.as_deref())?,
            event_type: row.event_type,
            version: row.version,
            tenant: row.tenant,
            scope: row.scope,
            ordering_key: row.ordering_key,
            occurred_at: row.occurred_at,
        })
    }
}

/// Asserts that the open transaction has registered an event of a type, and returns the first.
///
/// A predicate over [`Seen`] says more about it.
/// The [module](crate::testing) has an example.
///
/// # Panics
///
/// There is none; the message lists what was registered instead. Also if the database does not answer.
#[macro_export]
macro_rules! assert_registered {
    ($tx:expr, $event:ty $(,)?) => {
        $crate::assert_registered!($tx, $event, |_| true)
    };
    ($tx:expr, $event:ty, $predicate:expr $(,)?) => {
        $crate::testing::expect_one(
            $crate::testing::registered_all($tx).await,
            <$event as $crate::Event>::describe().name.as_str(),
            $predicate,
        )
    };
}

/// Asserts that the open transaction has registered no event of a type.
///
/// With a predicate over [`Seen`]: none that satisfies it.
/// The [module](crate::testing) has an example.
///
/// # Panics
///
/// There is one; the message shows it. Also if the database does not answer.
#[macro_export]
macro_rules! refute_registered {
    ($tx:expr, $event:ty $(,)?) => {
        $crate::refute_registered!($tx, $event, |_| true)
    };
    ($tx:expr, $event:ty, $predicate:expr $(,)?) => {
        $crate::testing::expect_none(
            $crate::testing::registered_all($tx).await,
            <$event as $crate::Event>::describe().name.as_str(),
            $predicate,
        )
    };
}

#[cfg(test)]
mod tests;
