//! A row that was read and not started lies below the cursor, and is not lost.

use sqlx::PgConnection;
use tidings_tests::{
    Draft, SOON, World, eventually,
    world::{Guard, held::Held},
};
use tokio::time::Instant;

/// Rows that wait in the lane of the one subscriber.
const ROWS: usize = 5;

/// A worker that is in the middle of reading a lane: it has asked, and the answer waits for a lock.
struct Reading {
    world: World,
    worker: Guard,
    held: Held,
    lane: i32,
    /// The session that has the lock.
    lock: PgConnection,
    calls: u64,
}

impl Reading {
    async fn begin(held: Held) -> Self {
        let world = World::new(&["order:placed", "order:stored"]).await;
        let lane = world.subscriber("one", "order:placed").await;
        let worker = world.worker(held.clone()).await;
        world.wake(&[lane]);
        held.wait_until("the lane is known", |traffic| traffic.opened > 0 || !traffic.events.is_empty()).await;
        for _ in 0..ROWS {
            world.register(Draft::new("order:stored")).await;
        }
        let mut lock = world.database.connect().await;
        sqlx::raw_sql("begin; lock table tidings.event in access exclusive mode").execute(&mut lock).await.unwrap();
        sqlx::raw_sql(
            "begin;
             insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
             select i.event_id, clock_timestamp(), clock_timestamp(), i.lane from stored i;
             commit",
        );
        let calls = worker.running.counts().calls;
        Self { world, worker, held, lane, lock, calls }
    }
}

async fn _unused(_: &mut PgConnection, _: Instant) {
    eventually(SOON, "", || async { Some(()) }).await;
}
