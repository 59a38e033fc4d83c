//! The tests of applications: what a transaction has registered, and its deliveries without a worker.

use std::time::Duration;

use sqlx::Connection;
use tidings::{
    Answer, Error, Options, Verdict, assert_registered, dead,
    deliverer::Memory,
    log, refute_registered, register_event, register_event_with, register_events, subscriber,
    testing::{drain, registered, registered_all},
};
use tidings_tests::Draft;

use super::{Job, JobFailed, OrderPaid, OrderPlaced, Project, begin, memory, subscribe, world};

#[tokio::test]
async fn transaction_sees_what_it_has_registered_itself_and_nothing_else() {
    let world = world().await;
    world.register(Draft::new("order:placed")).await;
    let mut tx = begin(&world).await;
    register_event(&mut tx, &OrderPlaced::number(1)).await.unwrap();
    world.register(Draft::new("order:placed")).await;

    let mut savepoint = tx.begin().await.unwrap();
    register_event(&mut savepoint, &OrderPlaced::number(2)).await.unwrap();
    savepoint.commit().await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    register_event(&mut savepoint, &OrderPlaced::number(3)).await.unwrap();
    savepoint.rollback().await.unwrap();
    let event = JobFailed { project: Project { id: "p1".into() }, job: Job { id: "j1".into() } };
    register_events(&mut tx, &[&OrderPlaced::number(4), &event]).await.unwrap();

    let seen = registered(&mut tx, "order:placed").await.unwrap();
    let orders: Vec<_> = seen.iter().map(|seen| seen.payload["order"].as_u64().unwrap()).collect();
    assert_eq!(orders, [1, 2, 4]);
    assert_eq!(seen[0].telemetry["event_properties"]["items"], 3);
    assert_eq!(registered_all(&mut tx).await.unwrap().len(), 4);
    tx.rollback().await.unwrap();
    assert!(registered_all(&mut begin(&world).await).await.unwrap().is_empty());
}

#[tokio::test]
async fn assertions_find_an_event_by_type_and_content() {
    let world = world().await;
    let mut tx = begin(&world).await;
    refute_registered!(&mut tx, OrderPlaced);
    let options = Options::default().tenant("acme").ordering_key("k");
    register_event_with(&mut tx, &OrderPlaced::number(7), options).await.unwrap();
    let seen = assert_registered!(&mut tx, OrderPlaced);
    assert_eq!((seen.tenant.as_str(), seen.ordering_key.as_deref()), ("acme", Some("k")));
    assert_registered!(&mut tx, OrderPlaced, |seen| seen.payload["order"] == 7);
    refute_registered!(&mut tx, OrderPlaced, |seen| seen.payload["order"] == 8);
    refute_registered!(&mut tx, OrderPaid);
}

