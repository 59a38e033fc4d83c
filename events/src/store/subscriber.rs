//! Subscribers.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    Error, Result,
    subscriber::{Filter, NewSubscriber, View},
};

/// A subscriber as it is stored.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subscriber_id: i32,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) view: View,
    pub(crate) shard: i16,
    pub(crate) config: Value,
    pub(crate) version: i32,
    pub(crate) in_flight_max: Option<i32>,
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) retry: Option<Value>,
    pub(crate) paused_at: Option<DateTime<Utc>>,
    pub(crate) disabled_at: Option<DateTime<Utc>>,
    pub(crate) disabled_reason: Option<String>,
    pub(crate) breaker: Option<Value>,
    /// Whether its breaker is open, also while one delivery is tried.
    pub(crate) open: Option<bool>,
    pub(crate) held_back_until: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) subscription_count: i64,
}

pub(crate) async fn kinds(conn: &mut PgConnection) -> Result<Vec<String>> {
    let rows = sqlx::query_file!("src/queries/kinds.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the kinds of subscribers"))?;
    Ok(rows.into_iter().map(|row| row.kind).collect())
}

/// Reads a subscriber that is about to be changed, with its version, and keeps other changes away.
pub(crate) async fn lock(conn: &mut PgConnection, id: i32) -> Result<Option<(NewSubscriber, i32)>> {
    let row = sqlx::query_file!("src/queries/lock_subscriber.sql", id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("read the subscriber"))?;
    Ok(row.map(|row| {
        let mut subscriber = NewSubscriber::new(row.name, row.kind, row.config);
        subscriber.view = row.view;
        subscriber.tenant = row.tenant;
        subscriber.in_flight_max = row.in_flight_max;
        subscriber.rate_per_s = row.rate_per_s;
        subscriber.retry = row.retry;
        (subscriber, row.version)
    }))
}

/// Writes what was changed of a subscriber, and returns its version; `None` if its name is taken.
pub(crate) async fn update(
    conn: &mut PgConnection,
    id: i32,
    changed: &NewSubscriber,
) -> Result<Option<i32>> {
    sqlx::query_file_scalar!(
        "src/queries/update_subscriber.sql",
        id,
        changed.name,
        changed.config,
        changed.in_flight_max,
        changed.rate_per_s,
        changed.retry,
    )
    .fetch_optional(conn)
    .await
    .map_err(Error::unanswered("change the subscriber"))
}

/// Adds a subscriber; `None` if its name is taken.
pub(crate) async fn add(conn: &mut PgConnection, new: &NewSubscriber) -> Result<Option<i32>> {
    let row = sqlx::query_file!(
        "src/queries/add_subscriber.sql",
        new.tenant,
        new.name,
        new.kind,
        new.view.as_str(),
        new.config,
        new.in_flight_max,
        new.rate_per_s,
        new.retry,
    )
    .fetch_optional(conn)
    .await
    .map_err(Error::unanswered("add the subscriber"))?;
    Ok(row.map(|row| row.subscriber_id))
}

pub(crate) async fn list(conn: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Vec<Row>> {
    sqlx::query_file_as!(
        Row,
        "src/queries/list_subscribers.sql",
        filter.tenant,
        filter.kind,
        filter.after,
        limit,
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("list the subscribers"))
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    tenant: &str,
    name_or_id: &str,
) -> Result<Option<Row>> {
    let id: Option<i32> = name_or_id.parse().ok();
    sqlx::query_file_as!(Row, "src/queries/find_subscriber.sql", tenant, name_or_id, id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("read the subscriber"))
}

/// Returns the tenant of a subscriber and the view that it gets, or `None` if there is no such subscriber.
pub(crate) async fn tenant(conn: &mut PgConnection, id: i32) -> Result<Option<(String, View)>> {
    let row = sqlx::query_file!("src/queries/find_tenant.sql", id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("read the tenant of the subscriber"))?;
    Ok(row.map(|row| (row.tenant, row.view)))
}

pub(crate) async fn pause(conn: &mut PgConnection, id: i32) -> Result<bool> {
    sqlx::query_scalar!(r#"select tidings.pause($1) as "paused!""#, id)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("pause the subscriber"))
}

pub(crate) async fn resume(conn: &mut PgConnection, id: i32) -> Result<bool> {
    sqlx::query_scalar!(r#"select tidings.resume($1) as "resumed!""#, id)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("resume the subscriber"))
}

pub(crate) async fn remove(conn: &mut PgConnection, id: i32) -> Result<bool> {
    sqlx::query_scalar!(r#"select tidings.remove_subscriber_v1($1) as "removed!""#, id)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("remove the subscriber"))
}
