//! Whether registering gets slower with the number of subscriptions, where as many of them match.

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, catalogue};

use crate::{
    clients::{APPLICATION, CLIENTS, TURN, rate},
    fixture::{Database, Fixture},
    report::Report,
    turns::compare,
};

const MANY: i64 = 1_000_000;
const FEW: i64 = 10;
const TURNS: usize = 15;

/// An order of a project: 200 bytes of JSON, as that of `register.tx_ratio`.
#[derive(Clone, Debug, Event, JsonSchema, Serialize)]
#[event(name = "order:packed", version = 1, scope(project))]
struct OrderPacked {
    project: String,
    customer: String,
    total_cents: u64,
    note: String,
}

impl OrderPacked {
    /// Returns an order of one of the first `projects` projects, far from that of the order before.
    fn new(number: u64, projects: i64) -> Self {
        let project = number.wrapping_mul(7_919) % projects.unsigned_abs() + 1;
        Self {
            project: format!("p{project}"),
            customer: "c-0123456789".to_owned(),
            total_cents: 129_900,
            note: "Please leave it with the neighbours on the second floor, the bell does not work at all.".to_owned(),
        }
    }
}

/// The rate of registering with a million subscriptions, over that with ten, one of which matches.
pub(crate) async fn register_ratio(fixture: &Fixture, report: &mut Report) -> Result<()> {
    let many = subscribed(fixture, "bench_routes_many", MANY).await?;
    let few = subscribed(fixture, "bench_routes_few", FEW).await?;
    let turns = compare(
        "routes.register_ratio",
        TURNS,
        async || rate(&many.pool, |number| OrderPacked::new(number, MANY)).await,
        async || rate(&few.pool, |number| OrderPacked::new(number, FEW)).await,
    )
    .await?;
    for database in [&many, &few] {
        let (events, deliveries): (i64, i64) = sqlx::query_as(
            "select (select count(*) from tidings.event), (select count(*) from tidings.delivery)",
        )
        .fetch_one(&database.pool)
        .await?;
        ensure!(events == deliveries, "{events} events have {deliveries} deliveries");
    }
    let note = format!(
        "{MANY} against {FEW} subscriptions to one pattern, each in a scope of its own, 1 matches, events in all scopes; \
         {CLIENTS} clients, {TURNS} turns of {} s each way; {:.0} against {:.0} transactions/s",
        TURN.as_secs(),
        turns.ours,
        turns.other
    );
    report.add("routes.register_ratio", "ratio", &turns.ratios, note);
    many.discard(fixture).await?;
    few.discard(fixture).await
}

/// Makes a database with so many subscriptions, of up to a thousand subscribers.
async fn subscribed(fixture: &Fixture, name: &'static str, count: i64) -> Result<Database> {
    let database = Database::create(fixture, name).await?;
    let mut conn = database.pool.acquire().await?;
    catalogue![OrderPacked]?.sync(&mut conn).await?;
    drop(conn);
    database
        .run(&[APPLICATION, "insert into tidings.pattern (pattern) values ('order:*')"])
        .await?;
    sqlx::query(
        "insert into tidings.subscriber (name, kind, shard)
         select 'route-' || n, 'memory', n % 16 from generate_series(1, least($1, 1000)) n",
    )
    .bind(count)
    .execute(&database.pool)
    .await?;
    sqlx::query(
        "with lane as (
           select subscriber_id, row_number() over (order by subscriber_id) as n from tidings.subscriber where name like 'route-%'
         )
         insert into tidings.subscription (subscriber_id, pattern_id, scope)
         select lane.subscriber_id, (select pattern_id from tidings.pattern where pattern = 'order:*'), 'project=p' || project
         from generate_series(1, $1) project join lane on lane.n = 1 + project % least($1, 1000)",
    )
    .bind(count)
    .execute(&database.pool)
    .await?;
    database.run(&["vacuum analyze", "checkpoint"]).await?;
    Ok(database)
}
