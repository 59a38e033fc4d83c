//! A worker that is killed while it brings to Segment what a relay takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tidings_tests::{Database, Process, Received, Receiver, Reply, SOON, eventually};

use super::{Stage, found, load::Load};
use crate::binary::{PATIENCE, on, run};

const KILLS: usize = 3;

const CLIENTS: usize = 1;

/// How many batches arrive before a worker is killed, at least.
const BATCHES: usize = 4;

/// How long Segment takes, so that a worker that is killed has a batch under way.
const ANSWER: Duration = Duration::from_millis(100);

async fn worker(database: &Database) -> Process {
    let process = on(database).arg("worker").start();
    process.line("tidings", PATIENCE).await;
    process
}

/// Returns which message ids each event has arrived under, and how often it has arrived.
fn messages(requests: &[Received]) -> BTreeMap<String, (BTreeSet<String>, usize)> {
    let mut messages = BTreeMap::<String, (BTreeSet<String>, usize)>::new();
    for request in requests {
        for message in request.json()["batch"].as_array().unwrap() {
            let name = message["properties"]["event_properties"]["name"].as_str().unwrap();
            let (ids, arrivals) = messages.entry(name.to_owned()).or_default();
            ids.insert(message["messageId"].as_str().unwrap().to_owned());
            *arrivals += 1;
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_killed_again_and_again_under_load_brings_every_event_and_repeats_under_the_same_message_id()
 {
    let stage = Stage::on(Database::durable().await).await;
    let success = Reply::status(200).body(r#"{"success":true}"#);
    let slow = success.clone().after(ANSWER);
    let segment = Receiver::start(move |_| slow.clone()).await;
    let host = segment.url();
    let add = ["sink", "add", "analytics", "--kind", "segment", "--key", "k3y", "--host", &host];
    run(&on(&stage.database).args(add).arg("--json")).await.json();
    let relay = stage.relay().await;
    let mut victim = worker(&stage.database).await;
    let load = Load::start(&relay.url, CLIENTS);
    let mut random = StdRng::seed_from_u64(7);
    for kill in 0..KILLS {
        segment.wait_for(segment.received().len() + BATCHES, SOON).await;
        // The first has certainly had no answer to the batch that has just arrived; the others are at whatever they are.
        if kill > 0 {
            tokio::time::sleep(Duration::from_micros(random.next_u64() % 200_000)).await;
        }
        victim.kill().await;
        victim = worker(&stage.database).await;
    }
    let ledger = load.finish().await;
    segment.set(move |_| success.clone());
    eventually(3 * SOON, "every delivery is settled", async || {
        let pending = sqlx::query_scalar::<_, i64>("select count(*) from tidings.delivery");
        (pending.fetch_one(stage.database.pool()).await.unwrap() == 0).then_some(())
    })
    .await;

    stage.check(&ledger).await;
    let messages = messages(&segment.received());
    // What has a device went to the raw log alone.
    let registered: BTreeSet<String> =
        found(&stage.database).await.into_iter().filter(|name| !name.contains('@')).collect();
    let arrived: BTreeSet<String> = messages.keys().cloned().collect();
    assert_eq!(registered.difference(&arrived).next(), None, "something did not arrive");
    assert_eq!(arrived.difference(&registered).next(), None, "something was never registered");
    let ids: BTreeSet<&String> = messages.values().flat_map(|(ids, _)| ids).collect();
    assert_eq!(ids.len(), messages.len(), "each event has one message id, and no other has it");
    let repeated = messages.values().filter(|(_, arrivals)| *arrivals > 1).count();
    assert!(repeated > 0, "no worker was killed with a batch under way");
    let most = messages.values().map(|(_, arrivals)| *arrivals).max();
    assert!(most <= Some(1 + KILLS), "more often than workers were killed: {most:?}");
}
