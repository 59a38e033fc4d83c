//! The event log, the queue and the attempt log, as people look at them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::LIMIT_MAX;
use crate::{
    Error, Result,
    log::{Attempt, DeliveryFilter, EventFilter, EventSummary, State, Stats},
    pattern::Pattern,
    scope::Scope,
};

/// What an event says, and whether its fan-out is under way.
#[derive(Debug)]
pub(crate) struct ViewsRow {
    pub(crate) payload: String,
    pub(crate) telemetry: Option<String>,
    pub(crate) headers: Option<String>,
    pub(crate) expanding: bool,
}

/// A pending delivery as it is stored; no due time while it is parked.
#[derive(Debug)]
pub(crate) struct DeliveryRow {
    pub(crate) delivery_id: i64,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: Option<String>,
    pub(crate) subscriber_id: i32,
    pub(crate) subscriber: Option<String>,
    pub(crate) subscription_id: Option<i32>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) due: bool,
    pub(crate) first_due_at: DateTime<Utc>,
    pub(crate) attempts: i16,
    pub(crate) crashes: i16,
    pub(crate) ordered: bool,
}

/// Which deliveries to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Only<'a> {
    /// One.
    This(i64),
    /// Those of a listing.
    Those(&'a DeliveryFilter),
}

pub(crate) async fn events(
    conn: &mut PgConnection,
    filter: &EventFilter,
    limit: i64,
) -> Result<Vec<EventSummary>> {
    sqlx::query_file_as!(
        EventSummary,
        "src/queries/list_events.sql",
        filter.pattern.as_ref().map(Pattern::as_str),
        filter.tenant,
        filter.scope.as_ref().map(Scope::as_str),
        filter.since,
        filter.until,
        filter.after,
        limit,
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("list the events"))
}

pub(crate) async fn event(conn: &mut PgConnection, event_id: Uuid) -> Result<Option<EventSummary>> {
    sqlx::query_file_as!(EventSummary, "src/queries/find_event.sql", event_id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("read the event"))
}

pub(crate) async fn views(conn: &mut PgConnection, event_id: Uuid) -> Result<Option<ViewsRow>> {
    sqlx::query_file_as!(ViewsRow, "src/queries/read_views.sql", event_id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("read what the event says"))
}

pub(crate) async fn attempts(
    conn: &mut PgConnection,
    event_id: Uuid,
    delivery_id: Option<i64>,
) -> Result<Vec<Attempt>> {
    let limit = i64::from(LIMIT_MAX);
    sqlx::query_file_as!(Attempt, "src/queries/list_attempts.sql", event_id, delivery_id, limit)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read what was tried"))
}

pub(crate) async fn deliveries(
    conn: &mut PgConnection,
    only: Only<'_>,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let (id, filter) = match only {
        Only::This(id) => (Some(id), None),
        Only::Those(filter) => (None, Some(filter)),
    };
    sqlx::query_file_as!(
        DeliveryRow,
        "src/queries/list_deliveries.sql",
        id,
        filter.and_then(|filter| filter.subscriber_id),
        filter.and_then(|filter| filter.event_id),
        filter.and_then(|filter| filter.state).map(State::as_str),
        filter.and_then(|filter| filter.after),
        limit,
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("list the deliveries"))
}

/// Makes a delivery due, and returns its lane; `None` if it is not pending.
pub(crate) async fn retry(conn: &mut PgConnection, delivery_id: i64) -> Result<Option<i32>> {
    let row = sqlx::query_file!("src/queries/retry.sql", delivery_id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("make the delivery due"))?;
    Ok(row.filter(|row| row.retried).map(|row| row.subscriber_id))
}

pub(crate) async fn stats(conn: &mut PgConnection) -> Result<Vec<Stats>> {
    sqlx::query_file_as!(Stats, "src/queries/stats.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("count what is pending"))
}
