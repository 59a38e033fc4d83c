//! The topics of one turn.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
};
use tidings_pipeline::{
    Log,
    log::Kafka,
    topic::{self, Layout},
};
use tidings_tests::kafka::Kafka as Broker;

use crate::corpus::{self, Corpus, PARTITIONS};

/// How many batches are appended in one call.
const BATCHES: u64 = 500;

/// How often it is asked how much there is.
const LOOK: Duration = Duration::from_millis(50);

const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Topics under a prefix, filled with batches.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) brokers: String,
    pub(super) prefix: String,
    pub(super) log: Kafka,
    pub(super) layout: Layout,
    watcher: Arc<BaseConsumer>,
}

impl Ground {
    /// Makes the topics of the pipeline, with so many events in the raw one.
    pub(super) async fn fill(broker: &Broker, prefix: &str, events: u64) -> Result<Self> {
        let ground = Self::new(broker, prefix).await?;
        ground.append(&mut Corpus::new(17, corpus::now().timestamp_millis()), events).await?;
        Ok(ground)
    }

    /// Makes the topics of the pipeline.
    pub(super) async fn new(broker: &Broker, prefix: &str) -> Result<Self> {
        let (brokers, prefix) = (broker.brokers(), prefix.to_owned());
        let log = Kafka::builder(&brokers).prefix(&prefix).build()?;
        let layout = Layout { partitions: PARTITIONS, ..Layout::default() };
        log.prepare(&layout.specs()).await?;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &brokers).set("isolation.level", "read_committed");
        let watcher = Arc::new(config.create()?);
        Ok(Self { brokers, prefix, log, layout, watcher })
    }

    /// Writes batches with so many events to the raw topic.
    pub(super) async fn append(&self, corpus: &mut Corpus, events: u64) -> Result<()> {
        for _ in 0..events / corpus::EVENTS / BATCHES {
            let batches = (0..BATCHES).map(|_| corpus.raw()).collect();
            self.log.append(batches).await?;
        }
        Ok(())
    }

    /// Waits until so many events are in unique.
    ///
    /// What marks the ends of transactions is counted with them: one in a thousand.
    pub(super) async fn unique(&self, events: u64) -> Result<()> {
        while self.written(topic::UNIQUE).await? < i64::try_from(events)? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Returns how many offsets of a topic are committed.
    pub(super) async fn written(&self, topic: &str) -> Result<i64> {
        let (watcher, name) = (Arc::clone(&self.watcher), self.name(topic));
        tokio::task::spawn_blocking(move || {
            let mut ends = TopicPartitionList::new();
            for partition in 0..PARTITIONS {
                ends.add_partition_offset(&name, partition, Offset::End)?;
            }
            let ends = watcher.offsets_for_times(ends, ANSWER_MAX)?;
            let mut written = 0;
            for end in ends.elements() {
                end.error()?;
                written += end.offset().to_raw().context("no offset")?.max(0);
            }
            Ok(written)
        })
        .await?
    }

    /// Returns the name of a topic in the cluster.
    pub(super) fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Deletes the topics.
    pub(super) async fn discard(self) -> Result<()> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        let names: Vec<_> = self.layout.specs().iter().map(|spec| self.name(&spec.name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().operation_timeout(Some(ANSWER_MAX));
        for deleted in admin.delete_topics(&names, &options).await? {
            ensure!(deleted.is_ok(), "a topic was not deleted: {deleted:?}");
        }
        Ok(())
    }
}
