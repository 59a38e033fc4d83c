//! What an open transaction has written, for the tests of applications.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Answer, Error, Result,
    catalogue::TypeVersion,
    delivery::{Delivery, RegisteredEvent},
};

/// An event of this transaction.
#[derive(Debug)]
pub(crate) struct EventRow {
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) version: i16,
    pub(crate) tenant: String,
    pub(crate) scope: String,
    pub(crate) ordering_key: Option<String>,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) payload: String,
    pub(crate) telemetry: Option<String>,
    pub(crate) headers: Option<String>,
}

/// What settles a delivery of this transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) subscriber_id: i32,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) delivery_id: i64,
    pub(crate) key_hash: Option<i32>,
}

impl Pending {
    /// Returns the subscriber with the ordering key, where there is one.
    pub(crate) fn lane_key(&self) -> Option<(i32, i32)> {
        self.key_hash.map(|key_hash| (self.subscriber_id, key_hash))
    }
}

pub(crate) async fn events(conn: &mut PgConnection) -> Result<Vec<EventRow>> {
    sqlx::query_file_as!(EventRow, "src/queries/read_own_events.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read what the transaction has registered"))
}

/// Reads what the transaction has made due, by subscriber and in the order of registering.
pub(crate) async fn deliveries(conn: &mut PgConnection) -> Result<Vec<(Pending, Delivery)>> {
    let rows = sqlx::query_file!("src/queries/read_own_deliveries.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read what the transaction has made due"))?;
    let rows = rows.into_iter().map(|row| {
        let pending = Pending {
            subscriber_id: row.subscriber_id,
            due_at: row.due_at,
            delivery_id: row.delivery_id,
            key_hash: row.key_hash,
        };
        let delivery = Delivery {
            delivery_id: row.delivery_id,
            subscriber_id: row.subscriber_id,
            subscription_id: row.subscription_id,
            attempt: u16::try_from(row.failed).unwrap_or(0).saturating_add(1),
            first_due_at: row.first_due_at,
            call: row.call.and_then(|call| call.parse().ok()),
            event: RegisteredEvent {
                event_id: row.event_id,
                event_type: row.event_type,
                version: row.version,
                tenant: row.tenant,
                scope: row.scope,
                ordering_key: row.ordering_key,
                occurred_at: row.occurred_at,
                payload: row.payload,
                headers: row.headers,
            },
        };
        (pending, delivery)
    });
    Ok(rows.collect())
}

/// Returns an event whose fan-out the transaction leaves to a worker.
pub(crate) async fn expansion(conn: &mut PgConnection) -> Result<Option<Uuid>> {
    let row = sqlx::query_file!("src/queries/read_own_expansion.sql")
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("look for a large fan-out"))?;
    Ok(row.map(|row| row.event_id))
}

pub(crate) async fn delivered(conn: &mut PgConnection, row: &Pending) -> Result<()> {
    let Pending { subscriber_id, due_at, delivery_id, .. } = *row;
    sqlx::query_file!("src/queries/settle_delivered.sql", subscriber_id, due_at, delivery_id)
        .execute(conn)
        .await
        .map_err(Error::unanswered("settle the delivery"))?;
    Ok(())
}

pub(crate) async fn failed(conn: &mut PgConnection, row: &Pending) -> Result<()> {
    let Pending { subscriber_id, due_at, delivery_id, .. } = *row;
    sqlx::query_file!("src/queries/settle_failed.sql", subscriber_id, due_at, delivery_id)
        .execute(conn)
        .await
        .map_err(Error::unanswered("settle the delivery"))?;
    Ok(())
}

pub(crate) async fn refused(conn: &mut PgConnection, row: &Pending, answer: &Answer) -> Result<()> {
    let status = answer.status.and_then(|status| i16::try_from(status).ok());
    sqlx::query_file!(
        "src/queries/settle_refused.sql",
        row.subscriber_id,
        row.due_at,
        row.delivery_id,
        status,
        answer.error,
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("bury the delivery"))?;
    Ok(())
}

/// Registers an event the way other languages do.
pub(crate) async fn register(
    conn: &mut PgConnection,
    id: &TypeVersion,
    payload: &Value,
    scope: &str,
) -> Result<(), sqlx::Error> {
    let (event_type, payload) = (&id.event_type, payload.to_string());
    sqlx::query_file!("src/queries/register_sample.sql", event_type, payload, id.version, scope)
        .fetch_one(conn)
        .await
        .map(drop)
}
