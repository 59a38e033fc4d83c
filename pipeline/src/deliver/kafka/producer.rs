//! Producers, one for each cluster and account, shared by everything that goes there.
//!
//! They are made when they are first needed and go with the last destination that uses them.
//! They are idempotent, so a resend inside the library neither repeats nor reorders records.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};
use sha2::{Digest, Sha256};

use super::{config::Config, failure};
use crate::log::kafka::Troubles;

/// How every producer is set up, whatever an operator says.
///
/// Records are compressed where they are made; the partitioner is that of Kafka's own clients, so that a key is in the
/// same partition as theirs; and a topic that was not there is looked for every ten seconds.
const FIXED: [(&str, &str); 8] = [
    ("client.id", "tidings"),
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("compression.codec", "lz4"),
    ("partitioner", "murmur2_random"),
    ("reconnect.backoff.max.ms", "1000"),
    ("topic.metadata.propagation.max.ms", "5000"),
    ("topic.metadata.refresh.interval.ms", "10000"),
];

/// The largest record: an event's payload is 1 MiB at most, and 32 KiB stand beside it.
const RECORD_BYTES_MAX: &str = "2097152";

/// Where records go, and as whom: what a producer is shared by. It has passwords in it.
#[derive(Clone)]
pub(super) struct Cluster {
    properties: Vec<(String, String)>,
}

/// The producers of a process.
#[derive(Debug, Default)]
pub(super) struct Producers {
    shared: Mutex<HashMap<[u8; 32], Weak<Producer>>>,
}

/// A producer that many destinations share.
pub(super) struct Producer {
    inner: FutureProducer<Listener>,
    heard: Arc<Heard>,
}

/// Hears what the library says beside the answers.
struct Listener(Arc<Heard>);

#[derive(Default)]
struct Heard {
    /// What was wrong last, to explain why a record was not taken in time.
    trouble: Mutex<Option<String>>,
    broken: AtomicBool,
    troubles: Troubles,
}

impl Cluster {
    /// Returns the cluster of the worker.
    pub(super) fn of_worker(brokers: &str, properties: &[(String, String)]) -> Self {
        let mut cluster = Self { properties: properties.to_vec() };
        cluster.set("bootstrap.servers", brokers);
        cluster
    }

    /// Returns the cluster that a subscriber names, with its account if it has one; nothing of the worker's goes there.
    pub(super) fn of_subscriber(
        brokers: &str,
        config: &Config,
        account: Option<(&str, &str)>,
    ) -> Self {
        let mut cluster = Self { properties: Vec::new() };
        cluster.set("bootstrap.servers", brokers);
        let protocol = match (config.tls || config.ca.is_some(), account.is_some()) {
            (false, false) => "plaintext",
            (false, true) => "sasl_plaintext",
            (true, false) => "ssl",
            (true, true) => "sasl_ssl",
        };
        cluster.set("security.protocol", protocol);
        if let Some(ca) = &config.ca {
            cluster.set("ssl.ca.pem", ca);
        }
        if let Some((name, password)) = account {
            let mechanism = config.sasl_mechanism.unwrap_or_default().as_str();
            cluster.set("sasl.mechanisms", mechanism);
            cluster.set("sasl.username", name);
            cluster.set("sasl.password", password);
        }
        cluster
    }

    /// Gives up on a record after so long.
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.set("message.timeout.ms", &timeout.as_millis().to_string());
        self
    }

    /// Sends each record in a batch of its own.
    pub(super) fn without_batches(mut self) -> Self {
        self.set("batch.num.messages", "1");
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        self.properties.push((name.to_owned(), value.to_owned()));
    }

    /// Returns what tells it from others, without keeping a password as a key.
    fn id(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (name, value) in &self.properties {
            for text in [name, value] {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
        }
        hash.finalize().into()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info).set("linger.ms", "5");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, value) in FIXED {
            config.set(name, value);
        }
        config.set("message.max.bytes", RECORD_BYTES_MAX);
        config
    }
}

impl Producers {
    /// Returns the producer for a cluster; its connections are made in the background.
    ///
    /// # Errors
    ///
    /// It cannot be set up like this.
    pub(super) fn to(&self, cluster: &Cluster) -> KafkaResult<Arc<Producer>> {
        let id = cluster.id();
        // Made under the lock, because many lanes begin at once when a worker starts.
        let mut shared = lock(&self.shared);
        let found = shared.get(&id).and_then(Weak::upgrade).filter(|found| !found.is_broken());
        if let Some(found) = found {
            return Ok(found);
        }
        shared.retain(|_, producer| producer.strong_count() > 0);
        let producer = Arc::new(Producer::new(cluster)?);
        shared.insert(id, Arc::downgrade(&producer));
        Ok(producer)
    }
}

impl Producer {
    fn new(cluster: &Cluster) -> KafkaResult<Self> {
        let heard = Arc::new(Heard::default());
        let inner = cluster.client().create_with_context(Listener(Arc::clone(&heard)))?;
        Ok(Self { inner, heard })
    }

    /// Whether it has met an error from which it cannot go on.
    pub(super) fn is_broken(&self) -> bool {
        self.heard.broken.load(Ordering::Relaxed)
    }

    /// Puts a record into the queue, and returns what waits until all replicas have it.
    ///
    /// The record is in the queue when this returns, if there is room.
    pub(super) fn send<'a>(
        &'a self,
        record: FutureRecord<'_, str, [u8]>,
    ) -> impl Future<Output = KafkaResult<()>> + use<'a> {
        let queued = self.inner.send_result(record).map_err(|(error, _)| error);
        async move {
            let taken = match queued {
                Ok(answer) => answer.await.map_err(|_| KafkaError::Canceled),
                Err(error) => Err(error),
            };
            match taken {
                Ok(Ok(_)) => {
                    self.heard.troubles.answered();
                    Ok(())
                }
                Ok(Err((error, _))) | Err(error) => Err(self.heard(error)),
            }
        }
    }

    /// Takes note of an error that a record met, and returns it.
    fn heard(&self, error: KafkaError) -> KafkaError {
        if failure::is_fatal(&error) {
            self.heard.broken.store(true, Ordering::Relaxed);
        }
        error
    }

    /// Returns what was wrong with a connection last.
    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.heard.trouble).clone()
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.troubles.said(level, facility, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        // That all are away says less than why the last of them is.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *lock(&self.0.trouble) = Some(reason.to_owned());
        }
        self.0.troubles.troubled(&error, reason);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("is_broken", &self.is_broken()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.properties.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
