//! One topic, or those of one template, and what is sent there.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use rdkafka::{
    error::KafkaResult,
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};
use tidings::{
    deliverer::{Answer, BoxFuture, Destination, Verdict},
    delivery::{Delivery, RegisteredEvent},
    format::{self, CloudEvent, Format},
};

use super::{
    failure,
    producer::{Cluster, Producer, Producers},
    template::Template,
};

/// How many records are handed to the producer at once; it makes its own batches of them.
const BATCH: usize = 500;

/// How many batches are on their way where the subscriber sets no limit.
const BATCHES: usize = 4;

/// What the worker waits for beyond the time of a record, so that the producer says what was wrong.
const GRACE: Duration = Duration::from_secs(2);

/// What a topic is ready to be sent.
pub(super) struct Target {
    pub(super) producers: Arc<Producers>,
    pub(super) cluster: Cluster,
    pub(super) template: Template,
    pub(super) format: Format,
    pub(super) timeout: Duration,
    /// Made when it is first needed, because opening does no network I/O.
    pub(super) producer: Mutex<Option<Arc<Producer>>>,
}

/// A record of an event.
#[derive(Debug)]
struct Written {
    topic: String,
    key: String,
    headers: OwnedHeaders,
    value: String,
}

impl Target {
    fn producer(&self) -> KafkaResult<Arc<Producer>> {
        let mut kept = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = kept.as_ref().filter(|producer| !producer.is_broken()) {
            return Ok(Arc::clone(producer));
        }
        let producer = self.producers.to(&self.cluster)?;
        *kept = Some(Arc::clone(&producer));
        Ok(producer)
    }

    async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Answer> {
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => {
                let reason = format!("set up a producer for Kafka: {error}");
                return vec![Answer::failed(Verdict::Retry, reason); deliveries.len()];
            }
        };
        // All are in the queue, in their order, before the first answer is waited for.
        let sent: Vec<_> =
            deliveries.iter().map(|delivery| self.send(&producer, &delivery.event)).collect();
        join_all(sent.into_iter().map(|sent| async {
            match sent {
                Ok(answer) => answer.await,
                Err(answer) => answer,
            }
        }))
        .await
    }

    /// Puts the record of an event into the queue, and returns what waits for the answer.
    fn send<'a>(
        &self,
        producer: &'a Producer,
        event: &RegisteredEvent,
    ) -> Result<impl Future<Output = Answer> + 'a + use<'a>, Answer> {
        let Written { topic, key, headers, value } = self.write(event)?;
        let record = FutureRecord::to(&topic).key(key.as_str()).payload(value.as_bytes());
        let failed = {
            let topic = topic.clone();
            move |error| failure::answer(&error, &topic, producer.trouble().as_deref())
        };
        let answer = producer.send(record.headers(headers)).map_err(&failed)?;
        Ok(async move {
            match answer.await {
                Ok(Ok(_)) => Answer::delivered(),
                Ok(Err((error, _))) => failed(producer.heard(error)),
                Err(_) => Answer::failed(Verdict::Retry, "the producer was set up anew"),
            }
        })
    }

    fn write(&self, event: &RegisteredEvent) -> Result<Written, Answer> {
        let refused = |error| Answer::failed(Verdict::Refused, format!("{error}"));
        let topic = self.template.render(event).map_err(refused)?;
        let key = match &event.ordering_key {
            Some(key) => key.clone(),
            None => event.event_id.to_string(),
        };
        let value = match self.format {
            Format::Tidings => format::body(&event.event_type, event.occurred_at, &event.payload),
            Format::CloudEvents => CloudEvent::new(event).structured(),
            Format::CloudEventsBinary => event.payload.clone(),
        };
        Ok(Written { topic, key, headers: self.headers(event), value })
    }

    fn headers(&self, event: &RegisteredEvent) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(16);
        let mut push = |name: &str, value: &str| {
            let taken = std::mem::take(&mut headers);
            headers = taken.insert(Header { key: name, value: Some(value) });
        };
        push("id", &event.event_id.to_string());
        push("type", &event.event_type);
        push("timestamp", &format::timestamp(event.occurred_at));
        if let Some(trace) = event.trace() {
            push("traceparent", trace.traceparent());
            if let Some(state) = trace.tracestate() {
                push("tracestate", state);
            }
        }
        push("content-type", self.format.media_type());
        if self.format == Format::CloudEventsBinary {
            for (name, value) in CloudEvent::new(event).attributes() {
                push(&format!("ce_{name}"), &value);
            }
        }
        headers
    }
}

impl Destination for Target {
    fn batch_max(&self) -> usize {
        BATCH
    }

    fn in_flight_max(&self) -> usize {
        BATCHES * BATCH
    }

    fn timeout(&self) -> Duration {
        self.timeout + GRACE
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(self.deliver_all(deliveries))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("template", &self.template)
            .field("format", &self.format)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
