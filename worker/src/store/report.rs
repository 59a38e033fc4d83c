//! The queries of reporters.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};
use sqlx::{PgConnection, PgTransaction, types::Json as Stored};
use tidings::{analytics::report::Baseline, wake};
use uuid::Uuid;

use crate::{Error, Result, report::Event, session::Database};

/// The longest that one statement may take, on the server; collectors have times of their own.
const STATEMENT_MS: u32 = 10_000;

/// The longest that a call may take, all its round trips together.
const CALL: Duration = Duration::from_secs(15);

/// The leader's claim to lead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence {
    pub(crate) worker_id: Uuid,
    pub(crate) term: i64,
}

/// What a leader has to know.
#[derive(Debug)]
pub(crate) struct State {
    /// The database's clock.
    pub(crate) read_at: DateTime<Utc>,
    pub(crate) baseline: Option<Baseline>,
    /// Whether somebody wants a report now.
    pub(crate) requested: bool,
    /// Whether the level in force permits reports.
    pub(crate) permitted: bool,
    /// Whether every level since the last report has done so.
    pub(crate) permitted_throughout: bool,
}

/// What is written of a report; with nothing in it, the reporter begins anew.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) baseline: Option<Json>,
    pub(crate) report: Option<Json>,
    pub(crate) at: Option<DateTime<Utc>>,
    pub(crate) events: Vec<Event>,
}

/// Returns the group whose one shard the leader of a reporter owns.
pub(crate) fn group(name: &str) -> String {
    format!("report:{name}")
}

/// Begins a transaction whose statements end in time.
pub(crate) async fn begin(
    database: &Database,
) -> std::result::Result<PgTransaction<'static>, sqlx::Error> {
    let mut tx = database.begin().await?;
    sqlx::query("select set_config('statement_timeout', $1, true)")
        .bind(STATEMENT_MS.to_string())
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// Says that there is a reporter.
pub(crate) async fn join(
    database: &Database,
    name: &str,
    environment_id: Uuid,
    interval: Duration,
) -> Result<()> {
    let interval_s = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
    within("announce the reporter", async {
        let mut tx = begin(database).await?;
        sqlx::query_file!("src/queries/join_report.sql", name, environment_id, interval_s)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    })
    .await
}

/// Writes down what a process has counted.
pub(crate) async fn note_counters(
    database: &Database,
    name: &str,
    boot_id: Uuid,
    counters: &BTreeMap<String, u64>,
) -> Result<()> {
    within("write down the counters of the reporter", async {
        let mut tx = begin(database).await?;
        let counters = json!(counters);
        sqlx::query_file!("src/queries/note_counters.sql", name, boot_id, counters)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    })
    .await
}

/// Reads what a leader has to know.
pub(crate) async fn read(database: &Database, name: &str) -> Result<State> {
    let row = within("read the baseline of the reporter", async {
        let mut tx = begin(database).await?;
        let row =
            sqlx::query_file!("src/queries/read_report.sql", name).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(row)
    })
    .await?;
    let baseline = row.baseline.map(serde_json::from_value).transpose();
    Ok(State {
        read_at: row.read_at,
        baseline: baseline.map_err(|_| Error::Corrupt { what: "the baseline of a reporter" })?,
        requested: row.requested.unwrap_or_default(),
        permitted: row.permitted.unwrap_or_default(),
        permitted_throughout: row.permitted_throughout.unwrap_or_default(),
    })
}

/// Reads what all processes have counted.
pub(crate) async fn counters(
    database: &Database,
    name: &str,
) -> Result<Vec<(Uuid, BTreeMap<String, u64>)>> {
    let rows = within("read the counters of the reporter", async {
        let mut tx = begin(database).await?;
        let rows =
            sqlx::query_file!("src/queries/read_counters.sql", name).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok(rows)
    })
    .await?;
    Ok(rows.into_iter().map(|row| (row.boot_id, row.counters.0)).collect())
}

/// Moves the baseline on and registers the events of a report, or neither. Answers the lanes that were written to, or
/// `None` where the caller leads no more or the report was made already.
pub(crate) async fn write(
    database: &Database,
    name: &str,
    (fence, sequence): (Fence, u64),
    written: &Written,
) -> Result<Option<Vec<i32>>> {
    let column = |of: fn(&Event) -> &str| -> Vec<String> {
        written.events.iter().map(|event| of(event).to_owned()).collect()
    };
    let lanes = within("write the report", async {
        let mut tx = begin(database).await?;
        let lanes = sqlx::query_file_scalar!(
            "src/queries/write_report.sql",
            name,
            fence.worker_id,
            fence.term,
            i64::try_from(sequence).unwrap_or(i64::MAX),
            written.baseline,
            written.report,
            written.at,
            &column(|event| event.name),
            &column(|event| &event.payload),
            &column(|event| &event.telemetry),
            &column(|event| &event.headers),
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(lanes)
    })
    .await?;
    Ok(lanes.map(|lanes| wake::parse(&lanes)))
}

/// A reporter as it is stored.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) environment_id: Uuid,
    pub(crate) interval_s: i64,
    pub(crate) baseline: Option<Json>,
    pub(crate) last_report: Option<Json>,
    pub(crate) reported_at: Option<DateTime<Utc>>,
    pub(crate) requested_at: Option<DateTime<Utc>>,
    pub(crate) leader: Option<String>,
    pub(crate) processes: i64,
}

/// Reads the reporters.
pub(crate) async fn list(conn: &mut PgConnection, name: Option<&str>) -> Result<Vec<Row>> {
    sqlx::query_file_as!(Row, "src/queries/list_reporters.sql", name)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the reporters"))
}

/// Asks for a report now.
pub(crate) async fn request(conn: &mut PgConnection, name: &str) -> Result<bool> {
    sqlx::query_scalar!(r#"select tidings.request_report_v1($1) as "found!""#, name)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("ask for a report"))
}

/// Gives a call up that takes too long; what it did is then unknown, and found out by the next look.
pub(crate) async fn within<T>(
    doing: &'static str,
    call: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> Result<T> {
    let answer = tokio::time::timeout(CALL, call).await;
    answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(Error::unanswered(doing))
}
