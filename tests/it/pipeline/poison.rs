//! What nobody can take stops nothing, is shown with its reasons, and comes in once when it is corrected; by the commands
//! that a person has for it.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tidings_pipeline::log::{Postgres, postgres::Options};
use tidings_tests::{Database, eventually, opensearch::OpenSearch};

use super::{
    stage::{Parts, Stage, documents},
    traffic::batch_of,
};
use crate::binary::{Ran, run};

/// A rule that cannot be applied to everything.
const SETTINGS: &str = "[[redact.rule]]\npath = \"$.edata.phone\"\naction = \"hash\"\n";

/// How long events may take to their place.
const SETTLED: Duration = Duration::from_secs(40);

/// Numbers of an account: received, unique, duplicate, failed, broken batches, and rejected by the index.
type Counts = [i64; 6];

fn event(mid: &str, phone: &Value) -> Value {
    json!({
        "eid": "LOG", "mid": mid, "ets": 1_700_000_000_000_i64, "ver": "3.0",
        "actor": {"id": "u", "type": "User"}, "object": {"id": "do_1", "type": "Content"},
        "context": {"channel": "c", "env": "e", "did": format!("device of {mid}"), "pdata": {"id": "p"}},
        "edata": {"type": "system", "level": "INFO", "message": "hello", "phone": phone},
    })
}

struct Desk {
    stage: Stage<Postgres>,
}

impl Desk {
    async fn new(node: &OpenSearch) -> Self {
        let database = Database::new().await;
        let connect: PgConnectOptions = database.url().parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(connect.clone());
        let log = Postgres::new(pool, connect, Options::default());
        let parts = Parts { log, database, choice: Vec::new(), seed: 4 };
        let mut stage = Stage::new(parts).await.searched(node).set(SETTINGS);
        stage.start(0).await;
        Self { stage }
    }

    async fn send(&mut self, batch: String) {
        let output = self.stage.sender.raw(batch);
        self.stage.append(vec![output]).await;
    }

    /// Runs a command of `tidings telemetry` that has to succeed.
    async fn telemetry(&self, command: &[&str]) -> Value {
        self.try_telemetry(command).await.json()
    }

    async fn try_telemetry(&self, command: &[&str]) -> Ran {
        run(&self.stage.command(&["telemetry"]).args(command).arg("--json")).await
    }

    /// Returns the sums of the accounts of all days, once nothing is pending.
    async fn counts(&self) -> Option<Counts> {
        let mut counts = Counts::default();
        for day in self.stage.sender.days() {
            let account =
                self.telemetry(&["account", "--batches", "--day", &day.to_string()]).await;
            assert_eq!(account["balanced"], true, "{account}");
            let number = |value: &Value| value.as_i64().unwrap();
            let sinks = account["sinks"].as_array().unwrap();
            let waiting: i64 = sinks.iter().map(|sink| number(&sink["pending"])).sum();
            // A sink that has taken nothing of the day yet is not there yet.
            let begun = sinks.len() == 2 || number(&account["unique"]) == 0;
            if number(&account["pending"]) + waiting > 0 || !begun {
                return None;
            }
            assert_eq!(account["batches_open"], json!([]), "{account}");
            let names = ["received", "unique", "duplicate", "failed", "batches_failed"];
            for (sum, name) in counts.iter_mut().zip(names) {
                *sum += number(&account[name]);
            }
            counts[5] += sinks.iter().map(|sink| number(&sink["rejected"])).sum::<i64>();
        }
        Some(counts)
    }

    async fn settled(&self, expected: Counts) {
        let mut last = None;
        let reached = tokio::time::timeout(SETTLED, async {
            while last != Some(expected) {
                last = self.counts().await.or(last);
            }
        });
        let reached = reached.await.is_ok();
        assert!(reached, "{last:?}, and not {expected:?}\n{}", self.stage.story());
    }

