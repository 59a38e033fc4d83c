//! The one query of this crate.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    shard::{Pair, ShardState},
};

/// Who holds, and what it asks for.
#[derive(Clone, Debug)]
pub(crate) struct Hold<'a> {
    pub(crate) worker_id: Uuid,
    pub(crate) joining: bool,
    pub(crate) host: &'a str,
    pub(crate) pooled: bool,
    pub(crate) draining: bool,
    pub(crate) lease_ms: i32,
    pub(crate) groups: &'a [String],
    pub(crate) release_groups: Vec<String>,
    pub(crate) release_shards: Vec<i16>,
    pub(crate) release_terms: Vec<i64>,
}

/// What the database answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) alive: bool,
    pub(crate) pair: Pair,
    pub(crate) horizon: i64,
    pub(crate) started_at: chrono::DateTime<chrono::Utc>,
    pub(crate) session_pid: i32,
    pub(crate) shards: Vec<(String, i16, ShardState)>,
}

/// Holds: one call, one round trip, one commit on a direct session.
pub(crate) async fn hold(conn: &mut PgConnection, hold: Hold<'_>) -> Result<Answer> {
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    let rows = sqlx::query_file!(
        "src/queries/hold.sql",
        hold.worker_id,
        hold.joining,
        hold.host,
        pid,
        hold.pooled,
        hold.draining,
        hold.lease_ms,
        hold.groups,
        &hold.release_groups,
        &hold.release_shards,
        &hold.release_terms,
    )
    .fetch_all(conn)
    .await?;
    let Some(first) = rows.first() else {
        return Err(sqlx::Error::RowNotFound.into());
    };
    Ok(Answer {
        alive: first.alive,
        pair: Pair { read_at: first.read_at, xid: first.xid },
        horizon: first.horizon,
        started_at: first.started_at,
        session_pid: first.session_pid,
        shards: rows
            .iter()
            .filter_map(|row| {
                let state = ShardState {
                    term: row.term?,
                    deaths: row.deaths?,
                    config_version: row.config_version?,
                    give_up: row.give_up?,
                };
                Some((row.group_name.clone()?, row.shard?, state))
            })
            .collect(),
    })
}