#[tokio::test]
async fn drain_delivers_what_is_due_in_order_and_leaves_nothing_after_a_rollback() {
    let world = world().await;
    let (one, two) = (memory(&world, "one").await, memory(&world, "two").await);
    subscribe(&world, one, "order:*").await;
    subscribe(&world, two, "order:placed").await;
    world.register(Draft::new("order:placed")).await;

    let mut tx = begin(&world).await;
    register_event(&mut tx, &OrderPlaced::number(1)).await.unwrap();
    register_event(&mut tx, &OrderPaid { order: 1 }).await.unwrap();
    let delayed = Options::default().delay(Duration::from_mins(1));
    register_event_with(&mut tx, &OrderPlaced::number(2), delayed).await.unwrap();
    let memory = Memory::new();
    let drained = drain(&mut tx, &memory).await.unwrap();
    let got: Vec<_> = drained
        .iter()
        .map(|(delivery, _)| (delivery.subscriber_id, delivery.event.payload.as_str()))
        .collect();
    let placed = r#"{"order":1,"items":3}"#;
    assert_eq!(got, [(one, placed), (one, r#"{"order":1}"#), (two, placed)]);
    assert!(drained.iter().all(|(delivery, _)| delivery.attempt == 1));
    assert_eq!(memory.count(), 3);
    assert!(drain(&mut tx, &memory).await.unwrap().is_empty());
    tx.rollback().await.unwrap();
    assert_eq!(world.pending().await, 2, "what others have committed is untouched");
}

#[tokio::test]
async fn failed_delivery_comes_again_with_the_next_drain_and_holds_its_key_back() {
    let world = world().await;
    let id = memory(&world, "one").await;
    world.subscribe(id, "order:*", "", true).await;
    let mut tx = begin(&world).await;
    for (order, key) in [(1, "a"), (2, "a"), (3, "b")] {
        let options = Options::default().ordering_key(key);
        register_event_with(&mut tx, &OrderPaid { order }, options).await.unwrap();
    }
    let memory =
        Memory::scripted(|delivery| match (delivery.attempt, delivery.event.payload.as_str()) {
            (1, r#"{"order":1}"#) => Answer::failed(Verdict::Retry, "not now"),
            _ => Answer::delivered(),
        });
    let payloads = |drained: Vec<(tidings::delivery::Delivery, Answer)>| -> Vec<String> {
        drained.into_iter().map(|(delivery, _)| delivery.event.payload).collect()
    };
    let first = drain(&mut tx, &memory).await.unwrap();
    assert_eq!(payloads(first), [r#"{"order":1}"#, r#"{"order":3}"#]);
    let second = drain(&mut tx, &memory).await.unwrap();
    assert_eq!(second[0].0.attempt, 2);
    assert_eq!(payloads(second), [r#"{"order":1}"#, r#"{"order":2}"#]);
}

#[tokio::test]
async fn refused_deliveries_are_dead_letters_and_a_gone_destination_is_disabled() {
    let world = world().await;
    let (one, two) = (memory(&world, "one").await, memory(&world, "two").await);
    for id in [one, two] {
        subscribe(&world, id, "order:*").await;
    }
    let mut tx = begin(&world).await;
    for order in [1, 2] {
        register_event(&mut tx, &OrderPaid { order }).await.unwrap();
    }
    let memory = Memory::scripted(move |delivery| match delivery.subscriber_id {
        id if id == one => Answer::failed(Verdict::Refused, "never").with_status(400),
        _ => Answer::failed(Verdict::Gone, "moved away").with_status(410),
    });
    let drained = drain(&mut tx, &memory).await.unwrap();
    assert_eq!(drained.len(), 3, "nothing more is sent to a destination that is gone");
    let letters = dead::list(&mut tx, &dead::Filter::default()).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert_eq!((letters[0].reason.as_str(), letters[0].last_status), ("refused", Some(400)));
    let found = subscriber::find(&mut tx, "", "two").await.unwrap().unwrap();
    assert_eq!(found.summary.disabled_reason.as_deref(), Some("moved away"));
    assert!(drain(&mut tx, &memory).await.unwrap().is_empty(), "it waits until it is resumed");
    assert!(subscriber::resume(&mut tx, two).await.unwrap());
    assert_eq!(drain(&mut tx, &Memory::new()).await.unwrap().len(), 2);
    assert!(log::deliveries(&mut tx, &log::DeliveryFilter::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn replay_in_a_test_is_drained_too() {
    let world = world().await;
    let id = memory(&world, "one").await;
    subscribe(&world, id, "order:placed").await;
    let event_id = world.register(Draft::new("order:placed")).await;
    world
        .execute("select tidings.bury(subscriber_id, due_at, delivery_id, 1, 'refused', null, null) from tidings.delivery")
        .await;
    let mut tx = begin(&world).await;
    let letter = dead::list(&mut tx, &dead::Filter::default()).await.unwrap().remove(0);
    dead::replay(&mut tx, letter.dead_id).await.unwrap().unwrap();
    let drained = drain(&mut tx, &Memory::new()).await.unwrap();
    assert_eq!(drained[0].0.event.event_id, event_id);
}

#[tokio::test]
async fn fan_out_that_only_a_worker_expands_is_an_error_rather_than_silence() {
    let world = world().await;
    for number in 0..65 {
        let id = memory(&world, &format!("kept-{number}")).await;
        subscribe(&world, id, "order:placed").await;
    }
    let mut tx = begin(&world).await;
    let registered = register_event(&mut tx, &OrderPlaced::number(1)).await.unwrap();
    let error = drain(&mut tx, &Memory::new()).await.unwrap_err();
    assert!(
        matches!(error, Error::Unexpanded { event_id } if event_id == registered.event_id),
        "{error}"
    );
}
