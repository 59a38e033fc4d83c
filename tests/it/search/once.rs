//! Each event once, by its id and its day.

use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::{Value, json};
use tidings_pipeline::{log::Log as _, sink::search::Storage, topic};

use super::{DAY_MS, GROUP, SOON, SYNCTS, Stage, all, event, events, id};

#[tokio::test]
async fn events_are_in_the_index_of_the_day_on_which_the_relay_took_them() {
    let stage = Stage::new().await;
    let mut next = event(1);
    next["syncts"] = json!(SYNCTS + DAY_MS);
    stage.append([event(0), next]).await;
    let metrics = stage.drain(SOON).await;
    let found = stage.node.documents(&format!("{}*", stage.options.prefix)).await;
    let at: Vec<_> = found.iter().map(|(id, index, _)| (id.clone(), index.clone())).collect();
    let index = |day: &str| format!("{}telemetry-{day}", stage.options.prefix);
    assert_eq!(at, [(id(0), index("2023.11.14")), (id(1), index("2023.11.15"))]);
    assert_eq!(found[0].2, event(0), "a document is the event as it is");
    assert_eq!((stage.ledger(), metrics.waiting()), ([2, 0, 0], 0));
}

#[tokio::test]
async fn event_that_was_stored_before_the_commit_failed_is_there_once() {
    let stage = Stage::new().await;
    stage.append(events(50)).await;
    stage.log.abort_next(2);
    let metrics = stage.drain(SOON).await;
    assert_eq!(stage.ids().await, all(50));
    let [stored, already_there, rejected] = stage.ledger();
    assert_eq!((stored + already_there, rejected), (50, 0));
    assert!(metrics.already_there.load(Ordering::Relaxed) > 0);
}

/// Kafka Connect counts by offset, and a topic that was made anew overwrote what was there.
#[tokio::test]
async fn process_that_dies_between_bulk_and_commit_leaves_no_event_twice() {
    let stage = Stage::new().await;
    stage.append(events(500)).await;
    for _ in 0..3 {
        let running = stage.start();
        running
            .counted("a bulk is sent", |metrics| metrics.requests.load(Ordering::Relaxed), 1)
            .await;
        running.task.abort();
        assert!(running.task.await.unwrap_err().is_cancelled());
    }
    stage.drain(SOON).await;
    assert_eq!(stage.ids().await, all(500));
    let ledger = stage.ledger();
    assert_eq!(
        ledger.iter().sum::<u64>(),
        500,
        "the ledger is written with the commit: {ledger:?}"
    );
}

/// Kafka Connect drops newer documents when a key moves to another partition: its version is the offset.
#[tokio::test]
async fn event_that_comes_again_from_another_partition_changes_nothing() {
    let stage = Stage::new().await;
    stage.append(events(4)).await;
    stage.drain(SOON).await;
    let mut moved: Vec<_> = events(4).collect();
    moved.rotate_left(1);
    stage.append(moved).await;
    stage.drain(SOON).await;
    assert_eq!(stage.ids().await, all(4));
    assert_eq!(stage.ledger(), [4, 4, 0]);
}

#[tokio::test]
async fn member_that_was_fenced_joins_again_and_loses_nothing() {
    let stage = Stage::new().await;
    let running = stage.start();
    stage.append(events(10)).await;
    stage.committed(SOON).await;
    stage.log.fence(GROUP, topic::UNIQUE);
    stage.append((10..30).map(event)).await;
    stage.committed(SOON).await;
    running.stop().await;
    assert_eq!(stage.ids().await, all(30));
}

#[tokio::test]
async fn two_members_share_the_partitions() {
    let stage = Stage::new().await;
    let (one, two) = (stage.start(), stage.start());
    stage.append(events(200)).await;
    stage.committed(SOON).await;
    one.stop().await;
    two.stop().await;
    assert_eq!(stage.ids().await, all(200));
    assert_eq!(stage.log.committed(GROUP, topic::UNIQUE).await.unwrap(), [Some(100), Some(100)]);
}

#[tokio::test]
async fn data_stream_takes_events_and_a_retry_after_a_rollover_is_there_twice() {
    let mut stage = Stage::new().await;
    stage.options.storage = Storage::DataStream;
    stage.append(events(3)).await;
    stage.drain(SOON).await;
    let stream = format!("{}telemetry", stage.options.prefix);
    let found = stage.node.call(Method::GET, &format!("_data_stream/{stream}"), &Value::Null).await;
    assert_eq!(found["data_streams"][0]["name"], stream);
    // What the option says: at least once.
    stage.node.call(Method::POST, &format!("{stream}/_rollover"), &Value::Null).await;
    stage.append(events(3)).await;
    stage.drain(SOON).await;
    assert_eq!(stage.node.documents(&stream).await.len(), 6);
    assert_eq!(stage.ledger(), [6, 0, 0]);
}
