//! What has to be done by one worker only: partitions ahead of time, and retention.
//!
//! Its leader is the owner of the one shard of the group `maintenance`.

use std::{sync::Arc, time::Duration};

use sqlx::{PgTransaction, Row};
use tidings_ownership::{Holdings, ShardId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{session::Database, telemetry};

/// The group of the leader.
pub(crate) const GROUP: &str = "maintenance";

/// How often it looks.
const EVERY: Duration = Duration::from_mins(1);

/// Partitions are made so many days ahead.
const DAYS_AHEAD: i32 = 7;

/// Less than this ahead is an alarm.
const HOURS_AHEAD_MIN: i64 = 24;

/// The longest that a drop waits for its lock, and others behind it.
const LOCK_MS: i32 = 1000;

/// The most rows that one statement buries or removes.
const ROWS_MAX: i32 = 1000;

/// How long things are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Events, and the idempotency keys that belong to them. Default: 30 days.
    ///
    /// An event with a pending delivery is kept longer, unless its subscriber is paused, disabled or deleted: then
    /// the delivery goes to the dead letters with a copy of the event.
    pub events: Duration,
    /// The attempt log. Default: 30 days.
    pub attempts: Duration,
    /// Dead letters. Default: 90 days.
    pub dead: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            events: Duration::from_secs(30 * DAY),
            attempts: Duration::from_secs(30 * DAY),
            dead: Duration::from_secs(90 * DAY),
        }
    }
}

/// Looks after the tables while this worker is the leader, until `stop` is cancelled.
pub(crate) async fn run(
    database: Database,
    mut holdings: watch::Receiver<Arc<Holdings>>,
    retention: Retention,
    stop: CancellationToken,
) {
    let shard = ShardId { group: GROUP.into(), shard: 0 };
    loop {
        let leads = holdings.borrow_and_update().term(&shard).is_some();
        if leads && let Err(error) = look_after(&database, retention).await {
            telemetry::prune_failed(&error);
        }
        let pause = async {
            if leads {
                tokio::time::sleep(EVERY).await;
            } else if holdings.wait_for(|held| held.term(&shard).is_some()).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = pause => {}
        }
    }
}

/// One round of maintenance; harmless when two workers do it at once.
///
/// # Errors
///
/// The database did not answer.
async fn look_after(database: &Database, retention: Retention) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    sqlx::query("select tidings.make_partitions($1)").bind(DAYS_AHEAD).execute(&mut *tx).await?;
    let ahead: Option<i64> = sqlx::query_scalar(
        "select (extract(epoch from tidings.partitioned_until() - clock_timestamp()) / 3600)::bigint",
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    if ahead.unwrap_or(0) < HOURS_AHEAD_MIN {
        telemetry::partitions_near_end(ahead.unwrap_or(0));
    }
    clear_deleted(database).await?;
    prune_secrets(database).await?;
    bury_stale(database, retention.events).await?;
    retire(database, "event", retention.events).await?;
    retire(database, "attempt", retention.attempts).await?;
    prune_dead(database, retention.dead).await
}

/// Removes what is left of deleted subscribers' lanes.
async fn clear_deleted(database: &Database) -> Result<(), sqlx::Error> {
    loop {
        let mut tx = database.begin().await?;
        let removed: i64 = sqlx::query_scalar(
            "select coalesce(sum(tidings.clear_lane(s.subscriber_id, $1)), 0)::bigint from tidings.subscriber s
             where s.deleted_at > clock_timestamp() - interval '7 days'
               and exists (select from tidings.delivery d where d.subscriber_id = s.subscriber_id)",
        )
        .bind(ROWS_MAX)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        if removed == 0 {
            return Ok(());
        }
        telemetry::pruned("deliveries of deleted subscribers removed", removed.unsigned_abs());
    }
}

/// Removes the keys that sign no more, and what they were is then known to nobody here.
async fn prune_secrets(database: &Database) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    let removed =
        sqlx::query("delete from tidings.secret k where k.expires_at <= clock_timestamp()")
            .execute(&mut *tx)
            .await?
            .rows_affected();
    tx.commit().await?;
    if removed > 0 {
        telemetry::pruned("expired keys of subscribers removed", removed);
    }
    Ok(())
}

async fn bury_stale(database: &Database, age: Duration) -> Result<(), sqlx::Error> {
    loop {
        let mut tx = database.begin().await?;
        let buried: i32 = sqlx::query_scalar(
            "select tidings.bury_stale(clock_timestamp() - $1 * interval '1 second', $2)",
        )
        .bind(age.as_secs_f64())
        .bind(ROWS_MAX)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        if buried == 0 {
            return Ok(());
        }
        telemetry::pruned(
            "deliveries of stopped subscribers buried",
            u64::from(buried.unsigned_abs()),
        );
    }
}

/// Drops the partitions that are past their time, one transaction each; a lock that is not free is tried next time.
async fn retire(
    database: &Database,
    parent: &'static str,
    age: Duration,
) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    let old = sqlx::query(
        "select p.starts_at from tidings.partition p
         where p.parent = $1 and p.ends_at < clock_timestamp() - $2 * interval '1 second'
         order by p.starts_at",
    )
    .bind(parent)
    .bind(age.as_secs_f64())
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    for row in old {
        let mut tx = database.begin().await?;
        let dropped = retire_one(&mut tx, parent, row.get(0)).await;
        if dropped.is_ok() {
            tx.commit().await?;
        }
        match dropped {
            Ok(true) => telemetry::pruned("partition dropped", 1),
            Ok(false) => {}
            // lock_not_available: somebody reads it; next time.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn retire_one(
    tx: &mut PgTransaction<'_>,
    parent: &'static str,
    starts_at: chrono::DateTime<chrono::Utc>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select tidings.retire_partition($1, $2, $3)")
        .bind(parent)
        .bind(starts_at)
        .bind(LOCK_MS)
        .fetch_one(&mut **tx)
        .await
}

async fn prune_dead(database: &Database, age: Duration) -> Result<(), sqlx::Error> {
    loop {
        let mut tx = database.begin().await?;
        let removed = sqlx::query(
            "delete from tidings.dead d where d.dead_id = any(array(
               select x.dead_id from tidings.dead x
               where x.died_at < clock_timestamp() - $1 * interval '1 second' order by x.dead_id limit $2))",
        )
        .bind(age.as_secs_f64())
        .bind(ROWS_MAX)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        if removed == 0 {
            return Ok(());
        }
        telemetry::pruned("dead letters past their time removed", removed);
    }
}
