//! Sunbird's and DIGIT's batches: the envelope of the answers, and what is in the raw log.

use serde_json::{Value, json};
use tidings::{Level, privacy};
use tidings_relay::Limits;
use tidings_tests::{SOON, eventually};
use uuid::Uuid;

use super::{Door, OK, read};

fn batch(message_id: &str, events: usize) -> Value {
    let events: Vec<_> = (0..events)
        .map(|n| json!({"eid": "LOG", "ets": 1_586_000_000_000_i64, "mid": format!("LOG:{n}")}))
        .collect();
    json!({"id": "api.sunbird.telemetry", "ver": "3.0", "params": {"msgid": message_id}, "ets": 1, "events": events})
}

#[tokio::test]
async fn batch_is_logged_as_it_came_on_every_route() {
    let door = Door::open().await;
    let paths = [
        "/v1/telemetry",
        "/api/data/v1/telemetry",
        "/data/v3/telemetry",
        "/action/data/v3/telemetry",
        "/content/data/v1/telemetry",
    ];
    for path in paths {
        // With spaces and an order of its own, which a parser would not keep.
        let body = format!(
            "{{ \"ver\":\"3.0\", \"events\" :[{{\"eid\":\"LOG\", \"ets\":1,\"mid\":\"{path}\"}}],\"id\":\"x\"}}"
        );
        let sent = door
            .post(path)
            .header("x-device-id", "d1")
            .header("x-channel-id", "c1")
            .header("x-app-id", "a1");
        let (status, answer) = read(sent.body(body.clone()).send().await.unwrap()).await;
        assert_eq!(status, OK, "{path} {answer}");
        let records = door.records().await;
        let (_, _, headers, value) = records.iter().find(|record| record.3 == body).unwrap();
        assert_eq!(
            [
                &headers["x-device-id"],
                &headers["x-channel-id"],
                &headers["x-app-id"],
                &headers["channel"]
            ],
            ["d1", "c1", "a1", "anonymous"]
        );
        assert!(headers["syncts"].as_i64().unwrap() > 1_700_000_000_000, "{headers}");
        assert_eq!(
            (&headers["format"], &headers["profile"]),
            (&json!("sunbird"), &json!("lenient"))
        );
        assert_eq!(*value, body);
    }
    assert_eq!(door.records().await.len(), paths.len());
}

