//! Events that are delivered again.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Result,
    pattern::Pattern,
    replay::{STEP_MAX, Selection, Step},
};

/// Returns since when events are kept; `None` if none has been dropped yet.
pub(crate) async fn kept_since(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!("select ends_at from tidings.retired where parent = 'event'")
        .fetch_optional(conn)
        .await
        .map_err(Error::unanswered("read since when events are kept"))
}

/// Makes deliveries, or counts them; answers the lanes they are in, the first 256 of them.
pub(crate) async fn replay(
    conn: &mut PgConnection,
    selection: &Selection,
    after: Option<Uuid>,
    (limit, dry): (u16, bool),
) -> Result<(Step, Vec<i32>)> {
    let row = sqlx::query_file!(
        "src/queries/replay_events.sql",
        selection.since,
        selection.until,
        selection.events.as_deref(),
        selection.pattern.as_ref().map(Pattern::as_str),
        selection.tenant,
        selection.scope.as_str(),
        selection.subscriber_id,
        after,
        i32::from(limit.clamp(1, STEP_MAX)),
        dry,
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("deliver events again"))?;
    let count = |count: i32| u64::try_from(count).unwrap_or_default();
    let (events, deliveries) = (count(row.events), count(row.deliveries));
    Ok((Step { events, deliveries, after: row.after_event_id }, row.lanes))
}
