//! A delivery that kills its worker does not kill the fleet, and costs the others nothing.

use tidings::deliverer::Memory;
use tidings_tests::{Draft, SOON, World, clock::advance_leases, eventually, world::held::Held};
use uuid::Uuid;

/// Says of every shard of the kind `memory` that three owners in a row died young.
const DEATHS: &str = "update tidings.shard set deaths = 3 where group_name = 'memory'";

#[tokio::test(flavor = "multi_thread")]
async fn delivery_that_was_alone_in_flight_when_its_worker_died_twice_is_buried_and_the_others_are_delivered()
 {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    world.subscriber("two", "order:placed").await;
    for n in 0..5 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    world.execute(DEATHS).await;
    world
        .execute(
            "update tidings.delivery set crashes = 2
             where delivery_id = (select delivery_id from tidings.delivery order by delivery_id offset 3 limit 1)",
        )
        .await;
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    world.drained().await;
    let dead: Vec<(String, i16, String)> =
        sqlx::query_as("select reason, attempts, last_error from tidings.dead")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let error = "its worker died twice while it was alone in flight".to_owned();
    assert_eq!(dead, [("worker_died".to_owned(), 0, error)]);
    assert_eq!(memory.count(), 9);
    assert_eq!(worker.running.counts().retried, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn careful_delivery_is_alone_in_flight_and_noted_before_it_starts() {
    let world = World::new(&["order:placed"]).await;
    for name in ["a", "b", "c"] {
        world.subscriber(name, "order:placed").await;
    }
    for n in 0..5 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    world.execute(DEATHS).await;
    let held = Held::new();
    let _worker = world.worker(held.clone()).await;
    held.wait_for(1).await;
    // It was noted in a transaction of its own, before.
    assert_eq!(world.value::<i64>("select sum(crashes) from tidings.delivery").await, 1);
    held.release();
    world.drained().await;
    let traffic = held.traffic();
    assert_eq!((traffic.events.len(), traffic.inside_max), (15, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn careful_delivery_that_returns_is_innocent_whatever_its_result() {
    use tidings::deliverer::{Answer, Verdict};
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.set_retry(id, r#"{"delays_s": [0, 0.01], "attempts_max": 100}"#).await;
    world.register(Draft::new("order:placed")).await;
    world.execute(DEATHS).await;
    let memory = Memory::scripted(|delivery| {
        if delivery.attempt < 6 {
            Answer::failed(Verdict::Retry, "not yet")
        } else {
            Answer::delivered()
        }
    });
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    assert_eq!(memory.count(), 6, "five failures are no crash");
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn third_owner_that_dies_young_makes_its_shards_careful_and_a_minute_of_life_ends_it() {
    let world = World::new(&["order:placed"]).await;
    for _ in 0..3 {
        let worker = Uuid::new_v4();
        hold(&world, worker).await;
        advance_leases(&world.pool, std::time::Duration::from_secs(20)).await;
    }
    let deaths = "select min(deaths), max(deaths) from tidings.shard where group_name = 'memory'";
    let read =
        || async { sqlx::query_as::<_, (i16, i16)>(deaths).fetch_one(&world.pool).await.unwrap() };
    assert_eq!(read().await, (2, 2), "the third is not yet known to be dead");
    let worker = world.worker(Memory::new()).await;
    assert_eq!(read().await, (3, 3));
    world.execute("update tidings.shard set taken_at = taken_at - interval '1 minute'").await;
    eventually(SOON, "a minute of life clears the name", || async {
        (read().await == (0, 0)).then_some(())
    })
    .await;
    drop(worker);
}

/// Joins and takes everything, as a worker that will not be heard of again.
async fn hold(world: &World, worker: Uuid) {
    sqlx::query("select tidings.hold_v1($1, true, 'gone', 1, true, false, 10000, '{memory}', '{}', '{}', '{}')")
        .bind(worker)
        .execute(&world.pool)
        .await
        .unwrap();
}
