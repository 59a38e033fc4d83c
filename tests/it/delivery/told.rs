//! What happens to subscribers and deliveries is told as events, to whoever has subscribed to them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tidings::{
    deliverer::{Answer, Memory, Verdict},
    delivery::Delivery,
    subscriber::{self, State},
};
use tidings_tests::{
    Draft, SOON, World, eventually,
    world::owner::{Owner, Reading},
};
use tidings_worker::health::Rules;

use super::{
    disable::disable,
    health::{RESTLESS, becomes, breaker, resume, worker},
    webhook::TYPE,
};

/// Given up after the first failure.
const ONCE: &str = r#"{"delays_s": [0], "attempts_max": 1, "age_max_s": 0}"#;

/// A world with somebody who is told of everything, and a memory that answers each lane as it is told to.
struct Stage {
    world: World,
    operator: i32,
    memory: Memory,
    moods: Arc<Mutex<BTreeMap<i32, Verdict>>>,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new(&[TYPE]).await;
        let operator = world.subscriber("operator", "tidings:**").await;
        let moods: Arc<Mutex<BTreeMap<i32, Verdict>>> = Arc::default();
        let asked = Arc::clone(&moods);
        let memory = Memory::scripted(move |delivery| {
            match asked.lock().unwrap().get(&delivery.subscriber_id) {
                None => Answer::delivered(),
                Some(Verdict::Retry) => Answer::failed(Verdict::Retry, "busy").with_status(503),
                Some(verdict) => Answer::failed(*verdict, "no").with_status(410),
            }
        });
        Self { world, operator, memory, moods }
    }

    /// From now on a lane is answered so; `None`: with a yes.
    fn answer(&self, lane: i32, verdict: Option<Verdict>) {
        let mut moods = self.moods.lock().unwrap();
        match verdict {
            Some(verdict) => moods.insert(lane, verdict),
            None => moods.remove(&lane),
        };
    }

    /// Returns what the operator was told, once each, in the order in which it was registered.
    fn told(&self) -> Vec<Delivery> {
        let told = self.memory.deliveries().into_iter();
        let told = told.filter(|delivery| delivery.subscriber_id == self.operator);
        let by_id: BTreeMap<_, _> =
            told.map(|delivery| (delivery.event.event_id, delivery)).collect();
        by_id.into_values().collect()
    }

    /// Waits until the operator was told of something of that type, and returns the first.
    async fn hears(&self, event_type: &str) -> Value {
        let told = eventually(SOON, event_type, || async {
            self.told().into_iter().find(|delivery| delivery.event.event_type == event_type)
        })
        .await;
        self.checked(&told).await
    }

    /// Returns the data of an event, which have the shape that its type declares.
    async fn checked(&self, delivery: &Delivery) -> Value {
        let schema: Value =
            sqlx::query_scalar("select schema from tidings.event_type where type = $1")
                .bind(&delivery.event.event_type)
                .fetch_one(&self.world.pool)
                .await
                .unwrap();
        let data: Value = serde_json::from_str(&delivery.event.payload).unwrap();
        assert_fits(&schema, &data, &delivery.event.event_type);
        assert_eq!((delivery.event.tenant.as_str(), delivery.event.version), ("", 1));
        assert_eq!(delivery.event.scope, format!("subscriber={}", data["subscriber"]["id"]));
        data
    }

    /// Returns how many events of our own were registered.
    async fn count(&self, condition: &str) -> i64 {
        let query = format!(
            "select count(*) from tidings.event where starts_with(type, 'tidings:') and {condition}"
        );
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&self.world.pool).await.unwrap()
    }
}

