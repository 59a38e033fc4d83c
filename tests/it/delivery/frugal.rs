//! What a worker takes of the database: nothing while deliveries are under way, and little for many of them.

use sqlx::postgres::PgPoolOptions;
use tidings::deliverer::Memory;
use tidings_tests::{Draft, SOON, World, eventually, world::held::Held};
use tidings_worker::Worker;

use super::webhook::TYPE;

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_is_open_and_no_connection_of_the_pool_is_taken_while_deliveries_are_under_way()
 {
    let world = World::new(&[TYPE]).await;
    world.subscriber("one", TYPE).await;
    let held = Held::new();
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy(&world.database.url()).unwrap();
    let _worker = world.worker_with(Worker::builder(pool.clone()).deliverer(held.clone())).await;
    for n in 0..16 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    held.wait_for(16).await;
    // A call or a hold has one for a moment; nothing has one for as long as the deliveries take.
    eventually(SOON, "no transaction is open", || async {
        let open = "select count(*) from pg_stat_activity where datname = current_database()
                    and pid <> pg_backend_pid() and xact_start is not null";
        (world.value::<i64>(open).await == 0).then_some(())
    })
    .await;
    let mut conn = tokio::time::timeout(SOON, pool.acquire()).await.unwrap().unwrap();
    sqlx::query("select 1").execute(&mut *conn).await.unwrap();
    drop(conn);
    assert_eq!(held.traffic().inside, 16);
    held.release();
    world.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_due_deliveries_of_a_lane_are_settled_in_a_few_calls() {
    const ROWS: u64 = 1000;
    let world = World::new(&[TYPE]).await;
    let id = world.subscriber("one", TYPE).await;
    // As many as a call may read, whatever the kind would say.
    world.set_in_flight_max(id, 2000).await;
    let mut tx = world.pool.begin().await.unwrap();
    for n in 0..ROWS {
        Draft::new(TYPE).number(n).register(&mut tx).await;
    }
    tx.commit().await.unwrap();
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    world.drained().await;
    assert_eq!(memory.count(), ROWS);
    let calls = worker.running.counts().calls;
    assert!(calls <= ROWS / 20, "{calls} calls");
}