    /// Returns where what failed is, by stage and code.
    async fn failed(&self) -> Vec<(String, String, String)> {
        let listed = self.telemetry(&["failed", "list"]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = listed.as_array().unwrap().iter();
        let mut items: Vec<_> = items
            .map(|item| {
                (text(&item["stage"]), text(&item["reasons"][0]["code"]), text(&item["place"]))
            })
            .collect();
        items.sort();
        items
    }

    async fn place(&self, stage: &str) -> String {
        let failed = self.failed().await;
        failed.into_iter().find(|(at, ..)| at == stage).unwrap().2
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_stops_nothing_and_comes_in_once_when_it_is_corrected() {
    let node = OpenSearch::shared().await;
    let mut desk = Desk::new(&node).await;
    let unredactable = event("unredactable", &json!({"home": "1"}));
    let mut refused = event("refused", &json!("1"));
    refused["object"] = json!("do_1");
    let mut kindless = event("kindless", &json!("1"));
    kindless.as_object_mut().unwrap().remove("eid");
    desk.send("garbage".to_owned()).await;
    let items = [event("first", &json!("1")), refused, unredactable, kindless, json!(7)];
    desk.send(batch_of(&items.map(|item| item.to_string()))).await;
    desk.send(batch_of(&[event("last", &json!("1")).to_string()])).await;
    desk.settled([6, 3, 0, 3, 1, 1]).await;

    let failed = desk.failed().await;
    let shown: Vec<_> = failed.iter().map(|(stage, code, _)| (&**stage, &**code)).collect();
    let expected = [
        ("check", "malformed_json"),
        ("check_event", "missing"),
        ("redact", "redact_type"),
        ("sink", "mapper_parsing_exception"),
        ("unbundle", "not_an_object"),
    ];
    assert_eq!(shown, expected);

    // What the index refuses is not for the steps.
    let place = desk.place("sink").await;
    let refusal = desk.try_telemetry(&["failed", "replay", &place]).await;
    refusal.refused(4, "dedup would take it for a duplicate");

    // Corrected, each comes in, and only once however often.
    let mut counts = [6, 3, 0, 3, 1, 1];
    for (stage, mid) in [("redact", "unredactable"), ("check_event", "kindless")] {
        let place = desk.place(stage).await;
        let content = desk.telemetry(&["failed", "show", &place]).await["content"].clone();
        assert!(content.as_str().unwrap().contains(mid), "{content}");
        let file = desk.stage.write(mid, &event(mid, &json!("1")).to_string());
        for duplicate in [0, 1] {
            desk.telemetry(&["failed", "replay", &place, "--corrected", &file]).await;
            counts[0] += 1;
            counts[1] += 1 - duplicate;
            counts[2] += duplicate;
            desk.settled(counts).await;
        }
    }

    let found = desk.telemetry(&["where", "kindless"]).await;
    let topics: Vec<_> = found.as_array().unwrap().iter().map(|at| at["topic"].clone()).collect();
    let raw = ["telemetry.raw"; 3];
    let events = ["telemetry.events"; 3];
    let others = ["telemetry.unique", "telemetry.duplicate", "telemetry.failed"];
    assert_eq!(topics, [&raw[..], &events, &others].concat());
    let taken = &found[6]["taken_by"];
    assert_eq!(
        taken,
        &json!([{"group": "sink.files", "taken": true}, {"group": "sink.search", "taken": true}])
    );

    // All batches once more: what was taken is there already, and what was refused is refused again.
    let again = desk.telemetry(&["reprocess", "--from", "1h"]).await;
    assert_eq!(again["batches"], 7);
    desk.settled([20, 5, 9, 6, 2, 1]).await;
    let prefix = desk.stage.search.clone().unwrap();
    let indexed = eventually(SETTLED, "the index has them", async || {
        let indexed = documents(&node, &prefix).await.len();
        (indexed >= 4).then_some(indexed)
    });
    assert_eq!(indexed.await, 4);
    desk.stage.stop_all().await;
    assert_eq!(desk.stage.faults(), Vec::<&String>::new());
}
