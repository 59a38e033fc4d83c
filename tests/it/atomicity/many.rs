//! Many events in one call: all of them, or none.

use serde_json::json;
use tidings::{Error, Event, register_event, register_events};
use uuid::Uuid;

use super::{failed, note, placed, world};

#[tokio::test]
async fn many_events_are_registered_in_one_call_and_reach_who_each_of_them_would() {
    let world = world().await;
    let one = world.subscriber("one", "order:placed").await;
    let all = world.subscriber("all", "**").await;
    let events: [&dyn Event; 4] = [&placed(1), &failed("p1", "a"), &placed(2), &failed("p2", "b")];
    let mut tx = world.pool.begin().await.unwrap();
    let registered = register_events(&mut tx, &events).await.unwrap();
    tidings::commit(tx).await.unwrap();
    let mut routed: Vec<(Uuid, i32)> =
        sqlx::query_as("select event_id, subscriber_id from tidings.delivery order by 1, 2")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    routed.dedup();
    let ids: Vec<Uuid> = registered.iter().map(|registered| registered.event_id).collect();
    let expected = [(0, one), (0, all), (1, all), (2, one), (2, all), (3, all)];
    assert_eq!(routed, expected.map(|(n, lane)| (ids[n], lane)));
    let stored: Vec<(String, String)> =
        sqlx::query_as("select type, scope from tidings.event order by event_id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let stored: Vec<_> =
        stored.iter().map(|(name, scope)| (name.as_str(), scope.as_str())).collect();
    let expected = [
        ("order:placed", ""),
        ("job:failed", "project=p1/job=a"),
        ("order:placed", ""),
        ("job:failed", "project=p2/job=b"),
    ];
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn one_that_is_refused_takes_its_call_along_and_leaves_the_transaction() {
    let world = world().await;
    world.subscriber("one", "**").await;
    world
        .execute("update tidings.event_type set retired_at = now() where type = 'job:failed'")
        .await;
    let mut tx = world.pool.begin().await.unwrap();
    register_event(&mut tx, &placed(1)).await.unwrap();
    let events: [&dyn Event; 3] = [&placed(2), &failed("p", "j"), &placed(3)];
    let error = register_events(&mut tx, &events).await.unwrap_err();
    // It is the second that was refused, and the error says so.
    assert!(
        matches!(&error, Error::RetiredType { event_type } if event_type == "job:failed"),
        "{error}"
    );
    note(&mut tx).await;
    register_event(&mut tx, &placed(4)).await.unwrap();
    tx.commit().await.unwrap();
    let payloads: Vec<String> =
        sqlx::query_scalar("select payload ->> 'body' from tidings.event order by event_id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(payloads, ["1", "4"]);
    assert_eq!(world.pending().await, 2);
}

#[tokio::test]
async fn no_events_are_registered_without_a_call() {
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    assert_eq!(register_events(&mut tx, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn sql_callers_register_many_in_one_call_too() {
    let world = world().await;
    world.subscriber("one", "**").await;
    let events = json!([
        {"type": "order:placed", "payload": {"n": 1}, "idempotency_key": "k"},
        {"type": "job:failed", "payload": [], "scope": "project=p1/job=a", "tenant": "", "ordering_key": "a",
         "occurred_at": "2026-01-02T03:04:05Z", "headers": {"traceparent": "t"}, "telemetry": {"x": 1}},
        {"type": "order:placed", "payload": {"n": 1}, "idempotency_key": "k", "delay": "1 hour", "headers": null},
    ]);
    let ids: Vec<Uuid> = sqlx::query_scalar("select tidings.register_events($1::json)")
        .bind(&events)
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!((ids.len(), ids[0] == ids[2], ids[0] < ids[1]), (3, true, true));
    assert_eq!(world.pending().await, 2);

    // All or nothing, and the error is the one of the event that cannot be registered.
    let events =
        json!([{"type": "order:placed", "payload": {}}, {"type": "order:lost", "payload": {}}]);
    let error = sqlx::query("select tidings.register_events($1::json)")
        .bind(&events)
        .execute(&world.pool)
        .await
        .unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("TD001"));
    assert_eq!(world.pending().await, 2);
}
