//! The level, suppressions and erasure.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Error, Level, Result};

pub(crate) async fn level(conn: &mut PgConnection) -> Result<Level> {
    let doing = "read the level";
    let level = sqlx::query_scalar!("select level from tidings.level where until = 'infinity'")
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered(doing))?;
    level.parse().map_err(|_| corrupt())
}

pub(crate) async fn set_level(conn: &mut PgConnection, level: Level) -> Result<Level> {
    let was = sqlx::query_scalar!(r#"select tidings.set_level_v1($1) as "was!""#, level.as_str())
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("set the level"))?;
    was.parse().map_err(|_| corrupt())
}

pub(crate) async fn installation(conn: &mut PgConnection) -> Result<Uuid> {
    sqlx::query_scalar!("select installation_id from tidings.installation")
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("read the installation"))
}

pub(crate) async fn suppress(conn: &mut PgConnection, subjects: &[String]) -> Result<u64> {
    let count = sqlx::query_scalar!(r#"select tidings.suppress_v1($1) as "count!""#, subjects)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("suppress subjects"))?;
    Ok(u64::from(count.unsigned_abs()))
}

pub(crate) async fn unsuppress(conn: &mut PgConnection, subjects: &[String]) -> Result<u64> {
    let done = sqlx::query!("delete from tidings.suppression where subject = any($1)", subjects)
        .execute(conn)
        .await
        .map_err(Error::unanswered("collect of subjects again"))?;
    Ok(done.rows_affected())
}

/// Returns the days of which events are kept, oldest first.
pub(crate) async fn days(conn: &mut PgConnection) -> Result<Vec<DateTime<Utc>>> {
    sqlx::query_scalar!(
        "select starts_at from tidings.partition where parent = 'event' order by starts_at"
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("read which events are kept"))
}

/// Erases subjects from one day of events, and from the dead letters; returns how many of each.
pub(crate) async fn erase(
    conn: &mut PgConnection,
    subjects: &[String],
    day: DateTime<Utc>,
) -> Result<(u64, u64)> {
    let row = sqlx::query!(
        r#"select events as "events!", dead as "dead!" from tidings.erase_v1($1, $2)"#,
        subjects,
        day,
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("erase subjects"))?;
    Ok((u64::from(row.events.unsigned_abs()), u64::from(row.dead.unsigned_abs())))
}

/// Returns the time, and the names of all sinks.
pub(crate) async fn sinks(conn: &mut PgConnection) -> Result<(DateTime<Utc>, Vec<String>)> {
    let row = sqlx::query!(
        r#"select clock_timestamp() as "now!", array(
             select s.name from tidings.subscriber s where s.view = 'telemetry' order by s.name
           ) as "names!""#
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("read the sinks"))?;
    Ok((row.now, row.names))
}

fn corrupt() -> Error {
    Error::Corrupt { table: "level", column: "level", row: "the level in force".to_owned() }
}
