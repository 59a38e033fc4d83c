//! What registering adds to the application's transaction: against the same transaction with two plain inserts of the
//! same rows, the least that any outbox writes.

use std::time::{Duration, Instant};

use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgPool;
use tidings::{Event, catalogue};
use uuid::Uuid;

use crate::{clients::APPLICATION, fixture::Fixture, report::Report, turns::compare};

const CLIENTS: usize = 16;
const TURNS: usize = 15;
const TURN: Duration = Duration::from_secs(2);

/// An order, as a shop would tell of it: 200 bytes of JSON.
#[derive(Clone, Debug, Event, JsonSchema, Serialize)]
#[event(name = "order:placed", version = 1)]
pub(crate) struct OrderPlaced {
    pub(crate) id: u64,
    pub(crate) customer: String,
    pub(crate) total_cents: u64,
    pub(crate) currency: String,
    pub(crate) note: String,
}

impl OrderPlaced {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            customer: "c-0123456789".to_owned(),
            total_cents: 129_900,
            currency: "EUR".to_owned(),
            note: "Please leave it with the neighbours on the second floor, the bell does not work at all.".to_owned(),
        }
    }
}

const PLAIN: &[&str] = &[
    APPLICATION,
    // Tables of the same shape, partitioned and indexed alike: the same rows, without what chooses and checks them.
    "create table plain_event (like tidings.event including all) partition by range (event_id)",
    "create table plain_event_day partition of plain_event for values from (minvalue) to (maxvalue)",
    "create table plain_delivery (like tidings.delivery including all)",
    "insert into tidings.subscriber (name, kind, shard) values ('bench', 'memory', 1)",
    "select tidings.subscribe_v1(subscriber_id, 'order:placed', '', '', false) from tidings.subscriber where name = 'bench'",
];

/// What comes after is measured on a server that has nothing else to tidy up.
const CLEAR: &[&str] = &[
    "drop table app_order, plain_event, plain_delivery",
    "truncate tidings.delivery, tidings.event",
    "checkpoint",
];

/// Transactions per second with `register_event`, over those with two plain inserts.
pub(crate) async fn tx_ratio(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let mut conn = fixture.pool.acquire().await?;
    catalogue![OrderPlaced]?.sync(&mut conn).await?;
    drop(conn);
    fixture.run(PLAIN).await?;
    let turns = compare(
        "register.tx_ratio",
        TURNS,
        async || rate(&fixture.pool, Way::Register).await,
        async || rate(&fixture.pool, Way::Plain).await,
    )
    .await?;
    fixture.run(CLEAR).await?;
    let note = format!(
        "{CLIENTS} clients, {TURNS} turns of {} s each way; {:.0} against {:.0} transactions/s",
        TURN.as_secs(),
        turns.ours,
        turns.other
    );
    report.add("register.tx_ratio", "ratio", &turns.ratios, note);
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Register,
    Plain,
}

/// Transactions per second of all clients together.
async fn rate(pool: &PgPool, way: Way) -> Result<f64> {
    let began = Instant::now();
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(client(pool.clone(), way, began + TURN))).collect();
    let mut count = 0_u32;
    for client in clients {
        count += client.await??;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

async fn client(pool: PgPool, way: Way, until: Instant) -> Result<u32> {
    let mut conn = pool.acquire().await?;
    let mut count = 0;
    while Instant::now() < until {
        let event = OrderPlaced::new(u64::from(count));
        let mut tx = sqlx::Connection::begin(&mut *conn).await?;
        sqlx::query("insert into app_order (customer) values ($1)")
            .bind(&event.customer)
            .execute(&mut *tx)
            .await?;
        match way {
            Way::Register => {
                tidings::register_event(&mut tx, &event).await?;
                tidings::commit(tx).await?;
            }
            Way::Plain => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the plain way has no database function for it"
                )]
                let id = Uuid::now_v7();
                sqlx::query(
                    "insert into plain_event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload)
                     values ($1, clock_timestamp(), clock_timestamp(), $2, 1, '', '', octet_length($3), $3::text::json)",
                )
                .bind(id)
                .bind("order:placed")
                .bind(event.notification()?)
                .execute(&mut *tx)
                .await?;
                sqlx::query(
                    "insert into plain_delivery (event_id, due_at, first_due_at, subscriber_id, subscription_id)
                     values ($1, clock_timestamp(), clock_timestamp(), 1, 1)",
                )
                .bind(id)
                .execute(&mut *tx)
                .await?;
                tx.commit().await?;
            }
        }
        count += 1;
    }
    Ok(count)
}
