//! `tidings listen --analytics`: what a worker's sinks send, recorded as Segment and PostHog would take it.

use reqwest::Client;
use serde_json::{Value, json};
use sqlx::types::Json;
use tidings_tests::{Database, Process, eventually};

use super::{PATIENCE, on, run, tidings};

/// A recorder that has begun, and where.
async fn record(words: &[&str]) -> (Process, String) {
    let launch = tidings().args(["listen", "--analytics", "--port", "0"]).args(words);
    let process = launch.start();
    let line = process.line("http://", PATIENCE).await;
    let url = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    (process, format!("http://{url}"))
}

/// A database whose orders have telemetry, with a sink of each service at the recorder, and a restless retry.
async fn stage(url: &str) -> Database {
    let database = Database::new().await;
    let types = json!([{"type": "order:placed", "version": 1, "audience": ["telemetry"], "scopes": [],
        "level": "basic", "schema": {}, "documentation": ""}]);
    let statement = "select tidings.sync_catalogue_v3($1::text::json, '[]'),
       tidings.make_group('segment', 4), tidings.make_group('posthog', 4)";
    sqlx::query(statement).bind(types.to_string()).execute(database.pool()).await.unwrap();
    for (kind, key) in [("segment", "0123456789abcdef"), ("posthog", "phc_0123456789")] {
        let words = ["sink", "add", kind, "--kind", kind, "--key", key, "--host", url, "--json"];
        run(&on(&database).args(words)).await.json();
    }
    sqlx::query("update tidings.subscriber set retry = $1")
        .bind(Json(json!({"delays_s": [0, 0.01]})))
        .execute(database.pool())
        .await
        .unwrap();
    database
}

/// Registers an order of somebody.
async fn register(database: &Database, items: u32) {
    let telemetry = json!({"event_properties": {"items": items}, "derived_properties": {}});
    sqlx::query(
        "select tidings.register_event('order:placed', '{}', telemetry => $1::json,
           headers => '{\"analytics\": {\"user\": \"k1:3q2-7wAB\"}}')",
    )
    .bind(telemetry)
    .execute(database.pool())
    .await
    .unwrap();
}

/// Waits until the recorder has shown so many messages of a service, and returns them.
async fn shown(process: &Process, service: &str, count: usize) -> Vec<Value> {
    eventually(PATIENCE, "the messages are shown", async || {
        let lines = process.output().stdout;
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<_> =
            lines.filter(|it| it["service"] == service && it.get("message").is_some()).collect();
        (found.len() >= count).then_some(found)
    })
    .await
}

/// Ends a recorder, and returns what it comes to.
async fn summary(process: Process, code: i32) -> Value {
    process.interrupt();
    let (status, output) = process.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(code), "{output:?}");
    serde_json::from_str(output.stdout.last().unwrap()).unwrap()
}

#[tokio::test]
async fn what_the_sinks_of_a_worker_send_is_shown_and_counted() {
    let (recorder, url) = record(&["--json"]).await;
    let database = stage(&url).await;
    let worker = on(&database).arg("worker").start();
    worker.line("tidings", PATIENCE).await;
    for items in 1..=3 {
        register(&database, items).await;
    }
    for (service, key) in [("segment", "012345…"), ("posthog", "phc_01…")] {
        for message in shown(&recorder, service, 3).await {
            assert_eq!(
                [&message["call"], &message["event"], &message["user"], &message["key"]],
                ["track", "order:placed", "k1:3q2-7wAB", key]
            );
            assert_eq!((&message["discarded"], &message["times"]), (&Value::Null, &json!(1)));
            assert_eq!(message["status"], 200);
            assert!(message["age_ms"].as_i64().unwrap() < 60_000, "{message}");
            let properties = &message["message"]["properties"];
            assert!(properties["event_properties"]["items"].is_u64(), "{message}");
        }
    }
    let summary = summary(recorder, 0).await;
    assert_eq!(
        [&summary["messages"], &summary["distinct"], &summary["refused"], &summary["discarded"]],
        [&json!(6), &json!(6), &json!(0), &json!(0)]
    );
    assert_eq!((&summary["events"]["order:placed"], &summary["repeated"]), (&json!(6), &json!([])));
    assert_eq!(summary["keys"], json!(["012345…", "phc_01…"]));
    let said = format!("{:?}", worker.output());
    assert!(!said.contains("0123456789abcdef"), "{said}");
}

