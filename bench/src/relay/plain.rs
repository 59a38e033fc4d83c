//! The other half of the limit: plain inserts of the same bytes, many rows in each.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use anyhow::Result;
use sqlx::PgPool;
use uuid::Uuid;

/// How many rows there are in an insert: with two that insert at a time, as many are under way as clients wait for.
const ROWS: usize = 32;

/// Tables of the same shape, compressed and indexed alike.
pub(super) const TABLES: &[&str] = &[
    "create table plain_record (like tidings.log_record including all)",
    "alter table plain_record alter column value set compression lz4",
    "create table plain_event (like tidings.event including all) partition by range (event_id)",
    "create table plain_event_day partition of plain_event for values from (minvalue) to (maxvalue)",
    "create table plain_delivery (like tidings.delivery including all)",
];

const RECORDS: &str = "insert into plain_record (topic_id, partition, record_offset, appended_at, key, headers, value)
select 1, 0, $1 * 64 + n, clock_timestamp(), 'key', '{}', value from unnest($2::bytea[]) with ordinality as u (value, n)";

const EVENTS: &str = "with e as (
  insert into plain_event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload, telemetry)
  select id, clock_timestamp(), clock_timestamp(), 'page:seen', 1, '', '', octet_length(text), text::json, text::json
  from unnest($1::uuid[], $2::text[]) as u (id, text)
  returning event_id
)
insert into plain_delivery (event_id, due_at, first_due_at, subscriber_id)
select event_id, clock_timestamp(), clock_timestamp(), 1 from e";

/// Returns how many Sunbird batches are inserted in a second.
pub(super) async fn records(pool: &PgPool, time: Duration, body: &str) -> Result<f64> {
    let values = vec![body.as_bytes(); ROWS];
    rate(time, |turn| {
        let insert = sqlx::query(RECORDS).bind(turn).bind(&values).execute(pool);
        async { Ok(insert.await.map(drop)?) }
    })
    .await
}

/// Returns how many events are inserted in a second, each with one delivery.
pub(super) async fn events(pool: &PgPool, time: Duration, properties: &str) -> Result<f64> {
    let texts = vec![properties; ROWS];
    let first = Uuid::new_v4().as_u128();
    rate(time, |turn| {
        // One after the other, which suits an index best.
        let ids: Vec<_> = (first + u128::from(turn.unsigned_abs()) * 64..)
            .take(ROWS)
            .map(Uuid::from_u128)
            .collect();
        let insert = sqlx::query(EVENTS).bind(ids).bind(&texts).execute(pool);
        async { Ok(insert.await.map(drop)?) }
    })
    .await
}

/// Returns how many rows are inserted in a second by two that insert at a time, the turns counted from zero.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
async fn rate<F>(time: Duration, insert: impl Fn(i64) -> F + Sync) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let began = Instant::now();
    let turns = AtomicI64::new(0);
    let writer = async || {
        while began.elapsed() < time {
            insert(turns.fetch_add(1, Ordering::Relaxed)).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(writer(), writer())?;
    Ok(turns.into_inner() as f64 * ROWS as f64 / began.elapsed().as_secs_f64())
}
