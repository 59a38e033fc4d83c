//! PostHog's SDKs for Node and for pages: events of the catalogue.

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
    client.send(end..end + 10).await;
    client.leave().await;
    stage.all(end + 10, Arrived::Events).await;
    is_there_once(&stage, end + 10).await;
}
