//! The log: events and what became of them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidings::{
    log::{self, DeliveryFilter, EventFilter, State},
    register_event,
};
use tidings_tests::{Draft, World};
use uuid::Uuid;

use super::{OrderPlaced, begin, memory, pattern, scope, subscribe, world};

fn ids(events: &[log::EventSummary]) -> Vec<Uuid> {
    events.iter().map(|event| event.event_id).collect()
}

#[tokio::test]
async fn events_are_listed_newest_first_and_by_what_is_asked() {
    let world = world().await;
    let placed = register_ahead(&world, 0, "order:placed", "shop=s1").await;
    let between: DateTime<Utc> = world.value("select clock_timestamp() + interval '30 s'").await;
    let paid = register_ahead(&world, 1, "order:paid", "shop=s1/till=t1").await;
    let other = register_ahead(&world, 2, "order:placed", "shop=s10").await;

    let mut conn = world.pool.acquire().await.unwrap();
    let default = EventFilter::default;
    for (filter, expected) in [
        (default(), vec![other, paid, placed]),
        (EventFilter { limit: 2, ..default() }, vec![other, paid]),
        (EventFilter { after: Some(paid), ..default() }, vec![placed]),
        (EventFilter { pattern: Some(pattern("order:placed")), ..default() }, vec![other, placed]),
        (EventFilter { pattern: Some(pattern("**:paid")), ..default() }, vec![paid]),
        (EventFilter { pattern: Some(pattern("never:heard")), ..default() }, vec![]),
        (EventFilter { scope: Some(scope("shop=s1")), ..default() }, vec![paid, placed]),
        (EventFilter { scope: Some(scope("")), ..default() }, vec![other, paid, placed]),
        (EventFilter { tenant: Some("acme".to_owned()), ..default() }, vec![]),
        (EventFilter { tenant: Some(String::new()), limit: 1, ..default() }, vec![other]),
        (EventFilter { since: Some(between), ..default() }, vec![other, paid]),
        (EventFilter { until: Some(between), ..default() }, vec![placed]),
        (
            EventFilter {
                since: Some(DateTime::UNIX_EPOCH - Duration::from_secs(1)),
                limit: 1,
                ..default()
            },
            vec![other],
        ),
        (
            EventFilter { until: Some(DateTime::UNIX_EPOCH - Duration::from_secs(1)), ..default() },
            vec![],
        ),
    ] {
        let listed = log::events(&mut conn, &filter).await.unwrap();
        assert_eq!(ids(&listed), expected, "{filter:?}");
    }
    let listed = log::events(&mut conn, &EventFilter::default()).await.unwrap();
    assert_eq!((listed[0].scope.as_str(), listed[0].payload_bytes), ("shop=s10", 2));
}

/// Registers under an id that is some minutes ahead of the clock, so that the times of ids are well apart.
async fn register_ahead(world: &World, minutes: i32, event_type: &str, path: &str) -> Uuid {
    sqlx::query_scalar(
        "select tidings.register_event($1, '{}', scope => $2, event_id => overlay(
           tidings.uuid_floor(clock_timestamp() + $3 * interval '1 minute')::text placing '7' from 15)::uuid)",
    )
    .bind(event_type)
    .bind(path)
    .bind(minutes)
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn event_is_shown_with_the_very_bytes_and_what_became_of_it() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    subscribe(&world, id, "order:placed").await;
    let payload = r#"{"b": 1,  "a": 2, "a": 3, "big": 123456789012345678901234567890}"#;
    let event_id: Uuid =
        sqlx::query_scalar("select tidings.register_event('order:placed', $1::text::json)")
            .bind(payload)
            .fetch_one(&world.pool)
            .await
            .unwrap();
    world
        .execute(
            "insert into tidings.attempt (at, delivery_id, event_id, subscriber_id, attempt, outcome, status, elapsed_ms)
             select clock_timestamp(), delivery_id, event_id, subscriber_id, 1, 'retry', 503, 7 from tidings.delivery",
        )
        .await;

    let mut conn = world.pool.acquire().await.unwrap();
    let detail = log::event(&mut conn, event_id).await.unwrap().unwrap();
    assert_eq!(detail.payload.get(), payload);
    assert_eq!(detail.pending.len(), 1);
    assert_eq!(detail.pending[0].subscriber.as_deref(), Some("kept"));
    assert_eq!((detail.attempts[0].status, detail.attempts[0].elapsed_ms), (Some(503), Some(7)));
    assert!(detail.dead.is_empty() && !detail.expanding && detail.telemetry.is_none());
    let written = serde_json::to_string(&detail).unwrap();
    assert!(written.contains(payload), "{written}");

    let delivery_id = detail.pending[0].delivery_id;
    let delivery = log::delivery(&mut conn, delivery_id).await.unwrap().unwrap();
    assert_eq!(delivery.event.unwrap().event_id, event_id);
    assert_eq!(delivery.attempt_log, detail.attempts);
    assert!(log::delivery(&mut conn, delivery_id + 1).await.unwrap().is_none());
    assert!(log::event(&mut conn, Uuid::nil()).await.unwrap().is_none());
}

