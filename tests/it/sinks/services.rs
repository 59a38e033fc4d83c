//! Segment and PostHog as destinations: what they are sent, and every answer that has lost somebody's events before.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tidings::{
    address::AllowList,
    analytics::{
        self,
        wire::{Context, Vendor},
    },
    endpoint::Policy,
    privacy,
    secret::{Credentials, Keyring},
    subscriber::{self, NewSubscriber, State},
};
use tidings_tests::{Gate, Received, Receiver, Reply, SOON, eventually, world::Guard};
use tidings_worker::{Builder, Webhook, Worker, analytics::Analytics, webhook::Settings};
use uuid::Uuid;

use super::{ORDER, Stage, subscribe};

const KEY: &str = "s3cr3t-key";

/// At once, and again and again.
const RESTLESS: &str = r#"{"delays_s": [0, 0.01]}"#;

const YES: &str = r#"{"success":true}"#;

fn yes() -> Reply {
    Reply::status(200).body(YES)
}

/// A sink whose service is a receiver.
pub(super) struct Service {
    pub(super) stage: Stage,
    pub(super) receiver: Receiver,
    keyring: Keyring,
    settings: Settings,
    id: i32,
    vendor: Vendor,
}

impl Service {
    pub(super) async fn new(vendor: Vendor, config: Value) -> Self {
        let receiver = Receiver::start(|_| yes()).await;
        Self::at(vendor, config, receiver).await
    }

    async fn at(vendor: Vendor, mut config: Value, receiver: Receiver) -> Self {
        let stage = Stage::bare().await;
        let keyring = Keyring::generate(&mut rand::rng());
        let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
        let settings = Settings { policy, timeout: Duration::from_secs(1), ..Settings::default() };
        config["host"] = json!(receiver.url());
        let mut new = NewSubscriber::sink("analytics", vendor.as_str(), config);
        new.credentials = Some(Credentials::bearer(KEY).unwrap());
        new.retry = Some(serde_json::from_str(RESTLESS).unwrap());
        stage
            .world
            .execute("select tidings.make_group('segment', 4), tidings.make_group('posthog', 4)")
            .await;
        let mut tx = stage.world.pool.begin().await.unwrap();
        let mut random = StdRng::seed_from_u64(1);
        let policy = &settings.policy;
        let added = subscriber::add(&mut tx, Some(&keyring), &mut random, policy, new).await;
        let id = added.unwrap().subscriber_id;
        tx.commit().await.unwrap();
        subscribe(&stage.world, id, "**").await.unwrap();
        Self { stage, receiver, keyring, settings, id, vendor }
    }

    pub(super) async fn worker(&self) -> Guard {
        self.worker_with(|builder| builder).await
    }

    async fn worker_with(&self, change: impl FnOnce(Builder) -> Builder) -> Guard {
        let world = &self.stage.world;
        let webhook = Webhook::builder().settings(self.settings.clone()).build().unwrap();
        let mut conn = world.pool.acquire().await.unwrap();
        let installation = privacy::installation(&mut conn).await.unwrap();
        let context = || {
            let version = analytics::Value::from(7_u64);
            Context::new().app("version", version)
        };
        let sink = Analytics::new(self.vendor, &webhook, installation).context(Arc::new(context));
        let builder = Worker::builder(world.pool.clone()).deliverer(sink);
        world.worker_with(change(builder.keyring(self.keyring.clone()))).await
    }

    /// Gives up after the first counted failure.
    async fn once(&self) {
        let retry = r#"{"delays_s": [0], "attempts_max": 1, "age_max_s": 0}"#;
        self.stage.world.set_retry(self.id, retry).await;
    }

    /// Registers orders with one to `count` items.
    async fn register(&self, count: u32) {
        let mut tx = self.stage.world.pool.begin().await.unwrap();
        for items in 1..=count {
            let order = super::OrderPlaced { items, ..ORDER };
            tidings::register_event(&mut tx, &order).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn state(&self) -> subscriber::Summary {
        let mut conn = self.stage.world.pool.acquire().await.unwrap();
        let id = self.id.to_string();
        subscriber::find(&mut conn, "", &id).await.unwrap().unwrap().summary
    }

    async fn dead(&self) -> Vec<String> {
        let letters = "select coalesce(array_agg(telemetry -> 'event_properties' ->> 'items' || ' ' || reason || ' ' || coalesce(last_error, '')
                         order by dead_id), '{}') from tidings.dead";
        self.stage.world.value(letters).await
    }
}

