//! Sessions under kills: every event is in one summary, every summary is once in the log, the files and the ledger.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tidings_pipeline::{
    Headers, Log, Output,
    log::{Postgres, postgres::Options},
    topic,
};
use tidings_tests::{Database, Kind, Server, eventually};

use super::stage::{Parts, Stage};
use crate::binary::PATIENCE;

const MINUTE: i64 = 60_000;

const DEVICES: usize = 40;

/// Sessions of each device, two hours apart.
const SESSIONS: i64 = 5;

/// Events of each session, one in a minute.
const EVENTS: i64 = 6;

/// Returns the batches of one session of every device, a batch for each minute, as a relay has taken them then.
fn batches(first: i64) -> Vec<Output> {
    let minutes = (0..EVENTS).map(|minute| first + minute * MINUTE);
    let batch = |at: i64| {
        let event = |device: usize| {
            json!({
                "eid": "INTERACT", "ets": at, "ver": "3.0", "mid": format!("{device}-{at}"),
                "actor": {"id": "u", "type": "User"},
                "context": {"channel": "c", "pdata": {"id": "p"}, "env": "e", "did": format!("d{device}")},
                "edata": {"type": "CLICK", "pageid": "home"},
            })
        };
        let events: Vec<_> = (0..DEVICES).map(event).collect();
        let value = json!({"id": "x", "ver": "3.0", "ets": at, "events": events}).to_string();
        let headers = Headers::new().with("syncts", at.to_string()).with("channel", "portal");
        // In one partition, so that they come in their order.
        Output { topic: topic::RAW.into(), partition: 0, key: None, headers, value: value.into() }
    };
    minutes.map(batch).collect()
}

async fn sum<L: Log>(stage: &Stage<L>, of: &str) -> i64 {
    let query = format!("select coalesce(sum({of}), 0)::bigint from tidings.telemetry_day");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(stage.database.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_summed_up_once_whatever_process_or_server_dies() {
    let server = Arc::new(Server::start(Kind::Durable).await);
    let database = Database::on(&server).await;
    let connect: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(connect.clone());
    let log = Postgres::new(pool, connect, Options::default());
    let parts = Parts { log, database, choice: Vec::new(), seed: 9 };
    let mut stage = Stage::new(parts).await.set("[sessions]\n");
    for place in 0..2 {
        stage.start(place).await;
    }
    let now: DateTime<Utc> =
        sqlx::query_scalar("select now()").fetch_one(stage.database.pool()).await.unwrap();
    let start = now.timestamp_millis();
    // One more, which ends the one before and is itself not over.
    for session in 0..=SESSIONS {
        stage.append(batches(start + session * 120 * MINUTE)).await;
        let place = stage.places()[usize::try_from(session % 2).unwrap()];
        stage.kill(place).await;
        stage.start(place).await;
        if session == 2 {
            server.crash().await;
            server.start_again().await;
        }
    }
    let devices = i64::try_from(DEVICES).unwrap();
    let sessions = devices * SESSIONS;
    let events = devices * EVENTS * (SESSIONS + 1);
    eventually(PATIENCE, "every session but the last ones is summed up and filed", async || {
        let counts = (
            sum(&stage, "derived").await,
            sum(&stage, "unique_events").await,
            sum(&stage, "stored").await,
        );
        (counts == (sessions, events + sessions, events + sessions)).then_some(())
    })
    .await;
    stage.stop_all().await;
    let mut summaries = BTreeMap::new();
    for record in stage.read(topic::UNIQUE).await {
        let event: Value = serde_json::from_slice(&record.value).unwrap();
        if event["eid"] == "ME_SESSION_SUMMARY" {
            assert_eq!(
                event["edata"]["events_summary"],
                json!([{"id": "INTERACT", "count": EVENTS}])
            );
            assert_eq!(event["edata"]["time_spent"], 300.0);
            *summaries.entry(event["mid"].to_string()).or_insert(0) += 1;
        }
    }
    assert!(summaries.values().all(|times| *times == 1), "{summaries:?}");
    assert_eq!(i64::try_from(summaries.len()).unwrap(), sessions, "\n{}", stage.story());
    let mut filed = stage.filed();
    filed.sort();
    filed.dedup();
    assert_eq!(i64::try_from(filed.len()).unwrap(), events + sessions);
    assert_eq!(stage.faults(), Vec::<&String>::new());
}
