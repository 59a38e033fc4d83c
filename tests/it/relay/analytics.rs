//! `/analytics`: the acceptance cases of the relay that this one replaces.

use serde_json::{Value, json};
use sqlx::types::Json;
use tidings::Level;
use tidings_relay::Limits;

use super::{Door, OK, read};

#[tokio::test]
async fn client_event_becomes_one_event_whose_type_is_its_name() {
    let door = Door::open().await;
    let said = json!({"event": "view:loaded", "properties": {"name": "/home", "type": "a lie"}});
    let (status, answer) = door.send("/analytics", &said).await;
    assert_eq!((status, &answer["status"]), (OK, &json!("accepted")), "{answer}");
    let events = door.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["type"], "view:loaded");
    assert_eq!(
        events[0]["telemetry"],
        json!({"event_properties": {"name": "/home", "type": "view:loaded"}, "derived_properties": {}})
    );
}

#[tokio::test]
async fn property_that_the_schema_does_not_name_is_stored_nowhere() {
    let door = Door::open().await;
    let said = json!({
        "event": "view:loaded", "user": "canary",
        "properties": {"name": "/", "email": "canary", "nested": {"known": true, "other": "canary"}},
    });
    let (status, answer) = door.send("/analytics", &said).await;
    assert_eq!((status, &answer["dropped_properties"]), (OK, &json!(["/email", "/nested/other"])));
    let events = door.events().await;
    assert_eq!(events[0]["payload"], json!({"name": "/", "nested": {"known": true}}));
    assert!(!events[0].to_string().contains("canary"), "{}", events[0]);
}

#[tokio::test]
async fn each_mistake_has_its_status_and_nothing_is_stored() {
    let limits = Limits { event_bytes_max: 500, analytics_events_max: 2, ..Limits::default() };
    let door = Door::with(|builder| builder.anonymous(true).limits(limits)).await;
    let long = json!({"event": "view:loaded", "properties": {"name": "x".repeat(500)}});
    for (body, status, code) in [
        (json!({"event": "nobody:knows"}).to_string(), 422, "unknown_event"),
        (json!({"event": "project:deleted"}).to_string(), 403, "not_for_clients"),
        (
            json!({"event": "view:loaded", "properties": null}).to_string(),
            422,
            "invalid_properties",
        ),
        (json!({"event": "view:loaded", "properties": []}).to_string(), 422, "invalid_properties"),
        (json!({"event": "view:loaded", "properties": "x"}).to_string(), 422, "invalid_properties"),
        (json!({"event": "view:loaded"}).to_string(), 422, "invalid_properties"),
        (
            json!({"event": "view:loaded", "properties": {"name": 7}}).to_string(),
            422,
            "invalid_properties",
        ),
        (json!({"event": 7}).to_string(), 422, "missing_event"),
        (json!({}).to_string(), 422, "missing_event"),
        (json!({"event": "cart:opened", "message_id": ""}).to_string(), 422, "bad_message_id"),
        (
            json!({"event": "cart:opened", "timestamp": "noon"}).to_string(),
            422,
            "invalid_timestamp",
        ),
        (json!({"event": "cart:opened", "version": "1"}).to_string(), 422, "invalid_version"),
        (json!({"batch": {}}).to_string(), 422, "invalid_batch"),
        (json!({"batch": []}).to_string(), 422, "empty_batch"),
        (json!({"batch": [1, 2, 3]}).to_string(), 413, "too_many_events"),
        (long.to_string(), 413, "event_too_large"),
        ("[]".to_owned(), 400, "not_an_object"),
        ("[{\"event\":\"cart:opened\"}]".to_owned(), 400, "not_an_object"),
        ("{\"event\":".to_owned(), 400, "malformed_json"),
        (String::new(), 400, "empty_body"),
    ] {
        let (found, answer) = door.send_text("/analytics", body.clone()).await;
        assert_eq!((found, &answer["error"]["code"]), (status, &json!(code)), "{body}");
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    assert!(door.events().await.is_empty());
}

#[tokio::test]
async fn violation_names_the_place_and_not_the_value() {
    let door = Door::open().await;
    let said = json!({"event": "view:loaded", "properties": {"name": "/", "seconds": -4711}});
    let (status, answer) = door.send("/analytics", &said).await;
    assert_eq!(status, 422);
    let violation = &answer["error"]["violations"][0];
    assert_eq!((&violation["path"], &violation["code"]), (&json!("/seconds"), &json!("minimum")));
    assert!(!answer.to_string().contains("4711"));
}

#[tokio::test]
async fn batch_tells_what_became_of_each_and_stores_the_good_ones() {
    let door = Door::open().await;
    let said = json!({"batch": [
        {"event": "view:loaded", "properties": {"name": "/a"}},
        {"event": "view:loaded"},
        {"event": "nobody:knows"},
        "x",
        {"event": "cart:opened"},
    ]});
    let (status, answer) = door.send("/analytics", &said).await;
    assert_eq!(status, OK, "{answer}");
    assert_eq!(
        ["accepted", "repeated", "filtered", "rejected"].map(|word| answer[word].as_u64().unwrap()),
        [2, 0, 1, 2]
    );
    let statuses: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["accepted", "rejected", "filtered", "rejected", "accepted"]);
    let events = door.events().await;
    assert_eq!(
        events.iter().map(|event| &event["type"]).collect::<Vec<_>>(),
        ["view:loaded", "cart:opened"]
    );
    assert_eq!(
        door.metric("tidings_relay_events_total{route=\"/analytics\",outcome=\"accepted\"}").await,
        2
    );
    let (status, _) = door.send("/analytics", &json!({"batch": ["x"]})).await;
    assert_eq!(status, 422, "nothing of it could be taken");
}

