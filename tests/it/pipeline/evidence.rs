//! What is there in the end, held against what was expected.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tidings_pipeline::{
    Failed, Log, Stage as Step,
    ledger::account::{self, Account, BatchAccount},
    provenance::Source,
    topic,
};
use tidings_tests::{eventually, opensearch::OpenSearch};

use super::{
    stage::{Stage, documents},
    traffic::Expected,
};

/// Everything that differs from what was expected.
#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn number(&mut self, what: &str, found: impl TryInto<u64>, expected: impl TryInto<u64>) {
        let (found, expected) = (found.try_into().ok(), expected.try_into().ok());
        if found != expected {
            self.0.push(format!("{what}: {found:?}, and not {expected:?}"));
        }
    }

    /// Each of `expected` is to be found once, and nothing else.
    fn once(
        &mut self,
        what: &str,
        found: impl IntoIterator<Item = String>,
        expected: &BTreeSet<String>,
    ) {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for id in found {
            *times.entry(id).or_default() += 1;
        }
        let missing = expected.iter().filter(|id| !times.contains_key(*id)).cloned();
        self.some(what, "are missing", &missing.collect::<Vec<_>>());
        let twice = times.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id.clone());
        self.some(what, "are there more than once", &twice.collect::<Vec<_>>());
        let strange = times.keys().filter(|id| !expected.contains(*id)).cloned();
        self.some(what, "should not be there", &strange.collect::<Vec<_>>());
    }

    fn some(&mut self, what: &str, how: &str, ids: &[String]) {
        if !ids.is_empty() {
            let first = &ids[..ids.len().min(3)];
            self.0.push(format!("{what}: {} {how}, such as {first:?}", ids.len()));
        }
    }
}

impl<L: Log> Stage<L> {
    /// Waits until everything in the raw log is refined and taken by the sinks, and returns what was expected of it.
    pub(super) async fn settled(&self, within: Duration) -> Expected {
        let expected = Expected::of(&self.read(topic::RAW).await);
        let deadline = Instant::now() + within;
        let settled = eventually(within * 2, "the pipeline is asked", async || {
            let differences = self.accounts(&expected).await;
            (differences.is_empty() || Instant::now() > deadline).then_some(differences)
        });
        let differences = settled.await;
        assert!(
            differences.is_empty(),
            "not settled in {within:?}: {differences:#?}\n{}",
            self.story()
        );
        expected
    }

    /// Holds the accounts of all days against what was expected.
    async fn accounts(&self, expected: &Expected) -> Vec<String> {
        let mut differences = Differences::default();
        let mut accounts = Vec::new();
        let mut conn = self.database.pool().acquire().await.unwrap();
        for day in self.sender.days() {
            match account::of_day(&mut conn, day).await {
                Ok(account) => {
                    if !account.is_balanced() {
                        differences.0.push(format!("not balanced: {account:?}"));
                    }
                    accounts.push(account);
                }
                Err(error) => differences.0.push(format!("the account of {day}: {error}")),
            }
        }
        let sum = |count: fn(&Account) -> i64| accounts.iter().map(count).sum::<i64>();
        let unique = expected.unique.len();
        let (broken, bytes) = expected.broken();
        differences.number("received", sum(|of| of.received), expected.received());
        differences.number("batches", sum(|of| of.batches), expected.batches.len());
        differences.number("broken batches", sum(|of| of.batches_failed), broken);
        differences.number("broken bytes", sum(|of| of.bytes_failed), bytes);
        differences.number("unique", sum(|of| of.unique), unique);
        differences.number("collisions", sum(|of| of.collisions), expected.collisions);
        differences.number("duplicate", sum(|of| of.duplicate), expected.duplicate);
        differences.number("failed", sum(|of| of.failed), expected.failed);
        differences.number("pending", sum(|of| of.pending), 0_u64);
        differences.number("derived, filtered", sum(|of| of.derived + of.filtered), 0_u64);
        let mut sinks = vec![("files", 0)];
        if self.search.is_some() {
            sinks.push(("search", expected.refused.len()));
        }
        for (name, rejected) in sinks {
            let of = || accounts.iter().flat_map(|of| &of.sinks).filter(|of| of.sink == name);
            let stored: i64 = of().map(|of| of.stored + of.already_there).sum();
            differences.number(&format!("{name}: stored"), stored, unique - rejected);
            let found: i64 = of().map(|of| of.rejected).sum();
            differences.number(&format!("{name}: rejected"), found, rejected);
            differences.number(
                &format!("{name}: pending"),
                of().map(|of| of.pending).sum::<i64>(),
                0_u64,
            );
        }
        differences.0
    }

