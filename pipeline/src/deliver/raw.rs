//! The telemetry view of registered events, in the raw log.
//!
//! Each call of the worker becomes one record, a batch of the profile `tidings` in Sunbird's form, which the pipeline
//! treats like any other.
//! It gets there at least once; because an event's id is its `mid`, the pipeline knows what came before, and a retry adds
//! nothing.

mod event;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tidings::{
    deliverer::{Answer, BoxFuture, Deliverer, Destination, OpenError, Verdict},
    delivery::Delivery,
    subscriber::Subscriber,
};
use uuid::Uuid;

use self::event::event;
use crate::{
    Error, Headers, Output, Profile, identity, log::Appender, provenance::Format, telemetry, topic,
};

/// The kind of the subscribers that this module serves.
pub const KIND: &str = "pipeline";

/// The channel of registered events.
pub const CHANNEL: &str = "tidings";

/// One subscriber is enough for an installation.
const SHARDS: u16 = 4;

/// How many events travel in one record: 28 KiB of telemetry each, they are far from the largest record.
const BATCH: usize = 100;

/// How many batches are on their way where the subscriber sets no limit.
const BATCHES: usize = 4;

/// How long a log may take to answer: Kafka gives up after thirty seconds, and says why.
const TIMEOUT: Duration = Duration::from_secs(35);

/// Delivers to the raw log of the pipeline.
///
/// Its subscribers are sinks: they get the telemetry view and never the notification.
/// What is configured is the [`Config`]; `{}` will do.
///
/// ```
/// # use std::sync::Arc;
/// use chrono::Utc;
/// use tidings::{Deliverer, subscriber::NewSubscriber};
/// use tidings_pipeline::{deliver::Raw, log::Memory};
/// use uuid::Uuid;
///
/// // The name of the installation: `tidings::privacy::installation`.
/// let installation = Uuid::from_u128(7);
/// let raw = Raw::new(Arc::new(Memory::new()), installation, Utc::now);
/// let subscriber = NewSubscriber::sink("pipeline", raw.kind(), serde_json::json!({}));
/// ```
#[derive(Clone)]
pub struct Raw {
    appender: Arc<dyn Appender>,
    installation: Uuid,
    clock: fn() -> DateTime<Utc>,
    consent: Arc<BTreeSet<String>>,
}

/// The configuration of a subscriber of this kind, as it is stored.
///
/// ```json
/// {"consent": ["Analytics"]}
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The categories of consent that it needs, all of them. An event that says nothing about consent passes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub consent: BTreeSet<String>,
}

impl Raw {
    /// Returns the deliverer to the topic `telemetry.raw` of a log.
    ///
    /// Events are those of `installation`, which is also the actor of those that are of nobody in particular; `clock` says
    /// when a batch is written.
    pub fn new(
        appender: Arc<dyn Appender>,
        installation: Uuid,
        clock: fn() -> DateTime<Utc>,
    ) -> Self {
        Self { appender, installation, clock, consent: Arc::default() }
    }

    async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(deliveries.len());
        let mut batch = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match event(&delivery.event, self.installation, &self.consent) {
                Ok(event) => {
                    batch.push((delivery.event.event_id, event));
                    answers.push(Answer::delivered());
                }
                Err(answer) => answers.push(answer),
            }
        }
        if let Err(error) = self.append(&batch).await {
            let answer = Answer::failed(Verdict::Retry, telemetry::chain(&error));
            let waiting = answers.iter_mut().filter(|it| it.verdict == Verdict::Delivered);
            waiting.for_each(|it| it.clone_from(&answer));
        }
        answers
    }

    /// Writes a batch; one of nothing is none.
    async fn append(&self, batch: &[(Uuid, String)]) -> Result<(), Error> {
        let Some((first, _)) = batch.first() else { return Ok(()) };
        let message_id = first.to_string();
        let partitions = self.appender.partitions(topic::RAW).await?;
        let now = (self.clock)().timestamp_millis();
        let headers = Headers::new()
            .with("format", Format::Sunbird.as_str())
            .with("channel", CHANNEL)
            .with("profile", Profile::Tidings.as_str())
            .with("syncts", now.to_string())
            .with("message_id", message_id.as_str());
        let events: Vec<_> = batch.iter().map(|(_, event)| event.as_str()).collect();
        let events = events.join(",");
        let value = format!(
            r#"{{"id":"tidings.telemetry","ver":"3.1","ets":{now},"params":{{"msgid":"{message_id}"}},"events":[{events}]}}"#
        );
        let output = Output {
            topic: topic::RAW.into(),
            partition: identity::partition(&message_id, partitions),
            key: Some(Bytes::from(message_id)),
            headers,
            value: value.into(),
        };
        self.appender.append(vec![output]).await?;
        Ok(())
    }
}

impl Deliverer for Raw {
    fn kind(&self) -> &str {
        KIND
    }

    fn shards(&self) -> u16 {
        SHARDS
    }

    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        let Ok(Config { consent }) = Config::deserialize(&subscriber.config) else {
            return Err(OpenError::new(
                "the configuration of the sink cannot be read; write {} or {\"consent\": [\"Analytics\"]}",
            ));
        };
        Ok(Box::new(Self { consent: Arc::new(consent), ..self.clone() }))
    }
}

impl Destination for Raw {
    fn batch_max(&self) -> usize {
        BATCH
    }

    fn in_flight_max(&self) -> usize {
        BATCHES * BATCH
    }

    fn timeout(&self) -> Duration {
        TIMEOUT
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(self.deliver_all(deliveries))
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw")
            .field("appender", &self.appender)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
