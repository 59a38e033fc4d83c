//! What is registered belongs to the application's transaction: both are there, or neither.

mod idempotency;
mod many;
mod refusal;
mod round_trip;
mod trace;

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgTransaction;
use tidings::{
    Event, Options, catalogue, deliverer::Memory, register::DELAY_MAX, register_event,
    register_event_with,
};
use tidings_tests::{Draft, SOON, World, eventually};
use uuid::Uuid;

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OrderPlaced {
    body: serde_json::Value,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:failed", version = 1, scope(project, job), ordering_key = job)]
struct JobFailed {
    project: String,
    job: String,
}

fn placed(n: u64) -> OrderPlaced {
    OrderPlaced { body: serde_json::json!(n) }
}

fn failed(project: &str, job: &str) -> JobFailed {
    JobFailed { project: project.to_owned(), job: job.to_owned() }
}

/// A world with both types and a table of the application's own.
async fn world() -> World {
    let world = World::new(&["order:placed", "job:failed"]).await;
    world.execute("create table note (text text)").await;
    world
}

async fn note(tx: &mut PgTransaction<'_>) {
    sqlx::query("insert into note values ('x')").execute(&mut **tx).await.unwrap();
}

#[tokio::test]
async fn rolled_back_transaction_leaves_neither_event_nor_delivery_and_a_committed_one_both() {
    let world = world().await;
    world.subscriber("one", "order:placed").await;
    for commits in [false, true] {
        let mut tx = world.pool.begin().await.unwrap();
        note(&mut tx).await;
        register_event(&mut tx, &placed(1)).await.unwrap();
        if commits {
            tidings::commit(tx).await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let counts: (i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from note), (select count(*) from tidings.event),
               (select count(*) from tidings.delivery)",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap();
        let all = i64::from(commits);
        assert_eq!(counts, (all, all, all));
    }
}

#[tokio::test]
async fn event_without_a_subscriber_is_kept_and_is_nobodys_delivery() {
    let world = world().await;
    world.subscriber("one", "job:failed").await;
    let event = world.register(Draft::new("order:placed")).await;
    assert_eq!(world.value::<Uuid>("select event_id from tidings.event").await, event);
    assert_eq!(world.pending().await, 0);
}

#[tokio::test]
async fn several_subscriptions_of_one_subscriber_make_one_delivery_under_the_lowest() {
    let world = world().await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    let lowest = world.subscribe(id, "job:failed", "project=p1", false).await;
    world.subscribe(id, "job:failed", "", true).await;
    world.subscribe(id, "job:*", "project=p1/job=j1", false).await;
    let mut tx = world.pool.begin().await.unwrap();
    register_event(&mut tx, &failed("p1", "j1")).await.unwrap();
    tx.commit().await.unwrap();
    let rows: Vec<(i32, i32, bool)> = sqlx::query_as(
        "select subscriber_id, subscription_id, key_hash is not null from tidings.delivery",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(rows, [(id, lowest, true)], "one row, and in order because one of them asks for it");
}

#[tokio::test]
async fn subscription_gets_the_events_of_its_own_scope_alone() {
    let world = world().await;
    let mut subscribers = Vec::new();
    for (name, scope) in [("all", ""), ("project", "project=p1"), ("job", "project=p1/job=a")] {
        let id = world.bare_subscriber(name, "memory", serde_json::json!({})).await;
        world.subscribe(id, "job:failed", scope, false).await;
        subscribers.push(id);
    }
    // A job of the same project, the same job, the same name of a job in another project.
    for ((project, job), expected) in [
        (("p1", "b"), &subscribers[..2]),
        (("p1", "a"), &subscribers[..]),
        (("p2", "a"), &subscribers[..1]),
    ] {
        let mut tx = world.pool.begin().await.unwrap();
        let event = register_event(&mut tx, &failed(project, job)).await.unwrap();
        tx.commit().await.unwrap();
        let lanes: Vec<i32> = sqlx::query_scalar(
            "select subscriber_id from tidings.delivery where event_id = $1 order by subscriber_id",
        )
        .bind(event.event_id)
        .fetch_all(&world.pool)
        .await
        .unwrap();
        assert_eq!(lanes, expected, "{project} {job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payload_is_delivered_byte_for_byte_as_it_was_when_it_was_registered() {
    const PAYLOAD: &str = "{ \"b\" : 1.50,\n\t\"a\":\"\\u00e9\\/é\", \"b\":1e2 , \"z\":[ ] }";
    let world = world().await;
    world.subscriber("one", "order:placed").await;
    world.execute("create table shop (name text); insert into shop values ('before')").await;
    sqlx::query("select tidings.register_event('order:placed', $1::text::json)")
        .bind(PAYLOAD)
        .execute(&world.pool)
        .await
        .unwrap();
    sqlx::query("select tidings.register_event('order:placed', (select to_json(s) from shop s))")
        .execute(&world.pool)
        .await
        .unwrap();
    world.execute("update shop set name = 'after'; delete from shop").await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let mut payloads: Vec<String> =
        memory.deliveries().into_iter().map(|delivery| delivery.event.payload).collect();
    payloads.sort();
    assert_eq!(payloads, [PAYLOAD, r#"{"name":"before"}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_whose_event_is_gone_is_buried_with_that_reason_and_holds_up_nobody() {
    let world = world().await;
    world.subscriber("one", "order:placed").await;
    world.register(Draft::new("order:placed").number(1)).await;
    world.execute("delete from tidings.event").await;
    world.register(Draft::new("order:placed").number(2)).await;
    assert_eq!(world.pending().await, 2, "the delivery stays when its event goes");
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    assert_eq!(memory.deliveries()[0].event.payload, r#"{"n":2}"#);
    let dead: (String, i16, Option<String>) =
        sqlx::query_as("select reason, attempts, payload::text from tidings.dead")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(dead, ("event_gone".to_owned(), 0, None), "it was never attempted");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_a_removed_subscriber_go_with_it() {
    let world = world().await;
    let gone = world.subscriber("gone", "order:placed").await;
    let stays = world.subscriber("stays", "order:placed").await;
    for n in 0..3 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    sqlx::query("select tidings.remove_subscriber_v1($1)")
        .bind(gone)
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(world.pending().await, 3);
    world.register(Draft::new("order:placed").number(3)).await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    assert_eq!(memory.count(), 4);
    assert!(memory.deliveries().iter().all(|delivery| delivery.subscriber_id == stays));
}

#[tokio::test]
async fn events_of_one_transaction_have_ids_in_the_order_of_registering() {
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(register_event(&mut tx, &placed(n)).await.unwrap().event_id);
    }
    let (one, many) = (placed(0), (0..50).map(placed).collect::<Vec<_>>());
    ids.push(register_event(&mut tx, &one).await.unwrap().event_id);
    let many: Vec<&dyn Event> = many.iter().map(|event| event as &dyn Event).collect();
    let registered = tidings::register_events(&mut tx, &many).await.unwrap();
    ids.extend(registered.iter().map(|registered| registered.event_id));
    tx.commit().await.unwrap();
    assert_eq!(ids.len(), 101);
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
}

#[tokio::test]
async fn every_type_of_a_synced_catalogue_can_be_registered() {
    let world = World::new(&[]).await;
    let catalogue = catalogue![OrderPlaced, JobFailed].unwrap();
    let mut conn = world.pool.acquire().await.unwrap();
    catalogue.sync(&mut conn).await.unwrap();
    let again = catalogue.sync(&mut conn).await.unwrap();
    assert!(again.changes.is_empty(), "called again it changes nothing: {again}");
    let mut tx = world.pool.begin().await.unwrap();
    let events: [&dyn Event; 2] = [&placed(1), &failed("p", "j")];
    for event in events {
        register_event(&mut tx, event).await.unwrap();
    }
    tx.commit().await.unwrap();
    let stored: Vec<(String, i16)> =
        sqlx::query_as("select type, version from tidings.event order by type")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let declared: Vec<_> = catalogue
        .iter()
        .map(|declared| (declared.name.as_str().to_owned(), declared.version))
        .collect();
    assert_eq!(stored, declared);
}

#[tokio::test]
async fn registering_works_at_every_isolation_level() {
    let world = world().await;
    world.subscriber("one", "**").await;
    let mut expected = 0;
    for level in ["read committed", "repeatable read", "serializable"] {
        let (mut one, mut two) =
            (world.pool.begin().await.unwrap(), world.pool.begin().await.unwrap());
        for tx in [&mut one, &mut two] {
            let set = format!("set transaction isolation level {level}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&mut **tx).await.unwrap();
        }
        // Two at once, each with a snapshot from before the other's commit.
        register_event(&mut one, &placed(1)).await.unwrap();
        register_event(&mut two, &placed(2)).await.unwrap();
        register_event(&mut one, &failed("p", "one")).await.unwrap();
        register_event(&mut two, &failed("p", "two")).await.unwrap();
        one.commit().await.unwrap();
        two.commit().await.unwrap_or_else(|error| panic!("{level}: {error}"));
        expected += 4;
        assert_eq!(world.pending().await, expected, "{level}");
    }
}

#[tokio::test]
async fn delay_and_time_of_occurrence_are_kept() {
    let world = world().await;
    world.subscriber("one", "order:placed").await;
    let occurred_at = DateTime::<Utc>::from_timestamp(1_700_000_000, 123_456_000).unwrap();
    let hour = Duration::from_hours(1);
    let options = Options::default().delay(hour).occurred_at(occurred_at);
    let mut tx = world.pool.begin().await.unwrap();
    register_event_with(&mut tx, &placed(1), options).await.unwrap();
    tx.commit().await.unwrap();
    let (stored, ahead): (DateTime<Utc>, f64) = sqlx::query_as(
        "select e.occurred_at, extract(epoch from d.due_at - clock_timestamp())::float8
         from tidings.event e join tidings.delivery d using (event_id)",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(stored, occurred_at);
    assert!((3590.0..=3600.0).contains(&ahead), "{ahead}");
}

#[tokio::test]
async fn delay_without_end_is_refused_and_leaves_the_transaction_usable() {
    // What went wrong: the sum was out of the range of a timestamp, and the error took the caller's transaction along.
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    let endless =
        register_event_with(&mut tx, &placed(1), Options::default().delay(Duration::MAX)).await;
    assert!(
        matches!(endless, Err(tidings::Error::OutOfRange { field: "delay", .. })),
        "{endless:?}"
    );
    register_event_with(&mut tx, &placed(1), Options::default().delay(DELAY_MAX)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_get_each_others_events() {
    let world = world().await;
    let ids: Vec<i32> = sqlx::query_scalar(
        "insert into tidings.subscriber (tenant, name, kind, shard)
         select t, 'one', 'memory', 0 from unnest(array['', 'a', 'b']) t returning subscriber_id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    sqlx::query(
        "select tidings.subscribe_v1(s.subscriber_id, '**', s.tenant, '', false)
         from tidings.subscriber s where s.kind = 'memory'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let mut tx = world.pool.begin().await.unwrap();
    for tenant in ["", "a", "b"] {
        register_event_with(&mut tx, &placed(1), Options::default().tenant(tenant)).await.unwrap();
    }
    tidings::commit(tx).await.unwrap();
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let mut got: Vec<(i32, String)> =
        memory.deliveries().into_iter().map(|d| (d.subscriber_id, d.event.tenant)).collect();
    got.sort();
    let expected: Vec<(i32, String)> =
        ids.into_iter().zip(["", "a", "b"].map(str::to_owned)).collect();
    assert_eq!(got, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribing_leaves_what_was_registered_before() {
    let world = world().await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    let subscription = world.subscribe(id, "order:placed", "", false).await;
    world.register(Draft::new("order:placed").number(1)).await;
    sqlx::query("select tidings.unsubscribe_v1($1)")
        .bind(subscription)
        .execute(&world.pool)
        .await
        .unwrap();
    world.register(Draft::new("order:placed").number(2)).await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    eventually(SOON, "the first is delivered", || async {
        (world.pending().await == 0).then_some(())
    })
    .await;
    assert_eq!(
        memory.deliveries().iter().map(|d| d.event.payload.as_str()).collect::<Vec<_>>(),
        [r#"{"n":1}"#]
    );
}
