//! Tombstones, and what is deleted for them.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, PgPool};

use crate::{
    Error, Result,
    gate::{Grave, Kind},
};

/// Returns the key of tombstones.
pub(crate) async fn tombstone_secret(conn: &mut PgConnection) -> Result<Vec<u8>> {
    sqlx::query_file_scalar!("src/queries/read_tombstone_secret.sql")
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("read the key of tombstones"))
}

/// Returns a page of tombstones after one.
pub(crate) async fn tombstones(
    conn: &mut PgConnection,
    after: i64,
    limit: i32,
) -> Result<Vec<Grave>> {
    let rows = sqlx::query_file!("src/queries/read_tombstones.sql", after, limit)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the tombstones"))?;
    let grave = |(tombstone_id, kind, hash): (i64, String, String)| {
        // A kind of a later version is of nobody that could be known here; its place counts.
        let kind = Kind::read(&kind).unwrap_or(Kind::Subject);
        Grave { tombstone_id, kind, hash }
    };
    Ok(rows.into_iter().map(|row| grave((row.tombstone_id, row.kind, row.hash))).collect())
}

/// Adds tombstones; returns how many are new, and when it was.
pub(crate) async fn add_tombstones(
    conn: &mut PgConnection,
    graves: &[(Kind, String)],
) -> Result<(i32, DateTime<Utc>)> {
    let kinds: Vec<_> = graves.iter().map(|(kind, _)| kind.as_str().to_owned()).collect();
    let hashes: Vec<_> = graves.iter().map(|(_, hash)| hash.clone()).collect();
    let row = sqlx::query_file!("src/queries/add_tombstones.sql", &kinds, &hashes)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("store tombstones"))?;
    Ok((row.added, row.erased_at))
}

/// Returns the days that the table of events has.
pub(crate) async fn event_days(pool: &PgPool) -> Result<Vec<NaiveDate>> {
    sqlx::query_file_scalar!("src/queries/read_event_days.sql")
        .fetch_all(pool)
        .await
        .map_err(Error::unanswered("look for the days of the table of events"))
}

/// Deletes at most `limit` events of these from a day of the table; returns how many.
pub(crate) async fn erase_events(
    pool: &PgPool,
    day: NaiveDate,
    (devices, actors): (&[String], &[String]),
    limit: i32,
) -> Result<i64> {
    sqlx::query_file_scalar!("src/queries/erase_events.sql", day, devices, actors, limit)
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("delete events from the table"))
}

/// Moves events from rejected to stored in the account of a sink; returns how many had not been moved.
pub(crate) async fn recover_events(
    pool: &PgPool,
    sink: &str,
    events: &[(String, NaiveDate)],
) -> Result<i64> {
    let ids: Vec<_> = events.iter().map(|(id, _)| id.clone()).collect();
    let days: Vec<_> = events.iter().map(|(_, day)| *day).collect();
    sqlx::query_file_scalar!("src/queries/recover_events.sql", sink, &ids, &days)
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("account for what was sent again"))
}
