//! Destinations that do not answer in their time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidings::{
    Deliverer, Destination,
    deliverer::{Answer, BoxFuture, OpenError},
    delivery::Delivery,
    subscriber::Subscriber,
};
use tidings_tests::{Draft, SOON, World, clock::advance_deliveries, eventually};
use uuid::Uuid;

const TYPE: &str = "order:placed";

/// A deliverer of the kind `memory` whose destinations answer at once or, where they are silent, not at all.
#[derive(Clone, Debug, Default)]
struct Mute(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    silent: HashSet<i32>,
    answered: Vec<(i32, Uuid)>,
}

impl Mute {
    fn silent(lanes: &[i32]) -> Self {
        let mute = Self::default();
        mute.0.lock().unwrap().silent.extend(lanes);
        mute
    }

    fn speak(&self) {
        self.0.lock().unwrap().silent.clear();
    }

    /// Returns the lanes and events that were answered, in no order.
    fn answered(&self) -> Vec<(i32, Uuid)> {
        let mut answered = self.0.lock().unwrap().answered.clone();
        answered.sort_unstable();
        answered
    }
}

impl Deliverer for Mute {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn open(&self, _: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(self.clone()))
    }
}

impl Destination for Mute {
    fn timeout(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        let mut answers = Vec::new();
        {
            let mut state = self.0.lock().unwrap();
            for delivery in deliveries {
                if state.silent.contains(&delivery.subscriber_id) {
                    return Box::pin(std::future::pending());
                }
                state.answered.push((delivery.subscriber_id, delivery.event.event_id));
                answers.push(Answer::delivered());
            }
        }
        Box::pin(std::future::ready(answers))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destination_that_does_not_answer_in_time_has_failed_and_comes_again_while_others_go_on() {
    let world = World::new(&[TYPE]).await;
    let silent = world.subscriber("silent", TYPE).await;
    let well = world.subscriber("well", TYPE).await;
    world.set_retry(silent, r#"{"delays_s": [0, 3600]}"#).await;
    let mute = Mute::silent(&[silent]);
    let _worker = world.worker(mute.clone()).await;
    let mut events = Vec::new();
    for n in 0..5 {
        events.push(world.register(Draft::new(TYPE).number(n)).await);
    }
    eventually(SOON, "the silent lane has failed with all of them", || async {
        let failed = "select count(*) from tidings.delivery where attempt = 1 and due_at > clock_timestamp() + interval '50 min'";
        (world.value::<i64>(failed).await == 5 && world.pending().await == 5).then_some(())
    })
    .await;
    assert_eq!(mute.answered(), lanes_by_events(&[well], &events));
    let log: Vec<(i16, String, Option<String>, bool)> = sqlx::query_as(
        "select attempt, outcome, error, elapsed_ms >= 50 from tidings.attempt where subscriber_id = $1",
    )
    .bind(silent)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let words = "no answer within 50 ms".to_owned();
    assert_eq!(log, vec![(1, "retry".to_owned(), Some(words), true); 5]);

    mute.speak();
    advance_deliveries(&world.pool, Duration::from_hours(2)).await;
    world.drained().await;
    assert_eq!(mute.answered(), lanes_by_events(&[silent, well], &events));
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_all_of_whose_destinations_are_silent_goes_on_asking_and_delivers_when_they_answer()
{
    let world = World::new(&[TYPE]).await;
    let mut lanes = Vec::new();
    for name in ["one", "two", "three"] {
        let id = world.subscriber(name, TYPE).await;
        world.set_retry(id, r#"{"delays_s": [0, 0.05]}"#).await;
        lanes.push(id);
    }
    // A slot that is not given back after an attempt would be seen soon.
    world.execute("update tidings.subscriber set in_flight_max = 1").await;
    let mute = Mute::silent(&lanes);
    let worker = world.worker(mute.clone()).await;
    let mut events = Vec::new();
    for n in 0..3 {
        events.push(world.register(Draft::new(TYPE).number(n)).await);
    }
    eventually(SOON, "each has failed twice", || async {
        let least = "select min(attempt) from tidings.delivery";
        (world.value::<Option<i16>>(least).await >= Some(2)).then_some(())
    })
    .await;
    assert_eq!(world.pending().await, 9);
    assert_eq!(worker.running.counts().delivered, 0);

    mute.speak();
    world.drained().await;
    assert_eq!(mute.answered(), lanes_by_events(&lanes, &events));
    assert!(worker.stop().await, "it drained");
}

/// Returns each lane with each event, in order.
fn lanes_by_events(lanes: &[i32], events: &[Uuid]) -> Vec<(i32, Uuid)> {
    let mut all: Vec<_> =
        lanes.iter().flat_map(|lane| events.iter().map(|event| (*lane, *event))).collect();
    all.sort_unstable();
    all
}
