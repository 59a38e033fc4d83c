//! Segment's calls.

use serde_json::{Value, json};
use tidings::analytics::{HashKey, HashKeys};

use super::{Door, OK};

/// The keys are those of the process, and the same for every test that needs some.
fn install_keys() {
    HashKeys::new(HashKey::new("t1", vec![7; 32]).unwrap()).install();
}

#[tokio::test]
async fn track_call_becomes_the_event_of_its_name_with_hashed_ids() {
    install_keys();
    let door = Door::open().await;
    let call = json!({
        "event": "view:loaded", "userId": "ada@example.com", "anonymousId": "canary-device", "messageId": "m1",
        "properties": {"name": "/a", "email": "canary"},
        "context": {"ip": "203.0.113.9", "groupId": "canary-group", "consent": {"categoryPreferences": {"Ads": false}}},
        "timestamp": "2026-01-02T03:04:05.000Z",
    });
    for repeated in [0, 1] {
        let (status, answer) = door.send("/v1/track", &call).await;
        assert_eq!(
            (status, &answer["success"], &answer["repeated"]),
            (OK, &json!(true), &json!(repeated)),
            "{answer}"
        );
    }
    let events = door.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["type"], &events[0]["payload"]),
        (&json!("view:loaded"), &json!({"name": "/a"}))
    );
    let analytics = &events[0]["headers"]["analytics"];
    for name in ["user", "anonymous", "group"] {
        assert!(analytics[name].as_str().unwrap().starts_with("t1:"), "{name} {analytics}");
    }
    assert_eq!(analytics["consent"], json!({"Ads": false}));
    for secret in ["ada", "canary", "203.0.113.9"] {
        assert!(!events[0].to_string().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn batch_counts_what_is_filtered_and_what_is_wrong() {
    let door = Door::open().await;
    let batch = json!({"batch": [
        {"type": "track", "event": "view:loaded", "userId": "u", "properties": {"name": "/"}},
        {"type": "track", "event": "Order Completed", "userId": "u"},
        {"type": "identify", "userId": "u", "traits": {"plan": "x"}},
        {"type": "track", "event": "view:loaded", "properties": {"name": "/"}},
        {"type": "nonsense", "userId": "u"},
        {"type": "track", "event": "view:loaded", "userId": "u", "properties": []},
    ], "sentAt": "2026-11-22T10:00:00Z"});
    for path in ["/v1/batch", "/v1/import", "/v1/b"] {
        let (status, answer) = door.send(path, &batch).await;
        assert_eq!((status, &answer["success"]), (OK, &json!(true)));
        assert_eq!(
            ["accepted", "filtered", "rejected"].map(|word| answer[word].as_u64().unwrap()),
            [1, 2, 3],
            "{answer}"
        );
        let told: Vec<_> = answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| {
                (result["index"].as_u64().unwrap(), result["error"]["code"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            told,
            [
                (1, "unknown_event"),
                (2, "unknown_event"),
                (3, "missing_id"),
                (4, "invalid_type"),
                (5, "invalid_properties"),
            ]
        );
    }
    assert_eq!(door.events().await.len(), 3);
}

#[tokio::test]
async fn single_call_that_is_wrong_is_answered_with_400() {
    let door = Door::open().await;
    for (path, call, code) in [
        ("/v1/track", json!({"userId": "u"}), "missing_event"),
        ("/v1/t", json!({"event": "cart:opened"}), "missing_id"),
        ("/v1/group", json!({"userId": "u"}), "missing_id"),
        ("/v1/alias", json!({"userId": "u"}), "missing_id"),
        ("/v1/identify", json!({"userId": "u", "traits": []}), "invalid_properties"),
        ("/v1/batch", json!({}), "missing_batch"),
        ("/v1/batch", json!({"batch": 1}), "invalid_batch"),
    ] {
        let (status, answer) = door.send(path, &call).await;
        assert_eq!(
            (status, &answer["error"]["code"], &answer["success"]),
            (400, &json!(code), &json!(false)),
            "{path} {call}"
        );
    }
    let large =
        json!({"event": "cart:opened", "userId": "u", "properties": {"plan": "x".repeat(32_000)}});
    assert_eq!(door.send("/v1/track", &large).await.0, 413);
    let many = json!({"batch": vec![json!({}); 2501]});
    assert_eq!(door.send("/v1/batch", &many).await.0, 413);
    let body = format!("{{\"batch\":[]{}}}", " ".repeat(500_000));
    assert_eq!(door.send_text("/v1/batch", body).await.0, 413);
    assert!(door.events().await.is_empty());
}

#[tokio::test]
async fn call_that_is_not_collected_is_no_error_and_is_counted() {
    let door = Door::open().await;
    for (path, call) in [
        ("/v1/track", json!({"event": "Order Completed", "userId": "u"})),
        ("/v1/track", json!({"event": "project:deleted", "userId": "u"})),
        ("/v1/page", json!({"name": "Home", "userId": "u"})),
    ] {
        let (status, answer) = door.send(path, &call).await;
        assert_eq!((status, &answer["filtered"]), (OK, &json!(1)), "{path} {answer}");
    }
    let filtered = "tidings_relay_events_total{route=\"/v1/track\",outcome=\"filtered\"}";
    assert_eq!(door.metric(filtered).await, 2);
    let (_, answer) = door.send("/v1/batch", &json!({"batch": []})).await;
    assert_eq!(
        (&answer["success"], &answer["accepted"], answer.get("results")),
        (&json!(true), &json!(0), None::<&Value>)
    );
}

#[tokio::test]
async fn calls_other_than_track_are_the_one_type_that_is_this_call() {
    install_keys();
    let door = Door::open().await;
    let calls = [
        ("user:identified", "identify"),
        ("team:described", "group"),
        ("page:viewed", "page"),
        ("screen:viewed", "screen"),
        ("user:aliased", "alias"),
    ];
    door.world
        .execute(
            "alter table tidings.event_type add column if not exists call text default 'track'",
        )
        .await;
    for (name, call) in calls {
        sqlx::query(
            "insert into tidings.event_type (type, version, audience, schema, call, partitioned_until)
             values ($1, 1, '{client}', '{\"properties\":{\"plan\":{},\"name\":{},\"path\":{}}}', $2, tidings.partitioned_until())",
        )
        .bind(name)
        .bind(call)
        .execute(&door.world.pool)
        .await
        .unwrap();
    }
    let batch = json!({"batch": [
        {"type": "identify", "userId": "u", "traits": {"plan": "x", "email": "canary"}},
        {"type": "group", "userId": "u", "groupId": "g", "traits": {"plan": "y"}},
        {"type": "page", "anonymousId": "a", "name": "Home", "properties": {"path": "/"}},
        {"type": "screen", "anonymousId": "a", "name": "Home"},
        {"type": "alias", "userId": "u", "previousId": "a"},
    ]});
    let (status, answer) = door.send("/v1/batch", &batch).await;
    assert_eq!((status, &answer["accepted"]), (OK, &json!(5)), "{answer}");
    let events = door.events().await;
    let found = |name: &str| events.iter().find(|event| event["type"] == name).unwrap();
    assert_eq!(found("user:identified")["payload"], json!({"plan": "x"}));
    assert_eq!(found("team:described")["payload"], json!({"plan": "y"}));
    assert_eq!(found("page:viewed")["payload"], json!({"name": "Home", "path": "/"}));
    let (aliased, viewed) = (&found("user:aliased")["headers"], &found("screen:viewed")["headers"]);
    assert_eq!(aliased["analytics"]["previous"], viewed["analytics"]["anonymous"]);
    let posthog = json!([
        {"event": "$identify", "distinct_id": "u", "$set": {"plan": "x"}},
        {"event": "$groupidentify", "distinct_id": "u", "properties": {"$group_key": "g", "$group_set": {"plan": "y"}}},
        {"event": "$pageview", "distinct_id": "u", "properties": {"name": "Home", "$browser": "canary"}},
    ]);
    let (_, answer) = door.send("/e/", &posthog).await;
    assert_eq!(answer["accepted"], 3, "{answer}");
    let events = door.events().await;
    assert!(!events.iter().any(|event| event.to_string().contains("canary")));
    assert_eq!(events.iter().filter(|event| event["payload"] == json!({"plan": "y"})).count(), 2);
}
