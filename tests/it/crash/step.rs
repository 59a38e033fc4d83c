//! A worker that is killed at each step of a delivery: nothing is lost, and repeated is only what had been sent, under
//! the same id.

use sqlx::Connection as _;

use super::{
    Arc, Arena, Database, Draft, Gate, Keyring, Receiver, Reply, SOON, TYPE, World, eventually,
    webhook,
};

/// How far a delivery has come when its worker is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// The request has arrived, and there is no answer.
    Sent,
    /// There is an answer, and nothing of it could be written down yet.
    Answered,
    /// The answer is being written down.
    HalfWritten,
    /// The answer is written down.
    Written,
}

/// Makes the writing of an answer wait, behind a row or a table that somebody else has locked.
const fn obstacle(step: Step) -> Option<&'static str> {
    match step {
        Step::Answered => Some("select 1 from tidings.delivery for update"),
        Step::HalfWritten => Some("lock table tidings.attempt in access exclusive mode"),
        Step::Sent | Step::Written => None,
    }
}

/// Kills the worker of a delivery at a step, lets another go on, and returns the ids of all requests.
async fn killed_at(step: Step) -> (String, Vec<String>) {
    let world = World::on(Database::new().await, &[TYPE]).await;
    let gate = Gate::default();
    let held = gate.clone();
    let receiver = Receiver::start(move |_| Reply::status(204).held(&held)).await;
    let keyring = Keyring::generate(&mut rand::rng());
    let mut arena = Arena { world, receiver, requests: Arc::default(), keyring, couriers: 0 };
    let id = webhook(&arena.world, &arena.keyring, "lane-0", &arena.receiver.url()).await;
    arena.world.subscribe(id, TYPE, "", false).await;
    let url = arena.world.database.url();
    let first = arena.launch(&url, "direct", 2000);
    let event = arena.world.register(Draft::new(TYPE)).await;
    arena.receiver.wait_for_in_flight(1, SOON).await;

    let mut other = arena.world.database.connect().await;
    let mut tx = other.begin().await.unwrap();
    if let Some(obstacle) = obstacle(step) {
        sqlx::query(obstacle).execute(&mut *tx).await.unwrap();
    }
    if step != Step::Sent {
        gate.open();
        arena.receiver.wait_for_in_flight(0, SOON).await;
    }
    match step {
        Step::HalfWritten => {
            eventually(SOON, "the call waits for the table", || async {
                let waiting = "select count(*) from pg_stat_activity
                               where datname = current_database() and wait_event_type = 'Lock'";
                (arena.world.value::<i64>(waiting).await > 0).then_some(())
            })
            .await;
        }
        Step::Written => arena.world.drained().await,
        Step::Sent | Step::Answered => {}
    }
    first.kill().await;
    gate.open();
    tx.rollback().await.unwrap();
    let _second = arena.launch(&url, "direct", 2000);
    arena.world.drained().await;
    // Whatever else there was to come has come before this.
    let last = arena.world.register(Draft::new(TYPE)).await;
    arena
        .receiver
        .wait_until(SOON, |requests| {
            requests.iter().any(|request| request.id() == last.to_string())
        })
        .await;
    arena.world.drained().await;
    let mut ids: Vec<String> =
        arena.receiver.received().iter().map(|request| request.id().to_owned()).collect();
    assert_eq!(ids.pop(), Some(last.to_string()), "{step:?}");
    assert_eq!(arena.world.value::<i64>("select count(*) from tidings.dead").await, 0);
    (event.to_string(), ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_killed_at_any_step_loses_nothing_and_only_what_was_sent_is_repeated() {
    let (sent, answered, half_written, written) = tokio::join!(
        killed_at(Step::Sent),
        killed_at(Step::Answered),
        killed_at(Step::HalfWritten),
        killed_at(Step::Written),
    );
    for (event, ids) in [sent, answered] {
        assert_eq!(ids, [event.clone(), event], "once by each worker");
    }
    // The database goes on without the one who asked, or not.
    let (event, ids) = half_written;
    assert!((1..=2).contains(&ids.len()) && ids.iter().all(|id| *id == event), "{ids:?}");
    assert_eq!(written.1, [written.0], "no more");
}
