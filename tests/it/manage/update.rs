//! Changing a subscriber: what was not said stays, and two who change it are told apart.

use serde_json::json;
use tidings::{
    Error,
    endpoint::Policy,
    subscriber::{self, NewSubscriber, Update},
};

use super::{add, begin, memory, world};

#[tokio::test]
async fn second_of_two_who_changed_the_same_version_is_refused_and_loses_nothing() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    let policy = Policy::default();
    let mut tx = begin(&world).await;
    let seen = subscriber::find(&mut tx, "", "kept").await.unwrap().unwrap().version;
    let first = Update { rate_per_s: Some(Some(5.0)), if_version: Some(seen), ..Update::default() };
    let version = subscriber::update(&mut tx, &policy, id, &first).await.unwrap();
    assert_eq!(version, seen + 1);
    let second =
        Update { in_flight_max: Some(Some(2)), if_version: Some(seen), ..Update::default() };
    let error = subscriber::update(&mut tx, &policy, id, &second).await.unwrap_err();
    assert!(matches!(error, Error::Changed { version: now, .. } if now == version), "{error}");
    assert!(!error.is_transient(), "repeating it blindly would undo what the other did");
    let again = Update { if_version: None, ..second };
    subscriber::update(&mut tx, &policy, id, &again).await.unwrap();
    let stored = subscriber::find(&mut tx, "", "kept").await.unwrap().unwrap();
    assert_eq!((stored.rate_per_s, stored.in_flight_max), (Some(5.0), Some(2)));
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn change_is_checked_like_a_new_subscriber_and_the_transaction_stays_usable() {
    let world = world().await;
    memory(&world, "taken").await;
    let id = memory(&world, "kept").await;
    let policy = Policy::default();
    let mut tx = begin(&world).await;
    for (update, expected) in [
        (Update { name: Some("taken".to_owned()), ..Update::default() }, "exists already"),
        (Update { name: Some("no name".to_owned()), ..Update::default() }, "no name"),
        (Update { in_flight_max: Some(Some(0)), ..Update::default() }, "1 to 100000"),
        (Update { retry: Some(Some(json!([]))), ..Update::default() }, "is a JSON object"),
        (Update { config: Some(json!(7)), ..Update::default() }, "is a JSON object"),
    ] {
        let error = subscriber::update(&mut tx, &policy, id, &update).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    for missing in [0, 4711] {
        let error = subscriber::update(&mut tx, &policy, missing, &Update::default()).await;
        assert!(matches!(error, Err(Error::NoSuchSubscriber { .. })));
    }
    let renamed = Update { name: Some("other".to_owned()), ..Update::default() };
    subscriber::update(&mut tx, &policy, id, &renamed).await.unwrap();
    assert!(subscriber::find(&mut tx, "", "kept").await.unwrap().is_none());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn url_of_a_webhook_is_changed_without_the_rest_of_its_configuration() {
    let world = world().await;
    let mut new = NewSubscriber::new(
        "hook",
        "memory",
        json!({"url": "https://a.example/x", "timeout_ms": 2000}),
    );
    new.kind = "memory".to_owned();
    let mut tx = begin(&world).await;
    let id = add(&mut tx, new).await.unwrap().subscriber_id;
    let config = Some(json!({"url": "https://b.example/y", "headers": {"x-a": "b"}}));
    subscriber::update(&mut tx, &Policy::default(), id, &Update { config, ..Update::default() })
        .await
        .unwrap();
    let stored: serde_json::Value =
        sqlx::query_scalar("select config from tidings.subscriber where subscriber_id = $1")
            .bind(id)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    let expected =
        json!({"url": "https://b.example/y", "timeout_ms": 2000, "headers": {"x-a": "b"}});
    assert_eq!(stored, expected);
}
