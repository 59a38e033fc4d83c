//! Dead letters.

use sqlx::PgConnection;

use crate::{
    Error, Result,
    dead::{Filter, Letter},
    pattern::Pattern,
};

/// The copy of the event that a dead letter carries.
#[derive(Debug)]
pub(crate) struct CopyRow {
    pub(crate) payload: Option<String>,
    pub(crate) headers: Option<String>,
}

/// Which dead letters to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Only<'a> {
    /// One.
    This(i64),
    /// Those of a listing, and how many.
    Those(&'a Filter, i64),
}

/// What replaying one came to: no delivery where something stands in the way.
#[derive(Debug)]
pub(crate) struct ReplayRow {
    pub(crate) subscriber_id: i32,
    pub(crate) has_event: bool,
    pub(crate) has_subscriber: bool,
    pub(crate) delivery_id: Option<i64>,
}

pub(crate) async fn list(conn: &mut PgConnection, only: Only<'_>) -> Result<Vec<Letter>> {
    let (id, filter, limit) = match only {
        Only::This(id) => (Some(id), &Filter::default(), 1),
        Only::Those(filter, limit) => (None, filter, limit),
    };
    sqlx::query_file_as!(
        Letter,
        "src/queries/list_dead.sql",
        filter.tenant,
        filter.subscriber_id,
        filter.event_id,
        filter.pattern.as_ref().map(Pattern::as_str),
        filter.reason,
        filter.replayed,
        filter.after,
        limit,
        id,
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("list the dead letters"))
}

pub(crate) async fn copy(conn: &mut PgConnection, dead_id: i64) -> Result<Option<CopyRow>> {
    sqlx::query_file_as!(CopyRow, "src/queries/read_copy.sql", dead_id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("read the dead letter's copy of its event"))
}

pub(crate) async fn replay(conn: &mut PgConnection, dead_id: i64) -> Result<Option<ReplayRow>> {
    sqlx::query_file_as!(ReplayRow, "src/queries/replay.sql", dead_id)
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("replay the dead letter"))
}

/// Locks the oldest dead letters that can be replayed and have not been.
pub(crate) async fn choose(
    conn: &mut PgConnection,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<i64>> {
    let rows = sqlx::query_file!(
        "src/queries/choose_dead.sql",
        filter.tenant,
        filter.subscriber_id,
        filter.event_id,
        filter.pattern.as_ref().map(Pattern::as_str),
        filter.reason,
        limit,
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("choose the dead letters"))?;
    Ok(rows.into_iter().map(|row| row.dead_id).collect())
}

pub(crate) async fn lock_keys(conn: &mut PgConnection, dead_ids: &[i64]) -> Result<()> {
    sqlx::query_file!("src/queries/lock_dead_keys.sql", dead_ids)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("lock the ordering keys of the dead letters"))?;
    Ok(())
}

/// Replays many in their order; returns the lane and the new delivery of each.
pub(crate) async fn replay_many(
    conn: &mut PgConnection,
    dead_ids: &[i64],
) -> Result<Vec<(i32, i64)>> {
    let rows = sqlx::query_file!("src/queries/replay_many.sql", dead_ids)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("replay the dead letters"))?;
    Ok(rows.into_iter().filter_map(|row| Some((row.subscriber_id, row.delivery_id?))).collect())
}
