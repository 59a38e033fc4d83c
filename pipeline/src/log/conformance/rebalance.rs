//! The rule that partitions move between members without a record being lost or doubled.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    stage::{ALL, PATIENCE, after, append, broken, ensure, numbers, prepare, read, texts},
};
use crate::{
    Error,
    log::{Log, Member as _, Start, Turn},
    record::{Headers, Output, Record},
};

const FROM: &str = "conformance.rebalance";
const TO: &str = "conformance.rebalance.copied";
const GROUP: &str = "conformance";
const PARTITIONS: i32 = 4;

/// How long nothing is written between two looks at who holds what.
const PAUSE: Duration = Duration::from_millis(20);

/// Somebody who copies records until told to stop.
struct Copier {
    stop: CancellationToken,
    held: watch::Receiver<BTreeSet<i32>>,
    task: JoinHandle<Result<(), Failure>>,
}

pub(super) async fn check(log: &impl Log) -> Result<(), Failure> {
    prepare(log, &[(FROM, PARTITIONS), (TO, PARTITIONS)]).await?;
    let mut written = 0;
    let one = Copier::start(log);
    write_until(log, &mut written, &[&one], |held| held[0] == 4).await?;
    let other = Copier::start(log);
    write_until(log, &mut written, &[&one, &other], |held| held[0] == 2 && held[1] == 2).await?;
    other.stop().await?;
    write_until(log, &mut written, &[&one], |held| held[0] == 4).await?;
    check_copies(log, written).await?;
    one.stop().await
}

/// Writes to every partition, until the copiers hold as many partitions as they are to.
async fn write_until(
    log: &impl Log,
    written: &mut usize,
    copiers: &[&Copier],
    is_done: impl Fn(&[usize]) -> bool + Send,
) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for partition in 0..PARTITIONS {
            append(log, FROM, partition, [*written]).await?;
        }
        *written += 1;
        let held: Vec<_> = copiers.iter().map(|copier| copier.held.borrow().len()).collect();
        if is_done(&held) {
            return Ok(());
        }
        ensure(Instant::now() < deadline, "members share the partitions", || {
            format!("they hold {held:?} after {PATIENCE:?}")
        })?;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until everything is copied, and checks that it is so once.
async fn check_copies(log: &impl Log, written: usize) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    for partition in 0..PARTITIONS {
        let copied = loop {
            let copied = texts(&read(log, TO, partition, Start::Beginning).await?);
            if copied.len() >= written || Instant::now() > deadline {
                break copied;
            }
            tokio::time::sleep(PAUSE).await;
        };
        ensure(
            copied == numbers(written),
            "no record is lost or doubled as members come and go",
            || format!("{written} records of partition {partition} became {copied:?}"),
        )?;
    }
    Ok(())
}

impl Copier {
    fn start<L: Log>(log: &L) -> Self {
        let (stop, log) = (CancellationToken::new(), log.clone());
        let (holds, held) = watch::channel(BTreeSet::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            // Whoever is fenced begins anew.
            while !copy(&log, &holds, &stopped).await? {
                holds.send_modify(BTreeSet::clear);
            }
            Ok(())
        });
        Self { stop, held, task }
    }

    async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        self.task.await.map_err(broken("no call panics"))?
    }
}

/// Copies as one member; returns whether that was until the end.
async fn copy(
    log: &impl Log,
    holds: &watch::Sender<BTreeSet<i32>>,
    stop: &CancellationToken,
) -> Result<bool, Failure> {
    let rule = "a member reads and commits until it is fenced";
    let mut member = log.join(GROUP, FROM).await.map_err(broken(rule))?;
    while !stop.is_cancelled() {
        let done = match member.next(ALL).await {
            Ok(Turn::Idle) => Ok(()),
            Ok(Turn::Changed(change)) => {
                holds.send_modify(|held| {
                    held.retain(|partition| !change.lost.contains(partition));
                    held.extend(change.gained.iter().map(|gained| gained.partition));
                });
                Ok(())
            }
            Ok(Turn::Records(records)) => {
                let outputs = records.iter().map(copy_of).collect();
                member.commit(outputs, &after(&records)).await.map(drop)
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {}
            Err(Error::Fenced { .. }) => return Ok(false),
            Err(error) => return Err(broken(rule)(error)),
        }
    }
    member.leave().await;
    Ok(true)
}

fn copy_of(record: &Record) -> Output {
    let (key, headers, value) = (None, Headers::new(), record.value.clone());
    Output { topic: TO.into(), partition: record.partition, key, headers, value }
}
