//! Dead letters: deliveries that were given up, each with its own copy of the event.
//!
//! A replay is a new delivery of the same event, under the same event id, so that a receiver can tell that it is the
//! same; of an ordering key it comes after what is pending.
//!
//! Dead letters of our own lane, which expands large fan-outs, are not shown.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgTransaction};
use uuid::Uuid;

use crate::{
    Error, Result,
    pattern::Pattern,
    store::{
        self, LIMIT_DEFAULT,
        dead::{self as rows, Only},
    },
    wake,
};

/// Which dead letters are meant.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Those of this tenant only.
    pub tenant: Option<String>,
    /// Those of this subscriber only.
    pub subscriber_id: Option<i32>,
    /// Those of this event only.
    pub event_id: Option<Uuid>,
    /// Those whose type matches only.
    pub pattern: Option<Pattern>,
    /// Those that died of this only: `exhausted`, `refused`, `event_gone`, `worker_died` or `retention`.
    pub reason: Option<String>,
    /// Those that were replayed only, or those that were not.
    pub replayed: Option<bool>,
    /// Those older than this id: the last of the page before.
    pub after: Option<i64>,
    /// How many at most, 1 to 1,000; 100 by default.
    pub limit: u32,
}

/// A dead letter.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Letter {
    /// Its id.
    pub dead_id: i64,
    /// The delivery that was given up.
    pub delivery_id: i64,
    /// The event.
    pub event_id: Uuid,
    /// To whom.
    pub subscriber_id: i32,
    /// The subscriber's name; `None` where nothing is known of it any more.
    pub subscriber: Option<String>,
    /// The lowest subscription that matched.
    pub subscription_id: Option<i32>,
    /// The event's type; `None` where the event was gone already.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// The version of the type's schema.
    pub version: Option<i16>,
    /// The tenant; empty where the application has none.
    pub tenant: String,
    /// The scope path; empty at the root.
    pub scope: Option<String>,
    /// The key within which order is kept for subscriptions that ask for it.
    pub ordering_key: Option<String>,
    /// When it happened, in the words of the application.
    pub occurred_at: Option<DateTime<Utc>>,
    /// How many attempts were made.
    pub attempts: i16,
    /// When it was first due.
    pub first_due_at: DateTime<Utc>,
    /// When it was given up.
    pub died_at: DateTime<Utc>,
    /// Why: `exhausted`, `refused`, `event_gone`, `worker_died` or `retention`.
    pub reason: String,
    /// The status of the last attempt.
    pub last_status: Option<i16>,
    /// What went wrong in the last attempt.
    pub last_error: Option<String>,
    /// When it was replayed last.
    pub replayed_at: Option<DateTime<Utc>>,
}

/// A dead letter with its copy of the event.
#[derive(Clone, Debug, Serialize)]
pub struct Detail {
    /// What a list shows.
    #[serde(flatten)]
    pub letter: Letter,
    /// The notification view, the stored bytes exactly; `None` where the event was gone already.
    pub payload: Option<Box<RawValue>>,
    /// What travels beside the payload, `traceparent` for example.
    pub headers: Option<Box<RawValue>>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            tenant: None,
            subscriber_id: None,
            event_id: None,
            pattern: None,
            reason: None,
            replayed: None,
            after: None,
            limit: LIMIT_DEFAULT,
        }
    }
}

/// Lists dead letters, newest first.
///
/// # Errors
///
/// A limit out of its range, or a database that does not answer.
pub async fn list(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<Letter>> {
    let limit = store::limit(filter.limit)?;
    rows::list(conn, Only::Those(filter, limit)).await
}

/// Reads one dead letter with its copy of the event; `None` if there is none.
///
/// # Errors
///
/// A database that does not answer.
pub async fn show(conn: &mut PgConnection, dead_id: i64) -> Result<Option<Detail>> {
    let letter = rows::list(conn, Only::This(dead_id)).await?.pop();
    let Some(letter) = letter else { return Ok(None) };
    // Another one may prune it meanwhile.
    let Some(copy) = rows::copy(conn, dead_id).await? else { return Ok(None) };
    let raw = |column, text: Option<String>| {
        text.map(|text| store::raw("dead", column, text, &dead_id)).transpose()
    };
    let (payload, headers) = (raw("payload", copy.payload)?, raw("headers", copy.headers)?);
    Ok(Some(Detail { letter, payload, headers }))
}

/// Registers the delivery of a dead letter again, in the caller's transaction, and returns the new delivery's id;
/// `None` if there is no such dead letter.
///
/// Called twice, it makes two deliveries.
///
/// # Errors
///
/// It carries no copy of its event, or its subscriber was removed; the transaction stays usable.
/// A database that does not answer; the transaction is lost.
pub async fn replay(tx: &mut PgTransaction<'_>, dead_id: i64) -> Result<Option<i64>> {
    let Some(row) = rows::replay(tx, dead_id).await? else { return Ok(None) };
    match row.delivery_id {
        Some(delivery_id) => {
            wake::note(&[row.subscriber_id]);
            Ok(Some(delivery_id))
        }
        None if !row.has_event => Err(Error::Unreplayable { dead_id }),
        None if !row.has_subscriber => Err(Error::SubscriberGone { dead_id }),
        // It was there when the statement began.
        None => Ok(None),
    }
}

/// Replays the oldest dead letters that `filter` means, up to its limit, in the caller's transaction and in the order
/// in which they died; returns the ids of the new deliveries.
///
/// What was replayed already or cannot be is left out, so `replayed` and `after` of the filter play no part: call it
/// again, each time in a new transaction, until it returns none.
/// Small limits are kind to the application: until the transaction ends, whoever registers an event of an ordering key
/// that is replayed waits.
///
/// # Errors
///
/// A limit out of its range. A database that does not answer; the transaction is lost.
pub async fn replay_all(tx: &mut PgTransaction<'_>, filter: &Filter) -> Result<Vec<i64>> {
    let limit = store::limit(filter.limit)?;
    let chosen = rows::choose(tx, filter, limit).await?;
    rows::lock_keys(tx, &chosen).await?;
    let replayed = rows::replay_many(tx, &chosen).await?;
    let lanes: Vec<_> = replayed.iter().map(|(lane, _)| *lane).collect();
    wake::note(&lanes);
    Ok(replayed.into_iter().map(|(_, delivery_id)| delivery_id).collect())
}
