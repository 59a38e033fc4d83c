//! When a failed delivery comes again, as its row says, and what the failures of one lane mean for another: nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidings::deliverer::{Answer, Memory, Verdict};
use tidings_tests::{Draft, SOON, World, clock::advance_deliveries, eventually};

/// How far a delay may be from its step, as a part of it.
const JITTER: f64 = 0.1;

#[tokio::test(flavor = "multi_thread")]
async fn failed_delivery_waits_for_its_step_of_the_ladder_and_the_last_step_repeats() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.set_retry(id, r#"{"delays_s": [0, 100, 1000]}"#).await;
    let memory = Memory::scripted(|delivery| match delivery.attempt {
        1..=3 => Answer::failed(Verdict::Retry, "not today"),
        _ => Answer::delivered(),
    });
    let _worker = world.worker(memory.clone()).await;
    let event = world.register(Draft::new("order:placed")).await;
    for (failed, step_s) in [(1, 100.0), (2, 1000.0), (3, 1000.0)] {
        let (delay_s, left_s) =
            eventually(SOON, "the attempt has failed", || async { waiting(&world, failed).await })
                .await;
        // Both clocks are the server's; a delay is cut to milliseconds.
        let (least, most) = (step_s * (1.0 - JITTER) - 0.001, step_s * (1.0 + JITTER));
        assert!((least..most + 1.0).contains(&delay_s), "failure {failed}: {delay_s} s");
        assert!((step_s * 0.85..most).contains(&left_s), "failure {failed}: {left_s} s left");
        advance_deliveries(&world.pool, Duration::from_secs_f64(most.ceil())).await;
    }
    world.drained().await;
    assert_eq!(memory.event_ids(), [event; 4]);
}

/// Returns in how many seconds the delivery comes again, from the settlement of its last attempt and from now, once it
/// has failed so often.
async fn waiting(world: &World, failed: i16) -> Option<(f64, f64)> {
    sqlx::query_as(
        "select extract(epoch from due_at - (select max(at) from tidings.attempt))::float8,
           extract(epoch from due_at - clock_timestamp())::float8
         from tidings.delivery where attempt = $1",
    )
    .bind(failed)
    .fetch_optional(&world.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lane_that_has_exhausted_its_ladder_leaves_the_retries_of_another_as_they_were() {
    let world = World::new(&["order:placed"]).await;
    let weary = world.subscriber("weary", "order:placed").await;
    let patient = world.subscriber("patient", "order:placed").await;
    let twice = r#"{"delays_s": [0, 3600], "attempts_max": 2, "age_max_s": 0}"#;
    world.set_retry(weary, twice).await;
    world.set_retry(patient, r#"{"delays_s": [0, 3600]}"#).await;
    let memory = Memory::scripted(move |delivery| {
        if delivery.subscriber_id == patient && delivery.attempt > 1 {
            return Answer::delivered();
        }
        Answer::failed(Verdict::Retry, "down").with_status(503)
    });
    let worker = world.worker(memory.clone()).await;
    let event = world.register(Draft::new("order:placed")).await;
    eventually(SOON, "both have failed once", || async {
        let failed = "select count(*) from tidings.delivery where attempt = 1";
        (world.value::<i64>(failed).await == 2).then_some(())
    })
    .await;
    let before = row(&world, patient).await;

    make_due(&world, weary).await;
    let dead: (i32, i16, String) = eventually(SOON, "one is given up", || async {
        sqlx::query_as("select subscriber_id, attempts, reason from tidings.dead")
            .fetch_optional(&world.pool)
            .await
            .unwrap()
    })
    .await;
    assert_eq!(dead, (weary, 2, "exhausted".to_owned()));
    assert_eq!(world.pending().await, 1);
    assert_eq!(row(&world, patient).await, before);

    make_due(&world, patient).await;
    world.drained().await;
    let last = memory.deliveries().pop().unwrap();
    assert_eq!((last.subscriber_id, last.attempt, last.event.event_id), (patient, 2, event));
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 1);
    let counts = worker.running.counts();
    assert_eq!((counts.retried, counts.buried, counts.delivered), (2, 1, 1));
}

/// Returns what the row of the only delivery of a lane says.
async fn row(world: &World, lane: i32) -> (i64, i16, DateTime<Utc>) {
    sqlx::query_as(
        "select delivery_id, attempt, due_at from tidings.delivery where subscriber_id = $1",
    )
    .bind(lane)
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

/// Makes what is pending for a lane due, as a person does who does not want to wait.
async fn make_due(world: &World, lane: i32) {
    let query = "select tidings.retry(delivery_id) from tidings.delivery where subscriber_id = $1";
    sqlx::query(query).bind(lane).execute(&world.pool).await.unwrap();
    world.wake(&[lane]);
}
