//! Events in the log.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Attempt, DeliveryFilter, Pending};
use crate::{
    Result,
    dead::{self, Letter},
    pattern::Pattern,
    scope::Scope,
    store::{self, LIMIT_DEFAULT, LIMIT_MAX, log as rows},
};

/// Which events to list.
#[derive(Clone, Debug)]
pub struct EventFilter {
    /// Those whose type matches only.
    pub pattern: Option<Pattern>,
    /// Those of this tenant only.
    pub tenant: Option<String>,
    /// Those within this scope only.
    pub scope: Option<Scope>,
    /// Those registered at this time or later only.
    pub since: Option<DateTime<Utc>>,
    /// Those registered before this time only.
    pub until: Option<DateTime<Utc>>,
    /// Those older than this id: the last of the page before.
    pub after: Option<Uuid>,
    /// How many at most, 1 to 1,000; 100 by default.
    pub limit: u32,
}

/// An event in a list.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct EventSummary {
    /// The public id, a `UUIDv7`.
    pub event_id: Uuid,
    /// The colon path.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the type's schema.
    pub version: i16,
    /// The tenant; empty where the application has none.
    pub tenant: String,
    /// The scope path; empty at the root.
    pub scope: String,
    /// The key within which order is kept for subscriptions that ask for it.
    pub ordering_key: Option<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it happened, in the words of the application.
    pub occurred_at: DateTime<Utc>,
    /// The size of the notification view, in bytes of JSON.
    pub payload_bytes: i32,
}

/// An event with what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct EventDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub event: EventSummary,
    /// The notification view, the stored bytes exactly.
    pub payload: Box<RawValue>,
    /// The telemetry view, the stored bytes exactly; `None` where there is none.
    pub telemetry: Option<Box<RawValue>>,
    /// What travels beside the payload, `traceparent` for example.
    pub headers: Option<Box<RawValue>>,
    /// Whether its fan-out is so large that a worker is still writing its deliveries.
    pub expanding: bool,
    /// What is still to be delivered, the first 1,000; [`deliveries`](super::deliveries) lists the rest.
    pub pending: Vec<Pending>,
    /// What was tried, the first 1,000 attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What was given up, the last 1,000, newest first.
    pub dead: Vec<Letter>,
}

impl Default for EventFilter {
    fn default() -> Self {
        Self {
            pattern: None,
            tenant: None,
            scope: None,
            since: None,
            until: None,
            after: None,
            limit: LIMIT_DEFAULT,
        }
    }
}

/// Lists events, newest first.
///
/// # Errors
///
/// A limit out of its range, or a database that does not answer.
pub async fn events(conn: &mut PgConnection, filter: &EventFilter) -> Result<Vec<EventSummary>> {
    let limit = store::limit(filter.limit)?;
    rows::events(conn, filter, limit).await
}

/// Reads one event with what became of it; `None` if there is none, or no more.
///
/// Dead letters outlive their event; [`dead::list`] finds them by its id.
///
/// # Errors
///
/// A database that does not answer.
pub async fn event(conn: &mut PgConnection, event_id: Uuid) -> Result<Option<EventDetail>> {
    let Some(summary) = rows::event(conn, event_id).await? else { return Ok(None) };
    // Its partition may be dropped meanwhile.
    let Some(views) = rows::views(conn, event_id).await? else { return Ok(None) };
    let raw = |column, text| store::raw("event", column, text, &event_id);
    let pending =
        DeliveryFilter { event_id: Some(event_id), limit: LIMIT_MAX, ..DeliveryFilter::default() };
    let dead =
        dead::Filter { event_id: Some(event_id), limit: LIMIT_MAX, ..dead::Filter::default() };
    Ok(Some(EventDetail {
        event: summary,
        payload: raw("payload", views.payload)?,
        telemetry: views.telemetry.map(|text| raw("telemetry", text)).transpose()?,
        headers: views.headers.map(|text| raw("headers", text)).transpose()?,
        expanding: views.expanding,
        pending: super::deliveries(conn, &pending).await?,
        attempts: rows::attempts(conn, event_id, None).await?,
        dead: dead::list(conn, &dead).await?,
    }))
}
