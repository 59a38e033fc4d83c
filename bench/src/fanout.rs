//! What an event with ten thousand subscribers costs: to the worker that expands it, and to the application that
//! registers it.

use std::time::Instant;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, catalogue};
use uuid::Uuid;

use crate::{
    clients::{APPLICATION, CLIENTS, TURN, rate},
    fixture::{Database, Fixture},
    report::Report,
    turns::compare,
};

const SUBSCRIBERS: i64 = 10_000;
const EXPANSIONS: usize = 100;
const REGISTER_TURNS: usize = 15;

/// As the worker's system lane.
const CHUNK: i32 = 5_000;

const NOTE: &str =
    "Please leave it with the neighbours on the second floor, the bell does not work at all.";

/// An order that everybody is told.
#[derive(Clone, Debug, Event, JsonSchema, Serialize)]
#[event(name = "order:announced", version = 1)]
struct OrderAnnounced {
    id: u64,
    note: String,
}

/// The same, and one is told.
#[derive(Clone, Debug, Event, JsonSchema, Serialize)]
#[event(name = "order:whispered", version = 1)]
struct OrderWhispered {
    id: u64,
    note: String,
}

const SUBSCRIBE: &[&str] = &[
    APPLICATION,
    "insert into tidings.subscriber (name, kind, shard)
     select 'fanout-' || n, 'memory', n % 16 from generate_series(1, 10000) n",
    "insert into tidings.pattern (pattern) values ('order:announced'), ('order:whispered')",
    "insert into tidings.subscription (subscriber_id, pattern_id)
     select b.subscriber_id, p.pattern_id
     from tidings.pattern p join tidings.subscriber b on b.name = 'fanout-1' or b.name like 'fanout-%' and p.pattern = 'order:announced'
     order by 1",
    "vacuum analyze",
    "checkpoint",
];

const CLEAR: &[&str] = &["truncate tidings.delivery, tidings.expansion, tidings.event"];

/// A worker that owns the system lane, as far as the database knows.
#[derive(Clone, Copy, Debug)]
struct Owner {
    worker_id: Uuid,
    term: i64,
}

/// Measures both rows on one database.
pub(crate) async fn ratios(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let database = Database::create(fixture, "bench_fanout").await?;
    let mut conn = database.pool.acquire().await?;
    catalogue![OrderAnnounced, OrderWhispered]?.sync(&mut conn).await?;
    drop(conn);
    database.run(SUBSCRIBE).await?;
    expand_ratio(&database, report).await?;
    register_ratio(&database, report).await?;
    database.discard(fixture).await
}

/// The rate at which one event is expanded, over that of one plain insert of the same deliveries.
async fn expand_ratio(database: &Database, report: &mut Report) -> Result<()> {
    let (worker_id, term) = sqlx::query_as(
        "update tidings.shard set worker_id = gen_random_uuid(), term = term + 1, taken_at = clock_timestamp()
         where group_name = 'system' returning worker_id, term",
    )
    .fetch_one(&database.pool)
    .await?;
    let owner = Owner { worker_id, term };
    let turns = compare(
        "fanout.ratio",
        EXPANSIONS,
        async || expand(database, owner).await,
        async || insert(database).await,
    )
    .await?;
    let note = format!(
        "1 event to {SUBSCRIBERS} subscribers in chunks of {CHUNK}, a transaction each, against one insert of the same rows; \
         {EXPANSIONS} turns each way; {:.0} against {:.0} deliveries/s",
        turns.ours, turns.other
    );
    report.add("fanout.ratio", "ratio", &turns.ratios, note);
    Ok(())
}

/// Deliveries per second of an expansion, from the first chunk to the answer that nothing is left.
async fn expand(database: &Database, owner: Owner) -> Result<f64> {
    let event_id = register(database).await?;
    let began = Instant::now();
    loop {
        let mut tx = database.pool.begin().await?;
        let lanes: Option<Vec<i32>> =
            sqlx::query_scalar("select tidings.expand_v1($1, 0::smallint, $2, $3, $4)")
                .bind(owner.worker_id)
                .bind(owner.term)
                .bind(event_id)
                .bind(CHUNK)
                .fetch_one(&mut *tx)
                .await?;
        tx.commit().await?;
        if lanes.is_none() {
            break;
        }
    }
    written(database, began).await
}

/// Deliveries per second of a plain insert.
async fn insert(database: &Database) -> Result<f64> {
    let event_id = register(database).await?;
    let began = Instant::now();
    let mut tx = database.pool.begin().await?;
    sqlx::query(
        "insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
         select $1, now(), now(), s.subscriber_id, s.subscription_id
         from tidings.subscription s join tidings.pattern p using (pattern_id)
         where p.pattern = 'order:announced' and s.deleted_at is null",
    )
    .bind(event_id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    written(database, began).await
}

/// Registers an event on empty tables.
async fn register(database: &Database) -> Result<Uuid> {
    database.run(CLEAR).await?;
    let mut tx = database.pool.begin().await?;
    let event = OrderAnnounced { id: 1, note: NOTE.to_owned() };
    let registered = tidings::register_event(&mut tx, &event).await?;
    tx.commit().await?;
    Ok(registered.event_id)
}

/// The rate since `began`, if everybody has a delivery.
async fn written(database: &Database, began: Instant) -> Result<f64> {
    let took = began.elapsed();
    let query = "select count(*) from tidings.delivery where subscriber_id > 0";
    let count: i64 = sqlx::query_scalar(query).fetch_one(&database.pool).await?;
    ensure!(count == SUBSCRIBERS, "{count} of {SUBSCRIBERS} deliveries were written");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = count as f64 / took.as_secs_f64();
    Ok(rate)
}

/// The rate of registering an event that ten thousand are told, over that of one that one is told.
async fn register_ratio(database: &Database, report: &mut Report) -> Result<()> {
    database.run(CLEAR).await?;
    let pool = &database.pool;
    let turns = compare(
        "fanout.register_ratio",
        REGISTER_TURNS,
        async || rate(pool, |id| OrderAnnounced { id, note: NOTE.to_owned() }).await,
        async || rate(pool, |id| OrderWhispered { id, note: NOTE.to_owned() }).await,
    )
    .await?;
    let (events, expansions): (i64, i64) = sqlx::query_as(
        "select (select count(*) from tidings.event where type = 'order:announced'), (select count(*) from tidings.expansion)",
    )
    .fetch_one(pool)
    .await?;
    ensure!(events == expansions, "{expansions} of {events} events are to be expanded");
    let note = format!(
        "{SUBSCRIBERS} against 1 subscribers, nobody expands; {CLIENTS} clients, {REGISTER_TURNS} turns of {} s each way; \
         {:.0} against {:.0} transactions/s",
        TURN.as_secs(),
        turns.ours,
        turns.other
    );
    report.add("fanout.register_ratio", "ratio", &turns.ratios, note);
    Ok(())
}
