//! Somebody is erased while their events still come in, by commands that are killed: nothing of them is anywhere
//! afterwards but in the topics, and the account still agrees.

use std::{fs, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tidings_pipeline::{
    Log as _,
    log::{Postgres, postgres::Options},
    topic,
};
use tidings_tests::{Database, SOON, eventually, opensearch::OpenSearch, s3::Bucket};

use super::{
    stage::{Parts, Stage},
    traffic::batch_of,
};
use crate::binary::run;

/// How long the pipeline may take with everything.
const SETTLED: Duration = Duration::from_mins(1);

/// What stands in every event of who is erased, and in no other.
const TRACE: &str = "trace-of-ada";

fn event(number: u32, actor: &str, device: &str) -> String {
    let message =
        if [actor, device].contains(&"ada") || device == "ada's phone" { TRACE } else { "hello" };
    json!({
        "eid": "LOG", "mid": format!("m{number}"), "ets": 1_700_000_000_000_i64, "ver": "3.0",
        "actor": {"id": actor, "type": "User"}, "object": {"id": "do_1", "type": "Content"},
        "context": {"channel": "c", "env": "e", "did": device, "pdata": {"id": "p"}},
        "edata": {"type": "system", "level": "INFO", "message": message},
    })
    .to_string()
}

struct Desk {
    stage: Stage<Postgres>,
    node: std::sync::Arc<OpenSearch>,
    bucket: Bucket,
    places: Vec<String>,
    sent: u32,
}

impl Desk {
    async fn new() -> Self {
        let (node, bucket) = (OpenSearch::shared().await, Bucket::new().await);
        let database = Database::new().await;
        let connect: PgConnectOptions = database.url().parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(connect.clone());
        let log = Postgres::new(pool, connect, Options::default());
        let parts = Parts { log, database, choice: Vec::new(), seed: 5 };
        let mut stage = Stage::new(parts).await.searched(&node);
        let at = stage.work.iter().position(|word| word == "--files").unwrap();
        stage.work[at + 1] = bucket.url("lake");
        let mut places = vec!["--files".to_owned(), bucket.url("lake")];
        for (name, value) in bucket.options() {
            let option = ["--files-option".to_owned(), format!("{name}={value}")];
            stage.work.extend(option.clone());
            places.extend(option);
        }
        let prefix = stage.search.clone().unwrap();
        places.extend(["--search".to_owned(), node.url(), "--search-prefix".to_owned(), prefix]);
        stage.work.push("--table".to_owned());
        Self { stage, node, bucket, places, sent: 0 }
    }

    /// Sends events of ada, of her phone, and of others; some of hers are none.
    async fn send(&mut self) {
        let mut events = Vec::new();
        for _ in 0..10 {
            for (actor, device) in [("ada", "a desk"), ("bob", "ada's phone"), ("bob", "a desk")] {
                events.push(event(self.sent, actor, device));
                self.sent += 1;
            }
        }
        events.push(format!(
            r#"{{"mid":"of no kind","actor":{{"id":"ada"}},"context":{{"did":"a desk"}},"edata":"{TRACE}"}}"#
        ));
        let output = self.stage.sender.raw(batch_of(&events));
        self.stage.append(vec![output]).await;
    }

    async fn account(&self) -> Vec<Value> {
        let mut accounts = Vec::new();
        for day in self.stage.sender.days() {
            let command =
                self.stage.command(&["telemetry", "account", "--day", &day.to_string(), "--json"]);
            accounts.push(run(&command).await.json());
        }
        accounts
    }

    /// Waits until everything that was sent is refined, and taken by the sinks.
    async fn settled(&self, received: i64) {
        let mut last = Vec::new();
        let settled = tokio::time::timeout(SETTLED, async {
            loop {
                last = self.account().await;
                let sum = |name: &str| last.iter().filter_map(|of| of[name].as_i64()).sum::<i64>();
                let waits = last.iter().any(|of| {
                    let sinks = of["sinks"].as_array().unwrap();
                    // A sink that has taken nothing of the day yet is not there yet.
                    let begun = sinks.len() == 3 || of["unique"] == 0;
                    !begun || sinks.iter().any(|sink| sink["pending"] != 0)
                });
                if sum("received") == received && sum("pending") == 0 && !waits {
                    return;
                }
            }
        });
        let is_settled = settled.await.is_ok();
        assert!(is_settled, "{received}: {last:#?}\n{}", self.stage.story());
        assert!(last.iter().all(|of| of["balanced"] == true), "{last:#?}");
    }

    /// Says in which of table, index and files there is something of who was erased.
    async fn traces(&self) -> Vec<String> {
        let mut traces = Vec::new();
        let query =
            "select count(*) from tidings.telemetry_event where event::text like '%' || $1 || '%'";
        let rows: i64 = sqlx::query_scalar(query)
            .bind(TRACE)
            .fetch_one(self.stage.database.pool())
            .await
            .unwrap();
        traces.extend((rows > 0).then(|| format!("{rows} rows")));
        let pattern = format!("{}*", self.stage.search.as_deref().unwrap());
        self.node.call(Method::POST, &format!("{pattern}/_refresh"), &Value::Null).await;
        let documents = self.node.documents(&pattern).await;
        let found = documents.iter().filter(|(.., event)| event.to_string().contains(TRACE));
        traces.extend(Some(found.count()).filter(|n| *n > 0).map(|n| format!("{n} documents")));
        let mut folders = vec![self.bucket.path()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let bytes = fs::read(entry.path()).unwrap();
                let mut text = String::new();
                let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
                if std::io::Read::read_to_string(&mut decoder, &mut text).is_ok()
                    && text.contains(TRACE)
                {
                    traces.push(entry.path().display().to_string());
                }
            }
        }
        traces
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_while_their_events_come_in_is_nowhere_and_stays_away() {
    let mut desk = Desk::new().await;
    desk.stage.start(0).await;
    for _ in 0..5 {
        desk.send().await;
    }
    desk.settled(5 * 31).await;
    let traces = desk.traces().await;
    for of in [" rows", " documents", ".gz"] {
        assert!(traces.iter().any(|trace| trace.ends_with(of)), "{of}: {traces:?}");
    }

    let words = ["subject", "erase", "--user", "ada", "--device", "ada's phone", "--wait", "40s"];
    let erase =
        desk.stage.command(&words).args(&desk.places).arg("--json").env("TIDINGS_LOG", "info");
    // Killed while it waits, while it deletes, and while files are written; events come in all the while.
    for moment in ["waiting for what is under way", "the index", "erasing telemetry: files"] {
        let process = erase.start();
        desk.send().await;
        process.line(moment, SOON).await;
        desk.send().await;
        process.kill().await;
    }
    let running = tokio::spawn(async move { run(&erase).await });
    desk.send().await;
    let receipt = running.await.unwrap().json();
    let telemetry = &receipt["telemetry"];
    assert_eq!((&telemetry["complete"], &telemetry["tombstones"]), (&json!(true), &json!(0)));
    let planes: Vec<_> =
        telemetry["planes"].as_array().unwrap().iter().map(|of| of["plane"].clone()).collect();
    assert_eq!(planes, ["table", "search", "files", "topics"]);
    let lapses: DateTime<Utc> =
        telemetry["planes"][3]["lapses_at"].as_str().unwrap().parse().unwrap();
    let erased_at: DateTime<Utc> = telemetry["erased_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(lapses - erased_at, TimeDelta::days(8));
    assert_eq!(desk.traces().await, Vec::<String>::new(), "{receipt:#}");

    // What they have kept offline comes late.
    let failed: i64 = failed(&desk).await;
    desk.send().await;
    desk.settled(13 * 31).await;
    assert_eq!(desk.traces().await, Vec::<String>::new());
    let accounts = desk.account().await;
    let filtered: i64 = accounts.iter().filter_map(|of| of["filtered"].as_i64()).sum();
    assert!(filtered >= 21, "{accounts:#?}");
    assert_eq!(self::failed(&desk).await, failed, "bytes of who was erased are not kept as failed");
    let stored: Vec<String> = sqlx::query_scalar("select hash from tidings.telemetry_tombstone")
        .fetch_all(desk.stage.database.pool())
        .await
        .unwrap();
    assert!(stored.len() >= 2 && !stored.iter().any(|hash| hash.contains("ada")), "{stored:?}");
    desk.stage.stop_all().await;
    assert_eq!(desk.stage.faults(), Vec::<&String>::new());
}

async fn failed(desk: &Desk) -> i64 {
    desk.stage.log.bounds(topic::FAILED).await.unwrap().iter().map(|of| of.end).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_have_lost_everything_have_it_again() {
    let mut desk = Desk::new().await;
    desk.stage.start(0).await;
    for _ in 0..3 {
        desk.send().await;
    }
    desk.settled(3 * 31).await;
    let pattern = format!("{}*", desk.stage.search.as_deref().unwrap());
    let before = desk.node.documents(&pattern).await;
    desk.node.call(Method::DELETE, &pattern, &Value::Null).await;
    sqlx::query("delete from tidings.telemetry_event")
        .execute(desk.stage.database.pool())
        .await
        .unwrap();
    let resend = async |sink: &str| {
        let command = ["telemetry", "resend", sink, "--from", "1h", "--json"];
        run(&desk.stage.command(&command).args(&desk.places)).await
    };
    for (sink, stored) in [("search", 90), ("table", 90), ("search", 0), ("table", 0)] {
        let resent = resend(sink).await.json();
        assert_eq!((&resent["taken"], &resent["stored"]), (&json!(90), &json!(stored)), "{sink}");
    }
    eventually(SOON, "the index has everything", async || {
        (desk.node.documents(&pattern).await == before).then_some(())
    })
    .await;
    assert_eq!(resend("files").await.json()["restored"], 0);
    run(&desk.stage.command(&["telemetry", "resend", "files", "--from", "1h"]))
        .await
        .refused(2, "--files is not set");
    desk.settled(3 * 31).await;
    desk.stage.stop_all().await;
}