    /// Checks that each event is where it belongs, once, and nothing else; that each batch is accounted for; and that
    /// the processes have met no fault of ours.
    pub(super) async fn check(&self, expected: &Expected, node: Option<&OpenSearch>) {
        let mut differences = Differences::default();
        let unique = self.read(topic::UNIQUE).await;
        let ids = unique.iter().map(|record| document_id(&record.value));
        differences.once(topic::UNIQUE, ids, &expected.unique);
        differences.once("files", self.filed(), &expected.unique);
        let (mut rejected, mut failed) = (Vec::new(), 0_u64);
        for record in self.read(topic::FAILED).await {
            match Failed::read(&record).unwrap() {
                of if of.stage == Step::Sink => rejected.push(document_id(&of.bytes)),
                _ => failed += 1,
            }
        }
        differences.number(topic::FAILED, failed, expected.failed + expected.broken().0);
        let duplicate = self.read(topic::DUPLICATE).await.len();
        differences.number(topic::DUPLICATE, duplicate, expected.duplicate);
        if let (Some(node), Some(prefix)) = (node, &self.search) {
            let indexed = documents(node, prefix).await.into_iter().map(|(id, _)| id);
            let accepted = expected.unique.difference(&expected.refused).cloned().collect();
            differences.once("index", indexed, &accepted);
            differences.once("rejected by the index", rejected, &expected.refused);
        }
        self.batches(expected, &mut differences).await;
        let faults = self.faults();
        assert!(
            differences.0.is_empty() && faults.is_empty(),
            "{:#?}\n{faults:#?}\n{}",
            differences.0,
            self.story()
        );
    }

    /// Holds the account of each batch against what was expected of it.
    async fn batches(&self, expected: &Expected, differences: &mut Differences) {
        let mut found: BTreeMap<Source, BatchAccount> = BTreeMap::new();
        let mut conn = self.database.pool().acquire().await.unwrap();
        for day in self.sender.days() {
            found.extend(account::of_batches(&mut conn, day).await.unwrap());
        }
        differences.number("batches in the ledger", found.len(), expected.batches.len());
        for (source, (events, bytes)) in &expected.batches {
            let of = found.get(source).copied().unwrap_or_default();
            let agrees = of.is_balanced() && of.pending() == 0;
            if !agrees || (of.received, of.broken_bytes) != (*events, *bytes) {
                differences.0.push(format!("batch {source} with {events} events: {of:?}"));
            }
        }
    }

    /// Returns the document ids in the files that the manifests list, which are what lies there.
    pub(super) fn filed(&self) -> Vec<String> {
        let (mut ids, mut listed) = (Vec::new(), BTreeSet::new());
        let names = names(&self.files);
        for name in names.iter().filter(|name| name.starts_with("manifest/")) {
            let manifest: Value = serde_json::from_slice(&self.file(name)).unwrap();
            let path = manifest["path"].as_str().unwrap();
            let bytes = self.file(path);
            let digest = Sha256::digest(&bytes);
            let sha256 =
                digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            assert_eq!(manifest["sha256"], sha256, "{path}");
            let mut text = String::new();
            GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
            let events: Vec<_> = text.lines().map(|line| document_id(line.as_bytes())).collect();
            assert_eq!(manifest["events"], events.len(), "{path}");
            ids.extend(events);
            listed.insert(path.to_owned());
        }
        let lying = names.into_iter().filter(|name| name.starts_with("dt="));
        assert_eq!(lying.collect::<BTreeSet<_>>(), listed, "files that no manifest lists");
        ids
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.files.join(name)).unwrap_or_else(|error| panic!("read {name}: {error}"))
    }
}

fn document_id(event: &[u8]) -> String {
    let event: Value = serde_json::from_slice(event).unwrap();
    event["metadata"]["id"].as_str().unwrap_or_else(|| panic!("no id in {event}")).to_owned()
}

/// Returns the names of all files below a folder.
fn names(folder: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, names: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                walk(root, &path, names);
            } else {
                names.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut names = Vec::new();
    walk(folder, folder, &mut names);
    names
}
