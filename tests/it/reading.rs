//! Nothing that was committed is missed, however late it was committed and whatever happens to who reads it.

mod crash;
mod expansion;
mod key;
mod model;
mod settling;
mod unstarted;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use tidings::deliverer::Memory;
use tidings_tests::{
    Database, Draft, Kind, SOON, Server, World, eventually,
    world::{Guard, held::Held, owner::Owner},
};
use uuid::Uuid;

/// A server that nobody else uses: ids of transactions go on only when the test says so, and the bound keeps up.
async fn quiet_world(types: &[&str]) -> World {
    let server = Arc::new(Server::start(Kind::Logic).await);
    World::on(Database::on(&server).await, types).await
}

/// Writes the delivery of an event by hand, with the rule that every writer keeps: first the id, then the clock.
struct Writer {
    conn: PgConnection,
    event: Uuid,
    due_at: DateTime<Utc>,
}

impl Writer {
    /// Begins a transaction, draws its id and reads the clock, in this order.
    async fn begin(world: &World) -> Self {
        let event = world.register(Draft::new("order:stored")).await;
        let mut conn = world.database.connect().await;
        sqlx::raw_sql("begin; select pg_current_xact_id()").execute(&mut conn).await.unwrap();
        let due_at =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut conn).await.unwrap();
        Self { conn, event, due_at }
    }

    /// Lets time pass: some round trips.
    async fn pause(&mut self, round_trips: u32) {
        for _ in 0..round_trips {
            sqlx::query("select 1").execute(&mut self.conn).await.unwrap();
        }
    }

    async fn insert(&mut self, lane: i32) {
        sqlx::query(
            "insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id) values ($1, $2, $2, $3)",
        )
        .bind(self.event)
        .bind(self.due_at)
        .bind(lane)
        .execute(&mut self.conn)
        .await
        .unwrap();
    }

    async fn end(mut self, commits: bool) -> Option<Uuid> {
        let statement = if commits { "commit" } else { "rollback" };
        sqlx::raw_sql(statement).execute(&mut self.conn).await.unwrap();
        commits.then_some(self.event)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_writers_commit_in_any_order_is_delivered_and_a_sweep_has_nothing_to_find()
{
    let world = Arc::new(World::new(&["order:placed", "order:stored"]).await);
    let lanes =
        [world.subscriber("a", "order:placed").await, world.subscriber("b", "order:placed").await];
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    let committed = Arc::new(Mutex::new(Vec::new()));
    let mut writers = Vec::new();
    for _ in 0..16 {
        let (world, committed) = (Arc::clone(&world), Arc::clone(&committed));
        writers.push(tokio::spawn(async move {
            let mut conn = world.database.connect().await;
            for _ in 0..20 {
                let commits = rand::random_bool(0.85);
                let event = if rand::random_bool(0.5) {
                    by_hand(&world, lanes, commits).await
                } else {
                    registered(&mut conn, commits).await
                };
                world.wake(&lanes);
                committed.lock().unwrap().extend(event);
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    eventually(SOON, "everything that was committed is delivered", || async {
        let delivered: HashSet<Uuid> = memory.event_ids().into_iter().collect();
        committed.lock().unwrap().iter().all(|event| delivered.contains(event)).then_some(())
    })
    .await;
    world.drained().await;
    assert!(committed.lock().unwrap().len() > 200);
    let counts = worker.running.counts();
    assert_eq!((counts.sweep_found, counts.settled_missing), (0, 0));
}

async fn by_hand(world: &World, lanes: [i32; 2], commits: bool) -> Option<Uuid> {
    let mut writer = Writer::begin(world).await;
    writer.pause(rand::random_range(0..12)).await;
    writer.insert(lanes[rand::random_range(0..2)]).await;
    writer.pause(rand::random_range(0..12)).await;
    writer.end(commits).await
}

async fn registered(conn: &mut PgConnection, commits: bool) -> Option<Uuid> {
    let mut tx = conn.begin().await.unwrap();
    let event = Draft::new("order:placed").register(&mut tx).await;
    for _ in 0..rand::random_range(0..24) {
        sqlx::query("select 1").execute(&mut *tx).await.unwrap();
    }
    if commits {
        tx.commit().await.unwrap();
    } else {
        tx.rollback().await.unwrap();
    }
    commits.then_some(event)
}

#[tokio::test(flavor = "multi_thread")]
async fn long_writing_transaction_delays_the_bound_and_nothing_else() {
    let world = quiet_world(&["order:placed", "order:stored"]).await;
    let lane = world.subscriber("one", "order:placed").await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    let mut long = Writer::begin(&world).await;
    for n in 1..=100 {
        world.register(Draft::new("order:placed").number(n)).await;
        if n % 10 == 0 {
            world.wake(&[lane]);
            tokio::time::timeout(SOON, memory.wait_for(n)).await.unwrap();
        }
    }
    world.drained().await;
    long.insert(lane).await;
    let late = long.end(true).await.unwrap();
    world.wake(&[lane]);
    tokio::time::timeout(SOON, memory.wait_for(101)).await.unwrap();
    world.drained().await;
    assert_eq!(memory.event_ids().last(), Some(&late));
    assert_eq!(memory.count(), 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_that_is_due_in_the_very_instant_of_the_bound_is_read() {
    // What went wrong: the clock counts microseconds, and whoever draws an id in the same one writes that instant too;
    // the cursor went on behind it.
    let world = quiet_world(&["order:placed", "order:stored"]).await;
    let lane = world.subscriber("one", "order:placed").await;
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    let stored = world.register(Draft::new("order:stored")).await;
    // Without holds, the bound is the instant of the call that settles.
    let unheld = without_holds(&world, &worker).await;
    world.register(Draft::new("order:placed")).await;
    world.wake(&[lane]);
    tokio::time::timeout(SOON, memory.wait_for(1)).await.unwrap();
    world.drained().await;
    read_again(&world, &worker, lane).await;
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *tx).await.unwrap();
    sqlx::query(
        "insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
         select $1, max(at), max(at), $2 from tidings.attempt",
    )
    .bind(stored)
    .bind(lane)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    drop(unheld);
    world.wake(&[lane]);
    tokio::time::timeout(SOON, memory.wait_for(2)).await.unwrap();
}

/// Keeps the worker from holding until the session is dropped. It trusts in what it has for a second.
async fn without_holds(world: &World, worker: &Guard) -> PgConnection {
    worker.running.holdings().changed().await.unwrap();
    let mut conn = world.database.connect().await;
    // A lock that needs no id of a transaction: an id would hold the bound back.
    sqlx::raw_sql("begin; lock table tidings.worker in share mode")
        .execute(&mut conn)
        .await
        .unwrap();
    conn
}

/// Has the worker read a lane of which everything is settled, so that its cursor goes to the present bound.
async fn read_again(world: &World, worker: &Guard, lane: i32) {
    // The first that comes may be the call that has settled.
    for _ in 0..2 {
        let calls = worker.running.counts().calls;
        world.wake(&[lane]);
        eventually(SOON, "the lane is read", || async {
            (worker.running.counts().calls > calls).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_that_loses_a_term_forgets_everything_also_when_the_shard_is_its_own_again_at_once() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let held = Held::new();
    let worker = world.worker(held.clone()).await;
    let event = world.register(Draft::new("order:placed")).await;
    held.wait_for(1).await;
    world.execute("update tidings.shard set term = term + 1 where group_name = 'memory'").await;
    // It is sent again under the new term, and the one before is dropped before it has come to its end.
    let traffic = held.wait_until("it is sent again", |traffic| traffic.events.len() == 2).await;
    assert_eq!(traffic.events, [event, event]);
    held.wait_until("the first is dropped", |traffic| traffic.inside == 1).await;
    held.release();
    world.drained().await;
    assert_eq!(held.traffic().finished, 1);
    assert_eq!(world.value::<i64>("select count(*) from tidings.attempt").await, 1);
    assert_eq!(worker.running.counts().settled_lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_that_another_has_replaced_settles_nothing_of_what_it_had() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let held = Held::new();
    let worker = world.worker(held.clone()).await;
    world.register(Draft::new("order:placed")).await;
    held.wait_for(1).await;
    // Between two holds, so that the settlement is on its way before the worker knows.
    worker.running.holdings().changed().await.unwrap();
    let other = Owner::take(&world.pool).await;
    held.release();
    held.wait_until("it is dropped or through", |traffic| traffic.inside == 0).await;
    worker
        .running
        .holdings()
        .wait_for(|held| held.shards.keys().all(|id| &*id.group != "memory"))
        .await
        .unwrap();
    assert_eq!(world.pending().await, 1, "it is the other's now");
    assert_eq!(world.value::<i64>("select count(*) from tidings.attempt").await, 0);
    other.leave(&world.pool).await;
    world.drained().await;
    assert_eq!(held.traffic().events.len(), 2);
}
