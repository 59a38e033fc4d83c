//! A subscriber that is removed while its deliveries are in flight: they end, and nothing comes of it.

use tidings_tests::{
    Draft, Gate, Receiver, Reply, SOON, World, eventually,
    world::{Guard, held::Held},
};

use super::webhook::Hooks;

const TYPE: &str = "order:placed";

#[tokio::test(flavor = "multi_thread")]
async fn delivery_in_flight_to_a_subscriber_that_is_removed_ends_in_peace_and_other_lanes_go_on() {
    let world = World::new(&[TYPE]).await;
    let removed = world.subscriber("removed", TYPE).await;
    world.subscriber("kept", TYPE).await;
    let held = Held::new();
    let worker = world.worker(held.clone()).await;
    let first = world.register(Draft::new(TYPE)).await;
    held.wait_for(2).await;
    remove(&world, removed).await;
    assert_eq!(world.pending().await, 1, "the other's");
    let second = world.register(Draft::new(TYPE).number(2)).await;
    held.wait_for(3).await;

    held.release();
    world.drained().await;
    settled_without_a_row(&worker, 1).await;
    world.register(Draft::new(TYPE).number(3)).await;
    world.drained().await;
    let traffic = held.traffic();
    assert_eq!((&traffic.events[..3], traffic.finished), (&[first, first, second][..], 4));
    assert_eq!(worker.running.counts().delivered, 4);
    nothing_has_come_of_it(&world, &worker).await;
    assert!(worker.stop().await, "it drained");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_that_was_removed_may_answer_what_it_likes() {
    let hooks = Hooks::new().await;
    let (again, once) =
        (r#"{"delays_s": [0]}"#, r#"{"delays_s": [0], "attempts_max": 1, "age_max_s": 0}"#);
    let gate = Gate::new();
    let mut receivers = Vec::new();
    for (n, (status, retry)) in
        [(204, again), (503, again), (503, once), (429, again), (410, again)]
            .into_iter()
            .enumerate()
    {
        let reply = Reply::status(status).header("retry-after", "60").held(&gate);
        let receiver = Receiver::answering([reply]).await;
        let (id, _) = hooks.add(&format!("removed-{n}"), &receiver, retry).await;
        receivers.push((id, receiver));
    }
    let well = Receiver::accepting().await;
    hooks.add("well", &well, again).await;
    let worker = hooks.worker().await;
    hooks.world.register(Draft::new(TYPE)).await;
    for (id, receiver) in &receivers {
        receiver.wait_for_in_flight(1, SOON).await;
        remove(&hooks.world, *id).await;
    }
    hooks.world.drained().await;

    gate.open();
    settled_without_a_row(&worker, receivers.len()).await;
    hooks.world.register(Draft::new(TYPE).number(2)).await;
    well.wait_for(2, SOON).await;
    hooks.world.drained().await;
    assert!(receivers.iter().all(|(_, receiver)| receiver.received().len() == 1));
    nothing_has_come_of_it(&hooks.world, &worker).await;
    let disabled = "select count(*) from tidings.subscriber where disabled_at is not null";
    assert_eq!(hooks.world.value::<i64>(disabled).await, 0);
    assert!(worker.stop().await, "it drained");
}

async fn remove(world: &World, id: i32) {
    let removed: bool = sqlx::query_scalar("select tidings.remove_subscriber_v1($1)")
        .bind(id)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(removed);
}

/// Waits until so many attempts have come to their end after their rows.
async fn settled_without_a_row(worker: &Guard, count: usize) {
    eventually(SOON, "the attempts in flight are over", || async {
        (worker.running.counts().settled_missing == count as u64).then_some(())
    })
    .await;
}

async fn nothing_has_come_of_it(world: &World, worker: &Guard) {
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 0);
    assert_eq!(world.pending().await, 0);
    let counts = worker.running.counts();
    assert_eq!((counts.settled_lost, counts.unlogged, counts.sweep_found), (0, 0, 0));
}
