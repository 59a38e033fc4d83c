//! A retention run waits for its locks so briefly that nobody behind it notices.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tidings::deliverer::Memory;
use tidings_tests::{Draft, SOON, World, eventually};
use tokio::time::Instant;

use super::{DAYS, KEPT, look_after, look_after_until, make_old_partitions, register_long_ago};

/// What nobody may wait longer for than the lock timeout of a drop, with some room for a busy machine.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Drops what is old; answers whether nothing old is left.
const RETIRE: &str = "
    select coalesce(bool_and(tidings.retire_partition(parent, starts_at, 1000)), true) from tidings.partition
    where parent = 'event' and ends_at < clock_timestamp() - interval '30 days'";

#[tokio::test(flavor = "multi_thread")]
async fn drop_that_has_to_wait_for_a_long_transaction_holds_up_registering_no_longer_than_its_lock_timeout()
 {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    for days in DAYS..DAYS + 3 {
        make_old_partitions(&world, days).await;
    }
    let mut conn = world.database.connect().await;
    let mut long = conn.begin().await.unwrap();
    sqlx::query("select count(*) from tidings.event").execute(&mut *long).await.unwrap();
    let memory = Memory::new();
    let worker = look_after(&world, &memory).await;
    eventually(SOON, "the drop waits for the long transaction", || async {
        let waiting = "select count(*) from pg_locks
                       where relation = 'tidings.event'::regclass and mode = 'AccessExclusiveLock' and not granted";
        (world.value::<i64>(waiting).await > 0).then_some(())
    })
    .await;
    let (mut longest, mut registered) = (Duration::ZERO, 0);
    let began = Instant::now();
    // As long as all three of them may wait one after the other.
    while began.elapsed() < Duration::from_millis(3500) {
        let each = Instant::now();
        world.register(Draft::new("order:placed")).await;
        longest = longest.max(each.elapsed());
        registered += 1;
    }
    assert!(longest < PATIENCE, "a register took {longest:?}");
    assert_eq!(world.value::<Vec<i32>>(KEPT).await.len(), 3, "none of them could go");
    long.rollback().await.unwrap();
    tokio::time::timeout(SOON, memory.wait_for(registered)).await.unwrap();
    assert!(worker.stop().await);
    look_after_until(
        &world,
        "they go the next time",
        "select not exists (select from tidings.partition where starts_at < clock_timestamp() - interval '30 days')",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_day_go_without_the_lock_that_its_partition_needs() {
    // What went wrong: the partition was dropped first, and everybody who wanted to register waited until all keys of
    // its day were gone.
    let world = World::new(&["order:placed"]).await;
    make_old_partitions(&world, DAYS).await;
    world
        .execute(
            "insert into tidings.idempotency (tenant, key, event_id, sha256, created_at)
             values ('', 'old', tidings.uuid_floor(now()), '', clock_timestamp() - interval '40 days');
             create function slowly() returns trigger language plpgsql as $$
             begin perform pg_advisory_xact_lock(4711); return old; end $$;
             create trigger slowly before delete on tidings.idempotency for each row execute function slowly()",
        )
        .await;
    let mut slow = world.database.connect().await;
    sqlx::raw_sql("select pg_advisory_lock(4711)").execute(&mut slow).await.unwrap();
    let mut retiring = world.database.connect().await;
    let retired = tokio::spawn(async move {
        sqlx::query_scalar::<_, bool>(RETIRE).fetch_one(&mut retiring).await.unwrap()
    });
    eventually(SOON, "the keys are going", || async {
        let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
                       and database = (select oid from pg_database where datname = current_database())";
        (world.value::<i64>(waiting).await > 0).then_some(())
    })
    .await;
    let mut conn = world.database.connect().await;
    sqlx::raw_sql("set lock_timeout = '2s'").execute(&mut conn).await.unwrap();
    Draft::new("order:placed").register(&mut conn).await;
    sqlx::raw_sql("select pg_advisory_unlock(4711)").execute(&mut slow).await.unwrap();
    assert!(retired.await.unwrap());
    assert_eq!(world.value::<i64>("select count(*) from tidings.idempotency").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_that_a_replay_needs_is_not_dropped_beside_it() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    register_long_ago(&world, Draft::new("order:placed").number(7)).await;
    sqlx::query(
        "with gone as (delete from tidings.delivery returning *)
         insert into tidings.dead (delivery_id, event_id, subscriber_id, subscription_id, type, version, scope, occurred_at,
           payload, attempts, first_due_at, reason)
         select g.delivery_id, g.event_id, $1, g.subscription_id, e.type, e.version, e.scope, e.occurred_at, e.payload, 1,
           g.first_due_at, 'refused'
         from gone g join tidings.event e using (event_id)",
    )
    .bind(id)
    .execute(&world.pool)
    .await
    .unwrap();
    let mut conn = world.database.connect().await;
    let mut replaying = conn.begin().await.unwrap();
    replay(&mut replaying).await;
    assert!(!world.value::<bool>(RETIRE).await);
    replaying.commit().await.unwrap();
    assert!(!world.value::<bool>(RETIRE).await, "its delivery is pending");
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    world.drained().await;
    assert!(worker.stop().await);
    assert_eq!(memory.deliveries()[0].event.payload, r#"{"n":7}"#);
    assert!(world.value::<bool>(RETIRE).await);
}

async fn replay(conn: &mut PgConnection) {
    let replayed: Option<i64> =
        sqlx::query_scalar("select tidings.replay_v1(dead_id) from tidings.dead")
            .fetch_one(conn)
            .await
            .unwrap();
    assert!(replayed.is_some());
}

#[tokio::test]
async fn open_edit_of_subscriptions_holds_up_no_partition_of_the_days_to_come() {
    let world = World::new(&["order:placed", "order:shipped"]).await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    let mut edit = world.pool.begin().await.unwrap();
    sqlx::query("select tidings.subscribe_v1($1, 'order:*', '', '', false)")
        .bind(id)
        .execute(&mut *edit)
        .await
        .unwrap();
    let latest = "select max(ends_at) > clock_timestamp() + interval '20 days' from tidings.partition where parent = 'event'";
    let known = "select bool_and(partitioned_until > clock_timestamp() + interval '20 days') from tidings.event_type";
    world.execute("set local statement_timeout = '5s'; select tidings.make_partitions(20)").await;
    assert!(world.value::<bool>(latest).await);
    assert!(!world.value::<bool>(known).await, "the rows of types are left to the next run");
    edit.commit().await.unwrap();
    world.execute("select tidings.make_partitions(20)").await;
    assert!(world.value::<bool>(known).await);
}
