//! Changes of a subscriber that come at a bad moment: while the one before is being taken in, when the database fails, and
//! while its destination has asked to wait.
//!
//! Whoever takes a change in reads the subscriber and then its parked deliveries; a lock on those holds it up in between.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tidings::deliverer::{Answer, Memory, Verdict};
use tidings_tests::{
    Draft, SOON, World, eventually,
    world::{Guard, held::Held},
};

/// Sessions that are held up while they take a change in.
const TAKING_IN: &str = "
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%unpark%'";

/// Ends those sessions.
const TERMINATE: &str = "
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%unpark%'";

/// A worker with one lane that has delivered an event and idles.
struct Idle {
    world: World,
    worker: Guard,
    held: Held,
    lane: i32,
}

impl Idle {
    async fn begin() -> Self {
        let world = World::new(&["order:placed"]).await;
        let lane = world.subscriber("one", "order:placed").await;
        let held = Held::open_from_the_start();
        let worker = world.worker(held.clone()).await;
        world.register(Draft::new("order:placed")).await;
        world.drained().await;
        Self { world, worker, held, lane }
    }

    async fn change(&self, statement: &'static str) {
        sqlx::query(statement).bind(self.lane).execute(&self.world.pool).await.unwrap();
    }

    /// Changes the subscriber, and returns when the worker is in the middle of taking it in, with what holds it up.
    async fn change_halfway(&self, statement: &'static str) -> PgConnection {
        let mut lock = self.world.database.connect().await;
        sqlx::raw_sql("begin; lock table tidings.delivery in access exclusive mode")
            .execute(&mut lock)
            .await
            .unwrap();
        self.change(statement).await;
        eventually(SOON, "the change is being taken in", || async {
            (self.world.value::<i64>(TAKING_IN).await > 0).then_some(())
        })
        .await;
        lock
    }

    /// The lane delivers again, as its subscriber says by now.
    async fn delivers(&self) {
        self.world.register(Draft::new("order:placed").number(2)).await;
        self.world.drained().await;
        assert_eq!(self.held.traffic().finished, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn change_that_comes_while_the_one_before_is_being_taken_in_is_taken_in_too() {
    let idle = Idle::begin().await;
    let mut lock = idle.change_halfway("select tidings.pause($1)").await;
    idle.change("select tidings.resume($1)").await;
    let mut holdings = idle.worker.running.holdings();
    holdings.mark_unchanged();
    // The first may have begun before the end of the pause was there.
    for _ in 0..2 {
        holdings.changed().await.unwrap();
    }
    sqlx::raw_sql("rollback").execute(&mut lock).await.unwrap();
    idle.delivers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn change_that_could_not_be_taken_in_is_taken_in_later() {
    let idle = Idle::begin().await;
    let opened = idle.held.traffic().opened;
    idle.change("select tidings.pause($1)").await;
    idle.held.wait_until("the pause is taken in", |traffic| traffic.opened > opened).await;
    let mut lock = idle.change_halfway("select tidings.resume($1)").await;
    assert!(idle.world.value::<i64>(TERMINATE).await > 0);
    sqlx::raw_sql("rollback").execute(&mut lock).await.unwrap();
    idle.delivers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_that_a_destination_asks_for_outlasts_a_change_of_its_subscriber_however_short_it_is()
{
    const WAIT: Duration = Duration::from_millis(1900);
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&times);
    let memory = Memory::scripted(move |_| {
        let mut times = noted.lock().unwrap();
        times.push(Instant::now());
        match times.len() {
            1 => Answer::failed(Verdict::RetryAfter(WAIT), "slow down"),
            _ => Answer::delivered(),
        }
    });
    let _worker = world.worker(memory.clone()).await;
    world.register(Draft::new("order:placed")).await;
    tokio::time::timeout(SOON, memory.wait_for(1)).await.unwrap();
    world.register(Draft::new("order:placed").number(2)).await;
    world.execute("update tidings.subscriber set in_flight_max = 5").await;
    world.drained().await;
    let times = times.lock().unwrap();
    assert!(times[1] - times[0] >= WAIT, "the second came after {:?}", times[1] - times[0]);
    assert_eq!(times.len(), 3);
}
