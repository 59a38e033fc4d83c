//! Subscribers to whom nothing can be delivered for long: disabled with the reason, and never for anything less.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tidings::{
    deliverer::{Answer, Memory, Verdict},
    subscriber::{self, Note, State, Trouble},
};
use tidings_tests::{
    Draft, SOON, World, clock::advance_deliveries, eventually, world::owner::Owner,
};
use tidings_worker::health::{Disable, Rules};

use super::{
    health::{Moody, becomes, lanes, register, resume, seen, worker},
    webhook::TYPE,
};

pub(super) fn disable(failures: u32, after: Duration) -> Rules {
    Rules { disable: Some(Disable { after, failures }), ..Rules::OFF }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriber_that_takes_nothing_for_so_long_is_disabled_with_the_reason_until_it_is_resumed()
{
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    let moody = Moody::away(ill);
    let _worker = worker(&world, &moody.memory, disable(4, Duration::from_secs(1))).await;
    register(&world, &moody.memory, well, 5).await;
    let summary = becomes(&world, ill, State::Disabled).await;
    let reason = summary.disabled_reason.unwrap();
    let (time, rest) = reason.split_once(", and ").unwrap();
    assert!(time.starts_with("nothing was delivered for "), "{reason}");
    let (count, last) = rest.split_once(" attempts have failed in a row; the last: ").unwrap();
    assert!(count.parse::<u32>().unwrap() >= 4, "{reason}");
    assert_eq!(last, "answered 503 Service Unavailable");

    // What was in flight has landed when the deliveries rest.
    let calls = eventually(SOON, "what was in flight has landed", || async {
        let calls = moody.receipts().len();
        register(&world, &moody.memory, well, 1).await;
        (moody.receipts().len() == calls).then_some(calls)
    })
    .await;
    advance_deliveries(&world.pool, Duration::from_mins(1)).await;
    register(&world, &moody.memory, well, 5).await;
    assert_eq!(moody.receipts().len(), calls, "its deliveries wait");
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 0);

    moody.recover();
    resume(&world, ill).await;
    world.drained().await;
    let summary = seen(&world, ill).await;
    assert_eq!((summary.state, summary.disabled_reason), (State::Active, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn count_of_failures_begins_anew_when_a_disabled_subscriber_is_resumed() {
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    world.set_in_flight_max(ill, 1).await;
    let moody = Moody::away(ill);
    let _worker = worker(&world, &moody.memory, disable(4, Duration::ZERO)).await;
    register(&world, &moody.memory, well, 2).await;
    for failures in [4, 8, 12] {
        let summary = becomes(&world, ill, State::Disabled).await;
        assert!(summary.disabled_reason.unwrap().contains("4 attempts"));
        assert_eq!(moody.receipts().len(), failures);
        resume(&world, ill).await;
    }
}

#[tokio::test]
async fn owner_that_is_one_no_more_disables_and_notes_nothing() {
    let world = World::new(&[TYPE]).await;
    let (ill, _) = lanes(&world).await;
    let was = Owner::take(&world.pool).await.of_lane(&world.pool, ill).await;
    let is = Owner::take(&world.pool).await.of_lane(&world.pool, ill).await;
    assert!(is.1 > was.1);
    let mut conn = world.pool.acquire().await.unwrap();
    let trouble = Trouble { open: None, opened: 1, failures: 9, failing: None, warned: false };
    let note = Note { turn: None, trouble: Some(trouble) };
    for stranger in [was, (was.0, is.1), (is.0, was.1)] {
        assert!(!subscriber::disable(&mut conn, ill, stranger, "it is gone").await.unwrap());
        assert!(!subscriber::note_health(&mut conn, ill, stranger, &note).await.unwrap());
    }
    assert_eq!(seen(&world, ill).await.state, State::Active);
    assert!(subscriber::note_health(&mut conn, ill, is, &note).await.unwrap());
    assert_eq!(seen(&world, ill).await.state, State::Failing);
    assert!(subscriber::disable(&mut conn, ill, is, "it is gone").await.unwrap());
    assert!(
        !subscriber::disable(&mut conn, ill, is, "it is gone").await.unwrap(),
        "it is off already"
    );
    assert_eq!(seen(&world, ill).await.state, State::Disabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_now_and_then_never_disables() {
    let world = World::new(&[TYPE]).await;
    let (one, _) = lanes(&world).await;
    world.set_in_flight_max(one, 1).await;
    let calls = AtomicU64::new(0);
    let memory = Memory::scripted(move |delivery| {
        if delivery.subscriber_id == one && calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            Answer::failed(Verdict::Retry, "not now").with_status(500)
        } else {
            Answer::delivered()
        }
    });
    // Two in a row would do.
    let worker = worker(&world, &memory, disable(2, Duration::ZERO)).await;
    for n in 0..30 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    world.drained().await;
    assert_eq!(worker.running.counts().retried, 30);
    assert_eq!(seen(&world, one).await.state, State::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_that_nobody_has_tried_says_nothing_about_its_destination() {
    let world = World::new(&[TYPE]).await;
    let (one, _) = lanes(&world).await;
    for n in 0..10 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    world.execute("delete from tidings.event").await;
    let memory = Memory::new();
    let _worker = worker(&world, &memory, disable(1, Duration::ZERO)).await;
    world.drained().await;
    let buried = "select count(*) from tidings.dead where reason = 'event_gone'";
    assert_eq!(world.value::<i64>(buried).await, 20);
    assert_eq!(memory.count(), 0);
    assert_eq!(seen(&world, one).await.state, State::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriber_that_could_not_be_disabled_is_tried_again_and_disabled_at_its_next_failure() {
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    world.set_in_flight_max(ill, 1).await;
    let moody = Moody::away(ill);
    world
        .execute(
            "alter table tidings.subscriber add constraint stays_on check (disabled_at is null)",
        )
        .await;
    let _worker = worker(&world, &moody.memory, disable(2, Duration::ZERO)).await;
    register(&world, &moody.memory, well, 1).await;
    eventually(SOON, "it is tried again", || async { (moody.receipts().len() >= 4).then_some(()) })
        .await;
    assert_eq!(seen(&world, ill).await.state, State::Active);
    world.execute("alter table tidings.subscriber drop constraint stays_on").await;
    becomes(&world, ill, State::Disabled).await;
}
