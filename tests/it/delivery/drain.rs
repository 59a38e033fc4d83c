//! A worker that stops and still has something in flight keeps it for as long as it takes, lease after lease.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tidings::deliverer::Memory;
use tidings_ownership::ShardId;
use tidings_tests::{Draft, SOON, World, eventually, signal::watched, world::held::Held};
use tidings_worker::Worker;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const TYPE: &str = "order:placed";

/// The shortest there is.
const LEASE: Duration = Duration::from_secs(1);

/// The lane's shard as its row says: the owner and its term.
async fn owner(world: &World, lane: i32) -> (Option<Uuid>, i64) {
    sqlx::query_as(
        "select d.worker_id, d.term from tidings.subscriber s
         join tidings.shard d on d.group_name = s.kind and d.shard = s.shard
         where s.subscriber_id = $1",
    )
    .bind(lane)
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_that_drains_for_longer_than_its_lease_keeps_its_shard_until_then_and_repeats_nothing()
 {
    let world = World::new(&[TYPE]).await;
    let lane = world.subscriber("one", TYPE).await;
    let held = Held::new();
    let builder = Worker::builder(world.pool.clone()).deliverer(held.clone()).lease(LEASE);
    let shutdown = CancellationToken::new();
    let mut first = builder.spawn(shutdown.clone()).await.unwrap();
    let event = world.register(Draft::new(TYPE)).await;
    held.wait_for(1).await;
    let memory = Memory::new();
    let builder = Worker::builder(world.pool.clone()).deliverer(memory.clone()).lease(LEASE);
    let second = world.worker_with(builder).await;
    let before = owner(&world, lane).await;
    let holdings = first.holdings();
    assert_eq!(before.0, Some(holdings.borrow().worker_id));

    shutdown.cancel();
    let draining = tokio::spawn(async move { (first.finished().await, first.counts()) });
    let left = watched(holdings, SOON, "everything else has been given back", |holdings| {
        holdings.shards.len() == 1
    })
    .await;
    let shard: i16 =
        world.value("select shard from tidings.subscriber where kind = 'memory'").await;
    assert_eq!(left.term(&ShardId { group: Arc::from("memory"), shard }), Some(before.1));
    for n in 2..=4 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    let began: DateTime<Utc> = world.value("select clock_timestamp()").await;
    eventually(SOON, "three leases are over", || async {
        assert_eq!(owner(&world, lane).await, before);
        let now: DateTime<Utc> = world.value("select clock_timestamp()").await;
        ((now - began).to_std().unwrap() > 3 * LEASE).then_some(())
    })
    .await;
    assert_eq!((held.traffic().events, memory.count()), (vec![event], 0));

    held.release();
    let (drained, counts) = draining.await.unwrap();
    assert!(drained);
    world.drained().await;
    assert_eq!((counts.fetched, counts.delivered), (1, 1));
    assert_eq!((counts.settled_lost, counts.settled_missing), (0, 0));
    assert_eq!((held.traffic().events, held.traffic().finished), (vec![event], 1));
    let after = second.running.counts();
    assert_eq!((after.fetched, after.delivered, after.settled_lost), (3, 3, 0));
    assert!(!memory.event_ids().contains(&event));
    let successor = second.running.holdings().borrow().worker_id;
    assert_eq!(owner(&world, lane).await, (Some(successor), before.1 + 1));
    let attempts = "select array[count(*), count(distinct event_id)] from tidings.attempt where outcome = 'delivered'";
    assert_eq!(world.value::<Vec<i64>>(attempts).await, [4, 4]);
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 0);
}
