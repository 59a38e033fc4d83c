//! Who is told of an event: types, patterns and scopes, and what `explain_route` says of it.

mod filter;
mod plan;
mod random;
mod rights;
mod types;

use sqlx::{Connection, PgConnection};
use tidings_tests::{Draft, SOON, World, eventually};
use uuid::Uuid;

/// Returns the lanes that got a delivery of the event.
async fn lanes(world: &World, event: Uuid) -> Vec<i32> {
    sqlx::query_scalar("select subscriber_id from tidings.delivery where event_id = $1 order by 1")
        .bind(event)
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

async fn is_told(world: &World, event_type: &str) -> bool {
    let event = world.register(Draft::new(event_type)).await;
    !lanes(world, event).await.is_empty()
}

#[tokio::test]
async fn pattern_matches_part_by_part() {
    const TYPES: [&str; 6] = [
        "order:placed",
        "order:line:placed",
        "order:line:part:placed",
        "orders:placed",
        "border:line:placed",
        "order:line-part:placed",
    ];
    for (pattern, expected) in [
        ("order:placed", &TYPES[..1]),
        ("*:placed", &["order:placed", "orders:placed"]),
        ("order:*:placed", &["order:line:placed", "order:line-part:placed"]),
        (
            "order:**",
            &[
                "order:placed",
                "order:line:placed",
                "order:line:part:placed",
                "order:line-part:placed",
            ],
        ),
        (
            "order:**:placed",
            &["order:line:placed", "order:line:part:placed", "order:line-part:placed"],
        ),
        ("**", &TYPES),
        ("*:*:*:*", &["order:line:part:placed"]),
    ] {
        let world = World::new(&TYPES).await;
        world.subscriber("one", pattern).await;
        for event_type in TYPES {
            let told = is_told(&world, event_type).await;
            assert_eq!(told, expected.contains(&event_type), "{pattern} {event_type}");
        }
    }
}

#[tokio::test]
async fn pattern_reaches_types_that_come_after_it_and_types_that_were_there_before() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:*").await;
    assert!(is_told(&world, "order:placed").await);
    world.types(&["order:shipped", "invoice:paid"]).await;
    assert!(is_told(&world, "order:shipped").await);
    assert!(!is_told(&world, "invoice:paid").await);
    world.subscriber("two", "invoice:*").await;
    assert!(is_told(&world, "invoice:paid").await);
}

#[tokio::test]
async fn scope_covers_whole_elements() {
    let world = World::new(&["job:failed"]).await;
    let mut ids = Vec::new();
    for scope in ["", "project=p1", "project=p1/job=j1"] {
        let id = world
            .bare_subscriber(&format!("s{}", ids.len()), "memory", serde_json::json!({}))
            .await;
        world.subscribe(id, "job:failed", scope, false).await;
        ids.push(id);
    }
    for (scope, told) in [
        ("", 1),
        ("project=p1", 2),
        ("project=p10", 1),
        ("project=p", 1),
        ("project=p1/job=j1", 3),
        ("project=p1/job=j10", 2),
        ("project=p1/job=j1/step=s", 3),
        ("project=p10/job=j1", 1),
        ("job=j1", 1),
        ("job=j1/project=p1", 1),
    ] {
        let event = world.register(Draft::new("job:failed").scope(scope)).await;
        assert_eq!(lanes(&world, event).await, ids[..told], "{scope}");
    }
}

#[tokio::test]
async fn subscribing_twice_is_one_subscription_and_coming_back_is_a_new_one() {
    let world = World::new(&["order:placed"]).await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    let first = world.subscribe(id, "order:placed", "", false).await;
    assert_eq!(world.subscribe(id, "order:placed", "", false).await, first);
    let event = world.register(Draft::new("order:placed")).await;
    assert_eq!(lanes(&world, event).await, [id]);

    for expected in [true, false] {
        let removed: bool = sqlx::query_scalar("select tidings.unsubscribe_v1($1)")
            .bind(first)
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(removed, expected);
        assert!(!is_told(&world, "order:placed").await);
    }
    let again = world.subscribe(id, "order:placed", "", false).await;
    assert_ne!(again, first);
    assert!(is_told(&world, "order:placed").await);
    // The database itself refuses a second one.
    let twice = "insert into tidings.subscription (subscriber_id, pattern_id)
                 select subscriber_id, pattern_id from tidings.subscription where deleted_at is null";
    let error = sqlx::query(twice).execute(&world.pool).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().constraint(), Some("subscription_unique"));
}

#[tokio::test]
async fn asking_for_order_is_an_edit_a_soft_delete_and_a_new_row() {
    let world = World::new(&["order:placed"]).await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    let plain = world.subscribe(id, "order:placed", "", false).await;
    let ordered = world.subscribe(id, "order:placed", "", true).await;
    assert_ne!(ordered, plain);
    let rows: Vec<(i32, bool, bool)> = sqlx::query_as(
        "select subscription_id, ordered, deleted_at is null from tidings.subscription order by 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(rows, [(plain, false, false), (ordered, true, true)]);
    let event = world.register(Draft::new("order:placed").key("k")).await;
    let row: (i32, bool) = sqlx::query_as(
        "select subscription_id, key_hash is not null from tidings.delivery where event_id = $1",
    )
    .bind(event)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(row, (ordered, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn type_and_pattern_that_come_at_the_same_time_find_each_other() {
    for type_first in [true, false] {
        let world = World::new(&[]).await;
        let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
        let add_type = sync("order:placed", "");
        let add_pattern = format!("select tidings.subscribe_v1({id}, 'order:*', '', '', false)");
        let (first, second) =
            if type_first { (add_type, add_pattern) } else { (add_pattern, add_type) };
        let mut conn = world.database.connect().await;
        let mut tx = conn.begin().await.unwrap();
        run(&mut tx, &first).await;
        let waiting = meanwhile(&world, second).await;
        tx.commit().await.unwrap();
        waiting.await.unwrap();
        assert!(is_told(&world, "order:placed").await, "type first: {type_first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_of_a_catalogue_and_a_new_subscription_wait_for_each_other_without_a_deadlock() {
    // What went wrong: the one had a type's row and wanted the lock of the edits, the other had the lock and wanted
    // the row.
    let world = World::new(&["order:placed"]).await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    let mut conn = world.database.connect().await;
    let mut tx = conn.begin().await.unwrap();
    run(&mut tx, &sync("order:placed", "changed")).await;
    let subscribing =
        meanwhile(&world, format!("select tidings.subscribe_v1({id}, 'order:*', '', '', false)"))
            .await;
    run(&mut tx, &sync("order:shipped", "")).await;
    tx.commit().await.unwrap();
    subscribing.await.unwrap();
    assert!(is_told(&world, "order:shipped").await);
}

/// Returns the statement that makes a type known.
fn sync(event_type: &str, documentation: &str) -> String {
    let types = serde_json::json!([{
        "type": event_type, "version": 1, "audience": ["notification"], "scopes": [], "level": "basic", "schema": {},
        "documentation": documentation,
    }]);
    format!("select tidings.sync_catalogue_v1('{types}')")
}

async fn run(conn: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(conn).await.unwrap();
}

/// Runs a statement in a session of its own, and returns when it waits for a lock.
async fn meanwhile(world: &World, statement: String) -> tokio::task::JoinHandle<()> {
    let mut conn = world.database.connect().await;
    let task = tokio::spawn(async move { run(&mut conn, &statement).await });
    eventually(SOON, "the statement waits", || async {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        (world.value::<i64>(waiting).await == 1).then_some(())
    })
    .await;
    task
}
