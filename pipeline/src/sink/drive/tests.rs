//! The loop, with a target that decides when it is told to.

use std::sync::Mutex;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    log::memory::{Memory, MemoryMember},
    record::Headers,
    topic::Layout,
};

/// Decides a flight for each permit that it is given, and remembers what it has seen.
#[derive(Debug)]
struct Slow {
    metrics: Metrics,
    seen: Mutex<Vec<Bytes>>,
    permits: Semaphore,
}

impl Target for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn limits(&self) -> Limits {
        Limits { records: 2, bytes: usize::MAX }
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn decide(&self, events: Vec<Event>) -> Verdicts {
        self.permits.acquire().await.unwrap().forget();
        let mut verdicts = Verdicts::default();
        for event in events {
            let verdict = match &event.id[..] {
                b"bad" => Verdict::Rejected(Reason::new("$", "bad", "it is")),
                _ if self.seen.lock().unwrap().contains(&event.id) => Verdict::AlreadyThere,
                _ => Verdict::Stored,
            };
            self.seen.lock().unwrap().push(event.id.clone());
            verdicts.put(self.name(), &event, verdict);
        }
        verdicts
    }
}

/// Lets nothing of a key leave, and writes what it is told.
#[derive(Debug)]
struct Strict;

impl Hooks for Strict {
    fn permits(&self, record: &Record) -> bool {
        record.key.as_deref() != Some(b"erased")
    }

    fn account(&self, tally: &Tally<'_>) -> Vec<Output> {
        let value = Bytes::from(format!("{:?}", tally.days.values().collect::<Vec<_>>()));
        let (topic, headers) = (topic::LEDGER.into(), Headers::new());
        vec![Output { topic, partition: 0, key: None, headers, value }]
    }
}

fn output(partition: i32, id: &str, key: &'static [u8]) -> Output {
    let value = json!({"syncts": 1_700_000_000_000_i64, "metadata": {"id": id}}).to_string();
    let (topic, key) = (topic::UNIQUE.into(), Some(Bytes::from_static(key)));
    Output { topic, partition, key, headers: Headers::new(), value: value.into() }
}

async fn drive(outputs: Vec<Output>, permits: usize) -> (Memory, Drive<MemoryMember, Slow>) {
    let log = Memory::new();
    log.prepare(&Layout { partitions: 2, ..Layout::default() }.specs()).await.unwrap();
    log.append(outputs).await.unwrap();
    let member = log.join("sink.slow", topic::UNIQUE).await.unwrap();
    let (metrics, seen) = (Metrics::default(), Mutex::default());
    let target = Arc::new(Slow { metrics, seen, permits: Semaphore::new(permits) });
    let (hooks, seat) = (Arc::new(Strict), target.metrics.group.seat());
    let drive = Drive { member, target, hooks, flights: VecDeque::new(), seat };
    (log, drive)
}

async fn committed(log: &Memory) -> Vec<Option<i64>> {
    log.committed("sink.slow", topic::UNIQUE).await.unwrap()
}

async fn step(drive: &mut Drive<MemoryMember, Slow>) {
    let limits = drive.target.limits();
    drive.turn(limits).await.unwrap();
}

async fn land(drive: &mut Drive<MemoryMember, Slow>) {
    drive.land().await;
    drive.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_rejected_filtered_or_unreadable_is_written_with_the_commit() {
    let mut unreadable = output(0, "x", b"k");
    unreadable.value = Bytes::from_static(b"no json");
    let outputs = vec![output(0, "a", b"erased"), output(0, "bad", b"k"), unreadable];
    let (log, mut drive) = drive(outputs, 2).await;
    for _ in 0..3 {
        step(&mut drive).await;
    }
    assert_eq!(committed(&log).await, [None, None]);
    land(&mut drive).await;
    if !drive.flights.is_empty() {
        land(&mut drive).await;
    }
    assert_eq!(committed(&log).await[0], Some(3));
    assert_eq!(log.records(topic::FAILED).len(), 2);
    let metrics = &drive.target.metrics;
    let count =
        |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((count(&metrics.filtered), count(&metrics.rejected)), (1, 2));
    assert!(!log.records(topic::LEDGER).is_empty());
}

#[tokio::test]
async fn flight_behind_one_that_is_not_decided_is_not_committed() {
    let outputs = (0..4).map(|n| output(0, &format!("e{n}"), b"k")).collect();
    let (log, mut drive) = drive(outputs, 0).await;
    for _ in 0..3 {
        step(&mut drive).await;
    }
    assert_eq!(drive.flights.len(), 2);
    drive.commit().await.unwrap();
    assert_eq!(committed(&log).await[0], None);
    drive.target.permits.add_permits(2);
    land(&mut drive).await;
    while !drive.flights.is_empty() {
        land(&mut drive).await;
    }
    assert_eq!(committed(&log).await[0], Some(4));
}

#[tokio::test]
async fn aborted_commit_forgets_every_flight_and_reads_again() {
    let outputs = (0..4).map(|n| output(0, &format!("e{n}"), b"k")).collect();
    let (log, mut drive) = drive(outputs, 9).await;
    log.abort_next(1);
    for _ in 0..3 {
        step(&mut drive).await;
    }
    land(&mut drive).await;
    assert!(drive.flights.is_empty());
    assert_eq!((committed(&log).await[0], log.records(topic::LEDGER).len()), (None, 0));
    for _ in 0..2 {
        step(&mut drive).await;
    }
    while !drive.flights.is_empty() {
        land(&mut drive).await;
    }
    assert_eq!(committed(&log).await[0], Some(4));
}

#[tokio::test]
async fn partition_that_was_lost_on_the_way_is_left_to_its_new_holder() {
    let outputs = vec![output(0, "a", b"k"), output(1, "bad", b"k")];
    let (log, mut drive) = drive(outputs, 9).await;
    for _ in 0..2 {
        step(&mut drive).await;
    }
    assert_eq!(drive.flights.len(), 1);
    let other = log.join("sink.slow", topic::UNIQUE).await.unwrap();
    // The turn at which partition 1 is given up.
    step(&mut drive).await;
    land(&mut drive).await;
    assert_eq!(committed(&log).await, [Some(1), None]);
    assert!(log.records(topic::FAILED).is_empty(), "the new holder writes it");
    drop(other);
}
