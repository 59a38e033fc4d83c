//! The server is killed, again and again, while records are written and copied.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidings_pipeline::{
    Error, Log, Output,
    log::{Member, Outcome, Postgres, Turn, postgres::Options},
};
use tidings_tests::{Database, Kind, Server, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{ALL, after, open, output, prepare, read};

const CRASHES: usize = 3;

/// How many records are copied between two crashes.
const COPIED: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_when_the_server_is_killed() {
    let server = Arc::new(Server::start(Kind::Durable).await);
    let database = Database::on(&server).await;
    let log = open(&database, Options::default());
    prepare(&log, &[("from", 2), ("to", 2)]).await;
    let (stop, copied) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let writing = tokio::spawn(write(log.clone(), stop.clone()));
    let copying: JoinHandle<()> = tokio::spawn(copy(log.clone(), Arc::clone(&copied)));
    for _ in 0..CRASHES {
        let before = copied.load(Ordering::Relaxed);
        eventually(Duration::from_mins(1), "records are copied", async || {
            (copied.load(Ordering::Relaxed) >= before + COPIED).then_some(())
        })
        .await;
        server.crash().await;
        server.start_again().await;
    }
    stop.cancel();
    let written = writing.await.unwrap();
    for (partition, written) in (0..).zip(&written) {
        let from = read(&log, "from", partition).await;
        // What was not answered may be there all the same; what was answered is.
        assert!(written.iter().all(|value| from.contains(value)), "an answered append is gone");
        eventually(Duration::from_mins(1), "the rest is copied", async || {
            let end = log.bounds("to").await.ok()?[usize::try_from(partition).unwrap()].end;
            (end >= i64::try_from(from.len()).unwrap()).then_some(())
        })
        .await;
        assert_eq!(read(&log, "to", partition).await, from, "each once, in its order");
    }
    copying.abort();
}

/// Writes to both partitions in turns; returns what was answered.
async fn write(log: Postgres, stop: CancellationToken) -> [Vec<String>; 2] {
    let mut written = [Vec::new(), Vec::new()];
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let value = number.to_string();
        let partition = number % 2;
        match log.append(vec![output("from", partition, &value)]).await {
            Ok(_) => written[usize::try_from(partition).unwrap()].push(value),
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    written
}

/// Copies, and begins anew where it is fenced, until it is aborted.
async fn copy(log: Postgres, copied: Arc<AtomicUsize>) {
    loop {
        let error = match log.join("copy", "from").await {
            Ok(mut member) => copy_as(&mut member, &copied).await,
            Err(error) => error,
        };
        assert!(error.is_transient(), "{error:?}");
        tokio::task::yield_now().await;
    }
}

async fn copy_as(member: &mut impl Member, copied: &AtomicUsize) -> Error {
    loop {
        let records = match member.next(ALL).await {
            Ok(Turn::Records(records)) => records,
            Ok(_) => continue,
            Err(error) => return error,
        };
        let outputs = records
            .iter()
            .map(|record| Output {
                value: record.value.clone(),
                ..output("to", record.partition, "")
            })
            .collect();
        match member.commit(outputs, &after(&records)).await {
            Ok(outcome) => assert_eq!(outcome, Outcome::Committed),
            Err(error) => return error,
        }
        copied.fetch_add(records.len(), Ordering::Relaxed);
    }
}
