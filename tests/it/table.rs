//! The searchable table: each unique event is in it once, and is found by what it says.

mod find;
mod once;
mod pipeline;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tidings_pipeline::{
    Log as _, Output, Result,
    ledger::Entry,
    log::Memory,
    record::Headers,
    sink::{
        Hooks, Ledger, Metrics,
        table::{Found, Options, Query, Sink, search},
    },
    topic::{self, Layout},
};
use tidings_tests::{Database, SOON, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// When the events of these tests were taken: 2023-11-14, 22:13:20.
const SYNCTS: i64 = 1_700_000_000_000;

/// Longer ago than that.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 100);

/// The group that the sink of these tests is.
const GROUP: &str = "sink.table";

/// A log in memory with two partitions, and a table.
struct Stage {
    database: Arc<Database>,
    log: Memory,
    hooks: Arc<dyn Hooks>,
    options: Options,
}

/// A sink that runs.
struct Running {
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Stage {
    async fn new() -> Self {
        let log = Memory::new();
        let layout = Layout { partitions: 2, ..Layout::default() };
        log.prepare(&layout.specs()).await.unwrap();
        let options = Options { kept: FOR_EVER, ..Options::new("table") };
        Self { database: Arc::new(Database::new().await), log, hooks: Arc::new(Ledger), options }
    }

    async fn append(&self, events: impl IntoIterator<Item = Value>) {
        self.append_texts(events.into_iter().map(|event| event.to_string())).await;
    }

    async fn append_texts(&self, events: impl IntoIterator<Item = String>) {
        let output = |(index, event): (usize, String)| Output {
            topic: topic::UNIQUE.into(),
            partition: i32::try_from(index % 2).unwrap(),
            key: None,
            headers: Headers::new(),
            value: Bytes::from(event),
        };
        self.log.append(events.into_iter().enumerate().map(output).collect()).await.unwrap();
    }

    fn start(&self) -> Running {
        let sink = Sink::new(self.options.clone(), self.database.pool().clone());
        let (log, hooks, metrics) = (self.log.clone(), Arc::clone(&self.hooks), sink.metrics());
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        let task = tokio::spawn(async move { sink.run(&log, hooks, &shutdown).await });
        Running { metrics, stop, task }
    }

    /// Waits until everything that was appended is committed.
    async fn committed(&self) {
        let ends = self.log.bounds(topic::UNIQUE).await.unwrap();
        eventually(SOON, "everything is committed", async || {
            let committed = self.log.committed(GROUP, topic::UNIQUE).await.unwrap();
            let is_done = ends.iter().zip(&committed).all(|(end, at)| at.unwrap_or(0) == end.end);
            is_done.then_some(())
        })
        .await;
    }

    /// Runs the sink until everything is committed.
    async fn drain(&self) -> Arc<Metrics> {
        let running = self.start();
        self.committed().await;
        running.stop().await
    }

    async fn search(&self, query: Query) -> Vec<Found> {
        search(self.database.pool(), &query).await.unwrap()
    }

    /// Returns the ids in the table, sorted; one that is there twice is there twice.
    async fn ids(&self) -> Vec<String> {
        let query = "select document_id from tidings.telemetry_event order by document_id";
        sqlx::query_scalar(query).fetch_all(self.database.pool()).await.unwrap()
    }

    /// Returns the sums of the ledger: stored, already there, rejected.
    fn ledger(&self) -> [u64; 3] {
        let mut sums = [0; 3];
        for record in self.log.records(topic::LEDGER) {
            let Ok(Entry::Sink { days, .. }) = Entry::read(&record.value) else {
                panic!("a sink writes what it has done");
            };
            for day in days {
                sums[0] += day.stored;
                sums[1] += day.already_there;
                sums[2] += day.rejected;
            }
        }
        sums
    }

    /// Returns what was rejected, as its bytes and the first code.
    fn failed(&self) -> Vec<(String, String)> {
        let failed = self.log.records(topic::FAILED).into_iter().map(|record| {
            assert_eq!(record.headers.get("sink"), Some("table"));
            let reasons: Value =
                serde_json::from_str(record.headers.get("reasons").unwrap()).unwrap();
            let code = reasons[0]["code"].as_str().unwrap().to_owned();
            (String::from_utf8_lossy(&record.value).into_owned(), code)
        });
        failed.collect()
    }
}

impl Running {
    /// Stops the sink in order.
    async fn stop(self) -> Arc<Metrics> {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.metrics
    }
}

/// Returns an event with this number, which happened so many seconds after the first.
fn event(number: usize) -> Value {
    let ets = SYNCTS + 1000 * i64::try_from(number).unwrap();
    json!({
        "eid": "IMPRESSION", "ets": ets, "ver": "3.0", "mid": format!("m{number}"),
        "actor": {"id": "u1", "type": "User"},
        "context": {"channel": "c", "env": "e", "did": format!("d{number}"), "pdata": {"id": "p"}},
        "edata": {"type": "view", "pageid": format!("page{number}"), "uri": "/", "duration": 2},
        "@timestamp": "2023-11-14T22:13:20.000Z", "syncts": SYNCTS,
        "metadata": {"id": id(number), "source": format!("0/{number}/0"), "channel": "c"},
    })
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
