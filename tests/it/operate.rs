//! What whoever runs a pipeline sees of it: its metrics, how far it is behind, what the doctor says; and a service that
//! it sends to.

mod dashboard;
mod posthog;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tidings_pipeline::{
    Headers, Log as _, Output,
    log::{Postgres, postgres},
    topic::{self, Layout},
};
use tidings_tests::{Database, Launch, Process, Temporary};

use crate::binary::{PATIENCE, at, run};

/// How long lag may take to be measured, after what is behind has been read.
const MEASURED: Duration = Duration::from_mins(1);

/// A database with a log in it, and a folder for what a process needs.
struct Stage {
    database: Database,
    log: Postgres,
    folder: Temporary,
}

impl Stage {
    async fn new() -> Self {
        let database = Database::new().await;
        let connect = database.url().parse().unwrap();
        let log = Postgres::new(database.pool().clone(), connect, postgres::Options::default());
        log.prepare(&Layout { partitions: 2, ..Layout::default() }.specs()).await.unwrap();
        let folder = Temporary::new("operate");
        Self { database, log, folder }
    }

    /// Writes a file, and returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, words: &[&str]) -> Launch {
        at(&self.database.url()).env("TIDINGS_DATA", self.folder.path()).args(words)
    }

    /// Starts a pipeline with metrics, and returns it and where they are.
    async fn pipeline(&self, words: &[&str]) -> (Process, String) {
        let launch = self.command(&["pipeline", "--partitions", "2"]).args(words);
        let launch = launch.args(["--metrics-listen", "127.0.0.1:0"]).env("TIDINGS_LOG", "info");
        let process = launch.start();
        let line = process.line("/metrics", PATIENCE).await;
        let url = line.split_whitespace().last().unwrap().to_owned();
        (process, url)
    }

    /// Sends a batch of these events, as a relay would have taken it.
    async fn send(&self, events: &[Value]) {
        let value = json!({"id": "x", "ver": "3.0", "ets": 1, "events": events}).to_string();
        let now: i64 =
            sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
                .fetch_one(self.database.pool())
                .await
                .unwrap();
        let headers = Headers::new().with("syncts", now.to_string()).with("channel", "anonymous");
        let (topic, value) = (topic::RAW.into(), Bytes::from(value));
        let output = Output { topic, partition: 1, key: None, headers, value };
        self.log.append(vec![output]).await.unwrap();
    }

    /// Returns how far groups are behind, by their names.
    async fn lag(&self) -> Vec<(String, i64, i64)> {
        let lags = run(&self.command(&["telemetry", "lag", "--json"])).await.json();
        let group = |lag: &Value| {
            let number = |name: &str| lag[name].as_i64().unwrap();
            (lag["group"].as_str().unwrap().to_owned(), number("members"), number("records"))
        };
        lags.as_array().unwrap_or_else(|| panic!("{lags}")).iter().map(group).collect()
    }

    /// Returns what the doctor finds of telemetry.
    async fn findings(&self) -> Vec<(String, String)> {
        let ran = run(&self.command(&["doctor", "--json"])).await;
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["check"] == "telemetry").unwrap();
        let findings = check["findings"].as_array().unwrap().iter();
        let text = |found: &Value, name: &str| found[name].as_str().unwrap().to_owned();
        findings.map(|found| (text(found, "code"), text(found, "what"))).collect()
    }
}

/// Returns an event of Sunbird's.
fn event(mid: &str, kind: &str) -> Value {
    json!({
        "eid": "INTERACT", "ets": 1_700_000_000_123_i64, "ver": "3.0", "mid": mid,
        "actor": {"id": "teacher-7", "type": "User"},
        "context": {
            "channel": "c", "pdata": {"id": "esamwad"}, "env": "nipunhp", "did": "device-1", "sid": "s-1",
            "cdata": [{"type": "School", "id": "s42"}],
        },
        "edata": {"type": kind, "id": "button"},
    })
}

