//! Members that copy from one topic to another, and what is left in the end.

use std::{ops::Range, time::Duration};

use tidings_pipeline::{
    Error,
    log::{Kafka, Limits, Log as _, Member as _, Outcome, Position, Reader as _, Start, Turn},
    record::{Headers, Output, Record},
    topic::{RECORD_BYTES_MAX, Spec},
};
use tidings_tests::eventually;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(super) const FROM: &str = "from";
pub(super) const TO: &str = "to";
/// A topic that nobody reads.
pub(super) const ASIDE: &str = "aside";
pub(super) const GROUP: &str = "copiers";
pub(super) const PARTITIONS: i32 = 6;

/// How long brokers and groups take at most to come back.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

const ALL: Limits = Limits { records: usize::MAX, bytes: usize::MAX };

/// A member that copies at most so many records in one transaction, until it is stopped.
pub(super) struct Copier {
    stop: CancellationToken,
    task: JoinHandle<()>,
    held: watch::Receiver<usize>,
    commits: watch::Receiver<usize>,
}

impl Copier {
    pub(super) fn start(log: &Kafka, at_once: usize) -> Self {
        let (log, stop) = (log.clone(), CancellationToken::new());
        let (holds, held) = watch::channel(0);
        let (counts, commits) = watch::channel(0);
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            // Whoever is fenced begins anew.
            while !stopped.is_cancelled() {
                copy(&log, at_once, (&holds, &counts), &stopped).await;
                holds.send_replace(0);
            }
        });
        Self { stop, task, held, commits }
    }

    /// Waits until it holds as many partitions.
    pub(super) async fn holds(&self, count: usize) {
        let mut held = self.held.clone();
        let waited = tokio::time::timeout(PATIENCE, held.wait_for(|held| *held == count)).await;
        assert!(waited.is_ok(), "it holds {} and not {count}", *self.held.borrow());
    }

    /// Waits until it has committed so many times more.
    pub(super) async fn commits(&self, count: usize) {
        let mut commits = self.commits.clone();
        let aim = *commits.borrow() + count;
        let waited = tokio::time::timeout(PATIENCE, commits.wait_for(|count| *count >= aim)).await;
        assert!(waited.is_ok(), "it has committed {} times, and not {aim}", *self.commits.borrow());
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn copy(
    log: &Kafka,
    at_once: usize,
    (holds, counts): (&watch::Sender<usize>, &watch::Sender<usize>),
    stop: &CancellationToken,
) {
    let mut member = log.join(GROUP, FROM).await.unwrap();
    let limits = Limits { records: at_once, bytes: usize::MAX };
    while !stop.is_cancelled() {
        match member.next(limits).await {
            Ok(Turn::Idle) => {}
            Ok(Turn::Changed(change)) => {
                holds.send_modify(|held| *held = *held + change.gained.len() - change.lost.len());
            }
            Ok(Turn::Records(records)) => {
                let outputs = records.iter().map(copied).collect();
                match member.commit(outputs, &after(&records)).await {
                    Ok(Outcome::Committed) => counts.send_modify(|count| *count += 1),
                    Ok(Outcome::Aborted) => {}
                    Err(Error::Fenced { .. }) => return,
                    Err(error) => panic!("{error:?}"),
                }
            }
            Err(Error::Fenced { .. }) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
    member.leave().await;
}

/// Makes the topics.
pub(super) async fn prepare(log: &Kafka) {
    let spec = |name: &'static str| Spec {
        name: name.into(),
        partitions: PARTITIONS,
        retention: Duration::from_hours(24),
        record_bytes_max: RECORD_BYTES_MAX,
        append_time: true,
    };
    log.prepare(&[spec(FROM), spec(TO), spec(ASIDE)]).await.unwrap();
}

/// Writes the numbers of this range to every partition.
pub(super) async fn write(log: &Kafka, numbers: Range<usize>) {
    let of = |number: usize| (0..PARTITIONS).map(move |at| output(FROM, at, number.to_string()));
    log.append(numbers.flat_map(of).collect()).await.unwrap();
}

pub(super) fn output(topic: &'static str, partition: i32, value: String) -> Output {
    let headers = Headers::new();
    Output { topic: topic.into(), partition, key: None, headers, value: value.into() }
}

pub(super) fn copied(record: &Record) -> Output {
    let text = String::from_utf8(record.value.to_vec()).unwrap();
    output(TO, record.partition, text)
}

/// Returns the positions after these records.
pub(super) fn after(records: &[Record]) -> Vec<Position> {
    let last = |partition| records.iter().rfind(|record| record.partition == partition);
    let behind =
        |record: &Record| Position { partition: record.partition, offset: record.offset + 1 };
    (0..PARTITIONS).filter_map(last).map(behind).collect()
}

/// Waits until the numbers below `count` are all copied, and checks that they are so once and in their order.
pub(super) async fn copied_once(log: &Kafka, count: usize) {
    for partition in 0..PARTITIONS {
        let copies = eventually(PATIENCE, "everything is copied", async || {
            let copies = texts(log, TO, partition).await;
            (copies.len() >= count).then_some(copies)
        })
        .await;
        let expected: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        assert!(copies == expected, "{count} became, in partition {partition}, {copies:?}");
    }
}

/// Returns what a partition has.
pub(super) async fn texts(log: &Kafka, topic: &str, partition: i32) -> Vec<String> {
    let text = |record: &Record| String::from_utf8_lossy(&record.value).into_owned();
    let mut reader = log.reader(topic, partition, Start::Beginning).await.unwrap();
    let mut texts = Vec::new();
    while let Some(records) = reader.next(ALL).await.unwrap() {
        texts.extend(records.iter().map(text));
    }
    texts
}
