//! Replay: events of a time go out again, each under its own id, to those who are subscribed now.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tidings::{
    Error,
    pattern::Pattern,
    replay::{Selection, Step},
    scope::Scope,
};
use tidings_tests::{Draft, SOON, World, eventually};
use uuid::Uuid;

use super::begin;

async fn now(world: &World) -> DateTime<Utc> {
    sqlx::query_scalar("select clock_timestamp()").fetch_one(&world.pool).await.unwrap()
}

/// Everything that has been registered so far.
async fn everything(world: &World) -> Selection {
    let now = now(world).await;
    // An id has the time to the millisecond.
    Selection::new(now - TimeDelta::hours(1), now + TimeDelta::seconds(1))
}

async fn replay(world: &World, selection: &Selection) -> Step {
    let mut tx = begin(world).await;
    let step = selection.step(&mut tx, None, 1000).await.unwrap();
    tx.commit().await.unwrap();
    step
}

async fn pending(world: &World) -> Vec<(i32, Uuid)> {
    sqlx::query_as("select subscriber_id, event_id from tidings.delivery order by delivery_id")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

async fn clear(world: &World) {
    world.execute("delete from tidings.delivery").await;
}

#[tokio::test]
async fn what_was_delivered_is_delivered_again_under_its_own_id() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("kept", "order:placed").await;
    let memory = tidings::deliverer::Memory::new();
    let _worker = world.worker(memory.clone()).await;
    let event = world.register(Draft::new("order:placed")).await;
    world.drained().await;
    let selection = Selection { subscriber_id: Some(id), ..everything(&world).await };
    assert_eq!(replay(&world, &selection).await, Step { events: 1, deliveries: 1, after: None });
    world.wake(&[id]);
    eventually(SOON, "the event comes again", async || {
        let ids: Vec<_> = memory.deliveries().iter().map(|d| d.event.event_id).collect();
        (ids == [event, event]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn replay_goes_to_those_who_are_subscribed_now_and_leaves_out_whoever_still_has_it_before_them()
 {
    let world = World::new(&["order:placed", "order:paid"]).await;
    let early = world.subscriber("early", "order:placed").await;
    let placed = world.register(Draft::new("order:placed")).await;
    let paid = world.register(Draft::new("order:paid")).await;
    let late = world.subscriber("late", "order:*").await;
    let all = everything(&world).await;
    let mut tx = begin(&world).await;
    let counted = all.count(&mut tx, None, 1000).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(pending(&world).await, [(early, placed)], "counting writes nothing");
    let done = replay(&world, &all).await;
    assert_eq!((counted.clone(), done), (Step { events: 2, deliveries: 2, after: None }, counted));
    assert_eq!(pending(&world).await, [(early, placed), (late, placed), (late, paid)]);
    assert_eq!(replay(&world, &all).await, Step::default(), "all of it is pending");
}

#[tokio::test]
async fn selection_is_by_time_type_tenant_scope_subscriber_and_event() {
    let world = World::new(&["order:placed", "order:paid"]).await;
    let (one, two) =
        (world.subscriber("one", "order:*").await, world.subscriber("two", "**").await);
    let scoped = world.register(Draft::new("order:placed").scope("shop=s1/till=t1")).await;
    let other = world.register(Draft::new("order:placed").scope("shop=s10")).await;
    let paid = world.register(Draft::new("order:paid")).await;
    clear(&world).await;
    let all = everything(&world).await;
    let pattern = Some(Pattern::parse("order:paid").unwrap());
    let scope = Scope::parse("shop=s1").unwrap();
    let early = all.since + TimeDelta::minutes(1);
    for (selection, expected) in [
        (all.clone(), vec![scoped, other, paid]),
        (Selection { pattern, ..all.clone() }, vec![paid]),
        (Selection { scope, ..all.clone() }, vec![scoped]),
        (Selection { events: Some(vec![other]), ..all.clone() }, vec![other]),
        (Selection { tenant: Some("acme".to_owned()), ..all.clone() }, vec![]),
        (Selection { until: early, ..all.clone() }, vec![]),
    ] {
        replay(&world, &selection).await;
        let expected: Vec<_> = expected.iter().flat_map(|id| [(one, *id), (two, *id)]).collect();
        assert_eq!(pending(&world).await, expected, "{selection:?}");
        clear(&world).await;
    }
    replay(&world, &Selection { subscriber_id: Some(two), ..all }).await;
    assert_eq!(pending(&world).await, [(two, scoped), (two, other), (two, paid)]);
}

#[tokio::test]
async fn steps_follow_each_other_without_a_gap_or_an_overlap_and_order_is_kept() {
    let world = World::new(&["order:placed"]).await;
    let id = world.bare_subscriber("kept", "memory", serde_json::json!({})).await;
    world.subscribe(id, "order:placed", "", true).await;
    let mut events = Vec::new();
    for n in 0..10 {
        events.push(world.register(Draft::new("order:placed").key("k").number(n)).await);
    }
    clear(&world).await;
    let selection = everything(&world).await;
    let (mut after, mut steps) = (None, 0);
    loop {
        let mut tx = begin(&world).await;
        let step = selection.step(&mut tx, after, 3).await.unwrap();
        tx.commit().await.unwrap();
        steps += 1;
        assert!(step.deliveries <= 3);
        after = step.after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(steps, 4);
    let expected: Vec<_> = events.iter().map(|event| (id, *event)).collect();
    assert_eq!(pending(&world).await, expected);
    let keyed = "select count(*) from tidings.delivery where key_hash is not null";
    assert_eq!(world.value::<i64>(keyed).await, 10);
}

#[tokio::test]
async fn filters_hold_for_a_replay_too() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("kept", "order:placed").await;
    world.execute(r#"update tidings.subscription set filter = '{"n": {"$gte": 2}}'"#).await;
    for n in 0..4 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    clear(&world).await;
    let step = replay(&world, &everything(&world).await).await;
    assert_eq!(step.deliveries, 2);
    assert!(pending(&world).await.iter().all(|(lane, _)| *lane == id));
}

#[tokio::test]
async fn replay_from_before_what_is_kept_is_refused_and_says_since_when_events_are_kept() {
    let world = World::new(&["order:placed"]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let now = now(&world).await;
    let long_ago = Selection::new(now - TimeDelta::days(400), now);
    long_ago.check(&mut conn).await.expect("nothing has been dropped yet");
    world
        .execute(
            "select tidings.make_partition('event', now() - interval '40 days');
             select tidings.retire_partition('event', p.starts_at, 1000)
             from tidings.partition p where p.parent = 'event' order by p.starts_at limit 1",
        )
        .await;
    let error = long_ago.check(&mut conn).await.unwrap_err();
    assert!(
        matches!(error, Error::NotKept { since } if now - since > TimeDelta::days(38)),
        "{error}"
    );
    Selection::new(now - TimeDelta::days(38), now).check(&mut conn).await.unwrap();
    let error = Selection::new(now, now).check(&mut conn).await.unwrap_err().to_string();
    assert!(error.contains("a time behind the beginning"), "{error}");
}

#[tokio::test]
async fn long_replay_beside_a_large_backlog_stays_quick() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("kept", "order:placed").await;
    world
        .execute(
            "insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload)
             select tidings.uuid_v7(clock_timestamp()), now(), now(), 'order:placed', 1, '', '', 2, '{}'
             from generate_series(1, 20000)",
        )
        .await;
    let selection = Selection { subscriber_id: Some(id), ..everything(&world).await };
    let (mut after, mut deliveries) = (None, 0);
    let began = std::time::Instant::now();
    loop {
        let mut tx = begin(&world).await;
        let step = selection.step(&mut tx, after, 2000).await.unwrap();
        tx.commit().await.unwrap();
        deliveries += step.deliveries;
        after = step.after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(deliveries, 20_000);
    // A look through the lane for each event would take minutes.
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}
