//! The clock of a worker's machine is nobody's business but that of the receiver, who compares it with its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};
use tidings_tests::{Draft, Received, Receiver, Reply, SOON, World};
use tidings_worker::{Webhook, Worker};

use super::webhook::{Hooks, TYPE};

/// How far a clock of a worker is from the database's, in seconds.
type Offset = Arc<AtomicI64>;

/// Returns a worker's clock, which can be set.
async fn clock(world: &World) -> (tidings_worker::webhook::Clock, Offset) {
    let (start, began) = (now(world).await, Instant::now());
    let offset = Offset::default();
    let set = Arc::clone(&offset);
    let clock = Arc::new(move || {
        start
            + TimeDelta::from_std(began.elapsed()).unwrap()
            + TimeDelta::seconds(set.load(Ordering::SeqCst))
    });
    (clock, offset)
}

async fn now(world: &World) -> DateTime<Utc> {
    world.value("select clock_timestamp()").await
}

/// Returns by how many seconds the time of a signature is ahead of the database's clock.
async fn ahead(world: &World, request: &Received) -> i64 {
    let signed: i64 = request.header("webhook-timestamp").parse().unwrap();
    signed - now(world).await.timestamp()
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_whose_clock_is_an_hour_off_or_set_back_delivers_and_tries_again_in_time() {
    const HOUR_S: i64 = 3600;
    let hooks = Hooks::new().await;
    let world = &hooks.world;
    let receiver = Receiver::start(|request| match request.index % 3 {
        0 => Reply::status(500),
        1 => Reply::status(429).header("retry-after", "1"),
        _ => Reply::status(204),
    })
    .await;
    let (id, _) = hooks.add("one", &receiver, r#"{"delays_s": [0, 0.4]}"#).await;
    world.set_in_flight_max(id, 1).await;
    let (clock, offset) = clock(world).await;
    let settings = hooks.settings.clone();
    let webhook = Webhook::builder().settings(settings).clock(clock).build().unwrap();
    let builder = Worker::builder(world.pool.clone()).deliverer(webhook);
    let worker = world.worker_with(builder.keyring(hooks.keyring.clone())).await;
    // Ahead, set back while it works, and right at last.
    for (round, offset_s) in [(1, HOUR_S), (2, -HOUR_S), (3, 0)] {
        offset.store(offset_s, Ordering::SeqCst);
        let event = world.register(Draft::new(TYPE)).await;
        world.wake(&[id]);
        let requests = receiver.wait_for(3 * round, SOON).await;
        let requests = &requests[3 * (round - 1)..];
        world.drained().await;
        // Not before their time, and not an hour after it.
        let waits = [requests[1].at - requests[0].at, requests[2].at - requests[1].at];
        assert!(waits[0].as_millis() >= 300 && waits[1].as_millis() >= 900, "{waits:?}");
        let off = ahead(world, requests.last().unwrap()).await - offset_s;
        assert!(off.abs() <= 60, "{off} s beside its own clock");
        let outcomes: Vec<_> =
            hooks.attempts(event, id).await.into_iter().map(|attempt| attempt.1).collect();
        assert_eq!(outcomes, ["retry", "retry", "delivered"]);
    }
    let stored = "select bool_and(abs(extract(epoch from at - clock_timestamp())) < 300) from tidings.attempt";
    assert!(world.value::<bool>(stored).await, "what is stored goes by the clock of the database");
    assert!(worker.stop().await);
}