fn events(request: &Received) -> Vec<Value> {
    request.json()["batch"].as_array().unwrap().clone()
}

fn items(event: &Value) -> u64 {
    event["properties"]["event_properties"]["items"].as_u64().unwrap()
}

/// Returns which orders each message id stood for.
fn by_id(requests: &[Received], id: &str) -> BTreeMap<String, Vec<u64>> {
    let mut by_id = BTreeMap::<String, Vec<u64>>::new();
    for event in requests.iter().flat_map(events) {
        by_id.entry(event[id].as_str().unwrap().to_owned()).or_default().push(items(&event));
    }
    by_id
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_gets_the_telemetry_view_once_with_its_context() {
    let service = Service::new(Vendor::Segment, json!({})).await;
    let _worker = service.worker().await;
    service.register(3).await;
    service.stage.world.drained().await;
    let requests = service.receiver.received();
    for request in &requests {
        assert_eq!(request.target, "/hook/v1/batch");
        assert_eq!(request.header("authorization"), "Basic czNjcjN0LWtleTo=");
        assert!(!String::from_utf8_lossy(&request.body).contains("a@example.com"));
    }
    let installation: Uuid =
        service.stage.world.value("select installation_id from tidings.installation").await;
    let mut events: Vec<_> = requests.iter().flat_map(events).collect();
    events.sort_by_key(items);
    assert_eq!(events.iter().map(items).collect::<Vec<_>>(), [1, 2, 3]);
    let event = &events[0];
    assert_eq!((&event["type"], &event["event"]), (&json!("track"), &json!("order:placed")));
    assert_eq!(event["userId"], json!(installation));
    let properties = json!({
        "event_properties": {"items": 1, "type": "order:placed"}, "derived_properties": {},
        "app_properties": {"version": 7}, "system_properties": {},
    });
    assert_eq!(event["properties"], properties);
    assert_eq!(by_id(&requests, "messageId").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn backlog_leaves_in_few_requests_within_the_limits_of_the_service() {
    let service = Service::new(Vendor::Segment, json!({"gzip": false})).await;
    service.register(5_000).await;
    let _worker = service.worker().await;
    service.stage.world.drained().await;
    let requests = service.receiver.received();
    assert!(requests.len() < 50, "{} requests", requests.len());
    for request in &requests {
        assert!(request.body.len() <= 475_000 && events(request).len() <= 2_000);
    }
    let ids = by_id(&requests, "messageId");
    assert_eq!(ids.len(), 5_000);
    assert!(ids.values().all(|items| items.len() == 1), "each of them once");
}

#[tokio::test(flavor = "multi_thread")]
async fn posthog_gets_the_telemetry_view_in_both_of_its_protocols() {
    let service = Service::new(Vendor::PostHog, json!({"host": "x"})).await;
    service.receiver.set(|_| Reply::status(200).body(r#"{"status":"Ok"}"#));
    let _worker = service.worker().await;
    service.register(2).await;
    service.stage.world.drained().await;
    let requests = service.receiver.received();
    assert_eq!(requests[0].target, "/hook/batch/");
    assert_eq!(requests[0].json()["api_key"], KEY);
    assert_eq!(requests[0].json().get("sent_at"), None, "it would change the id");
    assert_eq!(by_id(&requests, "uuid").len(), 2);

    let service = Service::new(Vendor::PostHog, json!({"protocol": "v1"})).await;
    service.receiver.set(|request| {
        // One has to come again, and of one it says nothing at all.
        let verdicts = events(request).into_iter().filter_map(|event| {
            let verdict = match (items(&event), request.index) {
                (1, 0) => "retry",
                (2, 0) => return None,
                (3, _) => "drop",
                _ => "ok",
            };
            Some((event["uuid"].as_str().unwrap().to_owned(), json!({"result": verdict})))
        });
        let results: serde_json::Map<_, _> = verdicts.collect();
        Reply::status(200).body(json!({"results": results}).to_string())
    });
    service.register(4).await;
    let _worker = service.worker().await;
    service.stage.world.drained().await;
    let requests = service.receiver.received();
    assert_eq!(requests[0].target, "/hook/i/v1/analytics/events");
    assert_eq!(requests[0].header("authorization"), "Bearer s3cr3t-key");
    let ids = by_id(&requests, "uuid");
    let mut sent: Vec<_> = ids.values().map(|items| (items[0], items.len())).collect();
    sent.sort_unstable();
    assert_eq!(sent, [(1, 2), (2, 2), (3, 1), (4, 1)], "the same ids again");
    let dead = service.dead().await;
    assert!(dead.len() == 1 && dead[0].starts_with("3 refused"), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_success_are_tried_again_under_the_same_ids() {
    let gate = Gate::new();
    let held = gate.clone();
    let answers: Vec<Reply> = vec![
        Reply::status(200).body("<html>Sign in to the network</html>"),
        Reply::status(200).body(r#"{"success":false}"#),
        Reply::status(302).header("location", "/elsewhere"),
        Reply::status(404),
        Reply::status(408),
        Reply::status(410),
        Reply::status(460),
        Reply::status(500).body("<h1>oops</h1>"),
        Reply::status(501),
        Reply::status(502),
        Reply::status(503),
        Reply::status(200).broken(),
        // Processed, and the answer comes too late.
        yes().held(&held),
        yes(),
    ];
    let count = answers.len();
    let receiver =
        Receiver::start(move |request| answers.get(request.index).cloned().unwrap_or_else(yes))
            .await;
    let service = Service::at(Vendor::Segment, json!({}), receiver).await;
    let mut tx = service.stage.world.pool.begin().await.unwrap();
    tidings::register_event(&mut tx, &ORDER).await.unwrap();
    tx.commit().await.unwrap();
    // The breaker has its own tests.
    let _worker = service.worker_with(|it| it.health(tidings_worker::health::Rules::OFF)).await;
    service.stage.world.drained().await;
    gate.open();
    let requests = service.receiver.received();
    assert_eq!(requests.len(), count, "no redirect was followed");
    assert!(requests.iter().all(|request| request.target == "/hook/v1/batch"));
    assert_eq!(by_id(&requests, "messageId").len(), 1, "one id for all of them");
    let sent: std::collections::BTreeSet<_> = requests
        .iter()
        .map(|request| request.json()["sentAt"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sent.len(), count, "each try says when it was sent");
    let added = json!({"version": 7});
    for event in requests.iter().flat_map(events) {
        let properties = event["properties"].as_object().unwrap();
        assert_eq!((properties.len(), &properties["app_properties"]), (4, &added), "{event}");
    }
    assert_eq!(service.dead().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn service_that_stays_away_is_tried_six_times_and_the_event_is_a_dead_letter() {
    let receiver = Receiver::start(|_| Reply::status(500).body("away")).await;
    let service = Service::at(Vendor::Segment, json!({}), receiver).await;
    let six = r#"{"delays_s": [0], "attempts_max": 6, "age_max_s": 0}"#;
    service.stage.world.set_retry(service.id, six).await;
    service.register(1).await;
    // The breaker has its own tests.
    let _worker = service.worker_with(|it| it.health(tidings_worker::health::Rules::OFF)).await;
    service.stage.world.drained().await;
    assert_eq!(service.receiver.received().len(), 6);
    assert_eq!(service.dead().await, ["1 exhausted answered 500: away"]);
    let logged = "select array_agg(outcome order by attempt) from tidings.attempt";
    let outcomes: Vec<String> = service.stage.world.value(logged).await;
    assert_eq!(outcomes, ["retry", "retry", "retry", "retry", "retry", "bury"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_event_is_found_and_buried_and_the_others_arrive() {
    for status in [400_u16, 413] {
        let receiver = Receiver::start(move |request| {
            if events(request).iter().any(|event| items(event) % 10 == 7) {
                Reply::status(status).body("event 7 is not as it should be")
            } else {
                yes()
            }
        })
        .await;
        let service = Service::at(Vendor::Segment, json!({}), receiver).await;
        service.register(30).await;
        let _worker = service.worker().await;
        service.stage.world.drained().await;
        let dead = service.dead().await;
        let expected = ["7", "17", "27"].map(|items| {
            format!("{items} refused answered {status}: event 7 is not as it should be")
        });
        assert_eq!(dead, expected, "{status}");
        let delivered = "select count(*) from tidings.attempt where outcome = 'delivered'";
        assert_eq!(service.stage.world.value::<i64>(delivered).await, 27);
        assert_eq!(service.state().await.state, State::Active);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_that_asks_for_patience_is_left_alone_and_no_attempt_is_counted() {
    let date = "Thu, 01 Jan 1970 00:00:00 GMT";
    for (status, header) in [(429, Some("1")), (503, Some("1")), (429, Some(date))] {
        let asked = AtomicUsize::new(0);
        let receiver = Receiver::start(move |_| {
            if asked.fetch_add(1, Ordering::SeqCst) > 0 {
                return yes();
            }
            let reply = Reply::status(status);
            header.map_or(reply.clone(), |value| reply.header("retry-after", value))
        })
        .await;
        let service = Service::at(Vendor::Segment, json!({}), receiver).await;
        service.once().await;
        service.register(3).await;
        let _worker = service.worker().await;
        service.stage.world.drained().await;
        let requests = service.receiver.received();
        let first_pause = requests[1].at - requests[0].at;
        if header == Some("1") {
            assert!(first_pause >= Duration::from_secs(1), "{first_pause:?}");
        }
        assert_eq!(service.dead().await, Vec::<String>::new(), "{status} {header:?}");
        let logged = "select count(*) from tidings.attempt where outcome <> 'delivered'";
        assert_eq!(service.stage.world.value::<i64>(logged).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_or_quota_that_is_gone_stops_the_sink_with_the_reason_and_loses_nothing() {
    let quota = r#"{"status":1,"quota_limited":["events"]}"#;
    let cases = [
        (Vendor::Segment, Reply::status(401), "give it another key, then resume it"),
        (Vendor::Segment, Reply::status(403), "give it another key, then resume it"),
        (Vendor::PostHog, Reply::status(401), "give it another key, then resume it"),
        (Vendor::PostHog, Reply::status(402), "settle its quota, then resume it"),
        (Vendor::PostHog, Reply::status(200).body(quota), "settle its quota, then resume it"),
    ];
    for (vendor, reply, expected) in cases {
        let service = Service::new(vendor, json!({})).await;
        service.receiver.set(move |_| reply.clone());
        service.once().await;
        service.register(3).await;
        let _worker = service.worker().await;
        let summary = eventually(SOON, "the sink is disabled", || async {
            let summary = service.state().await;
            (summary.state == State::Disabled).then_some(summary)
        })
        .await;
        let reason = summary.disabled_reason.unwrap();
        assert!(reason.ends_with(expected) && !reason.contains(KEY), "{reason}");
        let body = if vendor == Vendor::Segment { YES } else { r#"{"status":1}"# };
        service.receiver.set(move |_| Reply::status(200).body(body));
        let mut conn = service.stage.world.pool.acquire().await.unwrap();
        assert!(subscriber::resume(&mut conn, service.id).await.unwrap());
        service.stage.world.drained().await;
        let requests = service.receiver.received();
        let last = requests.last().unwrap();
        assert_eq!(events(last).len(), 3);
        assert_eq!(service.dead().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_that_a_sink_needs_and_an_event_does_not_give_keeps_it_here() {
    let service = Service::new(Vendor::Segment, json!({"consent": ["Analytics", "Ads"]})).await;
    let consents = [
        json!({"Analytics": true, "Ads": true}),
        json!({"Analytics": true, "Ads": false}),
        json!({"Analytics": true}),
        json!({}),
    ];
    for (items, consent) in (1..).zip(consents) {
        let headers = json!({"analytics": {"anonymous": "k1:x", "consent": consent}});
        service.stage.register_with(items, &headers).await;
    }
    // Nobody was asked.
    service.stage.register_with(5, &json!({"analytics": {"anonymous": "k1:x"}})).await;
    let worker = service.worker().await;
    service.stage.world.drained().await;
    let requests = service.receiver.received();
    let mut sent: Vec<_> = requests.iter().flat_map(events).collect();
    sent.sort_by_key(items);
    assert_eq!(sent.iter().map(items).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(sent[0]["anonymousId"], "k1:x");
    let preferences = &sent[0]["context"]["consent"]["categoryPreferences"];
    assert_eq!(preferences, &json!({"Analytics": true, "Ads": true}));
    assert_eq!(worker.running.counts().filtered, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_that_no_service_takes_is_a_dead_letter_that_names_what_is_too_large() {
    let service = Service::new(Vendor::Segment, json!({})).await;
    let mut conn = service.stage.world.pool.acquire().await.unwrap();
    // It grows when it is written anew.
    sqlx::query(
        r#"select tidings.register_event('order:placed', '{"email": "a", "items": 1}', telemetry => (
             '{"event_properties": {"items": 1, "list": [' || repeat('1e15,', 5000) || '1]},
               "derived_properties": {}}')::json)"#,
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    service.register(1).await;
    let _worker = service.worker().await;
    service.stage.world.drained().await;
    let dead = service.dead().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].contains("list") && dead[0].contains("32000"), "{dead:?}");
    assert_eq!(service.receiver.received().iter().flat_map(events).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_says_whether_the_service_takes_the_key() {
    let service = Service::new(Vendor::Segment, json!({})).await;
    let webhook = Webhook::builder().settings(service.settings.clone()).build().unwrap();
    let sink = Analytics::new(Vendor::Segment, &webhook, Uuid::from_u128(7));
    let mut conn = service.stage.world.pool.acquire().await.unwrap();
    let lanes = subscriber::lanes(&mut conn, Some(&service.keyring), &[service.id]).await.unwrap();
    let subscriber = lanes.into_iter().next().unwrap().subscriber.unwrap();
    let ping = sink.ping(&subscriber, Uuid::from_u128(1)).await.unwrap();
    assert_eq!((ping.status, ping.error), (Some(200), None));
    service.receiver.set(|_| Reply::status(401).body("no such source"));
    let ping = sink.ping(&subscriber, Uuid::from_u128(2)).await.unwrap();
    assert!(ping.error.unwrap().contains("answered 401: no such source"));
    assert_eq!(events(&service.receiver.received()[0])[0]["event"], "tidings:subscriber:pinged");
    assert!(!format!("{sink:?} {subscriber:?}").contains(KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_that_cannot_be_used_says_what_to_do() {
    let webhook = Webhook::builder().build().unwrap();
    let segment = Analytics::new(Vendor::Segment, &webhook, Uuid::from_u128(7));
    let posthog = Analytics::new(Vendor::PostHog, &webhook, Uuid::from_u128(7));
    let table = [
        (&segment, json!({"hots": "eu"}), "unknown field `hots`"),
        (&segment, json!({"host": 7, "gzip": KEY}), "another type"),
        (&segment, json!({"host": "asia"}), "us, eu or a URL"),
        (&segment, json!({"host": "https://10.0.0.1"}), "10.0.0.1"),
        (&segment, json!({"protocol": "v1"}), "PostHog alone"),
        (&segment, json!({"timeout_ms": 1}), "timeout"),
        (&posthog, json!({"protocol": "v9"}), "v0 or v1"),
    ];
    for (sink, config, expected) in table {
        let error = sink.check(&config).await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains(KEY), "{error}");
    }
    segment.check(&json!({})).await.unwrap();
    posthog.check(&json!({"host": "eu", "protocol": "v1", "group_type": "team"})).await.unwrap();
}
