//! Processes that are killed at random moments.

use std::time::Duration;

use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng};
use tidings_pipeline::Log;
use tidings_tests::{Database, kafka::Kafka as Broker, opensearch::OpenSearch};

use super::stage::{Parts, Stage, on_kafka};

/// How long everything may take to be where it belongs after the last kill.
pub(super) const SETTLED: Duration = Duration::from_mins(1);

/// Kills one of the running processes `kills` times, at any moment of whatever it is doing, and starts it anew; each
/// time after so many events were sent and something has moved.
pub(super) async fn kill_again_and_again<L: Log>(stage: &mut Stage<L>, kills: u32, events: u32) {
    let mut random = StdRng::seed_from_u64(kills.into());
    let mut progress = 0;
    for _ in 0..kills {
        stage.send(events).await;
        progress = stage.progress(progress).await;
        tokio::time::sleep(Duration::from_micros(random.next_u64() % 800_000)).await;
        let places = stage.places();
        let place = places[random.random_range(0..places.len())];
        stage.kill(place).await;
        stage.start(place).await;
    }
    stage.send(events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_killed_at_random_bring_every_event_once_into_files_and_index() {
    let (broker, node) = tokio::join!(Broker::shared(), OpenSearch::shared());
    let (log, choice) = on_kafka(&broker.brokers(), &broker.prefix());
    let parts = Parts { log, database: Database::durable().await, choice, seed: 1 };
    let mut stage = Stage::new(parts).await.searched(&node);
    for place in 0..3 {
        stage.start(place).await;
    }
    kill_again_and_again(&mut stage, 8, 2_400).await;
    let expected = stage.settled(SETTLED).await;
    stage.stop_all().await;
    stage.check(&expected, Some(&node)).await;
}