#[tokio::test]
async fn message_whose_answer_was_lost_comes_again_under_its_id_and_is_told_at_the_end() {
    let (recorder, url) = record(&["--json", "--close", "--fail-every", "2"]).await;
    let database = stage(&url).await;
    run(&on(&database).args(["subscriber", "pause", "posthog"])).await;
    let worker = on(&database).arg("worker").start();
    worker.line("tidings", PATIENCE).await;
    register(&database, 1).await;
    shown(&recorder, "segment", 1).await;
    register(&database, 2).await;
    let messages = shown(&recorder, "segment", 3).await;
    let (closed, again) = (&messages[1], &messages[2]);
    assert_eq!((&closed["status"], &closed["times"]), (&Value::Null, &json!(1)));
    assert_eq!((&again["status"], &again["times"]), (&json!(200), &json!(2)));
    assert_eq!(closed["message_id"], again["message_id"]);
    let summary = summary(recorder, 0).await;
    assert_eq!((&summary["messages"], &summary["distinct"]), (&json!(3), &json!(2)));
    assert_eq!(summary["repeated"][0]["message_id"], closed["message_id"]);
}

#[tokio::test]
async fn failures_on_purpose_are_waited_for_and_lose_nothing() {
    let (recorder, url) =
        record(&["--json", "--answer", "429,retry-after=1", "--fail-every", "2"]).await;
    let database = stage(&url).await;
    run(&on(&database).args(["subscriber", "pause", "segment"])).await;
    let worker = on(&database).arg("worker").start();
    worker.line("tidings", PATIENCE).await;
    for items in 1..=2 {
        register(&database, items).await;
        shown(&recorder, "posthog", items as usize).await;
    }
    let summary = summary(recorder, 0).await;
    assert_eq!([&summary["requests"], &summary["refused"], &summary["distinct"]], [3, 1, 2]);
    assert_eq!(summary["repeated"], json!([]));
}

#[tokio::test]
async fn what_a_service_would_not_take_is_refused_as_it_would_and_fails_a_count() {
    let (recorder, url) = record(&["--count", "4"]).await;
    // Whoever comes second finds it installed; nothing here is encrypted.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, body: String| {
        let request = client.post(format!("{url}{path}")).basic_auth("0123456789abcdef", Some(""));
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let large = format!("{{\"batch\": [], \"x\": \"{}\"}}", "x".repeat(512_000));
    assert_eq!(post("/v1/batch", large).await.0, 400);
    let (status, answer) =
        post("/batch/", "{\"api_key\": \"k\", \"batch\": [{}]}".to_owned()).await;
    assert_eq!((status, &answer["code"]), (400, &json!("missing_event_name")));
    assert_eq!(post("/hook", "{}".to_owned()).await.0, 404);
    let nobody = json!({"event": "order:placed", "properties": {"items": 3}}).to_string();
    assert_eq!(post("/v1/track", nobody).await, (200, json!({"success": true})));

    let (status, output) = recorder.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{output:?}");
    let said = output.stdout.join("\n");
    for line in [
        "/v1/batch answered 400: the body is larger than 500 KB",
        "/batch/ answered 400: an event has no `event`",
        "/hook answered 404: neither Segment nor PostHog has this path",
        "order:placed              nobody  ",
        "discarded: it has neither a `userId` nor an `anonymousId`",
        "requests    4",
        "refused     3",
        "discarded   1",
    ] {
        assert!(said.contains(line), "{line} is not in:\n{said}");
    }
    assert!(output.stderr.join("\n").contains("not everything would have been kept"));
    let both = tidings().args(["listen", "--analytics", "--secret", "whsec_x"]);
    run(&both).await.refused(2, "cannot be used with");
}
