//! Whatever is sent to whichever route: never a 5xx, and the answer is JSON.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngSeed, TestRunner},
};
use serde_json::{Value, json};

use super::{Door, read};

const ROUTES: [&str; 7] = [
    "/analytics",
    "/v1/batch",
    "/v1/track",
    "/capture/",
    "/e/?compression=base64",
    "/batch/",
    "/v1/telemetry",
];

/// How many bodies each route is sent.
const BODIES: usize = 150;

/// JSON of the words that the routes look for, where they do not expect them.
fn value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "event",
        "events",
        "batch",
        "properties",
        "traits",
        "type",
        "track",
        "identify",
        "alias",
        "page",
        "context",
        "userId",
        "messageId",
        "message_id",
        "timestamp",
        "offset",
        "sent_at",
        "uuid",
        "distinct_id",
        "$set",
        "$groups",
        "eid",
        "mid",
        "ets",
        "params",
        "msgid",
        "data",
        "api_key",
        "writeKey",
        "consent",
        "view:loaded",
        "cart:opened",
        "name",
        "version",
        "2026-11-22T10:00:00Z",
        "\u{0}",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..8).prop_map(|members| {
                Value::Object(
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}

/// An event that is nearly what the routes expect.
fn event() -> impl Strategy<Value = Value> {
    (value(), value(), value(), any::<bool>()).prop_map(|(one, other, third, good)| {
        let properties = if good { json!({"name": "/", "nested": one}) } else { one };
        json!({"event": "view:loaded", "type": "track", "userId": "u", "distinct_id": "u", "properties": properties,
            "context": other, "consent": other, "timestamp": other, "message_id": third, "messageId": third,
            "uuid": third, "offset": third})
    })
}

/// A body that is nearly what the routes expect, or bytes of no meaning.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let batch = (event(), event(), value()).prop_map(|(one, other, third)| {
        json!({"batch": [one, other, third], "events": [one, third], "params": third, "sent_at": third,
            "context": third, "consent": third, "api_key": third})
    });
    let good = Just(json!({"event": "cart:opened", "userId": "u", "events": [{"eid": "LOG"}]}));
    let json = prop_oneof![3 => event(), 3 => batch, 1 => good, 2 => value()]
        .prop_map(|value| value.to_string().into_bytes());
    let damaged = (json.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut text, place, byte)| {
            let place = place.index(text.len().max(1));
            if let Some(found) = text.get_mut(place) {
                *found = byte;
            }
            text
        },
    );
    prop_oneof![4 => json, 2 => damaged, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

#[tokio::test]
async fn no_body_makes_the_relay_fail() {
    let door = Door::open().await;
    let config = Config { rng_seed: RngSeed::Fixed(5), ..Config::default() };
    let mut runner = TestRunner::new(config);
    for _ in 0..BODIES {
        let body = body().new_tree(&mut runner).unwrap().current();
        for path in ROUTES {
            let (status, answer) =
                read(door.post(path).body(body.clone()).send().await.unwrap()).await;
            let text = String::from_utf8_lossy(&body);
            assert!(status < 500, "{path} answered {status} {answer} to {text}");
            assert!(answer.is_object(), "{path} answered {status} {answer} to {text}");
        }
    }
    assert_eq!(door.metric("tidings_relay_buffer_bytes").await, 0);
    assert_eq!(door.metric("tidings_relay_commit_failures_total{writer=\"event\"}").await, 0);
    assert!(!door.events().await.is_empty(), "some of it made sense");
}
