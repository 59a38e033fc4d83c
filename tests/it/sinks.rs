//! Sinks: subscribers of the telemetry view, the level that decides what they get, and who is not collected.

mod canary;
mod services;

use std::collections::BTreeMap;

use rand::{SeedableRng, rngs::StdRng};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tidings::{
    Error, Event, Level, Options,
    deliverer::{Answer, Memory, Verdict},
    endpoint::Policy,
    pattern::Pattern,
    privacy, register_event_with, replay,
    scope::Scope,
    subscriber::{self, NewSubscriber, State, View},
    subscription::{self, Wanted},
};
use tidings_tests::{SOON, World, eventually, world::Guard};

/// An order has been placed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, level = "enhanced")]
struct OrderPlaced {
    email: &'static str,
    #[telemetry]
    items: u32,
}

/// A version has been installed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "version:installed", version = 1, level = "security")]
struct VersionInstalled {
    #[telemetry]
    major: u32,
}

/// A note has been taken; analytics have no part in it.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "note:taken", version = 1)]
struct NoteTaken {
    text: &'static str,
}

/// A page has been seen; a front end says so.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "page:seen", version = 1, audience(client, telemetry))]
struct PageSeen {
    #[telemetry]
    seconds: u32,
}

const ORDER: OrderPlaced = OrderPlaced { email: "a@example.com", items: 3 };

struct Stage {
    world: World,
    memory: Memory,
    sink: i32,
    hook: i32,
}

impl Stage {
    async fn new() -> Self {
        let mut stage = Self::bare().await;
        stage.hook = stage.world.subscriber("hook", "**").await;
        stage.sink = add(&stage.world, "sink").await;
        subscribe(&stage.world, stage.sink, "**").await.unwrap();
        stage
    }

    /// Returns a stage on which nobody is told of anything.
    async fn bare() -> Self {
        let memory = Memory::scripted(|_| Answer::delivered());
        let world = World::new(&[]).await;
        let catalogue =
            tidings::catalogue![OrderPlaced, VersionInstalled, NoteTaken, PageSeen].unwrap();
        catalogue.sync(&mut world.pool.acquire().await.unwrap()).await.unwrap();
        Self { world, memory, sink: 0, hook: 0 }
    }

    async fn worker(&self) -> Guard {
        self.world.worker(self.memory.clone()).await
    }

    async fn register(&self, event: &impl Event, options: Options) {
        let mut tx = self.world.pool.begin().await.unwrap();
        register_event_with(&mut tx, event, options).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn level(&self, level: Level) -> Level {
        let mut tx = self.world.pool.begin().await.unwrap();
        let was = privacy::set_level(&mut tx, level).await.unwrap();
        tx.commit().await.unwrap();
        was
    }

    /// Returns what a subscriber has got, by type.
    fn got(&self, subscriber: i32) -> BTreeMap<String, Vec<Value>> {
        let mut got = BTreeMap::<String, Vec<Value>>::new();
        for delivery in self.memory.deliveries() {
            if delivery.subscriber_id == subscriber {
                let view = serde_json::from_str(&delivery.event.payload).unwrap();
                got.entry(delivery.event.event_type).or_default().push(view);
            }
        }
        got
    }

    /// Registers an event of somebody, as a relay does.
    async fn register_of(&self, subject: &str) {
        self.register_with(3, &json!({"analytics": {"user": subject}})).await;
    }

    /// Registers an event with something beside it.
    async fn register_with(&self, items: u32, headers: &Value) {
        let telemetry = json!({"event_properties": {"items": items}, "derived_properties": {}});
        sqlx::query(
            "select tidings.register_event('order:placed', '{\"email\": \"a\", \"items\": 3}', headers => $1::json,
               telemetry => $2::json)",
        )
        .bind(headers)
        .bind(telemetry)
        .execute(&self.world.pool)
        .await
        .unwrap();
    }
}

async fn add(world: &World, name: &str) -> i32 {
    let mut tx = world.pool.begin().await.unwrap();
    let new = NewSubscriber::sink(name, "memory", json!({}));
    let mut random = StdRng::seed_from_u64(1);
    let added = subscriber::add(&mut tx, None, &mut random, &Policy::default(), new).await;
    tx.commit().await.unwrap();
    added.unwrap().subscriber_id
}

