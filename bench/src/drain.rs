//! How fast a backlog drains: the memory deliverer, a row in the attempt log for each delivery, everything settled.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tidings::deliverer::Memory;
use tidings_worker::{AttemptLog, Worker, health::Rules};
use tokio_util::sync::CancellationToken;

use crate::{
    fixture::Fixture,
    report::{Report, progress},
    turns::compare,
};

const DELIVERIES: i64 = 300_000;
const TURNS: usize = 5;

/// More than for an absolute figure: the goal is closer to one than two turns are to each other.
const BREAKER_TURNS: usize = 11;
const BREAKER_LANES: i64 = 50;

const CLEAR: &[&str] = &[
    "truncate tidings.delivery, tidings.attempt, tidings.event, tidings.expansion",
    "delete from tidings.subscription where subscriber_id in (select subscriber_id from tidings.subscriber where name like 'drain-%')",
    "insert into tidings.subscriber (name, kind, shard)
     select 'drain-' || n, 'memory', n % 16 from generate_series(1, 50) n on conflict do nothing",
];

const SETTLE_DOWN: &[&str] =
    &["vacuum analyze tidings.delivery", "vacuum analyze tidings.event", "checkpoint"];

/// Deliveries per second with fifty lanes, and with one.
pub(crate) async fn per_second(fixture: &Fixture, report: &mut Report) -> Result<()> {
    for (row, lanes) in [("drain.per_second", 50), ("drain.one_lane_per_second", 1)] {
        let bar = progress(row, TURNS);
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            turns.push(drain(fixture, lanes, Rules::default()).await?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let note = format!(
            "{lanes} lanes, {DELIVERIES} deliveries of 200 bytes, attempt log all, {TURNS} turns"
        );
        report.add(row, "deliveries/s", &turns, note);
    }
    Ok(())
}

/// Deliveries per second of a worker that watches over its destinations, all of them well, over those of one that does
/// not.
pub(crate) async fn breaker_ratio(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let turns = compare(
        "breaker.overhead_ratio",
        BREAKER_TURNS,
        async || drain(fixture, BREAKER_LANES, Rules::default()).await,
        async || drain(fixture, BREAKER_LANES, Rules::OFF).await,
    )
    .await?;
    let note = format!(
        "all rules of health against none, {BREAKER_LANES} lanes, {DELIVERIES} deliveries of 200 bytes, attempt log all, \
         {BREAKER_TURNS} turns each way; {:.0} against {:.0} deliveries/s",
        turns.ours, turns.other
    );
    report.add("breaker.overhead_ratio", "ratio", &turns.ratios, note);
    Ok(())
}

async fn drain(fixture: &Fixture, lanes: i64, health: Rules) -> Result<f64> {
    fixture.run(CLEAR).await?;
    fill(fixture, lanes).await?;
    fixture.run(SETTLE_DOWN).await?;
    let memory = Memory::counting(100);
    let shutdown = CancellationToken::new();
    let began = Instant::now();
    let mut worker = Worker::builder(fixture.pool.clone())
        .deliverer(memory.clone())
        .attempt_log(AttemptLog::All)
        .health(health)
        .spawn(shutdown.clone())
        .await?;
    memory.wait_for(DELIVERIES.unsigned_abs()).await;
    // Delivered is not enough: everything has to be settled and committed.
    while is_pending(fixture).await? {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    shutdown.cancel();
    ensure!(worker.finished().await, "the worker did not drain");
    let logged: i64 =
        sqlx::query_scalar("select count(*) from tidings.attempt").fetch_one(&fixture.pool).await?;
    ensure!(logged == DELIVERIES, "{logged} attempts were logged of {DELIVERIES}");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = DELIVERIES as f64 / took.as_secs_f64();
    Ok(rate)
}

async fn fill(fixture: &Fixture, lanes: i64) -> Result<()> {
    sqlx::query(
        "with lane as (
           select subscriber_id, row_number() over (order by subscriber_id) as n from tidings.subscriber where name like 'drain-%'
         ), e as (
           insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload)
           select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
               || substr(md5(n::text), 1, 3) || '-' || substr(gen_random_uuid()::text, 20))::uuid,
             clock_timestamp(), clock_timestamp(), 'order:placed', 1, '', '', 200, json_build_object('note', repeat('x', 189))
           from generate_series(1, $1) n
           returning event_id
         ), numbered as (
           select event_id, row_number() over () as n from e
         )
         insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
         select numbered.event_id, clock_timestamp(), clock_timestamp(), lane.subscriber_id, 1
         from numbered join lane on lane.n = 1 + numbered.n % $2",
    )
    .bind(DELIVERIES)
    .bind(lanes)
    .execute(&fixture.pool)
    .await?;
    Ok(())
}

async fn is_pending(fixture: &Fixture) -> Result<bool> {
    let query = "select exists (select from tidings.delivery)";
    Ok(sqlx::query_scalar(query).fetch_one(&fixture.pool).await?)
}
