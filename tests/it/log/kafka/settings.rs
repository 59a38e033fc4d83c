//! Settings that nothing can be done with.

use tidings_pipeline::{
    Error, Log as _,
    log::{Kafka, Limits, Member as _, Position, Turn},
};
use tidings_tests::kafka::Kafka as Broker;

use super::copying::{FROM, TO, output, prepare, write};

/// It was taken for another member that has taken over, and tried again for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_that_no_producer_can_have_is_told_and_not_tried_again() {
    let broker = Broker::shared().await;
    let builder = Kafka::builder(broker.brokers()).prefix(broker.prefix());
    // Shorter than the time within which a broker has to answer.
    let log = builder.property("transaction.timeout.ms", "1000").build().unwrap();
    prepare(&log).await;
    write(&log, 0..1).await;
    let mut member = log.join("group", FROM).await.unwrap();
    let record = loop {
        let limits = Limits { records: 1, bytes: usize::MAX };
        if let Turn::Records(records) = member.next(limits).await.unwrap() {
            break records.into_iter().next().unwrap();
        }
    };
    let at = Position { partition: record.partition, offset: record.offset + 1 };
    let committed = member.commit(vec![output(TO, 0, "x".to_owned())], &[at]).await;
    let error = committed.unwrap_err();
    assert!(matches!(error, Error::Broker { .. }) && !error.is_transient(), "{error:?}");
}
