//! PostHog's SDKs for Node and for pages: events of the catalogue.

use serde_json::json;

use super::{
    client::Client,
    stage::{Arrived, Stage},
};

/// Checks that every event was registered once.
async fn is_there_once(stage: &Stage, end: u64) {
    assert_eq!(stage.counts(Arrived::Events).await, (0..end).map(|n| (n, 1)).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn sdk_for_node_loses_and_doubles_nothing() {
    let mut stage = Stage::new().await;
    let mut client = Client::node(&stage.settings("posthog-node")).await;
    let end = stage.troubles(&mut client, Arrived::Events).await;
    client.tell("close", []).await;
    is_there_once(&stage, end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sdk_for_pages_loses_and_doubles_nothing_and_sends_when_the_page_is_left() {
    let mut stage = Stage::new().await;
    let mut client = Client::browser(&stage.settings("posthog-js"), &[]).await;
    let end = stage.troubles(&mut client, Arrived::Events).await;
    let sent = client.tell("sent", []).await;
    let requests = sent.as_array().unwrap().iter();
    let batches = requests.filter(|it| it[0].as_str().unwrap().contains("/e/"));
    let (gzip, plain): (Vec<_>, Vec<_>) = batches.partition(|it| it[1] == 0x1f && it[2] == 0x8b);
    assert!(gzip.len() >= 4 && plain.is_empty(), "{sent}");
    client.send(end..end + 10).await;
    let beacon = client.leave().await;
    assert!(beacon.as_str().unwrap().starts_with("beacon http"), "{beacon}");
    stage.all(0..end + 10, Arrived::Events).await;
    is_there_once(&stage, end + 10).await;
}

/// After its retries, posthog-node drops a batch that was refused, and tells who listens for errors.
#[tokio::test(flavor = "multi_thread")]
async fn sdk_for_node_that_has_given_up_has_lost_the_batch() {
    let stage = Stage::new().await;
    let mut settings = stage.settings("posthog-node");
    settings.more = json!({"retries": 1});
    let mut client = Client::node(&settings).await;
    stage
        .without_database(async {
            client.send(0..5).await;
            client.tell("flush", []).await;
        })
        .await;
    stage.ready().await;
    let errors = client.tell("errors", []).await;
    assert!(errors.to_string().contains("503"), "{errors}");
    client.send(5..10).await;
    stage.all(5..10, Arrived::Events).await;
    client.tell("close", []).await;
    let counts = stage.counts(Arrived::Events).await;
    assert_eq!(counts, (5..10).map(|n| (n, 1)).collect());
}
