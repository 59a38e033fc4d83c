//! Registered events in the pipeline: each is once in the table and once in a file, whatever dies and whatever is
//! delivered again; and only its telemetry view is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tidings::{Event, register_event};
use tidings_pipeline::{
    Log,
    log::{Postgres, postgres::Options},
    topic,
};
use tidings_tests::{Database, Process, SOON, eventually, kafka::Kafka as Broker};

use super::stage::{Parts, Stage, on_kafka};
use crate::binary::{PATIENCE, on, run};

/// An order has been placed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, ordering_key = email)]
struct OrderPlaced {
    email: String,
    #[telemetry]
    items: u32,
}

/// A note has been taken; telemetry has no part in it.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "note:taken", version = 1)]
struct NoteTaken {
    text: &'static str,
}

/// Registers orders in transactions of ten, each with a note, of which every third is rolled back; returns the ids of
/// the orders that are there.
async fn register(database: &Database, transactions: u32) -> BTreeSet<String> {
    let mut placed = BTreeSet::new();
    for number in 0..transactions {
        let mut tx = database.pool().begin().await.unwrap();
        let mut ids = Vec::new();
        for items in 0..10 {
            let order = OrderPlaced { email: format!("{}@example.com", items % 3), items };
            ids.push(register_event(&mut tx, &order).await.unwrap().event_id.to_string());
        }
        register_event(&mut tx, &NoteTaken { text: "secret" }).await.unwrap();
        if number % 3 == 2 {
            tx.rollback().await.unwrap();
        } else {
            tidings::commit(tx).await.unwrap();
            placed.extend(ids);
        }
    }
    placed
}

async fn worker<L: Log>(stage: &Stage<L>) -> Process {
    let worker = stage.command(&["worker"]).start();
    worker.line("works (pid", PATIENCE).await;
    worker
}

/// Returns how often each id is in the table.
async fn in_table(database: &Database) -> BTreeMap<String, i64> {
    let query = "select mid, count(*) from tidings.telemetry_event group by mid";
    let rows: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(database.pool()).await.unwrap();
    rows.into_iter().collect()
}

/// Registers events, kills the worker in the middle of them again and again, and delivers all of them once more.
async fn registered_events_are_there_once<L: Log>(mut stage: Stage<L>) {
    stage.work.push("--table".to_owned());
    stage.start(0).await;
    let types = tidings::catalogue![OrderPlaced, NoteTaken].unwrap();
    types.sync(&mut stage.database.pool().acquire().await.unwrap()).await.unwrap();
    let mut process = worker(&stage).await;
    let add = ["sink", "add", "registered", "--kind", "pipeline", "--json"];
    run(&on(&stage.database).args(add)).await.json();
    let mut placed = BTreeSet::new();
    for _ in 0..3 {
        placed.extend(register(&stage.database, 20).await);
        process.kill().await;
        process = worker(&stage).await;
    }
    placed.extend(register(&stage.database, 3).await);
    let once: BTreeMap<_, _> = placed.iter().map(|id| (id.clone(), 1)).collect();
    eventually(PATIENCE, "every order is in the table", async || {
        (in_table(&stage.database).await == once).then_some(())
    })
    .await;

    let words = ["replay", "--since", "1h", "--subscriber", "registered", "--yes", "--json"];
    run(&on(&stage.database).args(words)).await.json();
    eventually(PATIENCE, "what was delivered again is known as a duplicate", async || {
        (stage.read(topic::DUPLICATE).await.len() >= placed.len()).then_some(())
    })
    .await;
    assert_eq!(in_table(&stage.database).await, once);
    eventually(SOON * 2, "every order is in a file", async || {
        let query = "select coalesce(sum(stored), 0)::bigint from tidings.telemetry_day where sink = 'files'";
        let stored: i64 =
            sqlx::query_scalar(query).fetch_one(stage.database.pool()).await.unwrap();
        (stored >= i64::try_from(once.len()).unwrap()).then_some(())
    })
    .await;
    process.terminate();
    process.exit(PATIENCE).await;
    stage.stop_all().await;
    let unique = stage.read(topic::UNIQUE).await;
    assert_eq!(unique.len(), placed.len(), "\n{}", stage.story());
    let partitions: BTreeSet<_> = unique.iter().map(|record| record.partition).collect();
    assert!(partitions.len() > 1, "the events of one installation are spread");
    let text = format!("{unique:?}");
    assert!(!text.contains("example.com") && !text.contains("secret"), "no notification");
    let stored: BTreeSet<String> =
        sqlx::query_scalar::<_, String>("select document_id from tidings.telemetry_event")
            .fetch_all(stage.database.pool())
            .await
            .unwrap()
            .into_iter()
            .collect();
    let filed = stage.filed();
    assert_eq!((filed.len(), filed.into_iter().collect()), (placed.len(), stored));
    assert!(stage.read(topic::FAILED).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_events_are_once_in_table_and_files_on_the_log_in_postgres() {
    let database = Database::durable().await;
    let connect: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(connect.clone());
    let log = Postgres::new(pool, connect, Options::default());
    let parts = Parts { log, database, choice: Vec::new(), seed: 5 };
    Box::pin(registered_events_are_there_once(Stage::new(parts).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_events_are_once_in_table_and_files_on_the_log_on_kafka() {
    let broker: Arc<Broker> = Broker::shared().await;
    let (log, choice) = on_kafka(&broker.brokers(), &broker.prefix());
    let parts = Parts { log, database: Database::durable().await, choice, seed: 6 };
    Box::pin(registered_events_are_there_once(Stage::new(parts).await)).await;
}
