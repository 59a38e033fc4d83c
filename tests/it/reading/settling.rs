//! What cannot be settled now is settled later, and holds up nothing else.

use sqlx::Connection;
use tidings::deliverer::{Answer, Memory, Verdict};
use tidings_tests::{Draft, SOON, World, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn row_that_another_session_has_locked_is_settled_when_it_is_free_and_holds_up_no_other() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    for n in 0..20 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    let mut conn = world.database.connect().await;
    let mut lock = conn.begin().await.unwrap();
    sqlx::query("select from tidings.delivery where delivery_id = (select min(delivery_id) + 7 from tidings.delivery) for update")
        .execute(&mut *lock)
        .await
        .unwrap();
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    eventually(SOON, "the others are settled", || async {
        (world.pending().await == 1).then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    world.drained().await;
    assert_eq!(memory.count(), 20, "it was delivered once");
    assert_eq!(world.value::<i64>("select count(*) from tidings.attempt").await, 20);
    assert_eq!(worker.running.counts().settled_missing, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_and_burial_of_locked_rows_wait_too() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.set_retry(id, r#"{"delays_s": [0, 3600]}"#).await;
    for n in 0..4 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    let mut conn = world.database.connect().await;
    let mut lock = conn.begin().await.unwrap();
    sqlx::query("select from tidings.delivery order by delivery_id limit 2 for update")
        .execute(&mut *lock)
        .await
        .unwrap();
    let memory = Memory::scripted(|delivery| {
        let even = delivery.event.payload.contains('0') || delivery.event.payload.contains('2');
        Answer::failed(if even { Verdict::Retry } else { Verdict::Refused }, "no")
    });
    let _worker = world.worker(memory.clone()).await;
    let counts = "select count(*) filter (where attempt = 1), (select count(*) from tidings.dead) from tidings.delivery";
    for expected in [(1, 1), (2, 2)] {
        eventually(SOON, "they are settled", || async {
            let counts: (i64, i64) = sqlx::query_as(counts).fetch_one(&world.pool).await.unwrap();
            (counts == expected).then_some(())
        })
        .await;
        if expected == (1, 1) {
            sqlx::query("rollback").execute(&mut *lock).await.unwrap();
        }
    }
    assert_eq!(memory.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn settlement_that_the_database_refuses_does_not_fail_its_batch() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    world
        .execute(
            "create function refuse() returns trigger language plpgsql as $$
             begin raise exception 'not this one'; end $$;
             create trigger refuse before insert on tidings.dead for each row
             when (new.payload ->> 'n' = '13') execute function refuse()",
        )
        .await;
    for n in 0..24 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    let memory = Memory::scripted(|_| Answer::failed(Verdict::Refused, "never"));
    let _worker = world.worker(memory.clone()).await;
    eventually(SOON, "all others are buried", || async {
        (world.pending().await == 1).then_some(())
    })
    .await;
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 23);
    // It is sent again, and settled as soon as that is possible.
    world.execute("drop trigger refuse on tidings.dead").await;
    world.drained().await;
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_partition_of_the_attempt_log_costs_the_log_and_nothing_else() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    // The leader makes partitions when it starts.
    eventually(SOON, "the leader has looked after them", || async {
        let leads =
            worker.running.holdings().borrow().shards.keys().any(|id| &*id.group == "maintenance");
        leads.then_some(())
    })
    .await;
    world.register(Draft::new("order:placed")).await;
    world.drained().await;
    world.execute("drop table tidings.attempt cascade").await;
    world.execute("create table tidings.attempt (at timestamptz) partition by range (at)").await;
    for n in 0..5 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    world.drained().await;
    // The worker counts when the answer of its call has come.
    eventually(SOON, "what was not logged is counted", || async {
        (worker.running.counts().unlogged == 5).then_some(())
    })
    .await;
    assert_eq!(memory.count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_cannot_be_stored_do_not_fail_their_batch() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    for n in 0..4 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    let memory = Memory::scripted(|delivery| {
        let error = match delivery.event.payload.as_str() {
            r#"{"n":0}"# => "\0".to_owned(),
            r#"{"n":1}"# => "\0\u{fffd}é\0".repeat(100_000),
            r#"{"n":2}"# => String::from_utf8_lossy(b"\xff\xfe\0{").into_owned(),
            _ => String::new(),
        };
        Answer::failed(Verdict::Refused, error).with_status(u16::MAX)
    });
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let longest: i32 = world.value("select max(length(last_error)) from tidings.dead").await;
    assert_eq!((memory.count(), longest), (4, 1000));
}