async fn page(url: &str) -> String {
    // Whoever comes second finds it installed; nothing here is encrypted.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pipeline_that_nobody_runs_is_found_and_one_that_runs_catches_up() {
    let stage = Stage::new().await;
    assert_eq!(stage.findings().await, []);
    stage.send(&[event("m1", "click"), event("m1", "click"), json!(7)]).await;
    let lag = stage.lag().await;
    assert_eq!(lag[0], ("unbundle".to_owned(), 0, 1), "{lag:?}");
    let found = stage.findings().await;
    let [(code, what)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(code, "group_unheld");
    assert!(what.starts_with("nobody reads telemetry.raw as unbundle: 1 records wait"), "{what}");

    let (process, url) = stage.pipeline(&["--table"]).await;
    let lines = [
        r#"tidings_pipeline_events_total{step="refine",outcome="unique"} 1"#,
        r#"tidings_pipeline_events_total{step="refine",outcome="duplicate"} 1"#,
        r#"tidings_pipeline_events_total{step="unbundle",outcome="failed"} 1"#,
        r#"tidings_pipeline_sink_events_total{sink="table",outcome="stored"} 1"#,
        r#"tidings_pipeline_partitions_held{group="refine"} 2"#,
        r#"tidings_pipeline_lag_records{group="sink.table",topic="telemetry.unique",partition="0"} 0"#,
    ];
    let shown = tidings_tests::eventually(MEASURED, "the metrics have it all", async || {
        let page = page(&url).await;
        lines.iter().all(|line| page.lines().any(|found| found == *line)).then_some(page)
    });
    let shown = shown.await;
    assert!(shown.contains(r#"tidings_pipeline_commits_total{group="ledger"}"#), "{shown}");
    let expected = ["unbundle", "refine", "ledger", "sink.table"];
    let expected: Vec<_> = expected.iter().map(|name| ((*name).to_owned(), 1, 0)).collect();
    let caught_up = async || (stage.lag().await == expected).then_some(());
    tidings_tests::eventually(MEASURED, "nobody is behind", caught_up).await;
    assert_eq!(stage.findings().await, []);
    process.terminate();
    let (status, output) = process.exit(PATIENCE).await;
    assert!(status.success(), "{output:?}");
}

#[tokio::test]
async fn keys_that_went_before_their_time_are_reported_for_a_day() {
    let stage = Stage::new().await;
    let entry = |evicted: Option<u64>| {
        let mut entry =
            json!({"step": "refine", "partition": 0, "first": 0, "next": 1, "batches": []});
        if let Some(keys) = evicted {
            entry["evicted"] = json!({"keys": keys, "reaches_s": 3600 * keys});
        }
        entry.to_string()
    };
    let write = async |offset: i64, hours_ago: f64, entry: String| {
        let statement = "insert into tidings.telemetry_ledger (log, partition, ledger_offset, recorded_at, entry)
            values ('postgres/', 0, $1, now() - $2 * interval '1 hour', $3::json)";
        let written = sqlx::query(statement).bind(offset).bind(hours_ago).bind(entry);
        written.execute(stage.database.pool()).await.unwrap();
    };
    write(0, 30.0, entry(Some(9))).await;
    write(1, 2.0, entry(None)).await;
    assert_eq!(stage.findings().await, []);
    write(2, 2.0, entry(Some(5))).await;
    write(3, 1.0, entry(Some(2))).await;
    let found = stage.findings().await;
    let what =
        "7 keys of dedup went before their time within a day; duplicates older than 2h get through";
    assert_eq!(found, [("dedup_cut".to_owned(), what.to_owned())]);
}

#[tokio::test]
async fn address_for_metrics_that_is_taken_is_said_at_the_start() {
    let stage = Stage::new().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = run(&stage.command(&["pipeline", "--metrics-listen", &address])).await;
    ran.refused(1, &format!("listen for metrics on {address}"));
}

#[tokio::test]
async fn what_a_metric_counts_stands_in_the_reference() {
    use std::collections::BTreeSet;

    use tidings_pipeline::{
        metrics::{Metrics, SinkMeter},
        sink,
    };
    let metrics = Metrics::default();
    metrics.add_sink("search", SinkMeter::Service(std::sync::Arc::default()));
    metrics.add_sink("files", SinkMeter::Files(std::sync::Arc::<sink::files::Metrics>::default()));
    let page = metrics.render();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: BTreeSet<_> = types.map(str::to_owned).collect();
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/metrics.md");
    let text = std::fs::read_to_string(place).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `tidings_pipeline_"));
    let listed: BTreeSet<_> = rows
        .map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            format!("tidings_pipeline_{name} {}", rest.split(" | ").next().unwrap())
        })
        .collect();
    assert_eq!(listed, types);
}
