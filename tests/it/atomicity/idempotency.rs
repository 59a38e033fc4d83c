//! A repeated call is harmless, and a key belongs to one content.

use tidings::{Error, Options, register_event_with};
use tidings_tests::World;
use uuid::Uuid;

use super::{failed, note, placed, world};

async fn events(world: &World) -> i64 {
    world.value("select count(*) from tidings.event").await
}

fn key(key: &str) -> Options {
    Options::default().idempotency_key(key)
}

#[tokio::test]
async fn same_key_and_content_give_the_first_event() {
    let world = world().await;
    world.subscriber("one", "**").await;
    let mut first = None;
    for round in 0..3 {
        let mut tx = world.pool.begin().await.unwrap();
        let registered = register_event_with(&mut tx, &placed(1), key("order-7")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(registered.repeated, round > 0);
        assert_eq!(*first.get_or_insert(registered.event_id), registered.event_id);
    }
    assert_eq!((events(&world).await, world.pending().await), (1, 1));
}

#[tokio::test]
async fn key_with_another_content_type_or_version_is_refused_and_names_the_event_that_has_it() {
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    let first = register_event_with(&mut tx, &placed(1), key("order-7")).await.unwrap();
    let content = register_event_with(&mut tx, &placed(2), key("order-7")).await.unwrap_err();
    let of_type =
        register_event_with(&mut tx, &failed("p", "j"), key("order-7")).await.unwrap_err();
    for error in [content, of_type] {
        assert!(
            matches!(error, Error::IdempotencyConflict { event_id } if event_id == first.event_id),
            "{error}"
        );
    }
    note(&mut tx).await;
    tx.commit().await.unwrap();
    assert_eq!(events(&world).await, 1);
}

#[tokio::test]
async fn keys_of_tenants_are_apart() {
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    for (n, tenant) in (0..).zip(["", "a", "b"]) {
        register_event_with(&mut tx, &placed(n), key("order-7").tenant(tenant)).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(events(&world).await, 3);
}

#[tokio::test]
async fn key_is_free_again_after_a_rollback() {
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    register_event_with(&mut tx, &placed(1), key("order-7")).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = world.pool.begin().await.unwrap();
    let registered = register_event_with(&mut tx, &placed(2), key("order-7")).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!registered.repeated);
    assert_eq!(events(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_transactions_with_one_key_make_one_event() {
    let world = world().await;
    world.subscriber("one", "**").await;
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(50));
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let mut conn = world.database.connect().await;
        let barrier = std::sync::Arc::clone(&barrier);
        tasks.push(tokio::spawn(async move {
            use sqlx::Connection as _;
            barrier.wait().await;
            let mut tx = conn.begin().await.unwrap();
            let registered =
                register_event_with(&mut tx, &placed(1), key("order-7")).await.unwrap();
            tx.commit().await.unwrap();
            registered
        }));
    }
    let mut registered = Vec::new();
    for task in tasks {
        registered.push(task.await.unwrap());
    }
    assert_eq!(registered.iter().filter(|one| !one.repeated).count(), 1);
    assert!(registered.iter().all(|one| one.event_id == registered[0].event_id));
    assert_eq!((events(&world).await, world.pending().await), (1, 1));
}

#[tokio::test]
async fn id_of_the_callers_own_is_registered_once() {
    let world = world().await;
    world.subscriber("one", "**").await;
    let id: Uuid = world.value("select overlay(tidings.uuid_floor(clock_timestamp())::text placing '7abc' from 15)::uuid").await;
    let own = || Options::default().event_id(id);
    let mut tx = world.pool.begin().await.unwrap();
    let first = register_event_with(&mut tx, &placed(1), own()).await.unwrap();
    assert_eq!((first.event_id, first.repeated), (id, false));
    let again = register_event_with(&mut tx, &placed(1), own()).await.unwrap();
    assert_eq!((again.event_id, again.repeated), (id, true));
    let other = register_event_with(&mut tx, &placed(2), own()).await.unwrap_err();
    assert!(matches!(other, Error::EventConflict { event_id } if event_id == id), "{other}");
    // With a key as well, which must not be used up by an id that is taken.
    let both =
        register_event_with(&mut tx, &placed(2), own().idempotency_key("k")).await.unwrap_err();
    assert!(matches!(both, Error::EventConflict { .. }), "{both}");
    let free = register_event_with(&mut tx, &placed(3), key("k")).await.unwrap();
    assert!(!free.repeated);
    tx.commit().await.unwrap();
    assert_eq!((events(&world).await, world.pending().await), (2, 2));
}
