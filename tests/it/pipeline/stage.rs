//! Processes of a pipeline, what they run on, and where they put events.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::Value;
use tidings_pipeline::{
    Log, Output, Record,
    log::{Kafka, Limits, Reader as _, Start},
    topic,
};
use tidings_tests::{
    Database, Launch, Process, SOON, Temporary, eventually, opensearch::OpenSearch,
};

use super::traffic::Sender;
use crate::binary::at;

/// How many partitions each topic has: more than there are processes, and no multiple of their number.
pub(super) const PARTITIONS: i32 = 4;

/// How long a process may take to start.
const STARTED_MAX: Duration = Duration::from_secs(40);

/// For how long a member may be away, and a transaction open: short, because both are waited for after every kill.
const SESSION: [(&str, &str); 5] = [
    ("session.timeout.ms", "3000"),
    ("heartbeat.interval.ms", "500"),
    ("max.poll.interval.ms", "10000"),
    ("socket.timeout.ms", "4500"),
    ("transaction.timeout.ms", "5000"),
];

/// How much is read of a topic at once.
const ALL: Limits = Limits { records: 10_000, bytes: 64 << 20 };

/// A pipeline of processes.
pub(super) struct Stage<L> {
    pub(super) log: L,
    pub(super) database: Database,
    /// Where the files lie.
    pub(super) files: PathBuf,
    /// What stands before the names of the indices.
    pub(super) search: Option<String>,
    pub(super) sender: Sender,
    /// What all commands are told of the log.
    choice: Vec<String>,
    /// What the processes are told of what they do.
    pub(super) work: Vec<String>,
    folder: Temporary,
    processes: Vec<(usize, Process)>,
    /// What those have said that have been killed.
    said: Vec<String>,
}

/// What a pipeline is made of.
pub(super) struct Parts<L> {
    pub(super) log: L,
    pub(super) database: Database,
    /// What the commands are told of the log.
    pub(super) choice: Vec<String>,
    pub(super) seed: u64,
}

/// Returns the log on a broker and what the commands are told of it.
pub(super) fn on_kafka(brokers: &str, prefix: &str) -> (Kafka, Vec<String>) {
    let builder = Kafka::builder(brokers).prefix(prefix);
    let log =
        SESSION.iter().fold(builder, |builder, (name, value)| builder.property(*name, *value));
    let mut choice = ["--log", "kafka", "--kafka-brokers", brokers, "--log-prefix", prefix]
        .map(str::to_owned)
        .to_vec();
    for (name, value) in SESSION {
        choice.extend(["--kafka-property".to_owned(), format!("{name}={value}")]);
    }
    (log.build().unwrap(), choice)
}

impl<L: Log> Stage<L> {
    /// Makes a pipeline that puts files into a folder.
    pub(super) async fn new(parts: Parts<L>) -> Self {
        let Parts { log, database, choice, seed } = parts;
        let folder = Temporary::new("pipeline");
        let files = folder.path().join("files");
        let now: DateTime<Utc> =
            sqlx::query_scalar("select now()").fetch_one(database.pool()).await.unwrap();
        let sender = Sender::new(seed, PARTITIONS, now);
        let work = ["--files-age", "2s", "--partitions", &PARTITIONS.to_string()];
        let mut work = work.map(str::to_owned).to_vec();
        work.extend(["--files".to_owned(), files.to_str().unwrap().to_owned()]);
        let (search, processes, said) = (None, Vec::new(), Vec::new());
        Self { log, database, files, search, sender, choice, work, folder, processes, said }
    }

    /// Has it index events too.
    #[must_use]
    pub(super) fn searched(mut self, node: &OpenSearch) -> Self {
        let (url, prefix) = (node.url(), node.prefix());
        let work = ["--search", &url, "--search-prefix", &prefix];
        self.work.extend(work.map(str::to_owned));
        self.search = Some(prefix);
        self
    }

    /// Has it work by these settings, with a hash key.
    #[must_use]
    pub(super) fn set(mut self, settings: &str) -> Self {
        for (name, option, text) in [
            ("pipeline.toml", "--pipeline-config", settings),
            ("hash-keys", "--hash-key-file", "k1:AAAAAAAAAAAAAAAAAAAAAA==\n"),
        ] {
            let path = self.write(name, text);
            self.work.extend([option.to_owned(), path]);
        }
        self
    }

    /// Writes a file, and returns its path.
    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Returns a launch of a command that looks into the log, or works on it.
    pub(super) fn command(&self, command: &[&str]) -> Launch {
        at(&self.database.url()).args(command).args(&self.choice)
    }

    /// Starts a process, which goes on with the data folder of the one before it on this place, and waits until it works.
    pub(super) async fn start(&mut self, place: usize) {
        let folder = self.folder.path().join(format!("process-{place}"));
        fs::create_dir_all(&folder).unwrap();
        let launch = self.command(&["pipeline"]).env("TIDINGS_DATA", folder);
        let process = launch.env("TIDINGS_LOG", "info").args(&self.work).start();
        process.line("refines telemetry", STARTED_MAX).await;
        self.processes.push((place, process));
    }

