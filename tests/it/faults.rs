//! A database that is gone for a while, and endpoints that hang: nothing is lost, and nobody has to restart anything.

use std::{
    collections::BTreeSet,
    error::Error as _,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tidings::{
    Error, Event, address::AllowList, commit, deliverer::Memory, endpoint::Policy, register_event,
    secret::Keyring,
};
use tidings_tests::{
    Draft, Gate, Proxy, Receiver, Reply, SOON, World, eventually, world::held::Held,
};
use tidings_worker::{Builder, Webhook, Worker, webhook::Settings};
use uuid::Uuid;

const TYPE: &str = "order:placed";

/// How long the database is gone: longer than a lease, and than any client waits before it tries again.
const OUTAGE: Duration = Duration::from_secs(30);

/// An order has been placed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OrderPlaced {
    n: u64,
}

/// Adds a webhook that is subscribed, and returns its id and its secret's text.
async fn webhook(world: &World, keyring: &Keyring, name: &str, url: &str) -> (i32, String) {
    let added = world.webhook(keyring, name, url).await;
    world.subscribe(added.0, TYPE, "", false).await;
    added
}

/// A worker that delivers to webhooks on loopback.
fn worker(pool: PgPool, keyring: Keyring) -> Builder {
    Worker::builder(pool).deliverer(local_webhook()).keyring(keyring)
}

