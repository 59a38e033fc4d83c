//! How much of the attempts is written down, and how firmly: neither changes what is delivered.

use tidings::deliverer::{Answer, Memory, Verdict};
use tidings_tests::{Draft, World};
use tidings_worker::{AttemptLog, Worker, worker::Builder};
use uuid::Uuid;

const TYPE: &str = "order:placed";

/// An attempt as it was logged: the number of the event, that of the attempt, and its outcome.
type Logged = (i32, i16, String);

/// Delivers one event at once, one at the second attempt and one never, and returns what was logged.
async fn journey(configure: impl FnOnce(Builder) -> Builder + Send) -> Vec<Logged> {
    let world = World::new(&[TYPE]).await;
    let id = world.subscriber("one", TYPE).await;
    world.set_retry(id, r#"{"delays_s": [0]}"#).await;
    let memory =
        Memory::scripted(|delivery| match (delivery.event.payload.as_str(), delivery.attempt) {
            (r#"{"n":2}"#, 1) => Answer::failed(Verdict::Retry, "not yet").with_status(503),
            (r#"{"n":3}"#, _) => Answer::failed(Verdict::Refused, "never").with_status(400),
            _ => Answer::delivered(),
        });
    let builder = Worker::builder(world.pool.clone()).deliverer(memory.clone());
    let worker = world.worker_with(configure(builder)).await;
    let mut events = Vec::new();
    for n in 1..=3 {
        events.push(world.register(Draft::new(TYPE).number(n)).await);
    }
    world.drained().await;
    let mut attempted = memory.event_ids();
    attempted.sort_unstable();
    let mut expected = vec![events[0], events[1], events[1], events[2]];
    expected.sort_unstable();
    assert_eq!(attempted, expected);
    let counts = worker.running.counts();
    assert_eq!((counts.delivered, counts.retried, counts.buried), (2, 1, 1));
    assert_eq!((counts.settled_missing, counts.unlogged), (0, 0));
    let dead = "select event_id from tidings.dead";
    assert_eq!(world.value::<Uuid>(dead).await, events[2]);
    sqlx::query_as(
        "select (e.payload ->> 'n')::int, a.attempt, a.outcome
         from tidings.attempt a join tidings.event e using (event_id) order by 1, 2",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

fn logged(rows: &[(i32, i16, &str)]) -> Vec<Logged> {
    rows.iter().map(|(n, attempt, outcome)| (*n, *attempt, (*outcome).to_owned())).collect()
}

const ALL: [(i32, i16, &str); 4] =
    [(1, 1, "delivered"), (2, 1, "retry"), (2, 2, "delivered"), (3, 1, "bury")];

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_written_down_as_far_as_was_asked_and_deliveries_are_the_same() {
    for (log, expected) in [
        (AttemptLog::All, &ALL[..]),
        (AttemptLog::Failures, &[(2, 1, "retry"), (3, 1, "bury")]),
        (AttemptLog::None, &[]),
    ] {
        let rows = journey(|builder| builder.attempt_log(log)).await;
        assert_eq!(rows, logged(expected), "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settlements_that_survive_a_crash_of_the_server_deliver_the_same() {
    for durable in [true, false] {
        let rows = journey(|builder| builder.durable_settlements(durable)).await;
        assert_eq!(rows, logged(&ALL), "durable: {durable}");
    }
}
