//! The queries of this crate, one function each.
//!
//! Recipe: write `queries/<verb>.sql`, whose first line names the query and its purpose; add the function here; run
//! `make sqlx`.

pub(crate) mod catalogue;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod filter;
pub(crate) mod log;
pub(crate) mod privacy;
pub(crate) mod replay;
pub(crate) mod secret;
pub(crate) mod subscriber;
pub(crate) mod subscription;
pub(crate) mod testing;

use chrono::{DateTime, Utc};
use serde_json::{Value, value::RawValue};
use sqlx::{PgConnection, PgTransaction};
use uuid::Uuid;

use crate::{Error, Result, register::Draft, wake};

/// How many rows a listing gives where nobody says otherwise.
pub(crate) const LIMIT_DEFAULT: u32 = 100;

/// How many rows a listing gives at most; more is read page by page.
pub(crate) const LIMIT_MAX: u32 = 1000;

/// Checks how many rows a listing is to give.
pub(crate) fn limit(limit: u32) -> Result<i64> {
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(i64::from(limit));
    }
    Err(Error::OutOfRange { field: "limit", value: limit.to_string(), allowed: "1 to 1000" })
}

/// Reads a column of JSON as the text that it is.
pub(crate) fn raw(
    table: &'static str,
    column: &'static str,
    text: String,
    row: &impl ToString,
) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|_| Error::Corrupt { table, column, row: row.to_string() })
}

/// What registering answered.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) status: String,
    pub(crate) event_id: Option<Uuid>,
    pub(crate) lanes: Vec<i32>,
}

impl Written {
    /// Reads what the database function answers: an event's id and the lanes with commas between, or a status and the
    /// id of another event.
    fn parse(text: &str) -> Self {
        let (first, second) = text.split_once(' ').unwrap_or((text, ""));
        if let Ok(event_id) = first.parse() {
            let lanes = wake::parse(second);
            return Self { status: "registered".to_owned(), event_id: Some(event_id), lanes };
        }
        Self { status: first.to_owned(), event_id: second.parse().ok(), lanes: Vec::new() }
    }
}

pub(crate) async fn register(tx: &mut PgTransaction<'_>, draft: &Draft) -> Result<Written> {
    let options = &draft.options;
    let delay = options.delay.filter(|delay| !delay.is_zero());
    let delay_ms = delay.map(|delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 1000));
    let written = sqlx::query_file_scalar!(
        "src/queries/register.sql",
        draft.event_type,
        draft.version,
        draft.payload,
        draft.telemetry,
        draft.headers,
        options.tenant,
        draft.scope.as_str(),
        draft.ordering_key,
        options.idempotency_key,
        delay_ms,
        options.occurred_at,
        options.event_id,
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::unanswered("register the event"))?;
    Ok(Written::parse(&written))
}

/// Registers many; the answer is as long as `drafts`, or an error that names the first that was refused.
pub(crate) async fn register_many(
    tx: &mut PgTransaction<'_>,
    drafts: &[Draft],
) -> Result<Vec<Written>> {
    let types: Vec<String> = drafts.iter().map(|draft| draft.event_type.to_owned()).collect();
    let versions: Vec<i16> = drafts.iter().map(|draft| draft.version).collect();
    let payloads: Vec<String> = drafts.iter().map(|draft| draft.payload.clone()).collect();
    let telemetries: Vec<Option<String>> =
        drafts.iter().map(|draft| draft.telemetry.clone()).collect();
    let headers: Vec<Option<String>> = drafts.iter().map(|draft| draft.headers.clone()).collect();
    let tenants: Vec<String> = drafts.iter().map(|draft| draft.options.tenant.clone()).collect();
    let scopes: Vec<String> = drafts.iter().map(|draft| draft.scope.as_str().to_owned()).collect();
    let keys: Vec<Option<String>> = drafts.iter().map(|draft| draft.ordering_key.clone()).collect();
    let written = sqlx::query_file_scalar!(
        "src/queries/register_many.sql",
        &types,
        &versions,
        &payloads,
        &telemetries as &[Option<String>],
        &headers as &[Option<String>],
        &tenants,
        &scopes,
        &keys as &[Option<String>],
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(Error::unanswered("register the events"))?;
    Ok(written.iter().map(|written| Written::parse(written)).collect())
}

/// A subscriber as it is stored.
#[derive(Debug)]
pub(crate) struct LaneRow {
    pub(crate) subscriber_id: i32,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) shard: i16,
    pub(crate) config: serde_json::Value,
    pub(crate) in_flight_max: Option<i32>,
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) retry: Option<serde_json::Value>,
    pub(crate) paused: bool,
    pub(crate) disabled: bool,
    pub(crate) deleted: bool,
    pub(crate) retry_after_ms: Option<i64>,
    pub(crate) breaker: Option<serde_json::Value>,
    /// The database's clock.
    pub(crate) now: DateTime<Utc>,
    /// What is sealed for it, newest first; the lists below go with it.
    pub(crate) secret_ids: Vec<i32>,
    /// Whose each is: the subscriber's, or the installation's.
    pub(crate) owners: Vec<i32>,
    pub(crate) purposes: Vec<String>,
    pub(crate) legacy: Vec<bool>,
    pub(crate) sealed: Vec<Vec<u8>>,
    /// By the database's clock when it was read.
    pub(crate) expires_in_ms: Vec<Option<i64>>,
}

pub(crate) async fn lanes(conn: &mut PgConnection, ids: &[i32]) -> Result<Vec<LaneRow>> {
    sqlx::query_file_as!(LaneRow, "src/queries/lanes.sql", ids)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the subscribers of the lanes"))
}

pub(crate) async fn disable(
    conn: &mut PgConnection,
    id: i32,
    owner: Option<(Uuid, i64)>,
    reason: &str,
) -> Result<bool> {
    let (worker_id, term) = owner.unzip();
    let done = sqlx::query_file!("src/queries/disable.sql", id, reason, worker_id, term)
        .execute(conn)
        .await
        .map_err(Error::unanswered("disable the subscriber"))?;
    Ok(done.rows_affected() > 0)
}

pub(crate) async fn note_health(
    conn: &mut PgConnection,
    id: i32,
    (worker_id, term): (Uuid, i64),
    (trouble, turn): (Option<Value>, Option<&str>),
) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select tidings.note_health_v1($1, $2, $3, $4, $5) as "noted!""#,
        id,
        worker_id,
        term,
        trouble,
        turn,
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("write down how the destination is doing"))
}

pub(crate) async fn hold_back(conn: &mut PgConnection, id: i32, floor_ms: i64) -> Result<()> {
    sqlx::query_file!("src/queries/hold_back.sql", id, floor_ms)
        .execute(conn)
        .await
        .map_err(Error::unanswered("hold the subscriber back"))?;
    Ok(())
}
