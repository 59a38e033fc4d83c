//! Workers behind a pooler in transaction mode, told of it or not.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use tidings::deliverer::Memory;
use tidings_ownership::Session;
use tidings_tests::{Draft, Pooler, SOON, World, eventually};
use tidings_worker::Worker;

use super::fill;

/// Two workers, with the statements of their driver as they are by default, share two sessions of the server.
async fn two_workers(session: Session) {
    let world = World::new(&["order:placed"]).await;
    fill(&world, 20, 50).await;
    let pooler = Pooler::start(&world.database, 2).await;
    let memory = Memory::new();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let pool = PgPoolOptions::new().max_connections(3).connect_lazy(&pooler.url()).unwrap();
        let worker = Worker::builder(pool)
            .deliverer(memory.clone())
            .session(session)
            .lease(Duration::from_secs(4));
        workers.push(world.worker_with(worker).await);
    }
    world.drained().await;
    eventually(SOON, "both hold as behind a pooler", || async {
        let query = "select count(*) from tidings.worker where session_pid is null";
        (world.value::<i64>(query).await == 2).then_some(())
    })
    .await;
    world.subscriber("late", "order:placed").await;
    for n in 0..20 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    world.drained().await;
    assert_eq!(memory.count(), 1020);
    for worker in workers {
        assert!(worker.stop().await, "drained in peace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_told_of_the_pooler_deliver_everything_once() {
    two_workers(Session::Pooled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_nobody_told_of_the_pooler_notice_it_and_deliver_everything_once() {
    two_workers(Session::Direct).await;
}