#[tokio::test]
async fn answer_has_the_documented_and_the_real_members() {
    let door = Door::open().await;
    let (status, answer) = door.send("/v1/telemetry", &batch("m1", 3)).await;
    assert_eq!(status, OK);
    let mut members: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["ets", "id", "params", "responseCode", "result", "ts", "ver"]);
    assert_eq!(
        (&answer["id"], &answer["ver"], &answer["responseCode"]),
        (&json!("api.telemetry"), &json!("1.0"), &json!("SUCCESS"))
    );
    let params = &answer["params"];
    assert!(params["resmsgid"].as_str().unwrap().parse::<Uuid>().is_ok());
    assert_eq!(
        (&params["msgid"], &params["status"], &params["err"], &params["errmsg"]),
        (&json!("m1"), &json!("successful"), &Value::Null, &Value::Null)
    );
    assert!(answer["ets"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(answer["result"], json!({"events": 3, "repeated": false}));
    assert_eq!(door.records().await[0].1.as_deref(), Some("m1"));
}

#[tokio::test]
async fn batch_that_is_sent_again_is_logged_once() {
    let door = Door::open().await;
    for repeated in [false, true, true] {
        let (status, answer) = door.send("/v1/telemetry", &batch("m1", 2)).await;
        assert_eq!((status, &answer["result"]["repeated"]), (OK, &json!(repeated)));
    }
    // One client uses one message id for a whole run: the content counts too.
    let (_, answer) = door.send("/v1/telemetry", &batch("m1", 3)).await;
    assert_eq!(answer["result"]["repeated"], false);
    assert_eq!(door.records().await.len(), 2);
    let repeated = "tidings_relay_events_total{route=\"/v1/telemetry\",outcome=\"repeated\"}";
    assert_eq!(door.metric(repeated).await, 4);
}

#[tokio::test]
async fn what_the_original_lost_silently_is_answered_honestly() {
    let limits = Limits { telemetry_events_max: 2, ..Limits::default() };
    let door = Door::with(|builder| builder.anonymous(true).limits(limits)).await;
    for (body, status, err) in [
        (String::new(), 400, "EMPTY_BODY"),
        ("{}".to_owned(), 400, "MISSING_EVENTS"),
        ("[]".to_owned(), 400, "NOT_AN_OBJECT"),
        ("{\"events\":[]}".to_owned(), 400, "NO_EVENTS"),
        ("{\"events\":null}".to_owned(), 400, "MISSING_EVENTS"),
        ("{\"events\":{}}".to_owned(), 400, "INVALID_EVENTS"),
        ("{\"events\":[".to_owned(), 400, "MALFORMED_JSON"),
        (batch("m", 3).to_string(), 413, "TOO_MANY_EVENTS"),
    ] {
        for kind in ["application/json", "text/plain"] {
            let sent = door.client.post(door.url("/v1/telemetry")).header("content-type", kind);
            let (found, answer) = read(sent.body(body.clone()).send().await.unwrap()).await;
            assert_eq!((found, &answer["params"]["err"]), (status, &json!(err)), "{body}");
            assert_eq!(
                (&answer["responseCode"], &answer["params"]["status"]),
                (&json!("CLIENT_ERROR"), &json!("failed"))
            );
        }
    }
    assert_eq!(door.send("/v1/telemetry", &batch("m", 3)).await.1["params"]["msgid"], "m");
    assert!(door.records().await.is_empty());
    let beacon = door.client.post(door.url("/v1/telemetry")).header("content-type", "text/plain");
    assert_eq!(read(beacon.body(batch("m", 1).to_string()).send().await.unwrap()).await.0, OK);
    assert_eq!(door.records().await.len(), 1, "what a beacon sends is kept");
}

#[tokio::test]
async fn event_that_is_plainly_wrong_is_kept_and_told() {
    let door = Door::open().await;
    let body = json!({"events": [{"eid": "LOG", "ets": 1, "mid": "a"}, 7, {"ets": 1}]});
    let (status, answer) = door.send("/v1/telemetry", &body).await;
    assert_eq!(status, OK);
    assert_eq!(
        answer["result"],
        json!({"events": 3, "repeated": false, "invalid": [
            {"index": 1, "code": "not_an_object"}, {"index": 2, "code": "missing_eid"},
        ]})
    );
    assert_eq!(door.records().await[0].3, body.to_string());
}

#[tokio::test]
async fn what_no_text_column_can_hold_is_kept_in_the_body() {
    let door = Door::open().await;
    let body = r#"{"params":{"msgid":"a\u0000b"},"events":[{"eid":"\u0000"}]}"#;
    assert_eq!(door.send_text("/v1/telemetry", body).await.0, OK);
    let records = door.records().await;
    assert_eq!((records[0].1.as_deref(), records[0].3.as_str()), (Some("ab"), body));
}

#[tokio::test]
async fn event_above_the_level_is_left_out_and_the_answer_says_which() {
    let door = Door::with(|builder| builder.anonymous(true).level(Level::Basic)).await;
    let event = |eid: &str| json!({"eid": eid, "ets": 1, "mid": eid});
    let events: Vec<_> = ["INTERACT", "START", "EXDATA", "ERROR"].map(event).into();
    let batch = json!({"params": {"msgid": "m"}, "events": events});
    let (status, answer) = door.send("/v1/telemetry", &batch).await;
    let expected = json!({"events": 4, "repeated": false, "filtered": 2, "level": "basic", "above_level": [0, 2]});
    assert_eq!((status, &answer["result"]), (OK, &expected));
    let kept = json!({"params": {"msgid": "m"}, "events": [event("START"), event("ERROR")]});
    let records = door.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(&records[0].3).unwrap(), kept);
    let metric = "tidings_relay_events_total{route=\"/v1/telemetry\",outcome=\"filtered\"}";
    assert_eq!(door.metric(metric).await, 2);

    let none = json!({"events": [event("SUMMARY")]});
    let (status, answer) = door.send("/v1/telemetry", &none).await;
    assert_eq!((status, &answer["result"]["above_level"]), (OK, &json!([0])));
    let posthog = |eid: &str| json!({"event": eid, "properties": {"eid": eid, "ets": 1}});
    let (status, answer) =
        door.send("/batch/", &json!({"batch": [posthog("SEARCH"), posthog("LOG")]})).await;
    assert_eq!((status, &answer["logged"], &answer["filtered"]), (OK, &json!(1), &json!(1)));
    assert_eq!(door.records().await.len(), 2);
}

#[tokio::test]
async fn batch_that_comes_again_at_another_level_is_the_same_batch() {
    let door = Door::open().await;
    set(&door, Level::Basic).await;
    let events =
        json!([{"eid": "LOG", "ets": 1, "mid": "a"}, {"eid": "SEARCH", "ets": 1, "mid": "b"}]);
    let batch = json!({"params": {"msgid": "m"}, "events": events});
    assert_eq!(door.send("/v1/telemetry", &batch).await.0, OK);
    // Its answer was lost, and meanwhile more is collected.
    set(&door, Level::Full).await;
    let (status, answer) = door.send("/v1/telemetry", &batch).await;
    assert_eq!((status, &answer["result"]), (OK, &json!({"events": 2, "repeated": true})));
    assert_eq!(door.records().await.len(), 1);
}

/// Sets the level of the installation, and waits until the relay says it.
async fn set(door: &Door, level: Level) {
    let mut tx = door.world.pool.begin().await.unwrap();
    privacy::set_level(&mut tx, level).await.unwrap();
    tx.commit().await.unwrap();
    eventually(SOON, "the relay knows the level", async || {
        let answer = door.client.get(door.url("/v1/collection")).send().await.unwrap();
        (read(answer).await.1["level"] == json!(level)).then_some(())
    })
    .await;
}
