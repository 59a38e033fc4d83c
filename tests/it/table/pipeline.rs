//! From raw batches over the log in Postgres to the table.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;
use tidings_pipeline::{
    Builder, Log as _, Output,
    ledger::account,
    log::{Postgres, postgres},
    record::Headers,
    settings::Settings,
    sink::{
        self,
        table::{Options, Sink},
    },
    steps::Steps,
    topic::{self, Layout},
};
use tidings_tests::{Database, eventually};
use tokio_util::sync::CancellationToken;

/// Two takeovers, each after the lease of the member before.
const SOON: Duration = Duration::from_mins(3);

const BATCHES: usize = 20;
const EVENTS: usize = 50;

/// Returns raw batches, each twice.
fn batches(now: DateTime<Utc>) -> Vec<Output> {
    let raw = |batch: usize| {
        let event = |number: usize| {
            json!({
                "eid": "LOG", "ets": now.timestamp_millis(), "ver": "3.0",
                "mid": format!("m{batch}-{number}"), "actor": {"id": "u", "type": "User"},
                "context": {"channel": "c", "pdata": {"id": "p"}, "env": "e", "did": format!("d{number}")},
                "edata": {"type": "system", "level": "INFO", "message": "hello"},
            })
        };
        let events: Vec<_> = (0..EVENTS).map(event).collect();
        let value = json!({"id": "x", "ver": "3.0", "ets": 1, "events": events});
        let syncts = now.timestamp_millis().to_string();
        Output {
            topic: topic::RAW.into(),
            partition: i32::try_from(batch % 4).unwrap(),
            key: None,
            headers: Headers::new().with("syncts", syncts).with("channel", "anonymous"),
            value: Bytes::from(value.to_string()),
        }
    };
    (0..BATCHES).chain(0..BATCHES).map(raw).collect()
}

async fn rows(pool: &PgPool) -> i64 {
    let query = "select count(*) from tidings.telemetry_event";
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_sent_twice_to_a_pipeline_that_is_killed_are_in_the_table_once() {
    let database = Database::new().await;
    let pool = database.pool();
    let connect = database.url().parse().unwrap();
    let log = Postgres::new(pool.clone(), connect, postgres::Options::default());
    let layout = Layout { partitions: 4, ..Layout::default() };
    log.prepare(&layout.specs()).await.unwrap();
    let now: DateTime<Utc> =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await.unwrap();
    let start = async || {
        let steps = Steps::compile(&Settings::default(), None).unwrap();
        let sink = Sink::new(Options::new("table"), pool.clone());
        let builder = Builder::new(log.clone(), pool.clone(), steps).layout(layout);
        let builder = builder.sink("table", move |log, shutdown| async move {
            sink.run(&log, Arc::new(sink::Ledger), &shutdown).await
        });
        builder.start(CancellationToken::new()).await.unwrap()
    };
    let running = start().await;
    let mut batches = batches(now);
    let later = batches.split_off(BATCHES / 2);
    log.append(batches).await.unwrap();
    eventually(SOON, "something is stored", async || (rows(pool).await > 0).then_some(())).await;
    // As a process that is killed.
    drop(running);
    log.append(later).await.unwrap();
    let _running = start().await;
    let account = eventually(SOON, "everything is accounted for", async || {
        let mut conn = pool.acquire().await.unwrap();
        let account = account::of_day(&mut conn, now.date_naive()).await.unwrap();
        let sent = i64::try_from(2 * BATCHES * EVENTS).unwrap();
        let taken = account.sinks.first().is_some_and(|sink| sink.pending == 0);
        (account.received == sent && account.pending == 0 && taken).then_some(account)
    })
    .await;
    let once = i64::try_from(BATCHES * EVENTS).unwrap();
    assert!(account.is_balanced(), "{account:?}");
    assert_eq!((account.unique, account.duplicate, account.failed), (once, once, 0));
    let sink = &account.sinks[0];
    assert_eq!((sink.sink.as_str(), sink.stored + sink.already_there), ("table", once));
    assert_eq!(rows(pool).await, once);
    let ids: i64 = sqlx::query_scalar(
        "select count(distinct mid) from tidings.telemetry_event where words @> '{hello}'",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(ids, once);
}
