//! Heartbeats, on a clock that the test moves.

use tidings_analytics::{Memory, heartbeat};
use tokio::time::{advance, pause};

use super::*;

/// What the heartbeats that were sent say.
fn active(memory: &Memory) -> Vec<serde_json::Value> {
    let beats = memory.named(heartbeat::EVENT_NAME);
    let event = |beat: &tidings_analytics::wire::Message| {
        beat.properties().as_map()["event_properties"]["active"].clone()
    };
    beats.iter().map(event).collect()
}

/// Lets the other task run until it waits again.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn heartbeat_comes_every_interval_until_the_end() {
    pause();
    let memory = Memory::new();
    let client = Client::builder(memory.clone(), Uuid::from_u128(7), sources())
        .level(Level::Basic)
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let beats = AtomicU64::new(0);
    let beating = tokio::spawn(async move {
        let answers = [Some(true), None, Some(false)];
        let next = || answers[usize::try_from(beats.fetch_add(1, Ordering::Relaxed)).unwrap()];
        let stopped = async { drop(stopped.await) };
        heartbeat::run(&client, heartbeat::INTERVAL, next, stopped).await;
    });
    settle().await;
    assert!(active(&memory).is_empty());
    // Timers are rounded up to the next millisecond.
    advance(heartbeat::INTERVAL + Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(active(&memory), [true]);

    // A machine that slept for hours sends one, not a dozen.
    advance(heartbeat::INTERVAL * 12).await;
    settle().await;
    assert_eq!(active(&memory).len(), 2);
    assert!(active(&memory)[1].is_null());

    stop.send(()).unwrap();
    beating.await.unwrap();
    advance(heartbeat::INTERVAL * 2).await;
    assert_eq!(active(&memory).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_end_with_their_client() {
    let memory = Memory::new();
    let client = Client::builder(memory.clone(), Uuid::from_u128(7), sources())
        .level(Level::Basic)
        .build()
        .unwrap();
    client.shutdown(Duration::ZERO).await;
    // Time moves by itself while nothing else happens, so this comes to an end or never does.
    let never = std::future::pending();
    let beats = heartbeat::run(&client, heartbeat::INTERVAL, || None, never);
    tokio::time::timeout(heartbeat::INTERVAL * 3, beats).await.unwrap();
    memory.assert_nothing_sent();
}