async fn subscribe(world: &World, sink: i32, pattern: &str) -> Result<(), Error> {
    let mut tx = world.pool.begin().await.unwrap();
    let wanted = Wanted::new(Pattern::parse(pattern).unwrap());
    let added = subscription::add(&mut tx, sink, &wanted).await;
    tx.commit().await.unwrap();
    added.map(drop)
}

fn telemetry() -> Value {
    json!({"event_properties": {"items": 3}, "derived_properties": {}})
}

#[tokio::test(flavor = "multi_thread")]
async fn sink_gets_the_telemetry_of_every_tenant_and_never_the_notification() {
    let stage = Stage::new().await;
    let _worker = stage.worker().await;
    stage.register(&ORDER, Options::default()).await;
    stage.register(&ORDER, Options::default().tenant("acme").ordering_key("o1")).await;
    stage.register(&ORDER, Options::default().idempotency_key("once")).await;
    stage.register(&NoteTaken { text: "private" }, Options::default()).await;
    stage.world.drained().await;
    let expected = BTreeMap::from([("order:placed".to_owned(), vec![telemetry(); 3])]);
    assert_eq!(stage.got(stage.sink), expected);
    let calls: Vec<_> = stage.memory.deliveries().into_iter().filter_map(|it| it.call).collect();
    assert_eq!(calls.len(), 3, "those of the hook have none");
    // The hook is of no tenant, and gets the notifications of what is of none.
    let got = stage.got(stage.hook);
    assert_eq!(got["order:placed"], vec![json!({"email": "a@example.com", "items": 3}); 2]);
    assert_eq!(got["note:taken"].len(), 1);
}

