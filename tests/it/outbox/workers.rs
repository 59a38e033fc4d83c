//! Many workers on one queue, and one that has little to work with.

use std::{
    sync::atomic::{AtomicI32, Ordering},
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tidings::{Event, commit, deliverer::Memory, register_event, wake};
use tidings_tests::{Draft, SOON, World, eventually};
use tidings_worker::Worker;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{fill, filled};

/// The shortest time between two `NOTIFY` of a process, as in the product.
const NOTIFY_EVERY: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_that_come_while_there_is_work_deliver_every_event_once() {
    let world = World::new(&[]).await;
    fill(&world, 48, 200).await;
    let memory = Memory::new();
    let mut workers = Vec::new();
    for _ in 0..8 {
        workers.push(world.worker(memory.clone()).await);
    }
    world.drained().await;
    assert_eq!(memory.count(), 9600);
    let delivered: u64 = workers.iter().map(|worker| worker.running.counts().delivered).sum();
    assert_eq!(delivered, 9600);
    // Of sixteen shards each has two in the end.
    for worker in &workers {
        let shares = |held: &_| memory_shards(held) == 2;
        tokio::time::timeout(SOON, worker.running.holdings().wait_for(|held| shares(held)))
            .await
            .unwrap()
            .unwrap();
    }
}

fn memory_shards(held: &tidings_ownership::Holdings) -> usize {
    held.shards.keys().filter(|shard| &*shard.group == "memory").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_of_one_connection_is_enough_for_many_lanes() {
    let world = World::new(&[]).await;
    fill(&world, 100, 20).await;
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy(&world.database.url()).unwrap();
    let memory = Memory::new();
    let _worker = world.worker_with(Worker::builder(pool).deliverer(memory.clone())).await;
    world.drained().await;
    assert_eq!(memory.count(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_worker_is_woken_by_the_notify_of_another_process() {
    let world = World::new(&["order:placed"]).await;
    let lane = world.subscriber("one", "order:placed").await;
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy(&world.database.url()).unwrap();
    let memory = Memory::new();
    let worker = world.worker_with(Worker::builder(pool.clone()).deliverer(memory.clone())).await;
    world.register(Draft::new("order:placed")).await;
    world.wake(&[lane]);
    tokio::time::timeout(SOON, memory.wait_for(1)).await.unwrap();
    eventually(SOON, "the worker listens", || async {
        let listens = "select count(*) from pg_stat_activity
                       where datname = current_database() and query like 'LISTEN%'";
        (world.value::<i64>(listens).await == 1).then_some(())
    })
    .await;
    // Whatever else finds work has no connection to find it with.
    let mut taken = Vec::new();
    while taken.len() < 4 {
        taken.push(pool.acquire().await.unwrap());
    }
    world.execute("select tidings.register_event('order:placed', '{}', notify => true)").await;
    tokio::time::timeout(SOON, memory.wait_for(2)).await.unwrap();
    drop(taken);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_notify_is_made_up_for_by_polling_and_the_listener_comes_back() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    let listener = "select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = current_database() and query like 'LISTEN%'";
    for n in 1..=2 {
        eventually(SOON, "there is a listener", || async {
            sqlx::query_scalar::<_, bool>(listener).fetch_optional(&world.pool).await.unwrap()
        })
        .await;
        world.execute("select tidings.register_event('order:placed', '{}', notify => true)").await;
        tokio::time::timeout(SOON, memory.wait_for(n)).await.unwrap();
    }
    assert_eq!(filled(&world).await.len(), 1);
}

/// An order has been placed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OrderPlaced {
    n: u64,
}

/// An order has been paid.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:paid", version = 1)]
struct OrderPaid {}

#[tokio::test(flavor = "multi_thread")]
async fn process_without_a_worker_notifies_the_others_at_once_and_then_once_in_twenty_milliseconds()
{
    let world = World::new(&["order:placed", "order:paid"]).await;
    // A wake-up is of the whole process: other tests have theirs, for lanes with other numbers than these.
    world
        .execute("alter sequence tidings.subscriber_subscriber_id_seq restart with 1900000000")
        .await;
    let placed = world.subscriber("placed", "order:placed").await;
    let paid = world.subscriber("paid", "order:paid").await;
    let ear = Ear::listen(&world).await;
    let shutdown = CancellationToken::new();
    let notifier = wake::Notifier::spawn(world.pool.clone(), shutdown.clone());

    // Heard sooner than after the pause between two, if not in the first try on a machine that is busy, then in another;
    // each with a lane of its own, which nothing that was sent before names.
    let lane = AtomicI32::new(1_950_000_000);
    eventually(SOON, "a commit is heard of at once", || async {
        let lane = lane.fetch_add(1, Ordering::Relaxed);
        wake::note(&[lane]);
        let heard = async {
            register(&world, &OrderPlaced { n: 0 }).await;
            ear.hear(lane).await;
        };
        tokio::time::timeout(NOTIFY_EVERY, heard).await.ok()
    })
    .await;
    assert!(!ear.has_heard(paid), "a lane to which nothing was written");

    let (began, before) = (Instant::now(), ear.count());
    for n in 0..300 {
        register(&world, &OrderPlaced { n }).await;
    }
    eventually(SOON, "what was registered is named by its lane", || async {
        register(&world, &OrderPaid {}).await;
        (ear.has_heard(paid) && ear.has_heard(placed)).then_some(())
    })
    .await;
    // One at once and one after each pause; one more may have been on its way before.
    let most = began.elapsed().as_millis() / NOTIFY_EVERY.as_millis() + 2;
    let heard = ear.count() - before;
    assert!(heard as u128 <= most, "{heard} in {:?}", began.elapsed());

    shutdown.cancel();
    tokio::time::timeout(SOON, notifier).await.unwrap().unwrap();
}

/// Another process that listens: the lanes that each notification has named.
struct Ear(watch::Receiver<Vec<Vec<i32>>>);

impl Ear {
    async fn listen(world: &World) -> Self {
        let mut listener = PgListener::connect_with(&world.pool).await.unwrap();
        listener.listen(wake::CHANNEL).await.unwrap();
        let (sender, heard) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(notification) = listener.recv().await {
                sender.send_modify(|heard| heard.push(wake::parse(notification.payload())));
            }
        });
        Self(heard)
    }

    /// Waits for a notification that names the lane.
    async fn hear(&self, lane: i32) {
        self.0.clone().wait_for(|heard| names(heard, lane)).await.unwrap();
    }

    fn has_heard(&self, lane: i32) -> bool {
        names(&self.0.borrow(), lane)
    }

    fn count(&self) -> usize {
        self.0.borrow().len()
    }
}

fn names(heard: &[Vec<i32>], lane: i32) -> bool {
    heard.iter().flatten().any(|named| *named == lane)
}

/// Registers and commits as an application does.
async fn register(world: &World, event: &dyn Event) {
    let mut tx = world.pool.begin().await.unwrap();
    register_event(&mut tx, event).await.unwrap();
    commit(tx).await.unwrap();
}
