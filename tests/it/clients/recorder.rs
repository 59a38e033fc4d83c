//! The SDKs of Segment and PostHog before `tidings listen --analytics`.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;
use tidings_tests::{Process, eventually};

use super::client::{Client, Settings};
use crate::binary::tidings;

const PATIENCE: Duration = Duration::from_mins(1);

/// Starts a recorder, and returns what a client is told to send there.
async fn record(client: &'static str) -> (Process, Settings) {
    let recorder = tidings().args(["listen", "--analytics", "--port", "0", "--json"]).start();
    let line = recorder.line("\"url\"", PATIENCE).await;
    let listening: Value = serde_json::from_str(&line).unwrap();
    let url = listening["url"].as_str().unwrap().trim_end_matches('/').to_owned();
    let key = "phc_0123456789abcdef".to_owned();
    (recorder, Settings { client, url, key, more: Value::Null })
}

/// Checks that ten events of a client are shown, each once and as its service would keep it.
async fn shows(recorder: Process, mut client: Client, service: &str) {
    client.send(0..10).await;
    let messages = eventually(PATIENCE, "the events are shown", async || {
        let lines = recorder.output().stdout;
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<_> = lines.filter(|it| it["event"] == "cart:opened").collect();
        (found.len() == 10).then_some(found)
    })
    .await;
    let mut numbers = BTreeSet::new();
    for message in &messages {
        assert_eq!((&message["service"], &message["discarded"]), (&service.into(), &Value::Null));
        assert_eq!((&message["times"], &message["status"]), (&1.into(), &200.into()));
        assert!(message["user"].as_str().unwrap().starts_with("device-"), "{message}");
        assert_eq!(message["key"], "phc_01…");
        numbers.insert(message["message"]["properties"]["n"].as_u64().unwrap());
    }
    assert_eq!(numbers, (0..10).collect());
    recorder.interrupt();
    let (_, output) = recorder.exit(PATIENCE).await;
    let summary: Value = serde_json::from_str(output.stdout.last().unwrap()).unwrap();
    assert_eq!([&summary["refused"], &summary["discarded"]], [0, 0], "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_segments_sdk_sends_is_shown() {
    let (recorder, settings) = record("segment").await;
    let client = Client::node(&settings).await;
    shows(recorder, client, "segment").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_posthogs_sdk_sends_is_shown() {
    let (recorder, settings) = record("posthog-node").await;
    let client = Client::node(&settings).await;
    shows(recorder, client, "posthog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_posthogs_sdk_sends_from_a_page_is_shown() {
    let (recorder, settings) = record("posthog-js").await;
    let client = Client::browser(&settings, &[]).await;
    shows(recorder, client, "posthog").await;
}
