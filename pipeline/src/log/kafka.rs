//! A log on Kafka: topics, consumer groups, and transactions of the brokers.
//!
//! A member is a consumer on a thread of its own and, from its first output on, a transactional producer beside it.
//! Offsets are committed in the producer's transaction under the generation of the group, so that the brokers refuse
//! what a member does that has lost its partitions.
//!
//! ```text
//!   Kafka ──join──▶ KafkaMember ──commands──▶ Seat (thread) ─┬─ consumer ──▶ Membership (rebalances)
//!     ├──append──▶ Appender                                  └─ Writer (transactions)
//!     └──reader──▶ KafkaReader
//! ```

mod appender;
mod batch;
mod context;
mod fault;
mod head;
mod member;
mod membership;
mod outgoing;
mod reader;
mod seat;
mod settings;
mod topics;
mod writer;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use rdkafka::config::RDKafkaLogLevel;
use uuid::Uuid;

use self::{appender::Appender, settings::Settings, topics::Topics};
pub(crate) use self::{context::Troubles, fault::is_transient};
pub use self::{member::KafkaMember, reader::KafkaReader};
use super::{Bounds, Log, Position, Start};
use crate::{Error, Result, record::Output, topic::Spec};

/// A log on Kafka; clones share their connections.
#[derive(Clone)]
pub struct Kafka {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    topics: Arc<Topics>,
    /// Made when something is appended; made anew after an error from which there is no way back.
    appender: Mutex<Option<Arc<Appender>>>,
}

/// What a log on Kafka is made from.
#[derive(Clone, Debug)]
pub struct Builder {
    settings: Settings,
}

impl Kafka {
    /// Begins a log on the cluster that these brokers, `host:port` with commas between, belong to.
    #[must_use]
    pub fn builder(brokers: impl Into<String>) -> Builder {
        Builder { settings: Settings::new(brokers.into()) }
    }

    fn appender(&self) -> Result<Arc<Appender>> {
        let mut appender = self.shared.appender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(appender) = appender.as_ref().filter(|appender| !appender.is_broken()) {
            return Ok(Arc::clone(appender));
        }
        let made = Arc::new(Appender::new(&self.shared.settings)?);
        *appender = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Builder {
    /// Puts `prefix` before the names of all topics, groups and transactions, such as `acme.`; none by default.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// Sets how many brokers have a copy of each topic that is made; by default the cluster decides.
    #[must_use]
    pub fn replication(mut self, factor: i32) -> Self {
        self.settings.replication = factor;
        self
    }

    /// Sets a property of the client library, for consumers and producers: how to connect and authenticate, timeouts.
    ///
    /// What the guarantees rest on (isolation, idempotence, offsets) stays as it is.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.properties.push((name.into(), value.into()));
        self
    }

    /// Makes the log; connections are made when it is used.
    ///
    /// # Errors
    ///
    /// There is no such property, or it cannot have this value.
    pub fn build(self) -> Result<Kafka> {
        let settings = self.settings;
        let known = settings.member("check").create_native_config();
        known.map_err(Error::broker("read the properties for Kafka"))?;
        let known = settings.appender().create_native_config();
        known.map_err(Error::broker("read the properties for Kafka"))?;
        let topics = Arc::new(Topics::new(settings.clone()));
        Ok(Kafka { shared: Arc::new(Shared { settings, topics, appender: Mutex::new(None) }) })
    }
}

impl Log for Kafka {
    type Member = KafkaMember;
    type Reader = KafkaReader;

    async fn id(&self) -> Result<String> {
        let cluster = self.shared.topics.cluster().await?;
        Ok(format!("kafka/{cluster}/{}", self.shared.settings.prefix))
    }

    async fn prepare(&self, topics: &[Spec]) -> Result<()> {
        self.shared.topics.make(topics).await?;
        for spec in topics {
            let found = self.shared.topics.appeared(&spec.name).await?.partitions;
            if found != spec.partitions {
                let (topic, wanted) = (spec.name.clone().into_owned(), spec.partitions);
                return Err(Error::Repartitioned { topic, found, wanted });
            }
        }
        Ok(())
    }

    async fn partitions(&self, topic: &str) -> Result<i32> {
        Ok(self.shared.topics.find(topic).await?.partitions)
    }

    async fn append(&self, records: Vec<Output>) -> Result<Vec<i64>> {
        for output in &records {
            if self.shared.topics.known(output)?.is_none() {
                self.shared.topics.find(&output.topic).await?;
                self.shared.topics.known(output)?;
            }
        }
        self.appender()?.append(&self.shared.topics, records).await
    }

    async fn join(&self, group: &str, topic: &str) -> Result<KafkaMember> {
        let found = self.shared.topics.find(topic).await?;
        let settings = self.shared.settings.clone();
        let terms = seat::Terms {
            writer_id: settings.named(&format!("{group}.{}", Uuid::new_v4())),
            settings,
            topics: Arc::clone(&self.shared.topics),
            group: group.into(),
            topic: topic.into(),
            topic_name: found.name,
        };
        KafkaMember::start(terms)
    }

    async fn reader(&self, topic: &str, partition: i32, start: Start) -> Result<KafkaReader> {
        let found = self.shared.topics.find(topic).await?;
        if !(0..found.partitions).contains(&partition) {
            return Err(Error::NoSuchPartition { topic: topic.to_owned(), partition });
        }
        KafkaReader::open(&self.shared.settings, found.name, partition, start).await
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>> {
        self.shared.topics.bounds(topic).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>> {
        self.shared.topics.committed(group, topic).await
    }

    async fn members(&self, group: &str, _: &str) -> Result<usize> {
        self.shared.topics.members(group).await
    }

    async fn taken_at(
        &self,
        topic: &str,
        positions: &[Position],
    ) -> Result<Vec<Option<DateTime<Utc>>>> {
        let found = self.shared.topics.find(topic).await?;
        let (settings, positions) = (self.shared.settings.clone(), positions.to_vec());
        topics::blocking(move || head::taken_at(&settings, &found.name, &positions)).await
    }
}

/// What the client library says about itself goes through our telemetry, which has levels of its own.
const LOG_LEVEL: RDKafkaLogLevel = RDKafkaLogLevel::Info;
