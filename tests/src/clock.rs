//! Moving time: what lies ahead comes nearer, what lies behind moves away, and nobody waits.
//!
//! The database's clock cannot be moved, so the rows are.
//! Times that only tell a story (when an event was registered, when a subscriber was made) stay where they are, and so do
//! those that name a partition.

use std::time::Duration;

use sqlx::{PgPool, postgres::types::PgInterval};

/// Comes before every new due time, as in the product: an owner reads its lanes from a bound on, and whoever has a
/// transaction id before reading the clock cannot write below that bound.
const DRAW_ID: &str = "select pg_current_xact_id()";

/// What is due already stays: a settlement under way finds its row by this time.
const DELIVERIES: &str = "
    update tidings.delivery
    set due_at = case when due_at > clock_timestamp() then greatest(due_at - $1, clock_timestamp()) else due_at end,
        first_due_at = first_due_at - $1";

const EXPANSIONS: &str = "update tidings.expansion set due_at = due_at - $1";

const FLOORS: &str = "
    update tidings.subscriber set retry_after_until = retry_after_until - $1
    where retry_after_until is not null";

const SECRETS: &str =
    "update tidings.secret set expires_at = expires_at - $1 where expires_at is not null";

const WORKERS: &str = "
    update tidings.worker
    set joined_at = joined_at - $1, seen_at = seen_at - $1, expires_at = expires_at - $1";

const SHARDS: &str = "update tidings.shard set taken_at = taken_at - $1 where taken_at is not null";

const REPORTERS: &str = r#"
    update tidings.reporter
    set baseline = jsonb_set(baseline, '{window_start}', to_jsonb(to_char(
      ((baseline ->> 'window_start')::timestamptz - $1) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
    where baseline is not null"#;

/// Both of the infinite times stay.
const LEVELS: &str = "update tidings.level set at = at - $1, until = until - $1";

/// Lets `by` pass for everything: deliveries and leases.
///
/// A worker whose lease runs out by this is as good as dead, also one that runs; tests of deliveries with a running
/// worker want [`advance_deliveries`].
pub async fn advance(pool: &PgPool, by: Duration) {
    shift(pool, by, &[DELIVERIES, EXPANSIONS, FLOORS, SECRETS, WORKERS, SHARDS]).await;
}

/// Lets `by` pass for deliveries, the floors of their lanes and the secrets that sign them; leases stay as they are.
pub async fn advance_deliveries(pool: &PgPool, by: Duration) {
    shift(pool, by, &[DELIVERIES, EXPANSIONS, FLOORS, SECRETS]).await;
}

/// Lets `by` pass for leases; deliveries stay as they are.
pub async fn advance_leases(pool: &PgPool, by: Duration) {
    shift(pool, by, &[WORKERS, SHARDS]).await;
}

/// Lets `by` pass since the last report of every reporter, and since the level was set.
pub async fn advance_reports(pool: &PgPool, by: Duration) {
    shift(pool, by, &[REPORTERS, LEVELS]).await;
}

async fn shift(pool: &PgPool, by: Duration, statements: &[&'static str]) {
    let by = PgInterval::try_from(by).expect("time moves by whole microseconds");
    let mut tx = pool.begin().await.unwrap();
    sqlx::query(DRAW_ID).execute(&mut *tx).await.unwrap();
    for statement in statements {
        sqlx::query(*statement).bind(by).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;

    /// One delivery each: due a minute ago, in four minutes, in six, and parked behind the head of its key.
    const ROWS: &str = "
        insert into tidings.delivery (event_id, subscriber_id, due_at, first_due_at)
        select gen_random_uuid(), n, clock_timestamp() + due, clock_timestamp()
        from (values (1, interval '-1 minute'), (2, '4 minutes'), (3, '6 minutes')) as v (n, due)
        union all select gen_random_uuid(), 4, 'infinity', clock_timestamp()";

    #[tokio::test]
    async fn deliveries_come_nearer_and_none_moves_below_the_present() {
        let database = Database::new().await;
        let pool = database.pool();
        sqlx::query(ROWS).execute(pool).await.unwrap();
        let begin: chrono::DateTime<chrono::Utc> =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await.unwrap();
        advance(pool, Duration::from_mins(5)).await;
        let query = "
            select due_at < $1, due_at between $1 and clock_timestamp(),
                   due_at = 'infinity', first_due_at < $1 - interval '4 minutes'
            from tidings.delivery order by subscriber_id";
        let rows: Vec<(bool, bool, bool, bool)> =
            sqlx::query_as(query).bind(begin).fetch_all(pool).await.unwrap();
        let expected = [
            (true, false, false, true),
            (false, true, false, true),
            (false, false, false, true),
            (false, false, true, true),
        ];
        assert_eq!(rows, expected);
    }

    #[tokio::test]
    async fn leases_run_down_only_if_asked() {
        let database = Database::new().await;
        let pool = database.pool();
        let worker = "
            insert into tidings.worker (worker_id, host, pid, joined_at, seen_at, expires_at, groups)
            values (gen_random_uuid(), 'here', 1, now(), now(), now() + interval '10 seconds', '{}')";
        sqlx::query(worker).execute(pool).await.unwrap();
        let expired = async || {
            let query = "select expires_at < clock_timestamp() from tidings.worker";
            sqlx::query_scalar::<_, bool>(query).fetch_one(pool).await.unwrap()
        };
        advance_deliveries(pool, Duration::from_mins(1)).await;
        assert!(!expired().await);
        advance_leases(pool, Duration::from_mins(1)).await;
        assert!(expired().await);
    }
}
