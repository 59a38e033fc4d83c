//! What is past its time goes, what is pending stays, and nobody waits for either.

mod lock;

use std::time::Duration;

use sqlx::AssertSqlSafe;
use tidings::deliverer::Memory;
use tidings_tests::{Draft, SOON, World, clock::advance_deliveries, eventually, world::Guard};
use tidings_worker::{Retention, Worker};
use uuid::Uuid;

/// Older than everything is kept.
const DAYS: i32 = 40;

/// The partitions of events that are there, by age in days, the oldest first; those of the days to come left out.
const KEPT: &str = "
    select array_agg(floor(extract(epoch from clock_timestamp() - starts_at) / 86400)::int order by starts_at)
    from tidings.partition where parent = 'event' and ends_at < clock_timestamp() - interval '1 day'";

/// Makes the partitions of a day long ago.
async fn make_old_partitions(world: &World, days: i32) {
    let statement = format!(
        "select tidings.make_partition(parent, clock_timestamp() - interval '{days} days')
         from unnest(array['event', 'attempt']) parent"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&world.pool).await.unwrap();
}

/// Registers an event, and moves it and its deliveries to a day long ago.
async fn register_long_ago(world: &World, draft: Draft<'_>) -> Uuid {
    make_old_partitions(world, DAYS).await;
    let event = world.register(draft).await;
    let old: Uuid = sqlx::query_scalar(
        "update tidings.event set event_id = overlay(event_id::text placing
           left(tidings.uuid_floor(clock_timestamp() - $2 * interval '1 day')::text, 13) from 1)::uuid
         where event_id = $1 returning event_id",
    )
    .bind(event)
    .bind(DAYS)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    for table in ["delivery", "expansion"] {
        let statement = format!("update tidings.{table} set event_id = $2 where event_id = $1");
        sqlx::query(AssertSqlSafe(statement))
            .bind(event)
            .bind(old)
            .execute(&world.pool)
            .await
            .unwrap();
    }
    old
}

/// Starts a worker, which looks after the tables first.
async fn look_after(world: &World, memory: &Memory) -> Guard {
    let day = Duration::from_hours(24);
    let retention = Retention { events: 30 * day, attempts: 10 * day, dead: 60 * day };
    world
        .worker_with(
            Worker::builder(world.pool.clone()).deliverer(memory.clone()).retention(retention),
        )
        .await
}

