//! What the pipeline stands on goes away and comes back, and so do its members.

use tidings_tests::{
    Database,
    kafka::{Kafka as Broker, Ports},
    opensearch::OpenSearch,
    s3::{Bucket, Fault},
};

use super::{
    killed::SETTLED,
    stage::{Parts, Stage, on_kafka},
};

/// How many events are sent between two outages.
const EVENTS: u32 = 1_500;

/// What the store answers while it is ill: the last three have it carry out what it does not confirm.
const ILL: [Fault; 6] = [
    Fault::None,
    Fault::Refuse(500),
    Fault::Refuse(503),
    Fault::Belie(500),
    Fault::Belie(503),
    Fault::CutAfter,
];

impl<L> Stage<L> {
    /// Has it put files into a bucket, through a proxy at this port.
    #[must_use]
    pub(super) fn filed_in(mut self, bucket: &Bucket, port: u16) -> Self {
        self.files = bucket.path().join("lake");
        let mut work = vec!["--files".to_owned(), bucket.url("lake")];
        for (name, value) in bucket.options_at(port) {
            work.extend(["--files-option".to_owned(), format!("{name}={value}")]);
        }
        let files = self.work.iter().position(|argument| argument == "--files").unwrap();
        self.work.splice(files..files + 2, work);
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outages_of_broker_store_index_and_members_bring_every_event_once() {
    let (broker, node, bucket) =
        tokio::join!(Broker::mortal(Ports::find()), OpenSearch::start(&[]), Bucket::new());
    let faults = bucket.faults().await;
    let (log, choice) = on_kafka(&broker.brokers(), "outage.");
    let parts = Parts { log, database: Database::durable().await, choice, seed: 2 };
    let mut stage = Stage::new(parts).await.searched(&node).filed_in(&bucket, faults.port());
    for place in 0..3 {
        stage.start(place).await;
    }
    stage.send(EVENTS).await;
    let mut progress = stage.progress(0).await;

    // The store fails while the broker goes.
    faults.script(|request| ILL[request.index % ILL.len()]);
    stage.send(EVENTS).await;
    broker.kill().await;
    broker.restart().await;
    progress = stage.progress(progress).await;

    // The index goes, and one of three members in order.
    stage.send(EVENTS).await;
    node.kill().await;
    stage.stop(1).await;
    stage.send(EVENTS).await;
    progress = stage.progress(progress).await;

    // The broker goes again, while the index comes back, and the third member.
    broker.kill().await;
    tokio::join!(node.start_again(), broker.restart());
    stage.start(1).await;
    faults.script(|_| Fault::None);
    stage.send(EVENTS).await;
    stage.progress(progress).await;
    let expected = stage.settled(SETTLED).await;
    stage.stop_all().await;
    stage.check(&expected, Some(&node)).await;
}