#[tokio::test]
async fn sink_is_seen_as_one_and_asks_for_types_alone() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let mut conn = world.pool.acquire().await.unwrap();
    let found = subscriber::find(&mut conn, "", "sink").await.unwrap().unwrap();
    assert_eq!((found.summary.view, found.summary.state), (View::Telemetry, State::Active));
    let routes =
        subscription::explain(&mut conn, "order:placed", &Scope::root(), "", None).await.unwrap();
    let names: Vec<_> = routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["hook", "sink"]);
    let routes =
        subscription::explain(&mut conn, "note:taken", &Scope::root(), "", None).await.unwrap();
    assert_eq!(routes.len(), 1, "what has no telemetry goes to no sink");

    let pattern = || Wanted::new(Pattern::parse("order:*").unwrap());
    let filter = tidings::filter::Filter::new(json!({"items": 3}));
    let scope = Scope::parse("shop=s1").unwrap();
    for wanted in [pattern().ordered(true), pattern().filter(filter), pattern().within(scope)] {
        let mut tx = world.pool.begin().await.unwrap();
        let error = subscription::add(&mut tx, stage.sink, &wanted).await.unwrap_err();
        assert!(matches!(error, Error::SinkSubscription { .. }), "{error}");
        let error = subscription::set(&mut tx, stage.sink, &[wanted]).await.unwrap_err();
        assert!(error.to_string().contains("the level decides what may leave"), "{error}");
        tx.commit().await.unwrap();
    }
    let new = NewSubscriber {
        tenant: "acme".to_owned(),
        ..NewSubscriber::sink("other", "memory", json!({}))
    };
    assert!(matches!(new.check(&Policy::default()), Err(Error::SinkTenant { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn level_decides_what_is_stored_and_what_is_sent() {
    let stage = Stage::new().await;
    let mut conn = stage.world.pool.acquire().await.unwrap();
    assert_eq!(privacy::level(&mut conn).await.unwrap(), Level::Full);
    assert_eq!(stage.level(Level::Basic).await, Level::Full);
    stage.register(&ORDER, Options::default()).await;
    stage.register(&ORDER, Options::default().tenant("acme")).await;
    stage.register(&VersionInstalled { major: 2 }, Options::default()).await;
    let stored =
        "select array_agg(type order by type) from tidings.event where telemetry is not null";
    assert_eq!(stage.world.value::<Vec<String>>(stored).await, ["version:installed"]);
    assert_eq!(stage.level(Level::Off).await, Level::Basic);
    stage.register(&VersionInstalled { major: 3 }, Options::default()).await;
    assert_eq!(stage.level(Level::Full).await, Level::Off);
    stage.register(&VersionInstalled { major: 4 }, Options::default()).await;
    stage.register(&ORDER, Options::default()).await;
    let _worker = stage.worker().await;
    stage.world.drained().await;
    let major =
        |major: u32| json!({"event_properties": {"major": major}, "derived_properties": {}});
    let got = stage.got(stage.sink);
    assert_eq!(got["order:placed"], [telemetry()]);
    // 2 was permitted when it was registered, and was still waiting when nothing was.
    assert_eq!(got["version:installed"], [major(4)]);
    assert_eq!(stage.got(stage.hook).values().map(Vec::len).sum::<usize>(), 5, "but for acme's");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_settled_unsent_when_the_level_is_lowered() {
    let stage = Stage::new().await;
    let mut conn = stage.world.pool.acquire().await.unwrap();
    assert!(subscriber::pause(&mut conn, stage.sink).await.unwrap());
    let worker = stage.worker().await;
    stage.register(&ORDER, Options::default()).await;
    stage.register(&VersionInstalled { major: 2 }, Options::default()).await;
    stage.level(Level::Basic).await;
    stage.level(Level::Full).await;
    assert!(subscriber::resume(&mut conn, stage.sink).await.unwrap());
    stage.world.drained().await;
    assert_eq!(stage.got(stage.sink).keys().collect::<Vec<_>>(), ["version:installed"]);
    let logged = "select array_agg(outcome || ' ' || coalesce(error, '') order by at, outcome) from tidings.attempt
                  where subscriber_id = (select subscriber_id from tidings.subscriber where view = 'telemetry')";
    let logged = stage.world.value::<Vec<String>>(logged).await;
    assert!(
        logged.iter().any(|line| line.starts_with("filtered it has no telemetry that may leave"))
    );
    assert_eq!(logged.len(), 2, "{logged:?}");
    assert_eq!(worker.running.counts().filtered, 1);
    assert_eq!(stage.world.value::<i64>("select count(*) from tidings.dead").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_suppressed_subject_is_stored_or_sent() {
    let stage = Stage::new().await;
    let mut conn = stage.world.pool.acquire().await.unwrap();
    for subject in ["k1:ann", "k1:bob"] {
        stage.register_of(subject).await;
    }
    let ann = ["k1:ann".to_owned()];
    assert_eq!(privacy::suppress(&mut conn, &ann).await.unwrap(), 1);
    assert_eq!(privacy::suppress(&mut conn, &ann).await.unwrap(), 0);
    for subject in ["k1:ann", "k1:bob"] {
        stage.register_of(subject).await;
    }
    let without = "select count(*) from tidings.event where telemetry is null";
    assert_eq!(stage.world.value::<i64>(without).await, 1);
    let worker = stage.worker().await;
    stage.world.drained().await;
    assert_eq!(stage.got(stage.sink)["order:placed"].len(), 2, "both of bob, none of ann");
    assert_eq!(
        stage.got(stage.hook)["order:placed"].len(),
        4,
        "the notification is the application's"
    );
    assert_eq!(worker.running.counts().filtered, 2);
    assert_eq!(privacy::unsuppress(&mut conn, &ann).await.unwrap(), 1);
    stage.register_of("k1:ann").await;
    stage.world.drained().await;
    assert_eq!(stage.got(stage.sink)["order:placed"].len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_subject_is_nowhere_and_the_receipt_says_what_was_found() {
    let stage = Stage::new().await;
    let retry = r#"{"delays_s": [0], "attempts_max": 1, "age_max_s": 0}"#;
    stage.world.set_retry(stage.sink, retry).await;
    let sink = stage.sink;
    let memory = Memory::scripted(move |delivery| {
        if delivery.subscriber_id == sink {
            Answer::failed(Verdict::Refused, "no")
        } else {
            Answer::delivered()
        }
    });
    let _worker = stage.world.worker(memory).await;
    for subject in ["k1:ann", "k1:bob", "k2:ann"] {
        stage.register_of(subject).await;
    }
    stage.world.drained().await;
    let views = "select array_agg(distinct coalesce(payload::text, 'none')) from tidings.dead";
    assert_eq!(stage.world.value::<Vec<String>>(views).await, ["none"], "a dead letter of a sink");

    let mut conn = stage.world.pool.acquire().await.unwrap();
    let subjects = ["k1:ann".to_owned(), "k2:ann".to_owned()];
    let receipt = privacy::erase(&mut conn, &subjects).await.unwrap();
    assert_eq!((receipt.events, receipt.dead_letters), (2, 2));
    assert_eq!((receipt.subjects, receipt.sinks), (subjects.to_vec(), vec!["sink".to_owned()]));
    assert!(receipt.kept_since.unwrap() <= receipt.erased_at);
    for table in ["event", "dead"] {
        let query = format!("select count(*) from tidings.{table} where t::text like '%ann%'");
        let query = query.replace(" where", " t where");
        let found: i64 =
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut *conn).await.unwrap();
        assert_eq!(found, 0, "{table}");
    }
    let again = privacy::erase(&mut conn, &subjects).await.unwrap();
    assert_eq!((again.events, again.dead_letters), (0, 0));
    let telemetry = "select count(*) from tidings.event where telemetry is not null";
    assert_eq!(stage.world.value::<i64>(telemetry).await, 1, "that of bob stays");

    for wrong in ["", &"x".repeat(201), "a\0b"] {
        let error = privacy::erase(&mut conn, &[wrong.to_owned()]).await.unwrap_err();
        assert!(matches!(error, Error::OutOfRange { field: "subjects", .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_goes_to_a_sink_that_is_named_and_to_no_other() {
    let stage = Stage::new().await;
    let _worker = stage.worker().await;
    stage.register(&ORDER, Options::default()).await;
    stage.world.drained().await;
    let now: chrono::DateTime<chrono::Utc> = stage.world.value("select clock_timestamp()").await;
    let all = replay::Selection::new(now - chrono::TimeDelta::hours(1), now);
    let mut tx = stage.world.pool.begin().await.unwrap();
    assert_eq!(all.count(&mut tx, None, 10).await.unwrap().deliveries, 1, "to the hook");
    let named = replay::Selection { subscriber_id: Some(stage.sink), ..all };
    assert_eq!(named.step(&mut tx, None, 10).await.unwrap().deliveries, 1);
    tx.commit().await.unwrap();
    stage.world.drained().await;
    assert_eq!(stage.got(stage.sink)["order:placed"], [telemetry(), telemetry()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn destination_that_asks_for_patience_uses_up_no_attempt() {
    let stage = Stage::new().await;
    let retry = r#"{"delays_s": [0], "attempts_max": 1, "age_max_s": 0}"#;
    stage.world.set_retry(stage.sink, retry).await;
    let sink = stage.sink;
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let memory = Memory::scripted(move |delivery| {
        let patience = std::time::Duration::from_millis(50);
        let is_first = delivery.subscriber_id == sink
            && calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 5;
        if is_first {
            Answer::failed(Verdict::Throttled(patience), "too many").with_status(429)
        } else {
            Answer::delivered()
        }
    });
    stage.register(&ORDER, Options::default()).await;
    let _worker = stage.world.worker(memory.clone()).await;
    stage.world.drained().await;
    assert_eq!(stage.world.value::<i64>("select count(*) from tidings.dead").await, 0);
    let attempts = || memory.deliveries().into_iter().filter(|it| it.subscriber_id == sink);
    assert!(attempts().all(|delivery| delivery.attempt == 1), "none was counted");
    eventually(SOON, "it has arrived", || async { (attempts().count() == 6).then_some(()) }).await;
}

#[tokio::test]
async fn what_front_ends_report_reaches_no_subscriber_of_notifications() {
    let stage = Stage::new().await;
    let _worker = stage.worker().await;
    stage.register(&PageSeen { seconds: 7 }, Options::default()).await;
    stage.register(&ORDER, Options::default()).await;
    let all = async || (stage.memory.deliveries().len() == 3).then_some(());
    eventually(SOON, "three deliveries", all).await;
    assert_eq!(stage.got(stage.hook).into_keys().collect::<Vec<_>>(), ["order:placed"]);
    let at_sink = stage.got(stage.sink);
    assert_eq!(at_sink["page:seen"][0]["event_properties"]["seconds"], 7);
    assert_eq!(at_sink.len(), 2);
    let refusal = subscribe(&stage.world, stage.hook, "page:seen").await.unwrap_err();
    assert!(matches!(refusal, Error::NotForSubscribers { .. }), "{refusal}");
}
