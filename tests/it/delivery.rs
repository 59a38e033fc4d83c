//! What is registered is delivered: promptly, at least once, in order where asked for, and given up only by the rules.

mod authority;
mod back;
mod change;
mod chat;
mod clock;
mod credentials;
mod disable;
mod drain;
mod frugal;
mod health;
mod hostile;
mod ladder;
mod limits;
mod log;
mod names;
mod panic;
mod profile;
mod removal;
mod rotation;
mod signing;
mod silence;
mod told;
mod webhook;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidings::deliverer::{Answer, Memory, Verdict};
use tidings_tests::{Draft, SOON, World, clock::advance_deliveries, eventually};
use tidings_worker::Worker;

#[tokio::test(flavor = "multi_thread")]
async fn event_reaches_every_matching_subscriber_once() {
    let world = World::new(&["order:placed", "order:shipped"]).await;
    let one = world.subscriber("one", "order:placed").await;
    let all = world.subscriber("all", "order:*").await;
    world.subscriber("none", "order:shipped").await;
    let event = world.register(Draft::new("order:placed")).await;
    let memory = Memory::new();
    let worker = world.worker(memory.clone()).await;
    tokio::time::timeout(SOON, memory.wait_for(2)).await.unwrap();
    world.drained().await;
    let mut lanes: Vec<i32> =
        memory.deliveries().iter().map(|delivery| delivery.subscriber_id).collect();
    lanes.sort_unstable();
    assert_eq!(lanes, [one, all]);
    assert!(memory.deliveries().iter().all(|delivery| delivery.event.event_id == event));
    assert!(worker.stop().await);
    assert_eq!(memory.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_registered_while_the_worker_idles_is_delivered() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    for n in 1..=5 {
        world.register(Draft::new("order:placed").number(n)).await;
        tokio::time::timeout(SOON, memory.wait_for(n)).await.unwrap();
    }
    world.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_event_waits_for_its_time() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    let mut draft = Draft::new("order:placed");
    draft.delay = Duration::from_hours(1);
    world.register(draft).await;
    world.register(Draft::new("order:placed").number(2)).await;
    tokio::time::timeout(SOON, memory.wait_for(1)).await.unwrap();
    assert_eq!(memory.deliveries()[0].event.payload, r#"{"n":2}"#);
    eventually(SOON, "the first is settled", || async {
        (world.pending().await == 1).then_some(())
    })
    .await;
    advance_deliveries(&world.pool, Duration::from_hours(1)).await;
    tokio::time::timeout(SOON, memory.wait_for(2)).await.unwrap();
    world.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_delivery_comes_again_under_the_same_id_and_is_logged() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.set_retry(id, r#"{"delays_s": [0, 0.05]}"#).await;
    let memory = Memory::scripted(|delivery| match delivery.attempt {
        1 => Answer::failed(Verdict::Retry, "not\0today").with_status(503),
        _ => Answer::delivered().with_status(204),
    });
    let _worker = world.worker(memory.clone()).await;
    let event = world.register(Draft::new("order:placed")).await;
    tokio::time::timeout(SOON, memory.wait_for(2)).await.unwrap();
    world.drained().await;
    assert_eq!(memory.event_ids(), [event, event]);
    let log: Vec<(i16, String, Option<i16>, Option<String>)> = sqlx::query_as(
        "select attempt, outcome, status, error from tidings.attempt order by attempt",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(
        log,
        [
            (1, "retry".to_owned(), Some(503), Some("nottoday".to_owned())),
            (2, "delivered".to_owned(), Some(204), None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_out_of_attempts_and_age_is_a_dead_letter_that_can_be_replayed_under_the_same_event_id()
 {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.set_retry(id, r#"{"delays_s": [0], "attempts_max": 2, "age_max_s": 0}"#).await;
    let healthy = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = Arc::clone(&healthy);
    let memory = Memory::scripted(move |_| {
        if switch.load(std::sync::atomic::Ordering::Relaxed) {
            Answer::delivered()
        } else {
            Answer::failed(Verdict::Retry, "down")
        }
    });
    let _worker = world.worker(memory.clone()).await;
    let event = world.register(Draft::new("order:placed").number(7)).await;
    eventually(SOON, "a dead letter", || async {
        (world.value::<i64>("select count(*) from tidings.dead").await == 1).then_some(())
    })
    .await;
    let (dead, attempts, reason, payload): (i64, i16, String, String) =
        sqlx::query_as("select dead_id, attempts, reason, payload::text from tidings.dead")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!((attempts, reason.as_str(), payload.as_str()), (2, "exhausted", r#"{"n":7}"#));
    assert_eq!(world.pending().await, 0);

    healthy.store(true, std::sync::atomic::Ordering::Relaxed);
    sqlx::query("select tidings.replay_v1($1)").bind(dead).execute(&world.pool).await.unwrap();
    tokio::time::timeout(SOON, memory.wait_for(3)).await.unwrap();
    world.drained().await;
    assert_eq!(memory.event_ids()[2], event);
    assert_eq!(memory.deliveries()[2].attempt, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_and_silence_of_a_deliverer_are_failed_attempts_and_stop_nobody() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.set_retry(id, r#"{"delays_s": [0, 0.01]}"#).await;
    let memory = Memory::scripted(|delivery| {
        assert!(
            delivery.attempt > 1 || !delivery.event.payload.contains('3'),
            "cannot take a three"
        );
        Answer::delivered()
    });
    let worker = world.worker(memory.clone()).await;
    for n in 0..6 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    world.drained().await;
    let error: String =
        world.value("select error from tidings.attempt where outcome = 'retry'").await;
    assert_eq!(error, "the deliverer panicked: cannot take a three");
    assert_eq!(worker.running.counts().retried, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_per_key_and_a_failing_key_blocks_only_itself() {
    let world = World::new(&["order:changed"]).await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    world.subscribe(id, "order:changed", "", true).await;
    world.set_retry(id, r#"{"delays_s": [0, 0.02]}"#).await;
    // Key `a` fails three times on its second event; `b` never does.
    let failures = Arc::new(Mutex::new(0));
    let memory = Memory::scripted(move |delivery| {
        let is_hard = delivery.event.ordering_key.as_deref() == Some("a")
            && delivery.event.payload.contains(":2");
        let mut failures = failures.lock().unwrap();
        if is_hard && *failures < 3 {
            *failures += 1;
            return Answer::failed(Verdict::Retry, "not yet");
        }
        Answer::delivered()
    });
    for n in 1..=8 {
        for key in ["a", "b"] {
            world.register(Draft::new("order:changed").number(n).key(key)).await;
        }
    }
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let mut delivered: HashMap<String, Vec<String>> = HashMap::new();
    for delivery in memory.deliveries() {
        let key = delivery.event.ordering_key.clone().unwrap();
        delivered.entry(key).or_default().push(delivery.event.payload.clone());
    }
    let numbers =
        |order: &[u64]| order.iter().map(|n| format!(r#"{{"n":{n}}}"#)).collect::<Vec<_>>();
    assert_eq!(delivered["b"], numbers(&[1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(delivered["a"], numbers(&[1, 2, 2, 2, 2, 3, 4, 5, 6, 7, 8]));
}

#[tokio::test(flavor = "multi_thread")]
async fn fan_out_to_many_is_expanded_by_the_worker_to_those_subscribed_at_registering() {
    let world = World::new(&["order:placed"]).await;
    for n in 0..130 {
        world.subscriber(&format!("s{n}"), "order:placed").await;
    }
    world.register(Draft::new("order:placed")).await;
    assert_eq!(world.pending().await, 1, "one row for the system lane, whatever the number");
    // Subscribed after the event: not for it. Unsubscribed after the event: still for it.
    world.subscriber("late", "order:placed").await;
    sqlx::query("select tidings.unsubscribe_v1(min(subscription_id)) from tidings.subscription")
        .execute(&world.pool)
        .await
        .unwrap();
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    tokio::time::timeout(SOON, memory.wait_for(130)).await.unwrap();
    world.drained().await;
    let mut lanes: Vec<i32> =
        memory.deliveries().iter().map(|delivery| delivery.subscriber_id).collect();
    lanes.sort_unstable();
    lanes.dedup();
    assert_eq!((memory.count(), lanes.len()), (130, 130));
    assert_eq!(world.value::<i64>("select count(*) from tidings.expansion").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn floor_that_a_destination_asks_for_holds_the_whole_lane_and_is_written_down() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.subscriber("two", "order:placed").await;
    let memory = Memory::scripted(move |delivery| {
        if delivery.subscriber_id == id {
            Answer::failed(Verdict::RetryAfter(Duration::from_mins(10)), "slow down")
                .with_status(429)
        } else {
            Answer::delivered()
        }
    });
    world.set_in_flight_max(id, 1).await;
    for n in 0..5 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    let worker = world.worker(memory.clone()).await;
    eventually(SOON, "the floor is written down", || async {
        let set: i64 = world
            .value("select count(*) from tidings.subscriber where retry_after_until > clock_timestamp() + interval '590 s'")
            .await;
        (set == 1 && world.pending().await == 5).then_some(())
    })
    .await;
    assert_eq!(memory.deliveries().iter().filter(|d| d.subscriber_id == id).count(), 1);
    // A new owner starts from it.
    assert!(worker.stop().await);
    sqlx::query("update tidings.delivery set due_at = clock_timestamp()")
        .execute(&world.pool)
        .await
        .unwrap();
    let again = Memory::new();
    let _worker = world.worker(again.clone()).await;
    world.register(Draft::new("order:placed")).await;
    tokio::time::timeout(SOON, again.wait_for(1)).await.unwrap();
    assert!(again.deliveries().iter().all(|delivery| delivery.subscriber_id != id));
}

#[tokio::test(flavor = "multi_thread")]
async fn destination_that_is_gone_is_disabled_and_its_deliveries_wait_for_its_return() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    let memory = Memory::scripted(|delivery| match delivery.attempt {
        1 => Answer::failed(Verdict::Gone, "410 Gone").with_status(410),
        _ => Answer::delivered(),
    });
    let _worker = world.worker(memory.clone()).await;
    world.register(Draft::new("order:placed")).await;
    let reason = eventually(SOON, "the subscriber is disabled", || async {
        world.value::<Option<String>>("select max(disabled_reason) from tidings.subscriber").await
    })
    .await;
    assert_eq!(reason, "410 Gone");
    world.register(Draft::new("order:placed")).await;
    advance_deliveries(&world.pool, Duration::from_mins(1)).await;
    assert_eq!(memory.count(), 1);
    sqlx::query("select tidings.resume($1)").bind(id).execute(&world.pool).await.unwrap();
    eventually(SOON, "the first event is delivered on its return", || async {
        (memory.count() == 2 || memory.count() == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_lane_sends_nothing_and_uses_up_no_attempt() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    let other = world.subscriber("two", "order:placed").await;
    sqlx::query("select tidings.pause($1)").bind(id).execute(&world.pool).await.unwrap();
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.register(Draft::new("order:placed")).await;
    tokio::time::timeout(SOON, memory.wait_for(1)).await.unwrap();
    assert_eq!(memory.deliveries()[0].subscriber_id, other);
    assert_eq!(world.value::<i16>("select max(attempt) from tidings.delivery").await, 0);
    sqlx::query("select tidings.resume($1)").bind(id).execute(&world.pool).await.unwrap();
    world.drained().await;
    assert_eq!(memory.deliveries()[1].subscriber_id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_in_flight_and_rate_are_exact_and_a_hung_lane_holds_up_nobody() {
    let world = World::new(&["order:placed"]).await;
    let hung = world.subscriber("hung", "order:placed").await;
    world.subscriber("well", "order:placed").await;
    world.set_in_flight_max(hung, 3).await;
    let slow = Slow::new(hung);
    let _worker =
        world.worker_with(Worker::builder(world.pool.clone()).deliverer(slow.clone())).await;
    for n in 0..50 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    eventually(SOON, "the other lane is drained", || async {
        (slow.delivered() == 50).then_some(())
    })
    .await;
    assert_eq!(slow.most_in_flight(), 3);
}

/// A deliverer that never answers for one lane.
#[derive(Clone, Debug)]
struct Slow {
    hung: i32,
    state: Arc<Mutex<(usize, usize, usize)>>,
}

impl Slow {
    fn new(hung: i32) -> Self {
        Self { hung, state: Arc::default() }
    }

    fn delivered(&self) -> usize {
        self.state.lock().unwrap().0
    }

    fn most_in_flight(&self) -> usize {
        self.state.lock().unwrap().2
    }
}

impl tidings::Deliverer for Slow {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn open(
        &self,
        _: &tidings::subscriber::Subscriber,
    ) -> Result<Box<dyn tidings::Destination>, tidings::deliverer::OpenError> {
        Ok(Box::new(self.clone()))
    }
}

impl tidings::Destination for Slow {
    fn timeout(&self) -> Duration {
        Duration::from_hours(1)
    }

    fn deliver<'a>(
        &'a self,
        deliveries: &'a [tidings::delivery::Delivery],
    ) -> tidings::deliverer::BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            if deliveries[0].subscriber_id == self.hung {
                {
                    let mut state = self.state.lock().unwrap();
                    state.1 += 1;
                    state.2 = state.2.max(state.1);
                }
                std::future::pending::<()>().await;
            }
            self.state.lock().unwrap().0 += deliveries.len();
            deliveries.iter().map(|_| Answer::delivered()).collect()
        })
    }
}
