//! Webhooks that answer otherwise than with a yes, through a worker and back.

use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng};
use tidings::{
    address::AllowList,
    endpoint::Policy,
    secret::Keyring,
    subscriber::{self, Added, NewSubscriber, Rotated, Rotation},
};
use tidings_tests::{
    Draft, Gate, Received, Receiver, Reply, SOON, World, clock::advance_deliveries, eventually,
    world::Guard,
};
use tidings_worker::{
    Webhook, Worker,
    webhook::{Ping, Settings},
};
use uuid::Uuid;

pub(super) const TYPE: &str = "order:placed";

/// At once, and then after a tenth of a second.
pub(super) const QUICK: &str = r#"{"delays_s": [0, 0.1]}"#;

/// A world whose subscribers are webhooks on loopback.
pub(super) struct Hooks {
    pub(super) world: World,
    pub(super) keyring: Keyring,
    pub(super) settings: Settings,
}

impl Hooks {
    pub(super) async fn new() -> Self {
        let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
        Self {
            world: World::new(&[TYPE]).await,
            keyring: Keyring::generate(&mut rand::rng()),
            settings: Settings { policy, ..Settings::default() },
        }
    }

    /// Adds a webhook that is subscribed to everything, and returns its id and its secret.
    pub(super) async fn add(&self, name: &str, receiver: &Receiver, retry: &str) -> (i32, String) {
        let mut new = NewSubscriber::webhook(name, receiver.url());
        new.retry = Some(serde_json::from_str(retry).unwrap());
        let added = self.add_new(new).await;
        (added.subscriber_id, added.secret.unwrap().to_string())
    }

    /// Adds a subscriber that is subscribed to everything.
    pub(super) async fn add_new(&self, new: NewSubscriber) -> Added {
        let mut tx = self.world.pool.begin().await.unwrap();
        let policy = &self.settings.policy;
        let added = subscriber::add(&mut tx, Some(&self.keyring), &mut random(), policy, new).await;
        let added = added.unwrap();
        tx.commit().await.unwrap();
        self.world.subscribe(added.subscriber_id, TYPE, "", false).await;
        added
    }

    /// Rotates a key of a subscriber.
    pub(super) async fn rotate(&self, id: i32, rotation: Rotation) -> Rotated {
        let mut tx = self.world.pool.begin().await.unwrap();
        let keyring = Some(&self.keyring);
        let rotated = subscriber::rotate(&mut tx, keyring, &mut random(), id, rotation).await;
        let rotated = rotated.unwrap();
        tx.commit().await.unwrap();
        rotated
    }

    /// Registers an event, and returns the request that brings it.
    pub(super) async fn deliver_one(&self, receiver: &Receiver) -> Received {
        let event = self.world.register(Draft::new(TYPE)).await.to_string();
        let is_it = |request: &Received| request.id() == event;
        let all = receiver.wait_until(SOON, |requests| requests.iter().any(is_it)).await;
        all.into_iter().find(is_it).unwrap()
    }

    /// Sends a ping to a subscriber as it is stored.
    pub(super) async fn ping(&self, id: i32) -> Ping {
        let mut conn = self.world.pool.acquire().await.unwrap();
        let opened = subscriber::open(&mut conn, Some(&self.keyring), id).await.unwrap().unwrap();
        self.webhook().ping(&opened, Uuid::from_u128(5)).await.unwrap()
    }

    pub(super) fn webhook(&self) -> Webhook {
        Webhook::builder().settings(self.settings.clone()).build().unwrap()
    }

    pub(super) async fn worker(&self) -> Guard {
        let builder = Worker::builder(self.world.pool.clone()).deliverer(self.webhook());
        self.world.worker_with(builder.keyring(self.keyring.clone())).await
    }

