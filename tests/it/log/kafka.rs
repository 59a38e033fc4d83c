//! The log on Kafka, on a real broker that is killed, cut off, and shared.

mod copying;
mod crash;
mod members;
mod network;
mod settings;

use futures_util::future::BoxFuture;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use tidings_pipeline::{
    log::{
        Kafka,
        conformance::{self, Decide, Subject},
    },
    record::Output,
};
use tidings_tests::kafka::Kafka as Broker;

/// How long a member may stay away in these tests.
const SESSION: [(&str, &str); 3] = [
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "1000"),
    ("max.poll.interval.ms", "7000"),
];

/// Returns a log with short sessions.
fn log(brokers: &str, prefix: &str) -> Kafka {
    let builder = Kafka::builder(brokers).prefix(prefix);
    SESSION
        .iter()
        .fold(builder, |builder, (name, value)| builder.property(*name, *value))
        .build()
        .unwrap()
}

struct OnBroker {
    log: Kafka,
    brokers: String,
    prefix: String,
}

impl Subject for OnBroker {
    type Log = Kafka;

    fn log(&self) -> &Kafka {
        &self.log
    }

    async fn fence(&self, _: &str, _: &str) -> bool {
        // The member is not called any more, and after `max.poll.interval.ms` its partitions go to whoever joins.
        true
    }

    async fn undecided(&self, output: Output) -> Option<Decide> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("transactional.id", "undecided");
        let topic = format!("{}{}", self.prefix, output.topic);
        let open = move || {
            let producer: BaseProducer = config.create().unwrap();
            producer.init_transactions(None).unwrap();
            producer.begin_transaction().unwrap();
            let record = BaseRecord::<(), [u8]>::to(&topic);
            let record = record.partition(output.partition).payload(&output.value[..]);
            producer.send(record).map_err(|(error, _)| error).unwrap();
            producer.flush(None).unwrap();
            producer
        };
        let producer = tokio::task::spawn_blocking(open).await.unwrap();
        let decide = || -> BoxFuture<'static, ()> {
            Box::pin(async move {
                let commit = move || producer.commit_transaction(None).unwrap();
                tokio::task::spawn_blocking(commit).await.unwrap();
            })
        };
        Some(Box::new(decide))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_on_kafka_keeps_the_contract() {
    let broker = Broker::shared().await;
    let (brokers, prefix) = (broker.brokers(), broker.prefix());
    let subject = OnBroker { log: log(&brokers, &prefix), brokers, prefix };
    conformance::log(&subject).await.unwrap();
}