    /// Returns the places where a process is running.
    pub(super) fn places(&self) -> Vec<usize> {
        self.processes.iter().map(|(place, _)| *place).collect()
    }

    /// Kills the process on a place.
    pub(super) async fn kill(&mut self, place: usize) {
        let process = self.take(place);
        process.kill().await;
        self.note(place, &process);
    }

    /// Stops the process on a place in order.
    pub(super) async fn stop(&mut self, place: usize) {
        let process = self.take(place);
        process.terminate();
        let (status, output) = process.exit(SOON * 2).await;
        self.note(place, &process);
        assert!(status.success(), "process {place} ended with {status}: {output:#?}");
    }

    /// Stops all that are running in order.
    pub(super) async fn stop_all(&mut self) {
        for place in self.places() {
            self.stop(place).await;
        }
    }

    fn take(&mut self, place: usize) -> Process {
        let index = self.processes.iter().position(|(at, _)| *at == place).unwrap();
        self.processes.remove(index).1
    }

    fn note(&mut self, place: usize, process: &Process) {
        let output = process.output();
        let of = |line: &String| format!("{place} ({}): {line}", process.pid());
        self.said.extend(output.stderr.iter().map(of));
    }

    /// Returns what the processes have said that should not be, and the last lines of all.
    pub(super) fn story(&self) -> String {
        let mut lines = self.said.clone();
        for (place, process) in &self.processes {
            let state = if process.is_running() { "runs" } else { "HAS ENDED" };
            lines.push(format!("{place} ({}) {state}", process.pid()));
            let stderr = process.output().stderr;
            lines.extend(stderr.iter().map(|line| format!("{place}: {line}")));
        }
        // What the client says of every connection and setting says nothing more.
        lines
            .retain(|line| !line.contains("kafka.facility=") && !line.contains("brokers are down"));
        let from = lines.len().saturating_sub(400);
        let mut story = String::new();
        for line in lines.iter().filter(|line| is_fault(line)).chain(&lines[from..]) {
            writeln!(story, "{line}").unwrap();
        }
        story
    }

    /// Returns what the processes have said of faults of ours.
    pub(super) fn faults(&self) -> Vec<&String> {
        self.said.iter().filter(|line| is_fault(line)).collect()
    }

    /// Sends so many events.
    pub(super) async fn send(&mut self, events: u32) {
        let batches = self.sender.batches(events);
        self.append(batches).await;
    }

    /// Writes batches to the raw log, again if it is not known whether they are there: they are posted twice then.
    pub(super) async fn append(&self, batches: Vec<Output>) {
        eventually(SOON * 3, "the batches are in the raw log", async || {
            self.log.append(batches.clone()).await.ok()
        })
        .await;
    }

    /// Reads a topic.
    pub(super) async fn read(&self, topic: &str) -> Vec<Record> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let mut reader = self.log.reader(topic, partition, Start::Beginning).await.unwrap();
            while let Some(records) = reader.next(ALL).await.unwrap() {
                all.extend(records);
            }
        }
        all
    }

    /// Waits until the second hop has committed more than at a time before, which is returned anew.
    pub(super) async fn progress(&self, before: i64) -> i64 {
        let within = Duration::from_secs(40);
        let mut last = String::new();
        let moved = tokio::time::timeout(within, async {
            loop {
                match self.log.committed("refine", topic::EVENTS).await {
                    Ok(committed) => {
                        let sum = committed.into_iter().flatten().sum();
                        if sum > before {
                            return sum;
                        }
                    }
                    Err(error) => last = error.to_string(),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        moved
            .await
            .unwrap_or_else(|_| panic!("no progress in {within:?}: {last}\n{}", self.story()))
    }
}

/// Says whether a line tells of a fault of ours.
fn is_fault(line: &str) -> bool {
    line.contains("panicked") || line.contains("ERROR")
}

/// Returns the documents of an index, each with its index, without their sources.
pub(super) async fn documents(node: &OpenSearch, prefix: &str) -> Vec<(String, String)> {
    let pattern = format!("{prefix}*");
    node.call(Method::POST, &format!("{pattern}/_refresh"), &Value::Null).await;
    let query = serde_json::json!({"size": 5000, "_source": false, "sort": ["_doc"]});
    let mut page = node.call(Method::POST, &format!("{pattern}/_search?scroll=1m"), &query).await;
    let mut documents = Vec::new();
    loop {
        let hits = page["hits"]["hits"].as_array().unwrap();
        if hits.is_empty() {
            return documents;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        documents.extend(hits.iter().map(|hit| (text(&hit["_id"]), text(&hit["_index"]))));
        let next = serde_json::json!({"scroll": "1m", "scroll_id": page["_scroll_id"]});
        page = node.call(Method::POST, "_search/scroll", &next).await;
    }
}
