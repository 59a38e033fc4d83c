//! Topics of Kafka as subscribers of registered events.
//!
//! One record per event, written by an idempotent producer and answered for by all replicas (`acks=all`).
//! The key is the event's ordering key, so that what belongs together is in one partition; an event without one has its id
//! as the key, which spreads events evenly.
//! Deliveries of one ordering key never overlap, and the producer keeps order within a partition: a subscription that asks
//! for order has it in the topic.
//! It gets there at least once; a record that comes again after a crash has the same header `id`.
//!
//! | Header | Is |
//! |---|---|
//! | `id` | the event id |
//! | `type` | the event type |
//! | `timestamp` | when it happened, RFC 3339 |
//! | `traceparent`, `tracestate` | the trace that it was registered in, if any |
//! | `content-type` | the media type of the value |
//! | `ce_…` | the attributes, in the format `cloudevents-binary` |

mod config;
mod failure;
mod producer;
mod target;
mod template;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tidings::{
    deliverer::{Answer, Deliverer, Destination, OpenError},
    delivery::{Delivery, RegisteredEvent},
    secret::Credentials,
    subscriber::Subscriber,
};
use uuid::Uuid;

pub use self::{
    config::{Config, ConfigError, Mechanism},
    template::TemplateError,
};
use self::{
    producer::{Cluster, Producers},
    target::Target,
};

/// The kind of the subscribers that this module serves.
pub const KIND: &str = "kafka";

/// The type of the event that a test ping sends.
const PING: &str = "tidings:subscriber:pinged";

/// Few topics, and each of them one lane.
const SHARDS: u16 = 16;

/// Delivers to subscribers of the kind `kafka`.
///
/// ```
/// use tidings::subscriber::NewSubscriber;
/// use tidings_pipeline::deliver::{Kafka, kafka::{self, Config}};
///
/// let kafka = Kafka::new().brokers("kafka-1:9092,kafka-2:9092");
/// let config = serde_json::to_value(Config::new("orders.{type}"))?;
/// kafka.check(&config)?;
/// let notifications = NewSubscriber::new("orders", kafka::KIND, config.clone());
/// let telemetry = NewSubscriber::sink("orders-telemetry", kafka::KIND, config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Kafka {
    brokers: Option<String>,
    properties: Vec<(String, String)>,
    producers: Arc<Producers>,
}

/// What became of a test ping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ping {
    /// What a delivery with this answer would have meant.
    pub answer: Answer,
    /// How long it took.
    pub elapsed: Duration,
}

impl Kafka {
    /// Returns the deliverer without brokers of the worker's: every subscriber has to name its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the brokers of subscribers that name none, `host:port` with commas between.
    #[must_use]
    pub fn brokers(self, brokers: impl Into<String>) -> Self {
        Self { brokers: Some(brokers.into()), ..self }
    }

    /// Sets a property of the producers for these brokers, by the names of librdkafka: `security.protocol` for example.
    ///
    /// What the guarantees rest on cannot be set. Nothing of it goes to brokers that a subscriber names.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// Checks a configuration as far as that is possible before anything is sent.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and what to do about it.
    pub fn check(&self, config: &Value) -> Result<(), ConfigError> {
        Config::read(config)?.check()
    }

    /// Sends a test event to the topic of `subscriber`, once; nothing is recorded.
    ///
    /// A topic that is named by the tenant or a scope has no place for it, which the answer says.
    ///
    /// # Errors
    ///
    /// The subscriber's configuration cannot be used; an attempt that fails is no error.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await point; the event may have been sent by then.
    pub async fn ping(
        &self,
        subscriber: &Subscriber,
        ping_id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Ping, OpenError> {
        let target = self.target(subscriber)?;
        let started = Instant::now();
        let data = json!({"subscriber": subscriber.name, "tenant": subscriber.tenant});
        let delivery = Delivery {
            delivery_id: 0,
            subscriber_id: subscriber.subscriber_id,
            subscription_id: None,
            attempt: 1,
            first_due_at: now,
            call: None,
            event: RegisteredEvent {
                event_id: ping_id,
                event_type: PING.to_owned(),
                version: 1,
                tenant: subscriber.tenant.clone(),
                scope: String::new(),
                ordering_key: None,
                occurred_at: now,
                payload: data.to_string(),
                headers: None,
            },
        };
        let answer = target.deliver(&[delivery]).await.pop().unwrap_or_else(Answer::delivered);
        Ok(Ping { answer, elapsed: started.elapsed() })
    }

    fn target(&self, subscriber: &Subscriber) -> Result<Target, OpenError> {
        let refused = |error: ConfigError| OpenError::new(error.to_string());
        let config = Config::read(&subscriber.config).map_err(refused)?;
        config.check().map_err(refused)?;
        let timeout = config.timeout();
        let cluster = self.cluster(&config, subscriber.credentials.as_ref()).map_err(refused)?;
        Ok(Target {
            producers: Arc::clone(&self.producers),
            cluster: cluster.with_timeout(timeout),
            template: config.template().map_err(|error| refused(error.into()))?,
            format: config.format,
            timeout,
            together: Mutex::new(None),
            alone: Mutex::new(None),
        })
    }

    /// Returns where a subscriber's records go, and as whom.
    fn cluster(
        &self,
        config: &Config,
        credentials: Option<&Credentials>,
    ) -> Result<Cluster, ConfigError> {
        let account = credentials
            .map(|credentials| credentials.name_and_password().ok_or(ConfigError::Credentials))
            .transpose()?;
        match (&config.brokers, &self.brokers) {
            (Some(brokers), _) => {
                let account = account.as_ref().map(|(name, password)| (&**name, &***password));
                Ok(Cluster::of_subscriber(brokers, config, account))
            }
            (None, _) if account.is_some() => {
                Err(ConfigError::OwnBrokersOnly { field: "an account" })
            }
            (None, Some(brokers)) => Ok(Cluster::of_worker(brokers, &self.properties)),
            (None, None) => Err(ConfigError::NoBrokers),
        }
    }
}

impl Deliverer for Kafka {
    fn kind(&self) -> &str {
        KIND
    }

    fn shards(&self) -> u16 {
        SHARDS
    }

    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(self.target(subscriber)?))
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of properties may be passwords.
        let names: Vec<_> = self.properties.iter().map(|(name, _)| name).collect();
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
