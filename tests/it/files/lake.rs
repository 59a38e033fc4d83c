//! A log of unique events, a sink that files them, and a look at what lies there.

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tidings_pipeline::{
    Log as _, Output,
    gate::Gate,
    ledger::Entry,
    log::Memory,
    record::Headers,
    sink::{
        Edition, Guard, Hooks,
        files::{Metrics, Options, Retry, Roll, Sink, Store},
    },
    topic::{self, Layout},
};
use tidings_tests::{Database, SOON, Temporary, eventually, s3::Bucket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Two days, and a third.
pub(super) const DAYS: [&str; 3] = ["2026-11-21", "2026-11-22", "2026-11-23"];

pub(super) const PARTITIONS: i32 = 2;

/// Tried again at once, and not waited for long.
pub(super) const RETRY: Retry = Retry {
    attempts: 10,
    pause: Duration::from_millis(1),
    pause_max: Duration::from_millis(10),
    request_max: Duration::from_secs(1),
};

/// A sink and what it stands on.
pub(super) struct Lake {
    pub(super) database: Arc<Database>,
    pub(super) log: Memory,
    pub(super) options: Options,
    pub(super) hooks: Arc<dyn Hooks>,
    /// Where its files lie.
    pub(super) folder: PathBuf,
    spool: Arc<Temporary>,
}

/// A sink at work.
pub(super) struct Running {
    pub(super) task: JoinHandle<tidings_pipeline::Result<()>>,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
}

impl Lake {
    /// Makes a sink of this name whose files lie at `folder`.
    pub(super) async fn new(database: &Arc<Database>, name: &str, folder: PathBuf) -> Self {
        let spool = Arc::new(Temporary::new("spool"));
        let mut options = Options::new(name, spool.path());
        // Two days make a roll, so that it is the events that say where files end.
        options.roll = Roll { days: 2, ..Roll::default() };
        let log = log().await;
        let (database, hooks) = (Arc::clone(database), Arc::new(()));
        Self { database, log, options, hooks, folder, spool }
    }

    /// Makes a sink in a folder of its own of this bucket, with a database of its own.
    pub(super) async fn alone(bucket: &Bucket) -> Self {
        Self::new(&Arc::new(Database::new().await), "lake", bucket.path().join("lake")).await
    }

    /// Returns the same sink over another log.
    pub(super) fn over(&self, log: Memory) -> Self {
        let (database, options) = (Arc::clone(&self.database), self.options.clone());
        let (hooks, folder) = (Arc::clone(&self.hooks), self.folder.clone());
        Self { database, log, options, hooks, folder, spool: Arc::clone(&self.spool) }
    }

    /// Writes events to a partition, each taken by the relay on the day of this index, with ids that begin with `name`.
    pub(super) async fn append(&self, partition: i32, name: &str, days: &[usize]) {
        let event = |(number, day): (usize, &usize)| {
            let syncts =
                format!("{}T12:00:00Z", DAYS[*day]).parse::<chrono::DateTime<chrono::Utc>>();
            let value = serde_json::json!({
                "eid": "LOG", "mid": format!("{name}-{partition}-{number}"),
                "syncts": syncts.unwrap().timestamp_millis(),
            });
            record(partition, value.to_string())
        };
        self.log.append(days.iter().enumerate().map(event).collect()).await.unwrap();
    }

    /// Writes an event of somebody, taken by the relay on the day of this index.
    pub(super) async fn append_of(&self, partition: i32, mid: &str, (actor, day): (&str, usize)) {
        let syncts = format!("{}T12:00:00Z", DAYS[day]).parse::<chrono::DateTime<chrono::Utc>>();
        let value = serde_json::json!({
            "eid": "INTERACT", "mid": mid, "syncts": syncts.unwrap().timestamp_millis(),
            "actor": {"id": actor}, "context": {"did": format!("device of {actor}")},
        });
        self.log.append(vec![record(partition, value.to_string())]).await.unwrap();
    }

    /// Writes a value as it is.
    pub(super) async fn append_value(&self, partition: i32, value: &'static str) {
        self.log.append(vec![record(partition, value)]).await.unwrap();
    }

    /// Starts the sink on a store.
    pub(super) fn start(&self, store: Store) -> Running {
        let sink = self.sink(store);
        let (log, shutdown, metrics) = (self.log.clone(), CancellationToken::new(), sink.metrics());
        let (token, hooks) = (shutdown.clone(), Arc::clone(&self.hooks));
        let task = tokio::spawn(async move { sink.run(&log, hooks, &token).await });
        Running { task, shutdown, metrics }
    }

    pub(super) fn sink(&self, store: Store) -> Sink {
        Sink::new(self.options.clone(), store, self.database.pool().clone())
    }

    /// Has the levels and tombstones of the database be asked.
    #[must_use]
    pub(super) fn guarded(mut self) -> Self {
        self.hooks = Arc::new(Guard::new(Gate::new(self.database.pool().clone())));
        self
    }

    /// Waits until it is judged by other rules than before.
    pub(super) async fn judged_after(&self, before: Edition) {
        eventually(SOON, "other rules are known", async || {
            (self.hooks.refresh().await.unwrap() != before).then_some(())
        })
        .await;
    }

    /// Returns the sums of the ledger: stored, already there, rejected, filtered.
    pub(super) fn ledger(&self) -> [u64; 4] {
        let mut sums = [0; 4];
        for record in self.log.records(topic::LEDGER) {
            let Ok(Entry::Sink { days, .. }) = Entry::read(&record.value) else {
                panic!("a sink writes what it has done");
            };
            for day in days {
                let counts = [day.stored, day.already_there, day.rejected, day.filtered];
                assert_eq!(counts.iter().sum::<u64>(), day.taken);
                for (sum, count) in sums.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
        sums
    }

    /// Waits until the sink has committed these positions.
    pub(super) async fn committed(&self, positions: &[i64]) {
        let what = format!("the sink has committed {positions:?}");
        let group = format!("sink.{}", self.options.name);
        eventually(SOON, &what, async || {
            let committed = self.log.committed(&group, topic::UNIQUE).await.unwrap();
            let reached = |(at, wanted): (&Option<i64>, &i64)| at.unwrap_or_default() >= *wanted;
            committed.iter().zip(positions).all(reached).then_some(())
        })
        .await;
    }

    /// Returns how many records the sink has not committed.
    pub(super) async fn pending(&self) -> u64 {
        let group = format!("sink.{}", self.options.name);
        let committed = self.log.committed(&group, topic::UNIQUE).await.unwrap();
        let committed: i64 = committed.into_iter().flatten().sum();
        self.log.records(topic::UNIQUE).len() as u64 - u64::try_from(committed).unwrap()
    }

    /// Checks that each event of the log is in one of the files that the manifests list, on its day, that they list
    /// what is there, and that nothing else lies there.
    pub(super) fn check(&self) {
        self.check_without(&[]);
    }

    /// Checks the same, of everybody but these.
    pub(super) fn check_without(&self, erased: &[&str]) {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut listed = BTreeSet::new();
        for name in self.names().into_iter().filter(|name| name.starts_with("manifest/")) {
            let manifest: Value = serde_json::from_slice(&self.read(&name)).unwrap();
            let path = manifest["path"].as_str().unwrap();
            let dt = manifest["dt"].as_str().unwrap();
            let bytes = self.read(path);
            assert_eq!(manifest["bytes"], bytes.len());
            let hash = Sha256::digest(&bytes);
            let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let sha256: String = digits.filter_map(|n| char::from_digit(n.into(), 16)).collect();
            assert_eq!(manifest["sha256"], sha256);
            let mids = mids(path, bytes);
            assert_eq!(manifest["events"], mids.len());
            assert!(path.starts_with(&format!("dt={dt}/")), "{path}");
            found.extend(mids.into_iter().map(|mid| (mid, dt.to_owned())));
            listed.extend([path.to_owned(), name]);
        }
        found.sort();
        assert_eq!(found, self.expected(erased));
        let there: BTreeSet<String> = self.names().into_iter().collect();
        assert_eq!(there, listed);
    }

    /// Returns what is in the log: each event with its day.
    fn expected(&self, erased: &[&str]) -> Vec<(String, String)> {
        let mut events: Vec<_> = self
            .log
            .records(topic::UNIQUE)
            .iter()
            .filter_map(|record| {
                let event: Value = serde_json::from_slice(&record.value).ok()?;
                if event["actor"]["id"].as_str().is_some_and(|actor| erased.contains(&actor)) {
                    return None;
                }
                let day = chrono::DateTime::from_timestamp_millis(event["syncts"].as_i64()?)?;
                Some((event["mid"].as_str()?.to_owned(), day.date_naive().to_string()))
            })
            .collect();
        events.sort();
        events
    }

    /// Returns the names of everything that lies there.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        walk(&self.folder, &self.folder, &mut names);
        names.sort();
        names
    }

    pub(super) fn read(&self, name: &str) -> Bytes {
        fs::read(self.folder.join(name)).unwrap().into()
    }
}

impl Running {
    /// Stops the sink, which puts what is open.
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Stops the sink, which begins again because what it may keep has changed, and lets another one put what is open.
    pub(super) async fn stop_again(self, lake: &Lake, store: Store) {
        let before = lake.pending().await;
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        let running = lake.start(store);
        running.taken(before).await;
        running.stop().await;
    }

    /// Ends the sink as a crash does.
    pub(super) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Waits until the sink stops by itself, and returns what it says.
    pub(super) async fn error(self) -> tidings_pipeline::Error {
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap_err()
    }

    pub(super) async fn taken(&self, records: u64) {
        let metrics = &self.metrics;
        eventually(SOON, "the sink has taken records", async || {
            (metrics.taken.load(Ordering::Relaxed) >= records).then_some(())
        })
        .await;
    }
}

/// Returns an empty log with the topics of the pipeline.
pub(super) async fn log() -> Memory {
    let log = Memory::new();
    // After the database's clock, so that nothing is old already.
    log.set_clock("2099-01-01T00:00:00Z".parse().unwrap());
    log.prepare(&Layout { partitions: PARTITIONS, ..Layout::default() }.specs()).await.unwrap();
    log
}

fn record(partition: i32, value: impl Into<Bytes>) -> Output {
    let (topic, key, headers) = (topic::UNIQUE.into(), None, Headers::new());
    Output { topic, partition, key, headers, value: value.into() }
}

/// Opens the store of a bucket, through a proxy at this port if there is one.
pub(super) fn store(bucket: &Bucket, folder: &str, port: Option<u16>) -> Store {
    let options = port.map_or_else(|| bucket.options(), |port| bucket.options_at(port));
    Store::open(&bucket.url(folder), &options, RETRY).unwrap()
}

fn mids(path: &str, bytes: Bytes) -> Vec<String> {
    let mid = |event: Value| event["mid"].as_str().unwrap().to_owned();
    let ending = path.rsplit('.').next();
    if ending == Some("parquet") {
        let reader = SerializedFileReader::new(bytes).unwrap();
        let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
        let event = rows.map(|row| row.get_string(15).unwrap().clone());
        return event.map(|event| mid(serde_json::from_str(&event).unwrap())).collect();
    }
    let mut text = String::new();
    if ending == Some("gz") {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        zstd::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut text).unwrap();
    }
    text.lines().map(|line| mid(serde_json::from_str(line).unwrap())).collect()
}

fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            walk(root, &entry.path(), names);
        } else {
            names.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}