/// Checks types, required and unknown properties, and times.
fn assert_fits(schema: &Value, value: &Value, at: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let declared = &schema["type"];
    let is_declared = declared == kind
        || declared.as_array().is_some_and(|kinds| kinds.iter().any(|declared| declared == kind));
    assert!(is_declared, "{at} is {value} and not {declared}");
    if schema["format"] == "date-time" {
        chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    }
    let Some(object) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(name.as_str().unwrap()), "{at} has no {name}: {value}");
    }
    for (name, value) in object {
        let declared = &schema["properties"][name];
        assert!(declared.is_object(), "{at} has {name}, of which its type says nothing");
        assert_fits(declared, value, &format!("{at}.{name}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_to_a_subscriber_is_told_in_its_order() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let shop = world.subscriber("shop", TYPE).await;
    world.set_retry(shop, RESTLESS).await;
    let mut conn = world.pool.acquire().await.unwrap();
    assert!(subscriber::pause(&mut conn, shop).await.unwrap());
    assert!(subscriber::resume(&mut conn, shop).await.unwrap());
    assert!(subscriber::remove(&mut conn, shop).await.unwrap());
    let _worker = worker(world, &stage.memory, Rules::default()).await;
    stage.hears("tidings:subscriber:removed").await;
    world.drained().await;
    let mut verbs = Vec::new();
    for told in stage.told() {
        let data = stage.checked(&told).await;
        let about = json!({"id": shop, "tenant": "", "name": "shop", "kind": "memory"});
        assert_eq!(data["subscriber"], about);
        verbs.push(told.event.event_type.rsplit(':').next().unwrap().to_owned());
    }
    assert_eq!(verbs, ["created", "updated", "paused", "resumed", "removed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_deliveries_and_their_destination_is_told() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let shop = world.subscriber("shop", TYPE).await;
    world.set_retry(shop, RESTLESS).await;
    stage.answer(shop, Some(Verdict::Retry));
    let _worker = worker(world, &stage.memory, breaker(2, Duration::from_millis(50))).await;
    world.register(Draft::new(TYPE)).await;
    becomes(world, shop, State::Failing).await;
    stage.answer(shop, None);
    stage.hears("tidings:subscriber:recovered").await;

    stage.answer(shop, Some(Verdict::Refused));
    let refused = world.register(Draft::new(TYPE)).await;
    let data = stage.hears("tidings:delivery:buried").await;
    assert_eq!(data["reason"], "refused");
    let delivery = &data["delivery"];
    assert_eq!(delivery["event_id"], refused.to_string());
    assert_eq!((&delivery["event_type"], &delivery["attempts"]), (&json!(TYPE), &json!(1)));
    assert_eq!((&delivery["last_status"], &delivery["last_error"]), (&json!(410), &json!("no")));

    world.set_retry(shop, ONCE).await;
    stage.hears("tidings:subscriber:updated").await;
    stage.answer(shop, Some(Verdict::Retry));
    let exhausted = eventually(SOON, "a delivery is given up", || async {
        world.register(Draft::new(TYPE)).await;
        let dead = "select event_id from tidings.dead where reason = 'exhausted' limit 1";
        let dead = sqlx::query_scalar::<_, uuid::Uuid>(dead).fetch_optional(&world.pool);
        dead.await.unwrap()
    })
    .await;
    let data = stage.hears("tidings:delivery:exhausted").await;
    assert_eq!(data["delivery"]["event_id"], exhausted.to_string());

    stage.answer(shop, Some(Verdict::Gone));
    for _ in 0..3 {
        world.register(Draft::new(TYPE)).await;
    }
    let data = stage.hears("tidings:subscriber:disabled").await;
    assert_eq!(data["reason"], "no");
    becomes(world, shop, State::Disabled).await;
    assert_eq!(stage.count("type = 'tidings:subscriber:disabled'").await, 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn warning_comes_at_half_the_time_after_which_a_subscriber_is_disabled() {
    let stage = Stage::new().await;
    let world = &stage.world;
    let shop = world.subscriber("shop", TYPE).await;
    world.set_retry(shop, RESTLESS).await;
    stage.answer(shop, Some(Verdict::Retry));
    let _worker = worker(world, &stage.memory, disable(4, Duration::from_secs(1))).await;
    world.register(Draft::new(TYPE)).await;
    let disabled = stage.hears("tidings:subscriber:disabled").await;
    let reason = disabled["reason"].as_str().unwrap();
    assert!(reason.starts_with("nothing was delivered for "), "{reason}");
    let warned = stage.hears("tidings:subscriber:warned").await;
    assert!(warned["failures"].as_u64().unwrap() >= 2, "{warned}");
    assert_eq!(stage.count("type = 'tidings:subscriber:warned'").await, 1, "once");
    let order: Vec<_> = stage.told().into_iter().map(|told| told.event.event_type).collect();
    let at = |verb: &str| order.iter().position(|told| told.ends_with(verb)).unwrap();
    assert!(at("warned") < at("disabled"), "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_of_the_deliveries_of_what_was_told() {
    let stage = Stage::new().await;
    let world = &stage.world;
    // Two, each of which would hear of the failures of the other.
    let other = world.subscriber("other", "tidings:**").await;
    let shop = world.subscriber("shop", TYPE).await;
    for lane in [stage.operator, other, shop] {
        world.set_retry(lane, ONCE).await;
        stage.answer(lane, Some(Verdict::Retry));
    }
    let before = stage.count("true").await;
    for n in 0..5 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    let rules = Rules { breaker: None, ..Rules::default() };
    let _worker = worker(world, &stage.memory, rules).await;
    world.drained().await;
    assert_eq!(stage.count("type = 'tidings:delivery:exhausted'").await, 5);
    assert_eq!(stage.count("true").await, before + 5);

    // Whoever is disabled may hear of it later; that makes no more of it.
    stage.answer(stage.operator, Some(Verdict::Gone));
    stage.answer(other, None);
    world.register(Draft::new(TYPE)).await;
    becomes(world, stage.operator, State::Disabled).await;
    stage.answer(stage.operator, None);
    resume(world, stage.operator).await;
    world.drained().await;
    eventually(SOON, "the other was failing, and is not any more", || async {
        (stage.count("type = 'tidings:subscriber:recovered'").await == 1).then_some(())
    })
    .await;
    world.drained().await;
    let told: Vec<_> = stage.told().into_iter().map(|told| told.event.event_type).collect();
    for verb in ["disabled", "resumed", "recovered"] {
        assert_eq!(told.iter().filter(|told| told.ends_with(verb)).count(), 1, "{told:?}");
    }
    assert_eq!(stage.count("true").await, before + 5 + 1 + 3, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_where_nobody_wants_to_be_told() {
    let world = World::new(&[TYPE]).await;
    // Everything of the application is not what is ours.
    let shop = world.subscriber("shop", "**").await;
    world.set_retry(shop, ONCE).await;
    let memory = Memory::scripted(|_| Answer::failed(Verdict::Retry, "busy"));
    let _worker = worker(&world, &memory, Rules::default()).await;
    world.register(Draft::new(TYPE)).await;
    world.drained().await;
    let mut conn = world.pool.acquire().await.unwrap();
    assert!(subscriber::pause(&mut conn, shop).await.unwrap());
    assert!(subscriber::remove(&mut conn, shop).await.unwrap());
    assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 1);
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_of_ours_that_cannot_be_registered_costs_nothing_but_itself() {
    for trouble in [
        "alter table tidings.event add constraint none_of_ours check (not starts_with(type, 'tidings:')) not valid",
        "update tidings.event_type set retired_at = now() where starts_with(type, 'tidings:')",
        // Of today and tomorrow, so that the test may run at midnight.
        "do $$ declare v_name text; begin
           for v_name in delete from tidings.partition where parent = 'event'
             and starts_at < clock_timestamp() + interval '1 day' returning name
           loop execute format('drop table tidings.%I', v_name); end loop;
         end $$",
    ] {
        let stage = Stage::new().await;
        let world = &stage.world;
        let shop = world.subscriber("shop", TYPE).await;
        world.register(Draft::new(TYPE)).await;
        let owner = Owner::take(&world.pool).await;
        let mut conn = world.pool.acquire().await.unwrap();
        let read = owner.fetch(&mut conn, &[Reading::all(shop)]).await.rows;
        world.execute(trouble).await;
        let before = stage.count("true").await;

        let settlements = [read[0].settled("bury")];
        let worked = owner.work(&mut conn, &settlements, &[]).await.unwrap();
        assert!(worked.summary.missing.is_empty(), "{trouble}");
        assert_eq!(world.value::<i64>("select count(*) from tidings.dead").await, 1, "{trouble}");
        assert!(subscriber::pause(&mut conn, shop).await.unwrap(), "{trouble}");
        assert!(subscriber::remove(&mut conn, shop).await.unwrap(), "{trouble}");
        assert_eq!(stage.count("true").await, before, "{trouble}");
    }
}
