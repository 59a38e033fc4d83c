//! Segment's SDK for Node, and the crate `segment`: events of the catalogue.

use std::collections::BTreeMap;

use serde_json::Value;

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

/// The crate `segment` gives its messages no id, and empties its buffer before it sends.
///
/// What an answer other than 200 was for is gone, although the next flush says that all is well; the application that
/// makes the calls again makes other events of those whose answer alone was lost.
#[tokio::test(flavor = "multi_thread")]
async fn crate_in_rust_loses_what_was_refused_and_doubles_what_is_called_again() {
    let stage = Stage::new().await;
    let mut client = Client::cargo(&stage.settings("segment-rust")).await;
    assert_eq!(client.send(0..10).await, Value::Null);
    let once = |numbers: std::ops::Range<u64>| numbers.map(|n| (n, 1)).collect::<BTreeMap<_, _>>();
    assert_eq!(stage.counts(Arrived::Events).await, once(0..10), "when nothing goes wrong");

    stage
        .without_database(async {
            let error = client.send(10..20).await;
            assert!(error.as_str().unwrap().contains("503"), "{error}");
        })
        .await;
    stage.ready().await;
    assert_eq!(client.send(0..0).await, Value::Null, "it says that all is well");
    assert_eq!(stage.counts(Arrived::Events).await, once(0..10), "the others are lost in it");

    let unanswered = async { assert!(client.send(20..30).await.is_string()) };
    stage.unanswered(1, unanswered).await;
    assert_eq!(client.send(20..30).await, Value::Null);
    stage.all(20..30, Arrived::Events).await;
    let twice = (20..30).map(|n| (n, 2));
    assert_eq!(stage.counts(Arrived::Events).await, once(0..10).into_iter().chain(twice).collect());
}
