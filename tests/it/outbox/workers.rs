//! Many workers on one queue, and one that has little to work with.

use sqlx::postgres::PgPoolOptions;
use tidings::deliverer::Memory;
use tidings_tests::{Draft, SOON, World, eventually};
use tidings_worker::Worker;

use super::{fill, filled};

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
