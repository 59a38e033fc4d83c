//! Filters: who is told of what is in a payload, in the same call, whichever way an event is registered.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};
use tidings::{
    Error,
    filter::Filter,
    pattern::Pattern,
    scope::Scope,
    subscription::{self, Wanted},
};
use tidings_tests::{SOON, World, eventually};
use uuid::Uuid;

use super::lanes;

async fn subscribe(world: &World, id: i32, filter: Option<Value>) -> i32 {
    let wanted =
        Wanted::new(Pattern::parse("order:placed").unwrap()).filter(filter.map(Filter::new));
    let mut tx = world.pool.begin().await.unwrap();
    let added = subscription::add(&mut tx, id, &wanted).await.unwrap();
    tx.commit().await.unwrap();
    added.subscription_id
}

async fn register(world: &World, payload: &str) -> Uuid {
    sqlx::query_scalar("select tidings.register_event('order:placed', $1::json)")
        .bind(payload)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

async fn memory(world: &World, name: &str) -> i32 {
    world.bare_subscriber(name, "memory", json!({})).await
}

#[tokio::test]
async fn filter_decides_by_what_is_in_the_payload() {
    let world = World::new(&["order:placed"]).await;
    let id = memory(&world, "kept").await;
    let table = [
        (json!({"a": 1}), r#"{"a": 1}"#, true),
        (json!({"a": 1}), r#"{"a": 1.0}"#, true),
        (json!({"a": 1}), r#"{"a": "1"}"#, false),
        (json!({"a": 1}), r#"{"a": [3, 1]}"#, true),
        (json!({"a": null}), r#"{"a": null}"#, true),
        (json!({"a": null}), r"{}", false),
        (json!({"a": {}}), r#"{"a": {"b": 1}}"#, true),
        (json!({"a": {}}), r#"{"a": 1}"#, false),
        (json!({"a": {"b": "x", "c": true}}), r#"{"a": {"b": "x", "c": true, "d": 1}}"#, true),
        (json!({"a": {"b": "x", "c": true}}), r#"{"a": {"b": "x"}}"#, false),
        // Both of one object, not each of another.
        (json!({"a": {"b": 1, "c": 2}}), r#"{"a": [{"b": 1, "c": 2}]}"#, true),
        (json!({"a": {"b": 1, "c": 2}}), r#"{"a": [{"b": 1}, {"c": 2}]}"#, false),
        (json!({"a": ["x", "y"]}), r#"{"a": ["y", "z", "x"]}"#, true),
        (json!({"a": ["x", "y"]}), r#"{"a": ["x"]}"#, false),
        (json!({"a": {"$in": ["x", 2]}}), r#"{"a": 2}"#, true),
        (json!({"a": {"$in": ["x", 2]}}), r#"{"a": 3}"#, false),
        (json!({"a": {"$gte": 5, "$lt": 9}}), r#"{"a": 5}"#, true),
        (json!({"a": {"$gte": 5, "$lt": 9}}), r#"{"a": 9}"#, false),
        // Both ends of one value, not each of another.
        (json!({"a": {"$gte": 5, "$lt": 9}}), r#"{"a": [1, 100]}"#, false),
        (json!({"a": {"$gt": 5}}), r#"{"a": "7"}"#, false),
        (json!({"a": {"$gte": "2026-01-01"}}), r#"{"a": "2026-11-22T10:00:00Z"}"#, true),
        (json!({"a": {"$exists": true}}), r#"{"a": null}"#, true),
        (json!({"a": {"$exists": false}}), r#"{"b": 1}"#, true),
        (json!({"a": {"$exists": false}}), r#"{"a": 0}"#, false),
        (json!({"a": {"$not": 1}}), r#"{"a": 2}"#, true),
        (json!({"a": {"$not": 1}}), r"{}", true),
        (json!({"a": {"$not": {"$gt": 1}}}), r#"{"a": "text"}"#, true),
        (json!({"a": {"$not": {"$gt": 1}}}), r#"{"a": 2}"#, false),
        (json!({"$or": [{"a": 1}, {"b": 1}], "c": 1}), r#"{"b": 1, "c": 1}"#, true),
        (json!({"$or": [{"a": 1}, {"b": 1}], "c": 1}), r#"{"b": 1, "c": 2}"#, false),
        (json!({"we \"ird\\ $key": -0.5}), r#"{"we \"ird\\ $key": -5e-1}"#, true),
        (json!({"a": "'); drop table x; --"}), r#"{"a": "'); drop table x; --"}"#, true),
        (json!({"a": "é\u{1F600}"}), r#"{"a": "\u00e9\ud83d\ude00"}"#, true),
        // What is not an object has no members.
        (json!({"a": 1}), "[]", false),
        (json!({"a": 1}), r#""a""#, false),
    ];
    for (filter, payload, expected) in table {
        subscribe(&world, id, Some(filter.clone())).await;
        let event = register(&world, payload).await;
        let told = lanes(&world, event).await == [id];
        assert_eq!(told, expected, "{filter} {payload}");
    }
}

#[tokio::test]
async fn filters_made_by_chance_agree_with_a_naive_matcher_inline_and_expanded() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut told, mut spared) = (0, 0);
    for many in [false, true] {
        let world = World::new(&["order:placed"]).await;
        let owner =
            if many { Some(world.worker(tidings::deliverer::Memory::new()).await) } else { None };
        let mut filters = Vec::new();
        for n in 0..if many { 70 } else { 40 } {
            let id = memory(&world, &format!("s{n}")).await;
            world
                .execute("update tidings.subscriber set paused_at = now() where subscriber_id > 0")
                .await;
            let filter = Value::Object(object(&mut random, 0));
            subscribe(&world, id, Some(filter.clone())).await;
            filters.push((id, filter));
        }
        for _ in 0..if many { 10 } else { 60 } {
            let payload = Value::Object(payload(&mut random, 0));
            let event = register(&world, &payload.to_string()).await;
            let expected: Vec<i32> =
                filters.iter().filter(|(_, f)| holds(f, &payload)).map(|(id, _)| *id).collect();
            if many {
                eventually(SOON, "the fan-out is expanded", async || {
                    (world.value::<i64>("select count(*) from tidings.expansion").await == 0)
                        .then_some(())
                })
                .await;
            }
            let reached: Vec<i32> =
                lanes(&world, event).await.into_iter().filter(|id| *id != 0).collect();
            let differ: Vec<_> = filters
                .iter()
                .filter(|(id, _)| reached.contains(id) != expected.contains(id))
                .collect();
            assert!(differ.is_empty(), "{payload} many: {many}: {}", json!(differ));
            told += expected.len();
            spared += filters.len() - expected.len();
        }
        drop(owner);
    }
    assert!(told > 100 && spared > 100, "{told} {spared}");
}

#[tokio::test]
async fn subscriber_with_several_filters_is_told_once_and_no_filter_is_the_wider() {
    let world = World::new(&["order:placed"]).await;
    let id = memory(&world, "kept").await;
    subscribe(&world, id, Some(json!({"a": 1}))).await;
    let wide = world.subscribe(id, "order:*", "", false).await;
    let other = register(&world, r#"{"a": 2}"#).await;
    assert_eq!(lanes(&world, other).await, [id]);
    let both = register(&world, r#"{"a": 1}"#).await;
    assert_eq!(lanes(&world, both).await, [id]);
    world.unsubscribe(wide).await;
    let other = register(&world, r#"{"a": 2}"#).await;
    assert!(lanes(&world, other).await.is_empty());
}

#[tokio::test]
async fn payload_that_filters_cannot_read_is_told_and_registering_goes_on() {
    let world = World::new(&["order:placed"]).await;
    let id = memory(&world, "kept").await;
    subscribe(&world, id, Some(json!({"a": "b"}))).await;
    let nul = register(&world, r#"{"a": "b", "x": "\u0000"}"#).await;
    assert_eq!(lanes(&world, nul).await, [id]);
    let nul = register(&world, r#"{"a": "c", "x": "\u0000"}"#).await;
    assert!(lanes(&world, nul).await.is_empty(), "the rest of it is read");
    let huge = register(&world, r#"{"a": 1e200000}"#).await;
    assert_eq!(lanes(&world, huge).await, [id], "not readable at all");
}

#[tokio::test]
async fn filter_that_means_nothing_is_refused_and_the_transaction_stays_usable() {
    let world = World::new(&["order:placed"]).await;
    let id = memory(&world, "kept").await;
    let mut tx = world.pool.begin().await.unwrap();
    let deep = (0..14).fold(json!(1), |inner, _| json!({ "a": inner }));
    for (filter, expected) in [
        (json!({}), "is not an object with at least one member"),
        (json!([{"a": 1}]), "is not an object"),
        (json!({"a": {"$regex": "x"}}), "$.a.$regex is no operator"),
        (json!({"a": {"$in": []}}), "$.a.$in is not a list with at least one element"),
        (json!({"a": {"$gt": true}}), "$.a.$gt is not a number or a text"),
        (json!({"a": {"$exists": 1}}), "$.a.$exists is not true or false"),
        (deep, "nested more than 12 levels"),
        (json!({"a": "x".repeat(5000)}), "longer than 4096 bytes"),
    ] {
        let wanted =
            Wanted::new(Pattern::parse("order:placed").unwrap()).filter(Filter::new(filter));
        let error = subscription::add(&mut tx, id, &wanted).await.unwrap_err();
        assert!(matches!(error, Error::BadFilter { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let wanted = Wanted::new(Pattern::parse("order:placed").unwrap());
    subscription::add(&mut tx, id, &wanted).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn explanation_says_which_condition_held_and_what_was_found() {
    let world = World::new(&["order:placed"]).await;
    let id = memory(&world, "kept").await;
    let filter = json!({"items": {"sku": "a", "qty": {"$gte": 2}}, "total": {"$lt": 5}});
    subscribe(&world, id, Some(filter.clone())).await;
    let payload = json!({"items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 3}], "total": 4});
    let mut conn = world.pool.acquire().await.unwrap();
    let explain = async |conn: &mut sqlx::PgConnection, payload: Option<&Value>| {
        let root = Scope::root();
        subscription::explain(conn, "order:placed", &root, "", payload).await.unwrap()[0].passes
    };
    assert_eq!(explain(&mut conn, None).await, None);
    assert_eq!(explain(&mut conn, Some(&payload)).await, Some(false));
    assert_eq!(
        explain(&mut conn, Some(&json!({"items": {"sku": "a", "qty": 2}, "total": 1}))).await,
        Some(true)
    );
    let conditions = Filter::new(filter).explain(&mut conn, &payload).await.unwrap();
    let said: Vec<_> = conditions
        .iter()
        .map(|c| (c.path.as_str(), c.found.clone().unwrap_or_default(), c.holds))
        .collect();
    assert_eq!(
        said,
        [
            ("$.items.qty", json!([1, 3]), true),
            ("$.items.sku", json!(["a", "b"]), true),
            ("$.total", json!(4), true),
        ],
        "each holds, for different items"
    );
}

#[tokio::test]
async fn our_own_events_are_told_to_those_alone_who_name_them() {
    let world = World::new(&["tidings:subscriber:disabled", "order:placed"]).await;
    for (pattern, expected) in [
        ("**", false),
        ("*:subscriber:disabled", false),
        ("**:disabled", false),
        ("tidings:**", true),
    ] {
        let id = memory(&world, &format!("s{}", pattern.len())).await;
        let subscription = world.subscribe(id, pattern, "", false).await;
        assert_eq!(
            super::is_told(&world, "tidings:subscriber:disabled").await,
            expected,
            "{pattern}"
        );
        assert_eq!(
            Pattern::parse(pattern).unwrap().matches("tidings:subscriber:disabled"),
            expected,
            "{pattern}"
        );
        world.unsubscribe(subscription).await;
    }
}

/// A random filter over few names and values, so that it often holds.
fn object(random: &mut StdRng, depth: u32) -> Map<String, Value> {
    let mut object = Map::new();
    for _ in 0..random.random_range(1..=2) {
        let (name, condition) = if depth < 2 && random.random_bool(0.1) {
            let either: Vec<Value> =
                (0..2).map(|_| Value::Object(self::object(random, depth + 1))).collect();
            ("$or", json!(either))
        } else {
            (["a", "b", "c"][random.random_range(0..3)], condition(random, depth))
        };
        object.insert(name.to_owned(), condition);
    }
    object
}

fn condition(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth < 2 { 9 } else { 6 }) {
        0..=1 => scalar(random),
        2 => json!({ "$in": [scalar(random), scalar(random)] }),
        3 => json!({ "$gte": random.random_range(0..3), "$lt": random.random_range(1..5) }),
        4 => json!({ "$exists": random.random_bool(0.5) }),
        5 => json!([scalar(random)]),
        6 => json!({ "$not": condition(random, depth + 1) }),
        _ => Value::Object(object(random, depth + 1)),
    }
}

fn payload(random: &mut StdRng, depth: u32) -> Map<String, Value> {
    let mut payload = Map::new();
    for name in ["a", "b", "c"] {
        if random.random_bool(0.8) {
            payload.insert(name.to_owned(), value(random, depth));
        }
    }
    payload
}

fn value(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth < 2 { 6 } else { 3 }) {
        0..=2 => scalar(random),
        3 => (0..random.random_range(0..3)).map(|_| value(random, depth + 1)).collect(),
        _ => Value::Object(payload(random, depth + 1)),
    }
}

fn scalar(random: &mut StdRng) -> Value {
    [json!(0), json!(1), json!(2), json!("x"), json!("y"), json!(true), json!(null)]
        [random.random_range(0..7)]
    .clone()
}

/// What the documentation says, word by word.
fn holds(filter: &Value, payload: &Value) -> bool {
    matches(filter, Some(payload))
}

/// The values that a condition may hold for: of a list its elements, one level of them.
fn candidates(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

fn matches(condition: &Value, found: Option<&Value>) -> bool {
    match condition {
        Value::Array(all) if all.is_empty() => found.is_some(),
        Value::Array(all) => all.iter().all(|each| matches(each, found)),
        Value::Object(members) if members.is_empty() => {
            found.is_some_and(|found| candidates(found).iter().any(|value| value.is_object()))
        }
        Value::Object(members) => {
            let operators: Vec<_> = members.iter().filter(|(k, _)| k.starts_with('$')).collect();
            let inside: Vec<_> = members.iter().filter(|(k, _)| !k.starts_with('$')).collect();
            let bounds: BTreeSet<_> = operators
                .iter()
                .filter(|(k, _)| ["$gte", "$lt"].contains(&k.as_str()))
                .collect::<Vec<_>>()
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_i64().unwrap()))
                .collect();
            operators.iter().all(|(name, operand)| match name.as_str() {
                "$exists" => found.is_some() == (operand == &&json!(true)),
                "$not" => !matches(operand, found),
                "$in" | "$or" => operand.as_array().unwrap().iter().any(|one| matches(one, found)),
                _ => true,
            }) && (bounds.is_empty()
                || found.is_some_and(|found| {
                    candidates(found).iter().any(|value| {
                        value.as_i64().is_some_and(|n| {
                            bounds.iter().all(
                                |(name, end)| if *name == "$lt" { n < *end } else { n >= *end },
                            )
                        })
                    })
                }))
                && (inside.is_empty()
                    || found.is_some_and(|found| {
                        candidates(found).iter().any(|value| {
                            value.is_object()
                                && inside
                                    .iter()
                                    .all(|(name, inner)| matches(inner, value.get(name.as_str())))
                        })
                    }))
        }
        // A list in the list counts as well.
        scalar => found.is_some_and(|found| {
            candidates(found).into_iter().flat_map(candidates).any(|value| value == scalar)
        }),
    }
}
