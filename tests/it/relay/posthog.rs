//! PostHog's capture routes, and what its clients ask besides.

use std::io::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Door, OK, read};

fn event(uuid: &str) -> Value {
    json!({"event": "view:loaded", "distinct_id": "u1", "uuid": uuid, "properties": {"name": "/", "$browser": "canary"}})
}

#[tokio::test]
async fn every_form_of_capture_is_the_same_event_once() {
    let door = Door::open().await;
    let uuid = "0192f0c1-7c1e-7000-8000-000000000001";
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(json!([event(uuid)]).to_string().as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let base64 = BASE64_STANDARD.encode(event(uuid).to_string());
    let form: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("data", &base64).finish();
    let json = "application/json";
    let forms: [(&str, &str, Vec<u8>); 7] = [
        ("/capture/", json, event(uuid).to_string().into()),
        ("/e/?compression=gzip-js&ip=0&_=1795356000000&ver=1.1", "text/plain", gzip.clone()),
        ("/i/v0/e/", json, json!([event(uuid)]).to_string().into()),
        ("/batch/", json, json!({"api_key": "phc_x", "batch": [event(uuid)]}).to_string().into()),
        ("/e/?compression=base64", "application/x-www-form-urlencoded", form.clone().into()),
        ("/capture", "application/x-www-form-urlencoded", form.into()),
        (
            "/i/v0/e",
            json,
            json!({"api_key": "phc_x", "event": "view:loaded", "uuid": uuid,
            "properties": {"distinct_id": "u1", "name": "/"}})
            .to_string()
            .into(),
        ),
    ];
    for (place, (path, kind, body)) in forms.into_iter().enumerate() {
        let sent = door.client.post(door.url(path)).header("content-type", kind).body(body);
        let (status, answer) = read(sent.send().await.unwrap()).await;
        let first = u64::from(place == 0);
        assert_eq!((status, &answer["status"]), (OK, &json!(1)), "{path} {answer}");
        assert_eq!(
            (&answer["accepted"], &answer["repeated"]),
            (&json!(first), &json!(1 - first)),
            "{path} {answer}"
        );
    }
    let events = door.events().await;
    assert_eq!(events.len(), 1);
    assert!(!events[0].to_string().contains("canary") && !events[0].to_string().contains("u1"));
}

#[tokio::test]
async fn event_with_an_eid_goes_to_the_raw_log_as_it_came() {
    let door = Door::open().await;
    let telemetry = r#"{"event":"esamwad-click", "uuid":"a","properties":{"eid":"INTERACT",  "eData":{"type":"CLICK"}}}"#;
    let body = format!("{{\"api_key\":\"phc_x\",\"batch\":[{telemetry},{}]}}", event("b"));
    for logged in [1, 1] {
        let (status, answer) = door.send_text("/batch/", body.clone()).await;
        assert_eq!((status, &answer["logged"]), (OK, &json!(logged)), "{answer}");
    }
    let records = door.records().await;
    assert_eq!(records.len(), 1, "sent again, and known");
    assert_eq!(records[0].2["format"], "posthog");
    assert_eq!(records[0].3, format!("{{\"batch\":[{telemetry}]}}"));
    assert_eq!(door.events().await.len(), 1);
}

#[tokio::test]
async fn what_is_not_collected_is_counted_and_what_is_broken_is_refused() {
    let door = Door::open().await;
    let batch = json!({"api_key": "phc_x", "batch": [
        {"event": "$autocapture", "distinct_id": "u"}, {"event": "$identify", "distinct_id": "u", "$set": {}},
        {"distinct_id": "u"}, 7,
    ]});
    let (status, answer) = door.send("/batch/", &batch).await;
    assert_eq!(
        (status, &answer["filtered"], &answer["rejected"]),
        (OK, &json!(2), &json!(2)),
        "{answer}"
    );
    for body in ["{", "", "7", "[{]", "{\"batch\":7}"] {
        let (status, answer) = door.send_text("/e/", body).await;
        assert_eq!((status, &answer["type"]), (400, &json!("validation_error")), "{body}");
    }
    let deep = format!("[{}1{}]", "[".repeat(100), "]".repeat(100));
    assert_eq!(door.send_text("/e/", deep).await.1["code"], "too_deep");
}

#[tokio::test]
async fn questions_of_the_clients_are_answered_harmlessly() {
    let door = Door::with(|builder| builder).await;
    for (method, path) in [
        (Method::POST, "/decide/?v=3"),
        (Method::POST, "/flags/?v=2"),
        (Method::GET, "/array/phc_x/config"),
        (Method::POST, "/s/"),
    ] {
        let sent = door.client.request(method, door.url(path)).body("{}");
        let (status, answer) = read(sent.send().await.unwrap()).await;
        assert_eq!(status, OK, "{path}");
        assert!(answer.get("sessionRecording").is_none_or(|on| on == false), "{answer}");
    }
    let script = door.client.get(door.url("/array/phc_x/config.js")).send().await.unwrap();
    assert!(script.headers()["content-type"].to_str().unwrap().starts_with("text/javascript"));
    let script = script.text().await.unwrap();
    assert!(
        script.contains("_POSTHOG_REMOTE_CONFIG") && !script.contains("__CONFIG__"),
        "{script}"
    );
}
