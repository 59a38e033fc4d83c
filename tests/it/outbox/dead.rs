//! Dead letters carry their event, and come back under its id.

use tidings::deliverer::{Answer, Memory, Verdict};
use tidings_tests::{Draft, SOON, World, eventually};
use uuid::Uuid;

/// A deliverer that refuses for good what is marked so.
fn refusing() -> Memory {
    Memory::scripted(|delivery| {
        if delivery.event.payload.contains("refuse") {
            Answer::failed(Verdict::Refused, "never").with_status(400)
        } else {
            Answer::delivered()
        }
    })
}

async fn replay(world: &World, dead: i64) -> Option<i64> {
    sqlx::query_scalar("select tidings.replay_v1($1)")
        .bind(dead)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// Moves an event and its delivery to a day long ago, as if it had been registered then.
async fn age(world: &World, event: Uuid) -> Uuid {
    world
        .execute("select tidings.make_partition('event', clock_timestamp() - interval '40 days')")
        .await;
    sqlx::query_scalar(
        "with old as (
           select overlay(tidings.uuid_floor(clock_timestamp() - interval '40 days')::text placing '7001' from 15)::uuid as event_id
         ), copied as (
           update tidings.event e set event_id = o.event_id from old o where e.event_id = $1 returning 1
         )
         update tidings.delivery d set event_id = o.event_id from old o where d.event_id = $1 returning d.event_id",
    )
    .bind(event)
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_is_replayed_under_its_id_also_when_the_events_partition_is_gone() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let payload = serde_json::json!({"refuse": true});
    let draft = Draft { payload, key: Some("k"), ..Draft::new("order:placed").scope("shop=s1") };
    let event = world.register(draft).await;
    let event = age(&world, event).await;
    let worker = world.worker(refusing()).await;
    eventually(SOON, "a dead letter", || async {
        (world.value::<i64>("select count(*) from tidings.dead").await == 1).then_some(())
    })
    .await;
    assert!(worker.stop().await);
    // The worker may have dropped it already.
    let dropped =
        "select coalesce(bool_and(tidings.retire_partition(parent, starts_at, 1000)), true) from tidings.partition
                   where parent = 'event' and ends_at < clock_timestamp() - interval '30 days'";
    assert!(world.value::<bool>(dropped).await);
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 0);

    let dead: i64 = world.value("select dead_id from tidings.dead").await;
    assert!(replay(&world, dead).await.is_some());
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let delivery = &memory.deliveries()[0];
    assert_eq!((delivery.event.event_id, delivery.attempt), (event, 1));
    assert_eq!(delivery.event.payload, r#"{"refuse":true}"#);
    assert_eq!(
        (delivery.event.scope.as_str(), delivery.event.ordering_key.as_deref()),
        ("shop=s1", Some("k"))
    );
    // It may be replayed again, and the letter says that it was.
    assert!(replay(&world, dead).await.is_some());
    assert!(world.value::<bool>("select replayed_at is not null from tidings.dead").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_event_of_a_key_comes_after_what_is_pending_of_it() {
    let world = World::new(&["order:placed"]).await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    world.subscribe(id, "order:placed", "", true).await;
    let refuse = serde_json::json!({"refuse": 1});
    world.register(Draft { payload: refuse, ..Draft::new("order:placed").key("k") }).await;
    let worker = world.worker(refusing()).await;
    world.drained().await;
    assert!(worker.stop().await);
    for n in 2..=3 {
        world.register(Draft::new("order:placed").number(n).key("k")).await;
    }
    let dead: i64 = world.value("select dead_id from tidings.dead").await;
    replay(&world, dead).await.unwrap();
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let payloads: Vec<String> =
        memory.deliveries().into_iter().map(|delivery| delivery.event.payload).collect();
    assert_eq!(payloads, [r#"{"n":2}"#, r#"{"n":3}"#, r#"{"refuse":1}"#]);
}

#[tokio::test]
async fn dead_letter_without_an_event_or_without_a_subscriber_is_not_replayed() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world
        .execute(
            "insert into tidings.dead (delivery_id, event_id, subscriber_id, type, version, occurred_at, payload, scope, attempts, first_due_at, reason)
             select 1, tidings.uuid_floor(now()), max(subscriber_id), 'order:placed', 1, now(), p::json, '', 1, now(), 'refused'
             from tidings.subscriber, unnest(array[null, '{}']) p group by p",
        )
        .await;
    let letters: Vec<(i64, bool)> =
        sqlx::query_as("select dead_id, payload is not null from tidings.dead order by 2")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(replay(&world, letters[0].0).await, None);
    assert_eq!(replay(&world, i64::MAX).await, None);
    sqlx::query("select tidings.remove_subscriber_v1($1)")
        .bind(id)
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(replay(&world, letters[1].0).await, None);
    assert_eq!(world.pending().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_with_more_failures_than_a_number_can_hold_is_buried_all_the_same() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    world
        .register(Draft { payload: serde_json::json!("refuse"), ..Draft::new("order:placed") })
        .await;
    world.execute("update tidings.delivery set attempt = 32767").await;
    let _worker = world.worker(refusing()).await;
    world.drained().await;
    assert_eq!(world.value::<i16>("select attempts from tidings.dead").await, 32767);
}
