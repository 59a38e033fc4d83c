//! Dead letters: listed, shown and replayed.

use std::collections::BTreeSet;

use tidings::{
    Error, Options,
    dead::{self, Filter},
    deliverer::Memory,
    register_event_with, subscriber,
};
use tidings_tests::{Draft, World};
use uuid::Uuid;

use super::{OrderPlaced, begin, memory, pattern, subscribe, world};

/// Buries all that is pending, in the order of registering.
async fn bury_all(world: &World, reason: &'static str) {
    sqlx::query(
        "select tidings.bury(d.subscriber_id, d.due_at, d.delivery_id, 1, $1, 500::smallint, 'broken')
         from (select * from tidings.delivery order by delivery_id offset 0) d",
    )
    .bind(reason)
    .execute(&world.pool)
    .await
    .unwrap();
}

/// Returns the pending deliveries with their events, in their order.
async fn pending(world: &World) -> Vec<(i64, Uuid)> {
    sqlx::query_as("select delivery_id, event_id from tidings.delivery order by delivery_id")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn dead_letters_are_listed_newest_first_and_by_what_is_asked() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    subscribe(&world, id, "**").await;
    let first = world.register(Draft::new("order:placed").scope("shop=s1")).await;
    bury_all(&world, "exhausted").await;
    let second = world.register(Draft::new("order:paid").key("k")).await;
    bury_all(&world, "refused").await;

    let mut conn = world.pool.acquire().await.unwrap();
    let all = dead::list(&mut conn, &Filter::default()).await.unwrap();
    assert_eq!(all.iter().map(|letter| letter.event_id).collect::<Vec<_>>(), [second, first]);
    assert_eq!(all[1].subscriber.as_deref(), Some("kept"));
    assert_eq!(all[1].scope.as_deref(), Some("shop=s1"));
    assert_eq!((all[1].last_status, all[1].last_error.as_deref()), (Some(500), Some("broken")));
    assert_eq!((all[1].attempts, all[1].reason.as_str()), (1, "exhausted"));

    let (some, default) = (|text: &str| Some(text.to_owned()), Filter::default);
    for (filter, expected) in [
        (Filter { limit: 1, ..default() }, vec![second]),
        (Filter { after: Some(all[0].dead_id), ..default() }, vec![first]),
        (Filter { pattern: Some(pattern("order:paid")), ..default() }, vec![second]),
        (Filter { pattern: Some(pattern("order:*")), ..default() }, vec![second, first]),
        (Filter { reason: some("exhausted"), ..default() }, vec![first]),
        (Filter { event_id: Some(first), ..default() }, vec![first]),
        (Filter { subscriber_id: Some(id + 1), ..default() }, vec![]),
        (Filter { tenant: some("acme"), ..default() }, vec![]),
        (Filter { replayed: Some(true), ..default() }, vec![]),
        (Filter { replayed: Some(false), ..default() }, vec![second, first]),
    ] {
        let listed = dead::list(&mut conn, &filter).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|letter| letter.event_id).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn replay_is_a_new_delivery_of_the_same_event_and_brings_the_event_back() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    subscribe(&world, id, "order:placed").await;
    let event_id = world.register(Draft::new("order:placed")).await;
    let before = pending(&world).await;
    bury_all(&world, "exhausted").await;
    world.execute("delete from tidings.event").await;

    let mut tx = begin(&world).await;
    let letter = dead::list(&mut tx, &Filter::default()).await.unwrap().remove(0);
    let detail = dead::show(&mut tx, letter.dead_id).await.unwrap().unwrap();
    assert_eq!(detail.payload.unwrap().get(), r#"{"n":1}"#);
    let delivery_id = dead::replay(&mut tx, letter.dead_id).await.unwrap().unwrap();
    tx.commit().await.unwrap();

    assert_eq!(pending(&world).await, [(delivery_id, event_id)]);
    assert!(delivery_id > before[0].0);
    let payload: String = world.value("select payload::text from tidings.event").await;
    assert_eq!(payload, r#"{"n":1}"#);
    let mut conn = world.pool.acquire().await.unwrap();
    let detail = dead::show(&mut conn, letter.dead_id).await.unwrap().unwrap();
    assert!(detail.letter.replayed_at.is_some());
    assert!(dead::show(&mut conn, letter.dead_id + 1).await.unwrap().is_none());
}

#[tokio::test]
async fn what_cannot_be_replayed_says_why_and_leaves_the_transaction_usable() {
    let world = world().await;
    let (gone, kept) = (memory(&world, "gone").await, memory(&world, "kept").await);
    for id in [gone, kept] {
        subscribe(&world, id, "order:placed").await;
    }
    world.register(Draft::new("order:placed")).await;
    world.execute("delete from tidings.event").await;
    bury_all(&world, "event_gone").await;
    world.register(Draft::new("order:placed")).await;
    bury_all(&world, "exhausted").await;

    let mut tx = begin(&world).await;
    assert!(subscriber::remove(&mut tx, gone).await.unwrap());
    let letters = dead::list(&mut tx, &Filter::default()).await.unwrap();
    let of = |id: i32, reason: &str| {
        let found = letters.iter().find(|row| row.subscriber_id == id && row.reason == reason);
        found.unwrap().dead_id
    };
    let error = dead::replay(&mut tx, of(kept, "event_gone")).await.unwrap_err();
    assert!(matches!(error, Error::Unreplayable { .. }), "{error}");
    let error = dead::replay(&mut tx, of(gone, "exhausted")).await.unwrap_err();
    assert!(matches!(error, Error::SubscriberGone { .. }), "{error}");
    assert_eq!(dead::replay(&mut tx, 4711).await.unwrap(), None);
    assert!(dead::replay(&mut tx, of(kept, "exhausted")).await.unwrap().is_some());
    // Those that cannot be replayed are not in the way of the others.
    assert!(dead::replay_all(&mut tx, &Filter::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn replaying_all_goes_oldest_first_and_chunk_by_chunk() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    world.subscribe(id, "order:placed", "", true).await;
    let mut events = Vec::new();
    for number in 0..5 {
        events.push(world.register(Draft::new("order:placed").key("k").number(number)).await);
    }
    bury_all(&world, "exhausted").await;
    world.register(Draft::new("order:paid")).await;

    let filter = Filter {
        subscriber_id: Some(id),
        pattern: Some(pattern("order:placed")),
        ..Filter::default()
    };
    let mut chunks = Vec::new();
    loop {
        let mut tx = begin(&world).await;
        let replayed =
            dead::replay_all(&mut tx, &Filter { limit: 2, ..filter.clone() }).await.unwrap();
        tx.commit().await.unwrap();
        if replayed.is_empty() {
            break;
        }
        chunks.push(replayed.len());
    }
    assert_eq!(chunks, [2, 2, 1]);
    let replayed: Vec<_> =
        pending(&world).await.into_iter().map(|(_, event_id)| event_id).collect();
    assert_eq!(replayed, events, "in the order of registering");
    let keyed: i64 =
        world.value("select count(*) from tidings.delivery where key_hash is not null").await;
    assert_eq!(keyed, 5, "order is kept");
}

#[tokio::test]
async fn two_replays_at_once_share_the_work_and_repeat_nothing() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    subscribe(&world, id, "order:placed").await;
    for number in 0..6 {
        world.register(Draft::new("order:placed").number(number)).await;
    }
    bury_all(&world, "exhausted").await;
    let some = Filter { limit: 4, ..Filter::default() };
    let mut one = begin(&world).await;
    let first = dead::replay_all(&mut one, &some).await.unwrap();
    let (mut two, filter) = (begin(&world).await, some.clone());
    let other = tokio::spawn(async move {
        let second = dead::replay_all(&mut two, &filter).await.unwrap();
        two.commit().await.unwrap();
        second
    });
    one.commit().await.unwrap();
    let second = other.await.unwrap();
    // The other one may have begun before or after the commit; either way it found only what was left.
    assert_eq!((first.len(), second.len()), (4, 2));
    assert_eq!(pending(&world).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_with_an_idempotency_key_is_replayed_to_each_of_its_subscribers_and_again() {
    let world = world().await;
    let mut lanes = BTreeSet::new();
    for name in ["one", "two", "three"] {
        let id = memory(&world, name).await;
        subscribe(&world, id, "order:placed").await;
        lanes.insert(id);
    }
    let key = || Options::default().idempotency_key("order-7");
    let mut tx = begin(&world).await;
    let event = register_event_with(&mut tx, &OrderPlaced::number(7), key()).await.unwrap();
    tx.commit().await.unwrap();
    let mut all: BTreeSet<i64> = pending(&world).await.into_iter().map(|row| row.0).collect();
    bury_all(&world, "exhausted").await;
    let mut conn = world.pool.acquire().await.unwrap();
    let letters = dead::list(&mut conn, &Filter::default()).await.unwrap();
    assert_eq!(letters.len(), 3);

    let deliverer = Memory::new();
    let _worker = world.worker(deliverer.clone()).await;
    for turn in 1..=2 {
        let mut replayed = BTreeSet::new();
        let mut tx = begin(&world).await;
        for letter in &letters {
            let delivery_id = dead::replay(&mut tx, letter.dead_id).await.unwrap().unwrap();
            replayed.insert((letter.subscriber_id, delivery_id, event.event_id));
            assert!(all.insert(delivery_id), "turn {turn}: each has an id of its own");
        }
        tidings::commit(tx).await.unwrap();
        world.drained().await;
        let deliveries = deliverer.deliveries();
        assert_eq!(deliveries.len(), 3 * turn);
        let delivered: BTreeSet<_> = deliveries[3 * (turn - 1)..]
            .iter()
            .map(|delivery| (delivery.subscriber_id, delivery.delivery_id, delivery.event.event_id))
            .collect();
        assert_eq!(delivered, replayed, "turn {turn}");
        assert_eq!(delivered.iter().map(|row| row.0).collect::<BTreeSet<_>>(), lanes);
    }

    // The key still stands for the event, and is used up.
    let mut tx = begin(&world).await;
    let again = register_event_with(&mut tx, &OrderPlaced::number(7), key()).await.unwrap();
    assert_eq!((again.event_id, again.repeated), (event.event_id, true));
    tx.commit().await.unwrap();
    assert_eq!(world.pending().await, 0);
}
