//! The queries of this crate, one function each.
//!
//! Recipe: write `queries/<verb>.sql`, whose first line names the query and its purpose; add the function here; run
//! `make sqlx`.

pub(crate) mod erasure;
pub(crate) mod event;
pub(crate) mod plan;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, postgres::types::PgInterval};
use tidings_analytics::Level;

use crate::{Error, Result, level::History};

/// A record of the ledger that is to be added up.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    pub(crate) offsets: Vec<i64>,
    pub(crate) times: Vec<DateTime<Utc>>,
    pub(crate) entries: Vec<String>,
    /// For each record its days; see `tidings.project_ledger_v1`.
    pub(crate) days: Vec<serde_json::Value>,
}

/// What a step or a sink has done with the telemetry of a day.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DayRow {
    pub(crate) day: NaiveDate,
    pub(crate) step: String,
    pub(crate) sink: String,
    pub(crate) batches: i64,
    pub(crate) batches_failed: i64,
    pub(crate) bytes_failed: i64,
    pub(crate) received: i64,
    pub(crate) passed: i64,
    pub(crate) taken: i64,
    pub(crate) derived: i64,
    pub(crate) unique_events: i64,
    pub(crate) duplicate: i64,
    pub(crate) failed: i64,
    pub(crate) filtered: i64,
    pub(crate) collision: i64,
    pub(crate) stored: i64,
    pub(crate) already_there: i64,
    pub(crate) rejected: i64,
}

/// Keys of dedup that went before their time; nothing where none went.
#[derive(Debug)]
pub(crate) struct EvictedRow {
    pub(crate) keys: Option<i64>,
    pub(crate) reaches_s: Option<i64>,
}

/// A record of the ledger.
#[derive(Debug)]
pub(crate) struct EntryRow {
    pub(crate) log: String,
    pub(crate) partition: i32,
    pub(crate) ledger_offset: i64,
    pub(crate) entry: String,
}

pub(crate) async fn project_ledger(
    conn: &mut PgConnection,
    (log, partition): (&str, i32),
    projection: Projection,
) -> Result<i64> {
    let days = serde_json::Value::Array(projection.days);
    sqlx::query_file_scalar!(
        "src/queries/project_ledger.sql",
        log,
        partition,
        &projection.offsets,
        &projection.times as &[DateTime<Utc>],
        &projection.entries,
        days,
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("add the ledger up"))
}

pub(crate) async fn read_days(
    conn: &mut PgConnection,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<DayRow>> {
    sqlx::query_file_as!(DayRow, "src/queries/read_days.sql", first, last)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the accounting of a day"))
}

/// Reads which keys of dedup went before their time since then.
pub(crate) async fn read_evicted(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<EvictedRow> {
    sqlx::query_file_as!(EvictedRow, "src/queries/read_evicted.sql", since)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("read which keys of dedup went early"))
}

/// Reads at most `limit` records that were written from `from` on and before `until`, after a place.
pub(crate) async fn read_entries(
    conn: &mut PgConnection,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    after: (&str, i32, i64),
    limit: i32,
) -> Result<Vec<EntryRow>> {
    let (log, partition, offset) = after;
    sqlx::query_file_as!(
        EntryRow,
        "src/queries/read_entries.sql",
        from,
        until,
        log,
        partition,
        offset,
        limit
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("read the ledger"))
}

pub(crate) async fn prune_ledger(conn: &mut PgConnection, age: Duration) -> Result<i64> {
    sqlx::query_file_scalar!("src/queries/prune_ledger.sql", interval(age))
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("forget old records of the ledger"))
}

/// A level, and until when it was in force.
#[derive(Debug)]
struct LevelRow {
    until_ms: i64,
    level: String,
}

pub(crate) async fn read_levels(conn: &mut PgConnection) -> Result<History> {
    let rows = sqlx::query_file_as!(LevelRow, "src/queries/read_levels.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the levels"))?;
    // A word of a later version is taken for the most careful one.
    let level = |row: LevelRow| (row.until_ms, row.level.parse().unwrap_or(Level::Off));
    Ok(History::new(rows.into_iter().map(level).collect()))
}

fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
