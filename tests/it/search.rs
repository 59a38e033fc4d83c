//! Unique events in OpenSearch: each once, whatever breaks between it and us.
//!
//! Needs Java and Maven, which fetch it once; the folder `toxiproxy` needs Go.

mod again;
mod faults;
mod limits;
mod mapping;
mod once;
mod toxiproxy;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::Url;
use serde_json::{Value, json};
use tidings_pipeline::{
    Log as _, Result,
    log::Memory,
    record::{Headers, Output, Record},
    sink::{
        Hooks, Metrics, Tally,
        search::{Options, Sink},
    },
    topic::{self, Layout},
};
use tidings_tests::{eventually, opensearch::OpenSearch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The day of the events of these tests: 2023-11-14, 22:13:20.
const SYNCTS: i64 = 1_700_000_000_000;

const DAY_MS: i64 = 86_400_000;

/// The group that the sink of these tests is.
const GROUP: &str = "sink.os";

/// How long anything may take: a JVM beside other tests is slow, and whoever waits goes on at once.
const SOON: Duration = Duration::from_mins(2);

/// How long an engine that was away may take to be found again.
const RECOVERY: Duration = Duration::from_mins(4);

/// A log in memory with two partitions, and a sink that is to be run.
struct Stage {
    log: Memory,
    node: Arc<OpenSearch>,
    options: Options,
}

/// A sink that runs.
struct Running {
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

/// Writes the tally of each commit to the ledger.
#[derive(Debug)]
struct Ledger;

impl Hooks for Ledger {
    fn account(&self, tally: &Tally<'_>) -> Vec<Output> {
        let days = tally.days.iter().map(|(day, counts)| {
            json!([day.to_string(), counts.stored, counts.already_there, counts.rejected])
        });
        let value = Bytes::from(json!(days.collect::<Vec<_>>()).to_string());
        let (topic, headers) = (topic::LEDGER.into(), Headers::new());
        vec![Output { topic, partition: 0, key: None, headers, value }]
    }
}

impl Stage {
    async fn new() -> Self {
        Self::on(OpenSearch::shared().await).await
    }

    async fn on(node: Arc<OpenSearch>) -> Self {
        let log = Memory::new();
        let layout = Layout { partitions: 2, ..Layout::default() };
        log.prepare(&layout.specs()).await.unwrap();
        let mut options = Options::new("os", Url::parse(&node.url()).unwrap());
        options.prefix = node.prefix();
        options.replicas = 0;
        Self { log, node, options }
    }

    /// Appends events.
    async fn append(&self, events: impl IntoIterator<Item = Value>) {
        let output = |(index, event): (usize, Value)| Output {
            topic: topic::UNIQUE.into(),
            partition: i32::try_from(index % 2).unwrap(),
            key: None,
            headers: Headers::new(),
            value: Bytes::from(event.to_string()),
        };
        self.log.append(events.into_iter().enumerate().map(output).collect()).await.unwrap();
    }

    fn start(&self) -> Running {
        self.start_by(Arc::new(Ledger))
    }

    fn start_by(&self, hooks: Arc<dyn Hooks>) -> Running {
        let sink = Sink::new(self.options.clone()).unwrap();
        let (log, stop, metrics) = (self.log.clone(), CancellationToken::new(), sink.metrics());
        let shutdown = stop.clone();
        let task = tokio::spawn(async move { sink.run(&log, hooks, &shutdown).await });
        Running { metrics, stop, task }
    }

    /// Waits until everything that was appended is committed.
    async fn committed(&self, within: Duration) {
        let ends: Vec<_> = self.log.bounds(topic::UNIQUE).await.unwrap();
        eventually(within, "everything is committed", async || {
            let committed = self.log.committed(GROUP, topic::UNIQUE).await.unwrap();
            let is_done = ends.iter().zip(&committed).all(|(end, at)| at.unwrap_or(0) == end.end);
            is_done.then_some(())
        })
        .await;
    }

    /// Runs the sink until everything is committed.
    async fn drain(&self, within: Duration) -> Arc<Metrics> {
        let running = self.start();
        self.committed(within).await;
        running.stop().await
    }

    /// Runs the sink by other hooks until everything is committed.
    async fn drain_by(&self, hooks: Arc<dyn Hooks>, within: Duration) -> Arc<Metrics> {
        let running = self.start_by(hooks);
        self.committed(within).await;
        running.stop().await
    }

    /// Returns the ids in the index, sorted; one that is there twice is there twice.
    async fn ids(&self) -> Vec<String> {
        let pattern = format!("{}*", self.options.prefix);
        self.node.documents(&pattern).await.into_iter().map(|(id, ..)| id).collect()
    }

    /// Returns what was rejected, as document and code.
    fn failed(&self) -> Vec<(Record, String)> {
        let code = |record: &Record| {
            let reasons: Value =
                serde_json::from_str(record.headers.get("reasons").unwrap()).unwrap();
            reasons[0]["code"].as_str().unwrap().to_owned()
        };
        let records = self.log.records(topic::FAILED).into_iter();
        records.map(|record| (record.clone(), code(&record))).collect()
    }

    /// Returns the sums of the ledger: stored, already there, rejected.
    fn ledger(&self) -> [u64; 3] {
        let mut sums = [0; 3];
        for record in self.log.records(topic::LEDGER) {
            let days: Vec<(String, u64, u64, u64)> = serde_json::from_slice(&record.value).unwrap();
            for (_, stored, already_there, rejected) in days {
                sums[0] += stored;
                sums[1] += already_there;
                sums[2] += rejected;
            }
        }
        sums
    }
}

impl Running {
    /// Stops the sink in order.
    async fn stop(self) -> Arc<Metrics> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.metrics
    }

    /// Waits until a counter has reached a number.
    async fn counted(&self, what: &str, count: impl Fn(&Metrics) -> u64 + Sync, min: u64) {
        eventually(SOON, what, async || (count(&self.metrics) >= min).then_some(())).await;
    }
}

/// Returns an event with this number.
fn event(number: usize) -> Value {
    json!({
        "eid": "IMPRESSION", "ets": SYNCTS, "ver": "3.0", "mid": format!("m{number}"),
        "actor": {"id": "u1", "type": "User"},
        "context": {"channel": "c", "env": "e", "did": format!("d{number}"), "pdata": {"id": "p"}},
        "edata": {"type": "view", "pageid": "home", "uri": "/", "duration": 2},
        "@timestamp": "2023-11-14T22:13:20.000Z", "syncts": SYNCTS,
        "metadata": {"id": id(number), "source": format!("0/{number}/0"), "channel": "c"},
    })
}

/// Returns an event with something else in a member.
fn with(number: usize, member: &str, value: Value) -> Value {
    let mut event = event(number);
    event[member] = value;
    event
}

fn id(number: usize) -> String {
    format!("{number:040x}")
}

fn all(count: usize) -> Vec<String> {
    (0..count).map(id).collect()
}

fn events(count: usize) -> impl Iterator<Item = Value> {
    (0..count).map(event)
}
