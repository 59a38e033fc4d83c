//! Many deliveries for one endpoint: one that comes back after a day, and one that hangs beside others.

use std::time::{Duration, Instant};

use tidings::subscriber::State;
use tidings_tests::{
    Draft, Gate, Receiver, Reply, SOON, World, clock::advance_deliveries, eventually,
};
use tidings_worker::Worker;

use super::{
    Slow,
    health::{RESTLESS, becomes, breaker, seen},
    limits::{RATE_PER_S, keeps_to_the_rate},
    webhook::{Hooks, TYPE},
};

const DAY: Duration = Duration::from_hours(24);

/// How many rows the lane has that hangs.
const HUNG: i64 = 100_000;

/// How soon 99 of 100 deliveries of the other lane are there, on a machine that is busy with other tests.
const P99: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_that_is_back_after_a_day_gets_one_delivery_first_and_the_rest_at_its_own_rate() {
    const EVENTS: usize = 30;
    let hooks = Hooks::new().await;
    let world = &hooks.world;
    let receiver = Receiver::start(|_| Reply::status(503)).await;
    let well = Receiver::accepting().await;
    let (id, _) = hooks.add("back", &receiver, RESTLESS).await;
    world.set_in_flight_max(id, 8).await;
    hooks.add("well", &well, RESTLESS).await;
    sqlx::query("update tidings.subscriber set rate_per_s = $2 where subscriber_id = $1")
        .bind(id)
        .bind(RATE_PER_S)
        .execute(&world.pool)
        .await
        .unwrap();
    let worker = || async {
        let builder = Worker::builder(world.pool.clone()).deliverer(hooks.webhook());
        let builder = builder.keyring(hooks.keyring.clone()).health(breaker(3, DAY));
        world.worker_with(builder).await
    };
    let first = worker().await;
    for n in 0..EVENTS {
        world.register(Draft::new(TYPE).number(n.try_into().unwrap())).await;
    }
    becomes(world, id, State::Failing).await;
    well.wait_for(EVENTS, SOON).await;
    assert!(first.stop().await);
    let before = receiver.received().len();

    // The day passes, and with it the pause.
    let gate = Gate::new();
    let held = gate.clone();
    receiver.set(move |_| Reply::status(204).held(&held));
    advance_deliveries(&world.pool, DAY).await;
    let passed = "update tidings.subscriber set breaker = jsonb_set(breaker, '{until}', to_jsonb(clock_timestamp()))
                  where breaker is not null";
    world.execute(passed).await;
    let _second = worker().await;
    receiver.wait_for_in_flight(1, SOON).await;
    world.register(Draft::new(TYPE)).await;
    well.wait_for(EVENTS + 1, SOON).await;
    assert_eq!(receiver.received().len(), before + 1, "one is tried, and the others wait for it");

    let began = Instant::now();
    gate.open();
    world.drained().await;
    let receipts: Vec<_> =
        receiver.received()[before + 1..].iter().map(|request| request.at).collect();
    assert_eq!(receipts.len(), EVENTS);
    keeps_to_the_rate(began, &receipts);
    assert_eq!(seen(world, id).await.state, State::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn lane_that_hangs_with_a_hundred_thousand_deliveries_delays_no_other() {
    const EVENTS: usize = 200;
    let world = World::new(&[TYPE]).await;
    let hung = world.bare_subscriber("hung", "memory", serde_json::json!({})).await;
    world.set_in_flight_max(hung, 100).await;
    let event = world.register(Draft::new(TYPE)).await;
    sqlx::query(
        "insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
         select $1, clock_timestamp(), clock_timestamp(), $2 from generate_series(1, $3)",
    )
    .bind(event)
    .bind(hung)
    .bind(HUNG)
    .execute(&world.pool)
    .await
    .unwrap();
    let well = world.subscriber("well", TYPE).await;
    // Of the same shard, so that one pump has both.
    world.execute("update tidings.subscriber set shard = 3 where kind = 'memory'").await;
    let slow = Slow::new(hung);
    let _worker =
        world.worker_with(Worker::builder(world.pool.clone()).deliverer(slow.clone())).await;
    eventually(SOON, "all slots of the lane are taken", || async {
        (slow.most_in_flight() == 100).then_some(())
    })
    .await;
    let mut waits = Vec::new();
    for n in 1..=EVENTS {
        let began = Instant::now();
        world.register(Draft::new(TYPE)).await;
        world.wake(&[well]);
        eventually(SOON, "the other lane's is there", || async {
            (slow.delivered() == n).then_some(())
        })
        .await;
        waits.push(began.elapsed());
    }
    waits.sort_unstable();
    let p99 = waits[EVENTS * 99 / 100];
    assert!(p99 < P99, "{p99:?}");
    assert_eq!(slow.most_in_flight(), 100);
    assert!(world.pending().await >= HUNG);
}