fn local_webhook() -> Webhook {
    let policy = Policy { https_only: false, allow: AllowList::loopback() };
    Webhook::builder().settings(Settings { policy, ..Settings::default() }).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_arrive_while_the_database_is_gone_are_settled_when_it_is_back_and_nothing_is_sent_twice()
 {
    let world = World::new(&[TYPE]).await;
    let gate = Gate::default();
    let script_gate = gate.clone();
    let receiver = Receiver::start(move |_| Reply::status(204).held(&script_gate)).await;
    let keyring = Keyring::generate(&mut rand::rng());
    let (_, secret) = webhook(&world, &keyring, "one", &receiver.url()).await;

    let proxy = Proxy::start(world.database.server().address().port).await;
    let pool = pool_through(&proxy, &world);
    let worker = world.worker_with(worker(pool, keyring)).await;
    for n in 0..4 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    receiver.wait_for_in_flight(4, SOON).await;

    proxy.refuse();
    proxy.cut();
    gate.open();
    // Longer than a worker trusts its last hold.
    let holdings = worker.running.holdings();
    eventually(SOON, "the worker no longer trusts what it held", || async {
        let trusted = holdings.borrow().is_trusted(tokio::time::Instant::now());
        (!trusted).then_some(())
    })
    .await;
    world.register(Draft::new(TYPE).number(4)).await;
    assert_eq!(world.pending().await, 5);

    proxy.accept();
    world.drained().await;
    let received = receiver.received();
    assert_eq!(received.len(), 5, "each was sent once");
    for request in received {
        request.verify(&secret).unwrap();
    }
    assert!(worker.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_is_gone_for_half_a_minute_is_a_clear_error_to_whoever_registers_and_nothing_is_lost()
 {
    let world = World::new(&[TYPE]).await;
    world.subscriber("one", TYPE).await;
    let proxy = Proxy::start(world.database.server().address().port).await;
    let pool = pool_through(&proxy, &world);
    let held = Held::new();
    let worker = world.worker_with(Worker::builder(pool.clone()).deliverer(held.clone())).await;
    let mut registered = BTreeSet::new();
    for n in 0..4 {
        registered.insert(register(&pool, n).await.unwrap());
    }
    held.wait_for(4).await;

    // One transaction has begun and one is about to commit when the database goes.
    let mut begun = pool.begin().await.unwrap();
    let mut committing = pool.begin().await.unwrap();
    register_event(&mut committing, &OrderPlaced { n: 4 }).await.unwrap();
    proxy.refuse();
    let gone = Instant::now();
    let error = register_event(&mut begun, &OrderPlaced { n: 5 }).await.unwrap_err();
    assert_unanswered(&error, "register the event");
    assert_unanswered(&commit(committing).await.unwrap_err(), "commit the transaction");
    // What is in flight is answered while nobody can write it down, and others register on a way of their own.
    held.release();
    registered.insert(world.register(Draft::new(TYPE).number(6)).await);
    eventually(2 * OUTAGE, "the outage is over", || async {
        assert!(pool.begin().await.is_err(), "the database cannot be reached");
        (gone.elapsed() >= OUTAGE).then_some(())
    })
    .await;
    assert_eq!(
        world.pending().await,
        5,
        "nothing was settled meanwhile, and nothing half registered"
    );

    // The same pool and the same worker go on.
    proxy.accept();
    registered.insert(register(&pool, 7).await.unwrap());
    world.drained().await;
    let delivered: BTreeSet<Uuid> = held.traffic().events.into_iter().collect();
    assert_eq!(delivered, registered);
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 6);
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 0);
    assert!(worker.stop().await);
}

fn pool_through(proxy: &Proxy, world: &World) -> PgPool {
    let connect: PgConnectOptions = proxy.url(&world.database.url()).parse().unwrap();
    PgPoolOptions::new().acquire_timeout(Duration::from_secs(2)).connect_lazy_with(connect)
}

/// Registers as an application does.
async fn register(pool: &PgPool, n: u64) -> Result<Uuid, Error> {
    let mut tx = pool.begin().await.unwrap();
    let registered = register_event(&mut tx, &OrderPlaced { n }).await?;
    commit(tx).await?;
    Ok(registered.event_id)
}

/// Says that the error names what was attempted, has its cause, and is worth another try.
fn assert_unanswered(error: &Error, doing: &str) {
    assert!(matches!(error, Error::Unanswered { .. }), "{error:?}");
    assert_eq!(error.to_string(), doing);
    assert!(error.source().is_some(), "{error:?}");
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hung_endpoint_occupies_only_its_own_slots() {
    let world = World::new(&[TYPE]).await;
    let gate = Gate::default();
    let script_gate = gate.clone();
    let hung = Receiver::start(move |_| Reply::status(204).held(&script_gate)).await;
    let well = Receiver::accepting().await;
    let keyring = Keyring::generate(&mut rand::rng());
    let (id, _) = webhook(&world, &keyring, "hung", &hung.url()).await;
    webhook(&world, &keyring, "well", &well.url()).await;
    world.set_in_flight_max(id, 2).await;
    let worker = world.worker_with(worker(world.pool.clone(), keyring)).await;
    for n in 0..100 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    well.wait_for(100, SOON).await;
    assert_eq!(hung.traffic().in_flight_max, 2);
    gate.open();
    world.drained().await;
    assert_eq!(hung.traffic().in_flight_max, 2, "the limit holds while the backlog drains");
    assert!(worker.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_that_cannot_be_opened_fails_the_attempt_with_a_reason_and_loses_nothing() {
    let world = World::new(&[TYPE]).await;
    let receiver = Receiver::accepting().await;
    let (right, wrong) = (Keyring::generate(&mut rand::rng()), Keyring::generate(&mut rand::rng()));
    let (id, _) = webhook(&world, &right, "one", &receiver.url()).await;
    world.set_retry(id, r#"{"delays_s": [0, 0.1]}"#).await;
    world.register(Draft::new(TYPE)).await;
    let mistaken = world.worker_with(worker(world.pool.clone(), wrong)).await;
    let error = eventually(SOON, "an attempt has failed", || async {
        world.value::<Option<String>>("select max(error) from tidings.attempt").await
    })
    .await;
    assert!(error.contains("open the secret of subscriber `one`"), "{error}");
    assert!(mistaken.stop().await);
    assert!(receiver.received().is_empty());
    let _worker = world.worker_with(worker(world.pool.clone(), right)).await;
    world.drained().await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_that_is_told_to_stop_waits_for_what_is_in_flight_and_starts_nothing_new() {
    let world = World::new(&[TYPE]).await;
    let gate = Gate::default();
    let script_gate = gate.clone();
    let receiver = Receiver::start(move |_| Reply::status(204).held(&script_gate)).await;
    let keyring = Keyring::generate(&mut rand::rng());
    let (id, _) = webhook(&world, &keyring, "one", &receiver.url()).await;
    world.set_in_flight_max(id, 1).await;
    let worker = world.worker_with(worker(world.pool.clone(), keyring)).await;
    for n in 0..3 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    receiver.wait_for_in_flight(1, SOON).await;
    let holdings = worker.running.holdings();
    let stopping = tokio::spawn(worker.stop());
    eventually(SOON, "everything else has been given back", || async {
        (holdings.borrow().shards.len() == 1).then_some(())
    })
    .await;
    gate.open();
    assert!(stopping.await.unwrap(), "it drained");
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(world.pending().await, 2);
    assert_eq!(world.value::<i64>("select count(*) from tidings.worker").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn kind_that_no_worker_knows_waits_for_one_that_does() {
    let world = World::new(&[TYPE]).await;
    sqlx::query("select tidings.make_group('pigeon', 4)").execute(&world.pool).await.unwrap();
    let id = world.bare_subscriber("coo", "pigeon", serde_json::json!({})).await;
    world.subscribe(id, TYPE, "", false).await;
    world.subscriber("other", TYPE).await;
    world.register(Draft::new(TYPE)).await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    tokio::time::timeout(SOON, memory.wait_for(1)).await.unwrap();
    eventually(SOON, "only the pigeon's is left", || async {
        (world.pending().await == 1).then_some(())
    })
    .await;
    let pigeon = Memory::of_kind("pigeon");
    let _other = world.worker(pigeon.clone()).await;
    world.drained().await;
    assert_eq!(pigeon.count(), 1);
}