#[tokio::test]
async fn same_message_id_is_one_event_and_another_content_is_a_conflict() {
    let door = Door::open().await;
    let event = |name: &str| json!({"event": "view:loaded", "message_id": "m1", "properties": {"name": name}});
    let (_, first) = door.send("/analytics", &event("/a")).await;
    let (status, again) = door.send("/analytics", &event("/a")).await;
    assert_eq!(
        (status, &again["status"], &again["event_id"]),
        (OK, &json!("repeated"), &first["event_id"])
    );
    let (status, answer) = door.send("/analytics", &event("/b")).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("message_id_conflict")));
    let twice = json!({"batch": [
        {"event": "cart:opened", "message_id": "m2"},
        {"event": "cart:opened", "message_id": "m2"},
        {"event": "cart:opened", "message_id": "m1"},
    ]});
    let (_, answer) = door.send("/analytics", &twice).await;
    let statuses: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["accepted", "repeated", "rejected"]);
    assert_eq!(door.events().await.len(), 2);
}

#[tokio::test]
async fn nothing_is_stored_at_level_off_and_less_at_a_lower_level() {
    let off = Door::with(|builder| builder.anonymous(true).level(Level::Off)).await;
    for body in [json!({"event": "view:loaded", "properties": {"name": "/"}}), json!({"batch": []})]
    {
        assert_eq!(off.send("/analytics", &body).await, (204, Value::Null));
    }
    assert!(off.events().await.is_empty());
    let basic = Door::with(|builder| builder.anonymous(true).level(Level::Basic)).await;
    assert_eq!(
        basic.send("/analytics", &json!({"event": "cart:opened"})).await,
        (204, Value::Null)
    );
    let (status, answer) = basic
        .send(
            "/analytics",
            &json!({"batch": [
                {"event": "cart:opened"}, {"event": "view:loaded", "properties": {"name": "/"}},
            ]}),
        )
        .await;
    assert_eq!((status, &answer["filtered"], &answer["accepted"]), (OK, &json!(1), &json!(1)));
    assert_eq!(basic.events().await.len(), 1);
    let collection = basic.client.get(basic.url("/v1/collection")).send().await.unwrap();
    assert_eq!(read(collection).await.1["level"], "basic");
}

