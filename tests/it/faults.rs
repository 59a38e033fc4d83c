//! A database that is gone for a while, and endpoints that hang: nothing is lost, and nobody has to restart anything.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tidings::{
    address::AllowList,
    deliverer::Memory,
    endpoint::Policy,
    secret::{Keyring, Secret},
};
use tidings_tests::{Draft, Gate, Proxy, Receiver, Reply, SOON, World, eventually};
use tidings_worker::{Webhook, Worker, webhook::Settings};

const TYPE: &str = "order:placed";

/// Adds a webhook with a signing secret, and returns its id and the secret's text.
async fn webhook(world: &World, keyring: &Keyring, name: &str, url: &str) -> (i32, String) {
    let id = world.bare_subscriber(name, "webhook", serde_json::json!({"url": url})).await;
    let secret = Secret::generate(&mut rand::rng());
    let owner = format!("subscriber:{id}");
    let sealed = keyring.seal(&mut rand::rng(), secret.as_bytes(), owner.as_bytes());
    sqlx::query("insert into tidings.secret (subscriber_id, sealed) values ($1, $2)")
        .bind(id)
        .bind(sealed)
        .execute(&world.pool)
        .await
        .unwrap();
    world.subscribe(id, TYPE, "", false).await;
    (id, secret.to_text().to_string())
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

    let server = world.database.server();
    let proxy = Proxy::start(server.address().port).await;
    let url = proxy.url(&world.database.url());
    let connect: PgConnectOptions = url.parse().unwrap();
    let pool =
        PgPoolOptions::new().acquire_timeout(Duration::from_secs(2)).connect_lazy_with(connect);
    let builder = Worker::builder(pool).deliverer(local_webhook()).keyring(keyring);
    let worker = world.worker_with(builder).await;
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
async fn hung_endpoint_occupies_only_its_own_slots() {
    let world = World::new(&[TYPE]).await;
    let gate = Gate::default();
    let script_gate = gate.clone();
    let hung = Receiver::start(move |_| Reply::status(204).held(&script_gate)).await;
    let well = Receiver::accepting().await;
    let keyring = Keyring::generate(&mut rand::rng());
    let (id, _) = webhook(&world, &keyring, "hung", &hung.url()).await;
    webhook(&world, &keyring, "well", &well.url()).await;
    sqlx::query("update tidings.subscriber set in_flight_max = 2 where subscriber_id = $1")
        .bind(id)
        .execute(&world.pool)
        .await
        .unwrap();
    let worker = world
        .worker_with(
            Worker::builder(world.pool.clone()).deliverer(local_webhook()).keyring(keyring),
        )
        .await;
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
    sqlx::query(r#"update tidings.subscriber set retry = '{"delays_s": [0, 0.1]}' where subscriber_id = $1"#)
        .bind(id)
        .execute(&world.pool)
        .await
        .unwrap();
    world.register(Draft::new(TYPE)).await;
    let builder = || Worker::builder(world.pool.clone()).deliverer(local_webhook());
    let worker = world.worker_with(builder().keyring(wrong)).await;
    let error = eventually(SOON, "an attempt has failed", || async {
        world.value::<Option<String>>("select max(error) from tidings.attempt").await
    })
    .await;
    assert!(error.contains("open the secret of subscriber `one`"), "{error}");
    assert!(worker.stop().await);
    assert!(receiver.received().is_empty());
    let _worker = world.worker_with(builder().keyring(right)).await;
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
    sqlx::query("update tidings.subscriber set in_flight_max = 1 where subscriber_id = $1")
        .bind(id)
        .execute(&world.pool)
        .await
        .unwrap();
    let worker = world
        .worker_with(
            Worker::builder(world.pool.clone()).deliverer(local_webhook()).keyring(keyring),
        )
        .await;
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
