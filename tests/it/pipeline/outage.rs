//! What the pipeline stands on goes away and comes back.

use tidings_tests::{
    Database,
    kafka::{Kafka as Broker, Ports},
};

use super::{
    killed::SETTLED,
    stage::{Parts, Stage, on_kafka},
};

/// How many events are sent between two outages.
const EVENTS: u32 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn broker_that_is_killed_again_and_again_brings_every_event_once() {
    let broker = Broker::mortal(Ports::find()).await;
    let (log, choice) = on_kafka(&broker.brokers(), "outage.");
    let parts = Parts { log, database: Database::durable().await, choice, seed: 2 };
    let mut stage = Stage::new(parts).await;
    for place in 0..3 {
        stage.start(place).await;
    }
    let mut progress = 0;
    for _ in 0..4 {
        stage.send(EVENTS).await;
        broker.kill().await;
        broker.restart().await;
        progress = stage.progress(progress).await;
    }
    let expected = stage.settled(SETTLED).await;
    stage.stop_all().await;
    stage.check(&expected, None).await;
}
