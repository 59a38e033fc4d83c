//! Nodes that take little at once.

use std::sync::{Arc, atomic::Ordering};

use serde_json::json;
use tidings_tests::opensearch::OpenSearch;

use super::{RECOVERY, Stage, all, event, id, with};

fn padded(number: usize, bytes: usize) -> serde_json::Value {
    with(number, "edata", json!({"type": "x", "free": "y".repeat(bytes)}))
}

#[tokio::test]
async fn request_that_is_too_large_is_halved_and_a_document_that_is_goes_to_failed() {
    let node = Arc::new(OpenSearch::start(&["http.max_content_length=200kb"]).await);
    let stage = Stage::on(node).await;
    // Far beyond, so that the engine hangs up while it is written.
    let large = padded(5, 3_000_000);
    stage
        .append(
            (0..5)
                .map(|n| padded(n, 30_000))
                .chain([large])
                .chain((6..60).map(|n| padded(n, 30_000))),
        )
        .await;
    let metrics = stage.drain(RECOVERY).await;
    let wanted: Vec<_> = all(60).into_iter().filter(|found| *found != id(5)).collect();
    assert_eq!(stage.ids().await, wanted);
    let failed = stage.failed();
    assert_eq!((failed.len(), stage.ledger()[2]), (1, 1));
    assert!(["too_large", "unanswered"].contains(&failed[0].1.as_str()), "{}", failed[0].1);
    assert!(metrics.split.load(Ordering::Relaxed) > 0);
}

/// Kafka Connect's task is over after five retries.
#[tokio::test]
async fn node_that_is_too_busy_for_requests_gets_them_later() {
    // Two kinds of 429: requests as a whole are refused by their bytes, items by the queue.
    let settings = ["indexing_pressure.memory.limit=300kb"];
    let node = Arc::new(OpenSearch::start(&settings).await);
    let mut stage = Stage::on(node).await;
    stage.options.bulk_documents_max = 20;
    stage.options.in_flight = 8;
    let other = Stage {
        log: stage.log.clone(),
        node: Arc::clone(&stage.node),
        options: stage.options.clone(),
    };
    stage.append((0..600).map(|n| padded(n, 4_000))).await;
    let (one, two) = (stage.start(), other.start());
    stage.committed(RECOVERY).await;
    let throttled = one.stop().await.throttled.load(Ordering::Relaxed)
        + two.stop().await.throttled.load(Ordering::Relaxed);
    assert!(throttled > 0, "the node has refused nothing");
    assert_eq!((stage.ids().await, stage.failed()), (all(600), Vec::new()));
}

#[tokio::test]
async fn queue_that_is_full_refuses_some_documents_and_only_these_come_again() {
    let settings =
        ["thread_pool.write.queue_size=1", "thread_pool.write.size=1", "node.processors=1"];
    let node = Arc::new(OpenSearch::start(&settings).await);
    let mut stage = Stage::on(node).await;
    stage.options.bulk_documents_max = 20;
    // A request goes to eight shards, of which some are refused.
    stage.options.shards = 8;
    stage.options.in_flight = 4;
    stage.append((0..400).map(event)).await;
    let metrics = stage.drain(RECOVERY).await;
    assert!(metrics.throttled.load(Ordering::Relaxed) > 0, "the node has refused nothing");
    assert_eq!((stage.ids().await, stage.failed()), (all(400), Vec::new()));
}
