//! Topics of the cluster: made, looked up, and measured.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    topic_partition_list::TopicPartitionListElem,
    types::RDKafkaRespErr,
};

use super::{context::Quiet, fault::is_transient, settings::Settings};
use crate::{Error, Result, log::Bounds, record::Output, topic::Spec};

/// How long one question to the cluster may take.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How soon a question that was not answered is asked again.
const PERSIST_PAUSE: Duration = Duration::from_millis(100);

/// How long a topic that was made takes to be known to all brokers.
const APPEAR_MAX: Duration = Duration::from_secs(30);

/// How soon it is asked again whether a topic is there.
const APPEAR_PAUSE: Duration = Duration::from_millis(50);

/// What stands around the largest record in what a broker takes at once.
const BATCH_BYTES: usize = 64 * 1024;

/// Into how many parts the time of retention is cut at least: whole segments are deleted.
const SEGMENTS_MIN: u128 = 8;

/// The size of a segment, small enough that memory tables of a topic that is deleted go soon.
const SEGMENT_BYTES: &str = "268435456";

/// A topic of the cluster.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    /// Its name in the cluster.
    pub(super) name: Arc<str>,
    /// How many partitions it has.
    pub(super) partitions: i32,
}

/// Topics that are known to be there.
#[derive(Debug)]
pub(super) struct Topics {
    settings: Settings,
    known: Mutex<HashMap<String, Topic>>,
}

