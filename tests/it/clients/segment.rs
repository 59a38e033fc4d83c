//! Segment's SDK for Node: events of the catalogue.

use super::{
    client::Client,
    stage::{Arrived, Stage},
};

#[tokio::test(flavor = "multi_thread")]
async fn sdk_for_node_loses_and_doubles_nothing() {
    let mut stage = Stage::new().await;
    let mut client = Client::node(&stage.settings("segment")).await;
    let end = stage.troubles(&mut client, Arrived::Events).await;
    client.tell("close", []).await;
    assert_eq!(stage.counts(Arrived::Events).await, (0..end).map(|n| (n, 1)).collect());
}