    /// Returns the attempts that were logged for an event and a subscriber: number, outcome, status and error.
    pub(super) async fn attempts(
        &self,
        event: Uuid,
        lane: i32,
    ) -> Vec<(i16, String, Option<i16>, Option<String>)> {
        sqlx::query_as(
            "select attempt, outcome, status, error from tidings.attempt
             where event_id = $1 and subscriber_id = $2 order by attempt",
        )
        .bind(event)
        .bind(lane)
        .fetch_all(&self.world.pool)
        .await
        .unwrap()
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

pub(super) fn random() -> StdRng {
    StdRng::from_rng(&mut rand::rng())
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_that_a_webhook_asks_for_is_a_failed_attempt_and_holds_its_own_lane_and_no_other() {
    let hooks = Hooks::new().await;
    let wait = Reply::status(429).header("retry-after", "2");
    let busy = Receiver::answering([wait, Reply::status(204)]).await;
    let well = Receiver::accepting().await;
    let (id, _) = hooks.add("busy", &busy, QUICK).await;
    hooks.add("well", &well, QUICK).await;
    let worker = hooks.worker().await;
    let event = hooks.world.register(Draft::new(TYPE)).await;
    busy.wait_for(1, SOON).await;
    let left_s = eventually(SOON, "the wait is written down", || async {
        let floor = "select extract(epoch from max(retry_after_until) - clock_timestamp())::float8 from tidings.subscriber";
        hooks.world.value::<Option<f64>>(floor).await
    })
    .await;
    assert!(left_s <= 2.0, "{left_s} s");
    for n in 2..=6 {
        hooks.world.register(Draft::new(TYPE).number(n)).await;
    }

    let others = well.wait_for(6, SOON).await;
    let requests = busy.wait_for(7, SOON).await;
    let gap = requests[1].at - requests[0].at;
    assert!(
        (Duration::from_millis(1800)..Duration::from_secs(4)).contains(&gap),
        "the second came after {gap:?}"
    );
    assert!(others[5].at < requests[1].at, "the other lane did not wait");
    hooks.world.drained().await;
    assert_eq!(requests.iter().filter(|request| request.id() == event.to_string()).count(), 2);
    let words = "answered 429 Too Many Requests, and asks to wait 2 s".to_owned();
    assert_eq!(
        hooks.attempts(event, id).await,
        [
            (1, "retry".to_owned(), Some(429), Some(words)),
            (2, "delivered".to_owned(), Some(204), None),
        ]
    );
    assert_eq!(worker.running.counts().retried, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_that_is_gone_is_disabled_with_its_words_and_gets_on_its_return_what_has_waited() {
    let hooks = Hooks::new().await;
    let gone = Reply::status(410).body("moved out");
    let moved = Receiver::answering([gone, Reply::status(204)]).await;
    let well = Receiver::accepting().await;
    let (id, secret) = hooks.add("moved", &moved, QUICK).await;
    hooks.add("well", &well, QUICK).await;
    let _worker = hooks.worker().await;
    let first = hooks.world.register(Draft::new(TYPE)).await;
    let reason = eventually(SOON, "the subscriber is disabled", || async {
        let reason =
            "select max(disabled_reason) from tidings.subscriber where disabled_at is not null";
        hooks.world.value::<Option<String>>(reason).await
    })
    .await;
    assert_eq!(reason, "answered 410 Gone: it wants no more events: moved out");

    let second = hooks.world.register(Draft::new(TYPE).number(2)).await;
    well.wait_for(2, SOON).await;
    advance_deliveries(&hooks.world.pool, Duration::from_mins(1)).await;
    eventually(SOON, "both wait", || async { (hooks.world.pending().await == 2).then_some(()) })
        .await;
    assert_eq!(moved.received().len(), 1);

    sqlx::query("select tidings.resume($1)").bind(id).execute(&hooks.world.pool).await.unwrap();
    moved.wait_for(3, SOON).await;
    hooks.world.drained().await;
    let requests = moved.received();
    assert_eq!(requests[0].id(), first.to_string());
    let mut ids: Vec<_> = requests[1..].iter().map(|request| request.id().to_owned()).collect();
    let mut expected = [first.to_string(), second.to_string()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    for request in &requests {
        request.verify(&secret).unwrap();
    }
    let outcomes: Vec<_> = (hooks.attempts(first, id).await.into_iter())
        .map(|(attempt, outcome, status, _)| (attempt, outcome, status))
        .collect();
    assert_eq!(
        outcomes,
        [(1, "retry".to_owned(), Some(410)), (2, "delivered".to_owned(), Some(204))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_that_does_not_answer_in_its_time_has_failed_and_is_asked_again() {
    let mut hooks = Hooks::new().await;
    hooks.settings.timeout = Duration::from_millis(50);
    let gate = Gate::new();
    let held = gate.clone();
    let silent = Receiver::start(move |_| Reply::status(204).held(&held)).await;
    let (id, _) = hooks.add("silent", &silent, QUICK).await;
    let _worker = hooks.worker().await;
    let event = hooks.world.register(Draft::new(TYPE)).await;
    silent.wait_for(2, SOON).await;
    gate.open();
    hooks.world.drained().await;
    let requests = silent.received();
    assert!(requests.iter().all(|request| request.id() == event.to_string()));
    let attempts = hooks.attempts(event, id).await;
    let (last, failed) = attempts.split_last().unwrap();
    assert_eq!((last.1.as_str(), last.2), ("delivered", Some(204)));
    let words = format!("timed out: no answer from 127.0.0.1:{} within 50 ms", silent.port());
    assert!(!failed.is_empty());
    for (_, outcome, status, error) in failed {
        assert_eq!((outcome.as_str(), *status, error.as_ref()), ("retry", None, Some(&words)));
    }
}