#[tokio::test]
async fn telemetry_view_is_shown_beside_the_notification_view() {
    let world = world().await;
    let mut tx = begin(&world).await;
    let registered = register_event(&mut tx, &OrderPlaced::number(7)).await.unwrap();
    let detail = log::event(&mut tx, registered.event_id).await.unwrap().unwrap();
    assert_eq!(detail.payload.get(), r#"{"order":7,"items":3}"#);
    let expected = r#"{"event_properties":{"items":3},"derived_properties":{}}"#;
    assert_eq!(detail.telemetry.unwrap().get(), expected);
}

/// One delivery that is due, one that waits and one that is parked; returns their ids.
async fn three_states(world: &World) -> [i64; 3] {
    let id = memory(world, "kept").await;
    subscribe(world, id, "order:placed").await;
    for seconds in [0, 3600, 0] {
        let mut draft = Draft::new("order:placed");
        draft.delay = Duration::from_secs(seconds);
        world.register(draft).await;
    }
    let deliveries = "select array_agg(delivery_id order by delivery_id) from tidings.delivery";
    let deliveries: Vec<i64> = world.value(deliveries).await;
    sqlx::query("update tidings.delivery set due_at = 'infinity' where delivery_id = $1")
        .bind(deliveries[2])
        .execute(&world.pool)
        .await
        .unwrap();
    deliveries.try_into().unwrap()
}

#[tokio::test]
async fn deliveries_are_listed_by_state() {
    let world = world().await;
    let [due, waiting, parked] = three_states(&world).await;
    let mut conn = world.pool.acquire().await.unwrap();
    for (state, expected) in [
        (None, vec![due, waiting, parked]),
        (Some(State::Due), vec![due]),
        (Some(State::Waiting), vec![waiting]),
        (Some(State::Parked), vec![parked]),
    ] {
        let filter = DeliveryFilter { state, ..DeliveryFilter::default() };
        let listed = log::deliveries(&mut conn, &filter).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|row| row.delivery_id).collect();
        assert_eq!(ids, expected, "{state:?}");
        assert!(listed.iter().all(|row| state.is_none_or(|state| row.state == state)));
        assert!(listed.iter().all(|row| row.due_at.is_none() == (row.state == State::Parked)));
    }
    let page = DeliveryFilter { after: Some(due), limit: 1, ..DeliveryFilter::default() };
    let page = log::deliveries(&mut conn, &page).await.unwrap();
    assert_eq!((page.len(), page[0].delivery_id), (1, waiting));
    let stats = log::stats(&mut conn).await.unwrap();
    assert_eq!(stats.len(), 1, "our own lane is not counted");
    assert_eq!((stats[0].pending, stats[0].due, stats[0].parked, stats[0].dead), (3, 1, 1, 0));
}

#[tokio::test]
async fn retry_makes_what_waits_due_and_leaves_what_is_parked_behind_its_head() {
    let world = world().await;
    let [due, waiting, parked] = three_states(&world).await;
    let mut conn = world.pool.acquire().await.unwrap();
    for id in [due, waiting, parked] {
        assert!(log::retry(&mut conn, id).await.unwrap());
    }
    assert!(!log::retry(&mut conn, parked + 1).await.unwrap());
    let states = [State::Due, State::Due, State::Parked];
    for (id, state) in [due, waiting, parked].into_iter().zip(states) {
        assert_eq!(log::delivery(&mut conn, id).await.unwrap().unwrap().pending.state, state);
    }
}

#[tokio::test]
async fn stats_of_a_lane_where_all_is_parked_can_be_read() {
    let world = world().await;
    three_states(&world).await;
    world.execute("update tidings.delivery set due_at = 'infinity'").await;
    let mut conn = world.pool.acquire().await.unwrap();
    let stats = log::stats(&mut conn).await.unwrap();
    assert_eq!((stats[0].parked, stats[0].oldest_due_at), (3, None));
}

#[tokio::test]
async fn large_fan_out_is_shown_at_its_event_and_not_as_a_delivery_of_ours() {
    let world = world().await;
    for number in 0..65 {
        let id = memory(&world, &format!("kept-{number}")).await;
        subscribe(&world, id, "order:placed").await;
    }
    let event_id = world.register(Draft::new("order:placed")).await;
    let own: i64 =
        world.value("select delivery_id from tidings.delivery where subscriber_id = 0").await;
    let mut conn = world.pool.acquire().await.unwrap();
    let detail = log::event(&mut conn, event_id).await.unwrap().unwrap();
    assert!(detail.expanding && detail.pending.is_empty());
    assert!(log::deliveries(&mut conn, &DeliveryFilter::default()).await.unwrap().is_empty());
    assert!(log::delivery(&mut conn, own).await.unwrap().is_none());
    assert!(!log::retry(&mut conn, own).await.unwrap());
}
