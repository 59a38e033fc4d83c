//! Deliveries that are pending.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Attempt, EventSummary};
use crate::{
    Result,
    store::{
        self, LIMIT_DEFAULT,
        log::{self as rows, Only},
    },
    wake,
};

/// Which deliveries to list.
#[derive(Clone, Debug)]
pub struct DeliveryFilter {
    /// Those to this subscriber only.
    pub subscriber_id: Option<i32>,
    /// Those of this event only.
    pub event_id: Option<Uuid>,
    /// Those in this state only.
    pub state: Option<State>,
    /// Those after this id: the last of the page before.
    pub after: Option<i64>,
    /// How many at most, 1 to 1,000; 100 by default.
    pub limit: u32,
}

/// Where a pending delivery stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its time has come: it is in a worker's hands, or will be soon unless its subscriber is stopped.
    Due,
    /// Its time is to come: it was delayed, or has failed and comes again.
    Waiting,
    /// It waits behind the head of its key.
    Parked,
}

/// A delivery that is pending.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Pending {
    /// The row's id.
    pub delivery_id: i64,
    /// The event.
    pub event_id: Uuid,
    /// The event's type; `None` where the event is gone.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// To whom.
    pub subscriber_id: i32,
    /// The subscriber's name; `None` where nothing is known of it any more.
    pub subscriber: Option<String>,
    /// The lowest subscription that matched.
    pub subscription_id: Option<i32>,
    /// Where it stands.
    pub state: State,
    /// When it is or was due; `None` while it is parked.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was first due; age counts from here.
    pub first_due_at: DateTime<Utc>,
    /// How many attempts have failed so far.
    pub attempts: i16,
    /// How many workers died while it was alone in their hands.
    pub crashes: i16,
    /// Whether it keeps the order of its key.
    pub ordered: bool,
}

/// A pending delivery with its event and what was tried.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub pending: Pending,
    /// The event; `None` where it is gone.
    pub event: Option<EventSummary>,
    /// What was tried, the first 1,000 attempts, oldest first.
    pub attempt_log: Vec<Attempt>,
}

impl Default for DeliveryFilter {
    fn default() -> Self {
        Self { subscriber_id: None, event_id: None, state: None, after: None, limit: LIMIT_DEFAULT }
    }
}

impl State {
    /// Returns the word that is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
        }
    }
}

/// Lists pending deliveries by id, which is the order of registering within a subscriber.
///
/// # Errors
///
/// A limit out of its range, or a database that does not answer.
pub async fn deliveries(conn: &mut PgConnection, filter: &DeliveryFilter) -> Result<Vec<Pending>> {
    let limit = store::limit(filter.limit)?;
    let rows = rows::deliveries(conn, Only::Those(filter), limit).await?;
    Ok(rows.into_iter().map(Pending::from).collect())
}

/// Reads one pending delivery with its event and what was tried; `None` if it is not pending, or no more.
///
/// # Errors
///
/// A database that does not answer.
pub async fn delivery(conn: &mut PgConnection, delivery_id: i64) -> Result<Option<DeliveryDetail>> {
    let rows = rows::deliveries(conn, Only::This(delivery_id), 1).await?;
    let Some(pending) = rows.into_iter().next().map(Pending::from) else { return Ok(None) };
    let event = rows::event(conn, pending.event_id).await?;
    let attempt_log = rows::attempts(conn, pending.event_id, Some(delivery_id)).await?;
    Ok(Some(DeliveryDetail { pending, event, attempt_log }))
}

/// Makes a pending delivery due now; answers whether it is pending.
///
/// Its attempts so far count on.
/// One that waits behind the head of its key goes on waiting, and one of a stopped subscriber waits as well.
///
/// # Errors
///
/// A database that does not answer.
pub async fn retry(conn: &mut PgConnection, delivery_id: i64) -> Result<bool> {
    let Some(lane) = rows::retry(conn, delivery_id).await? else { return Ok(false) };
    wake::note(&[lane]);
    Ok(true)
}

impl From<rows::DeliveryRow> for Pending {
    fn from(row: rows::DeliveryRow) -> Self {
        let state = match row.due_at {
            None => State::Parked,
            Some(_) if row.due => State::Due,
            Some(_) => State::Waiting,
        };
        Self {
            delivery_id: row.delivery_id,
            event_id: row.event_id,
            event_type: row.event_type,
            subscriber_id: row.subscriber_id,
            subscriber: row.subscriber,
            subscription_id: row.subscription_id,
            state,
            due_at: row.due_at,
            first_due_at: row.first_due_at,
            attempts: row.attempts,
            crashes: row.crashes,
            ordered: row.ordered,
        }
    }
}