#[tokio::test]
async fn person_who_objects_is_not_observed_on_any_route() {
    let door = Door::open().await;
    for (name, path, body, status) in [
        ("sec-gpc", "/analytics", json!({"event": "cart:opened"}), 204),
        ("dnt", "/analytics", json!({"batch": [{"event": "cart:opened"}]}), 204),
        ("sec-gpc", "/v1/track", json!({"event": "cart:opened", "userId": "u"}), OK),
        ("sec-gpc", "/e/", json!({"event": "cart:opened", "distinct_id": "u"}), OK),
        ("sec-gpc", "/e/", json!({"event": "x", "properties": {"eid": "LOG"}}), OK),
        ("dnt", "/v1/telemetry", json!({"events": [{"eid": "LOG"}]}), OK),
    ] {
        let send = async |value: &str| {
            let sent = door.post(path).header(name, value).body(body.to_string());
            read(sent.send().await.unwrap()).await
        };
        let (found, answer) = send("1").await;
        assert_eq!(found, status, "{path}");
        let filtered = answer.pointer("/result/filtered").or_else(|| answer.get("filtered"));
        assert!(answer.is_null() || filtered == Some(&json!(1)), "{path} {answer}");
    }
    assert!(door.events().await.is_empty() && door.records().await.is_empty());
    let sent = door.post("/analytics").header("dnt", "0").body(r#"{"event":"cart:opened"}"#);
    assert_eq!(read(sent.send().await.unwrap()).await.0, OK, "who does not object is observed");
}

#[tokio::test]
async fn type_that_is_synced_while_the_relay_runs_is_known_at_once() {
    let door = Door::open().await;
    let event = json!({"event": "wish:added", "properties": {"n": 1}});
    assert_eq!(door.send("/analytics", &event).await.0, 422);
    let types = json!([{"type": "wish:added", "version": 1, "audience": ["client"], "scopes": [], "level": "basic",
        "schema": {"properties": {"n": {"type": "integer"}}}, "documentation": ""}]);
    sqlx::query("select tidings.sync_catalogue_v1($1::json)")
        .bind(Json(types))
        .execute(&door.world.pool)
        .await
        .unwrap();
    assert_eq!(door.send("/analytics", &event).await.0, OK);
    assert_eq!(door.events().await[0]["payload"], json!({"n": 1}));
}

#[tokio::test]
async fn batch_of_types_that_are_told_in_different_ways_is_answered_in_its_order() {
    let door = Door::open().await;
    // Who is told depends on the scope, and so it is looked up for each event of the one type.
    let id = door.world.subscriber("views", "view:loaded").await;
    door.world.subscribe(id, "cart:opened", "cart=1", false).await;
    let names = ["cart:opened", "view:loaded", "cart:opened", "view:loaded", "view:loaded"];
    let events: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| json!({"event": name, "properties": {"name": "/"}, "message_id": format!("m{n}")}))
        .collect();
    let (status, answer) = door.send("/analytics", &json!({"batch": events})).await;
    assert_eq!((status, &answer["accepted"]), (OK, &json!(5)), "{answer}");
    for (result, name) in answer["results"].as_array().unwrap().iter().zip(names) {
        let stored: String =
            sqlx::query_scalar("select type from tidings.event where event_id = $1::text::uuid")
                .bind(result["event_id"].as_str().unwrap())
                .fetch_one(&door.world.pool)
                .await
                .unwrap();
        assert_eq!(stored, name);
    }
    assert_eq!(door.world.pending().await, 3);
}

#[tokio::test]
async fn event_of_a_client_is_delivered_to_who_is_subscribed_where_its_type_is_for_subscribers() {
    let door = Door::open().await;
    let id = door.world.subscriber("analytics", "**").await;
    assert_eq!(door.send("/analytics", &json!({"event": "cart:opened"})).await.0, OK);
    let batch = json!({"batch": [
        {"event": "view:loaded", "properties": {"name": "/a"}},
        {"event": "view:loaded", "properties": {"name": "/b"}, "timestamp": "2026-01-02T03:04:05Z"},
    ]});
    assert_eq!(door.send("/analytics", &batch).await.0, OK);
    assert_eq!(door.send("/analytics", &batch["batch"][0]).await.0, OK);
    let lanes: Vec<i32> = sqlx::query_scalar("select subscriber_id from tidings.delivery")
        .fetch_all(&door.world.pool)
        .await
        .unwrap();
    assert_eq!(lanes, [id; 3]);
    let at: String = door
        .world
        .value("select min(occurred_at at time zone 'UTC')::text from tidings.event")
        .await;
    assert_eq!(at, "2026-01-02 03:04:05");
}
