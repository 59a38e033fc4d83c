//! A row that was read and not started lies below the cursor, and is not lost.

use sqlx::{Connection, PgConnection};
use tidings_tests::{
    Draft, SOON, World, eventually,
    world::{Guard, held::Held},
};
use tokio::time::Instant;

/// How many rows are read.
const ROWS: usize = 5;

/// A worker in the middle of reading a lane: it has asked, and the answer waits for a lock.
///
/// The bound is above the rows by then, so that whoever goes on from there does not find them any more.
struct Asked {
    world: World,
    worker: Guard,
    held: Held,
    lane: i32,
    /// The session that has the lock.
    lock: PgConnection,
    calls: u64,
}

impl Asked {
    async fn begin(held: Held) -> Self {
        let world = World::new(&["order:placed"]).await;
        let lane = world.subscriber("one", "order:placed").await;
        sqlx::query("select tidings.pause($1)").bind(lane).execute(&world.pool).await.unwrap();
        let worker = world.worker(held.clone()).await;
        eventually(SOON, "the lane is taken up", || async {
            world.wake(&[lane]);
            (held.traffic().opened > 0).then_some(())
        })
        .await;
        for n in (0..).take(ROWS) {
            world.register(Draft::new("order:placed").number(n)).await;
        }
        let mut holdings = worker.running.holdings();
        holdings.borrow_and_update();
        // The first may have begun before the rows were there.
        for _ in 0..2 {
            holdings.changed().await.unwrap();
        }
        let mut lock = world.database.connect().await;
        sqlx::raw_sql("begin; lock table tidings.event in access exclusive mode")
            .execute(&mut lock)
            .await
            .unwrap();
        let asked = Self { calls: worker.running.counts().calls, world, worker, held, lane, lock };
        asked.change("select tidings.resume($1)").await;
        eventually(SOON, "the worker has asked", || async {
            let waiting = "select count(*) from pg_locks where relation = 'tidings.event'::regclass and not granted";
            (asked.world.value::<i64>(waiting).await > 0).then_some(())
        })
        .await;
        asked
    }

    /// Changes the subscriber, and returns when the worker has taken it in.
    async fn change(&self, statement: &'static str) {
        let opened = self.held.traffic().opened;
        sqlx::query(statement).bind(self.lane).execute(&self.world.pool).await.unwrap();
        self.held.wait_until("the change is taken in", |traffic| traffic.opened > opened).await;
    }

    /// Lets the answer come, and returns when the worker has seen it.
    async fn answer(&mut self) {
        sqlx::raw_sql("rollback").execute(&mut self.lock).await.unwrap();
        let (counts, calls) = (|| self.worker.running.counts().calls, self.calls);
        eventually(SOON, "the answer has come", || async { (counts() > calls).then_some(()) })
            .await;
        assert_eq!(self.world.pending().await, i64::try_from(ROWS).unwrap());
    }

    /// Every row is delivered in the end, and none twice.
    async fn is_drained(&self) {
        self.world.drained().await;
        let mut events = self.held.traffic().events;
        assert_eq!(events.len(), ROWS);
        events.sort_unstable();
        events.dedup();
        assert_eq!(events.len(), ROWS);
        assert_eq!(self.worker.running.counts().sweep_found, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lane_that_is_paused_while_it_is_read_starts_nothing_and_goes_on_from_there() {
    let mut asked = Asked::begin(Held::open_from_the_start()).await;
    asked.change("select tidings.pause($1)").await;
    asked.answer().await;
    asked.worker.running.holdings().changed().await.unwrap();
    assert_eq!(asked.held.traffic().events.len(), 0);
    asked.change("select tidings.resume($1)").await;
    asked.is_drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lane_whose_limit_is_lowered_while_it_is_read_starts_no_more_than_that_and_the_rest_later()
{
    let mut asked = Asked::begin(Held::new()).await;
    asked.change("update tidings.subscriber set in_flight_max = 2 where subscriber_id = $1").await;
    asked.answer().await;
    asked.held.wait_for(2).await;
    asked.worker.running.holdings().changed().await.unwrap();
    assert_eq!(asked.held.traffic().inside, 2);
    asked.held.release();
    asked.is_drained().await;
    assert_eq!(asked.held.traffic().inside_max, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_that_has_lost_its_trust_while_it_read_starts_nothing_until_it_has_it_again() {
    let mut asked = Asked::begin(Held::open_from_the_start()).await;
    let mut conn = asked.world.database.connect().await;
    let mut unheld = conn.begin().await.unwrap();
    sqlx::query("select from tidings.worker for update").execute(&mut *unheld).await.unwrap();
    let holdings = asked.worker.running.holdings();
    eventually(SOON, "the trust is over", || async {
        (!holdings.borrow().is_trusted(Instant::now())).then_some(())
    })
    .await;
    asked.answer().await;
    assert_eq!(asked.held.traffic().events.len(), 0);
    unheld.rollback().await.unwrap();
    asked.is_drained().await;
}