/// Looks after the tables until a query says so, and no longer.
async fn look_after_until(world: &World, what: &str, query: &'static str) {
    let worker = look_after(world, &Memory::new()).await;
    eventually(SOON, what, || async { world.value::<bool>(query).await.then_some(()) }).await;
    assert!(worker.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_made_ahead_and_every_type_knows() {
    let world = World::new(&["order:placed"]).await;
    world
        .execute(
            "do $$ declare v_name text; begin
               for v_name in delete from tidings.partition where starts_at > clock_timestamp() returning name
               loop execute format('drop table tidings.%I', v_name); end loop;
             end $$;
             update tidings.event_type set partitioned_until = tidings.partitioned_until()",
        )
        .await;
    let ahead = "select bool_and(partitioned_until > clock_timestamp() + interval '7 days') from tidings.event_type";
    assert!(!world.value::<bool>(ahead).await);
    look_after_until(&world, "the days to come", ahead).await;
    let days = "select count(*) from tidings.partition where parent = 'attempt' and ends_at > clock_timestamp()";
    assert_eq!(world.value::<i64>(days).await, 8);
    world.types(&["order:shipped"]).await;
    assert!(world.value::<bool>(ahead).await, "a type that comes later knows too");
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_stays_while_a_delivery_of_it_is_pending_and_goes_when_it_is_settled() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    make_old_partitions(&world, DAYS + 1).await;
    make_old_partitions(&world, 20).await;
    let draft = Draft { delay: Duration::from_hours(1), ..Draft::new("order:placed").number(7) };
    let event = register_long_ago(&world, draft).await;
    let memory = Memory::new();
    let worker = look_after(&world, &memory).await;
    // The one before it has nothing pending; the other is not old enough.
    eventually(SOON, "the empty one goes", || async {
        (world.value::<Vec<i32>>(KEPT).await == [DAYS, 20]).then_some(())
    })
    .await;
    advance_deliveries(&world.pool, Duration::from_hours(1)).await;
    world.drained().await;
    assert!(worker.stop().await);
    assert_eq!(memory.event_ids(), [event]);
    assert_eq!(memory.deliveries()[0].event.payload, r#"{"n":7}"#);
    assert_eq!(world.value::<Vec<i32>>(KEPT).await, [DAYS, 20]);
    look_after_until(
        &world,
        "it goes",
        "select not exists (select from tidings.partition where starts_at < clock_timestamp() - interval '30 days')",
    )
    .await;
    assert_eq!(world.value::<Vec<i32>>(KEPT).await, [20]);
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_stays_while_a_fan_out_of_it_is_pending() {
    let world = World::new(&["order:placed"]).await;
    register_long_ago(&world, Draft::new("order:placed")).await;
    world
        .execute(
            "insert into tidings.expansion (event_id, due_at, registered_at) select event_id, now(), now() from tidings.event;
             insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
             select event_id, now(), now(), 0 from tidings.event",
        )
        .await;
    let retire =
        "select bool_or(tidings.retire_partition(parent, starts_at, 1000)) from tidings.partition
                  where parent = 'event' and ends_at < clock_timestamp() - interval '30 days'";
    assert!(!world.value::<bool>(retire).await);
    // It was given up: what is left of it goes with the partition.
    world.execute("delete from tidings.delivery").await;
    assert!(world.value::<bool>(retire).await);
    assert_eq!(world.value::<i64>("select count(*) from tidings.expansion").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_deliveries_of_a_paused_subscriber_are_buried_with_their_payload_and_hold_no_partition()
{
    let world = World::new(&["order:placed"]).await;
    let paused = world.bare_subscriber("paused", "memory", serde_json::json!({})).await;
    world.subscribe(paused, "order:placed", "", true).await;
    let event = register_long_ago(&world, Draft::new("order:placed").number(7).key("k")).await;
    world.register(Draft::new("order:placed").number(8).key("k")).await;
    // Parked behind the old one.
    world.execute("update tidings.delivery set due_at = 'infinity' where event_id = (select event_id from tidings.event order by event_id desc limit 1)").await;
    sqlx::query("select tidings.pause($1)").bind(paused).execute(&world.pool).await.unwrap();
    look_after_until(
        &world,
        "the partition goes",
        "select not exists (select from tidings.partition where starts_at < clock_timestamp() - interval '30 days')",
    )
    .await;
    let dead: Vec<(Uuid, String, i16, String)> =
        sqlx::query_as("select event_id, reason, attempts, payload::text from tidings.dead")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(dead, [(event, "retention".to_owned(), 0, r#"{"n":7}"#.to_owned())]);
    // What is young stays, and is the head of its key now.
    let due: Vec<bool> =
        sqlx::query_scalar("select due_at < clock_timestamp() from tidings.delivery")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(due, [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_deliveries_of_a_subscriber_at_work_are_delivered_however_old_they_are() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let event = register_long_ago(&world, Draft::new("order:placed")).await;
    let memory = Memory::new();
    let _worker = look_after(&world, &memory).await;
    world.drained().await;
    assert_eq!(memory.event_ids(), [event]);
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_and_dead_letters_and_what_a_removed_subscriber_has_left_go_at_their_time() {
    let world = World::new(&["order:placed"]).await;
    let gone = world.subscriber("gone", "order:placed").await;
    world.register(Draft::new("order:placed")).await;
    for days in [5, 20] {
        make_old_partitions(&world, days).await;
    }
    world
        .execute(
            "insert into tidings.attempt (at, delivery_id, event_id, subscriber_id, attempt, outcome)
             select clock_timestamp() - days * interval '1 day', 1, tidings.uuid_floor(now()), 1, 1, 'delivered'
             from unnest(array[5, 20]) days;
             insert into tidings.dead (delivery_id, event_id, subscriber_id, attempts, first_due_at, died_at, reason)
             select days, tidings.uuid_floor(now()), 1, 1, now(), clock_timestamp() - days * interval '1 day', 'refused'
             from unnest(array[50, 70]) days",
        )
        .await;
    // Registered by somebody who had not seen the removal yet.
    sqlx::query(
        "update tidings.subscriber set deleted_at = clock_timestamp() where subscriber_id = $1",
    )
    .bind(gone)
    .execute(&world.pool)
    .await
    .unwrap();
    look_after_until(
        &world,
        "all of it goes",
        "select (select count(*) from tidings.attempt) = 1 and (select array_agg(delivery_id) from tidings.dead) = '{50}'
           and not exists (select from tidings.delivery)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys_go_with_the_partition_of_their_day() {
    let world = World::new(&["order:placed"]).await;
    make_old_partitions(&world, DAYS).await;
    make_old_partitions(&world, DAYS + 5).await;
    world
        .execute(
            "insert into tidings.idempotency (tenant, key, event_id, sha256, created_at)
             select '', days::text, tidings.uuid_floor(now()), '', clock_timestamp() - days * interval '1 day'
             from unnest(array[40, 45]) days;
             select tidings.register_event('order:placed', '{}', idempotency_key => '0')",
        )
        .await;
    // A day that is kept for a delivery keeps its keys.
    world.subscriber("one", "order:placed").await;
    register_long_ago(
        &world,
        Draft { delay: Duration::from_hours(1), ..Draft::new("order:placed") },
    )
    .await;
    look_after_until(
        &world,
        "the oldest go",
        "select array_agg(key order by key) = '{0,40}' from tidings.idempotency",
    )
    .await;
}