impl Topics {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, known: Mutex::new(HashMap::new()) }
    }

    /// Returns the id of the cluster.
    pub(super) async fn cluster(&self) -> Result<String> {
        let doing = "ask the cluster for its id";
        let (config, quiet) = (self.settings.inquirer("read_committed"), self.settings.quiet());
        blocking(move || {
            let consumer: BaseConsumer<Quiet> =
                config.create_with_context(quiet).map_err(Error::broker(doing))?;
            // Known once the cluster has answered anything.
            consumer.fetch_metadata(None, ANSWER_MAX).map_err(Error::broker(doing))?;
            let id = consumer.client().fetch_cluster_id(ANSWER_MAX);
            id.ok_or_else(|| Error::broker(doing)(KafkaError::Global(Code::OperationTimedOut)))
        })
        .await
    }

    /// Makes the topics that are missing.
    pub(super) async fn make(&self, specs: &[Spec]) -> Result<()> {
        let doing = "make the topics";
        let config = self.settings.inquirer("read_committed");
        let admin: AdminClient<_> =
            config.create_with_context(self.settings.quiet()).map_err(Error::broker(doing))?;
        let names: Vec<_> = specs.iter().map(|spec| self.settings.named(&spec.name)).collect();
        let settings: Vec<_> = specs.iter().map(topic_settings).collect();
        let topics: Vec<_> = specs
            .iter()
            .zip(names.iter().zip(&settings))
            .map(|(spec, (name, settings))| {
                let replication = TopicReplication::Fixed(self.settings.replication);
                let topic = NewTopic::new(name, spec.partitions, replication);
                settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
            })
            .collect();
        let options = AdminOptions::new()
            .request_timeout(Some(ANSWER_MAX))
            .operation_timeout(Some(ANSWER_MAX));
        let made = admin.create_topics(&topics, &options).await.map_err(Error::broker(doing))?;
        for result in made {
            match result {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(Error::broker(doing)(KafkaError::Global(code))),
            }
        }
        Ok(())
    }

    /// Waits until a topic that was made is known, with all its partitions.
    pub(super) async fn appeared(&self, topic: &str) -> Result<Topic> {
        let deadline = Instant::now() + APPEAR_MAX;
        loop {
            match self.ask(topic).await {
                Err(Error::NoSuchPartition { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(APPEAR_PAUSE).await;
                }
                found => return found,
            }
        }
    }

    /// Returns a topic, and asks the cluster where it is not known.
    pub(super) async fn find(&self, topic: &str) -> Result<Topic> {
        let known = self.lock().get(topic).cloned();
        match known {
            Some(known) => Ok(known),
            None => self.ask(topic).await,
        }
    }

    /// Returns the topic of an output if it is known.
    ///
    /// # Errors
    ///
    /// It is known not to have this partition.
    pub(super) fn known(&self, output: &Output) -> Result<Option<Topic>> {
        let known = self.lock().get(&*output.topic).cloned();
        match known {
            Some(known) if !(0..known.partitions).contains(&output.partition) => {
                let (topic, partition) = (output.topic.to_string(), output.partition);
                Err(Error::NoSuchPartition { topic, partition })
            }
            known => Ok(known),
        }
    }

    async fn ask(&self, topic: &str) -> Result<Topic> {
        let (settings, topic) = (self.settings.clone(), topic.to_owned());
        let found = blocking(move || look_up(&settings, &topic).map(|found| (topic, found))).await;
        let (topic, found) = found?;
        self.lock().insert(topic, found.clone());
        Ok(found)
    }

    /// Like [`find`](Self::find), on a thread that may block.
    pub(super) fn find_blocking(&self, topic: &str) -> Result<Topic> {
        let known = self.lock().get(topic).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = look_up(&self.settings, topic)?;
        self.lock().insert(topic.to_owned(), found.clone());
        Ok(found)
    }

    pub(super) async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>> {
        let found = self.find(topic).await?;
        let settings = self.settings.clone();
        blocking(move || {
            let consumer = inquirer(&settings, "read_committed")?;
            (0..found.partitions)
                .map(|partition| {
                    let (first, end) = watermarks(&consumer, &found.name, partition)?;
                    Ok(Bounds { partition, first, end })
                })
                .collect()
        })
        .await
    }

    pub(super) async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>> {
        let doing = "ask for the positions of a group";
        let found = self.find(topic).await?;
        let (config, quiet) = (self.settings.member(group), self.settings.quiet());
        blocking(move || {
            let consumer: BaseConsumer<Quiet> =
                config.create_with_context(quiet).map_err(Error::broker(doing))?;
            let mut list = TopicPartitionList::new();
            list.add_partition_range(&found.name, 0, found.partitions - 1);
            persist(doing, |within| {
                let list = consumer.committed_offsets(list.clone(), within)?;
                let committed = |element: &TopicPartitionListElem<'_>| {
                    element.error()?;
                    Ok(match element.offset() {
                        Offset::Offset(offset) => Some(offset),
                        _ => None,
                    })
                };
                list.elements().iter().map(committed).collect()
            })
        })
        .await
    }

    /// Returns how many members a group has; none where the cluster knows no such group.
    pub(super) async fn members(&self, group: &str) -> Result<usize> {
        let doing = "ask for the members of a group";
        let (settings, group) = (self.settings.clone(), self.settings.named(group));
        blocking(move || {
            let consumer = inquirer(&settings, "read_committed")?;
            let groups = persist(doing, |within| consumer.fetch_group_list(Some(&group), within))?;
            Ok(groups.groups().iter().map(|found| found.members().len()).sum())
        })
        .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Topic>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what a topic is made with.
fn topic_settings(spec: &Spec) -> [(&'static str, String); 7] {
    let time = if spec.append_time { "LogAppendTime" } else { "CreateTime" };
    let retention = spec.retention.as_millis();
    [
        ("cleanup.policy", "delete".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("max.message.bytes", (spec.record_bytes_max + BATCH_BYTES).to_string()),
        ("message.timestamp.type", time.to_owned()),
        ("retention.ms", retention.to_string()),
        ("segment.bytes", SEGMENT_BYTES.to_owned()),
        ("segment.ms", (retention / SEGMENTS_MIN).max(60_000).to_string()),
    ]
}

fn look_up(settings: &Settings, topic: &str) -> Result<Topic> {
    let doing = "look a topic up";
    let name = settings.named(topic);
    let consumer = inquirer(settings, "read_committed")?;
    let metadata = persist(doing, |within| consumer.fetch_metadata(Some(&name), within))?;
    settings.troubles.answered();
    let missing = || Error::NoSuchPartition { topic: topic.to_owned(), partition: 0 };
    let found = metadata.topics().iter().find(|found| found.name() == name).ok_or_else(missing)?;
    match found.error() {
        None => {}
        Some(
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        ) => return Err(missing()),
        Some(error) => return Err(Error::broker(doing)(KafkaError::MetadataFetch(error.into()))),
    }
    let partitions = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
    if partitions == 0 {
        return Err(missing());
    }
    Ok(Topic { name: name.into(), partitions })
}

/// Returns a client that asks about topics; it is dropped after its question, because nobody would hear what it logs.
pub(super) fn inquirer(settings: &Settings, isolation: &str) -> Result<BaseConsumer<Quiet>> {
    let config = settings.inquirer(isolation);
    config.create_with_context(settings.quiet()).map_err(Error::broker("set up a client for Kafka"))
}

/// Returns the first offset of a partition, and the one behind the last that can be read.
pub(super) fn watermarks(
    consumer: &BaseConsumer<Quiet>,
    topic_name: &str,
    partition: i32,
) -> Result<(i64, i64)> {
    let doing = "ask where a partition begins and ends";
    persist(doing, |within| consumer.fetch_watermarks(topic_name, partition, within))
}

/// Asks the cluster until it answers, for as long as one question may take: a broker that has just started answers, but
/// does not know yet what it leads.
pub(super) fn persist<T>(
    doing: &'static str,
    ask: impl Fn(Duration) -> Result<T, KafkaError>,
) -> Result<T> {
    let deadline = Instant::now() + ANSWER_MAX;
    loop {
        match ask(deadline - Instant::now()) {
            Err(error) if is_transient(&error) && Instant::now() < deadline => {
                std::thread::sleep(PERSIST_PAUSE);
            }
            answer => return answer.map_err(Error::broker(doing)),
        }
    }
}

/// Runs what blocks on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::broker("ask the cluster")(KafkaError::Canceled))?
}
