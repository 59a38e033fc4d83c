//! Brokers and workers that are killed with `SIGKILL`.

use std::collections::BTreeMap;

use tidings_pipeline::deliver::{Kafka, kafka::Config};
use tidings_tests::{
    Launch, Process, World, eventually,
    world::{Draft, SOON},
};
use uuid::Uuid;

use super::{Found, check_order, own_broker, read, subscriber};

/// How many events a journey registers.
const EVENTS: u64 = 300;

/// How many of them may be on their way at a time.
const IN_FLIGHT: i32 = 20;

async fn register(world: &World, id: i32, numbers: std::ops::Range<u64>) -> Vec<Uuid> {
    let mut registered = Vec::new();
    for n in numbers {
        let key = format!("o{}", n % 7);
        registered.push(world.register(Draft::new("order:placed").key(&key).number(n)).await);
    }
    world.wake(&[id]);
    registered
}

/// Counts how often each event is there.
fn counts(found: &[Found]) -> BTreeMap<Uuid, usize> {
    let mut counts = BTreeMap::new();
    for found in found {
        *counts.entry(found.id()).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_in_the_topic_each_once_and_in_order_after_the_broker_was_killed() {
    let broker = own_broker("orders").await;
    let world = World::new(&["order:placed"]).await;
    let worker = world.worker(Kafka::new().brokers(broker.brokers())).await;
    let id = subscriber(&world, "orders", &Config::new("orders")).await;
    world.subscribe(id, "order:placed", "", true).await;
    let mut registered = register(&world, id, 0..EVENTS / 2).await;
    broker.kill().await;
    registered.extend(register(&world, id, EVENTS / 2..EVENTS).await);
    broker.restart().await;
    world.drained().await;
    let found = read(&broker, "orders").await;
    // The producer sends again what was not answered, under the same sequence numbers.
    assert_eq!(counts(&found), registered.iter().map(|id| (*id, 1)).collect());
    check_order(&found, &registered);
    assert!(worker.stop().await);
}

/// Starts a worker in a process of its own.
async fn courier(world: &World, brokers: &str) -> Process {
    let process = Launch::new(env!("CARGO_BIN_EXE_kafka-courier"))
        .args([world.database.url().as_str(), brokers])
        .start();
    process.line("ready", SOON).await;
    process
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_that_is_killed_repeats_only_what_was_in_flight() {
    let broker = own_broker("orders").await;
    let world = World::new(&["order:placed"]).await;
    let brokers = broker.brokers();
    let mut process = courier(&world, &brokers).await;
    let id = subscriber(&world, "orders", &Config::new("orders")).await;
    world.set_in_flight_max(id, IN_FLIGHT).await;
    world.subscribe(id, "order:placed", "", true).await;
    let registered = register(&world, id, 0..EVENTS).await;
    let kills = 3;
    for _ in 0..kills {
        let before = world.pending().await;
        eventually(SOON, "some more are delivered", || async {
            let pending = world.pending().await;
            (pending < before || pending == 0).then_some(())
        })
        .await;
        process.kill().await;
        process = courier(&world, &brokers).await;
        world.wake(&[id]);
    }
    world.drained().await;
    let found = read(&broker, "orders").await;
    let counts = counts(&found);
    assert_eq!(counts.len(), registered.len(), "none is lost");
    let repeated: usize = counts.values().map(|count| count - 1).sum();
    let in_flight = usize::try_from(IN_FLIGHT).unwrap();
    // Beside what was in flight, what had been answered and was yet to be settled: as much again.
    assert!(repeated <= kills * 2 * in_flight, "{repeated} were repeated");
    check_order(&found, &registered);
    process.kill().await;
}
