//! One topic, or those of one template, and what is sent there.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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
    /// Made when they are first needed, because opening does no network I/O.
    pub(super) together: Slot,
    /// What sends each record in a batch of its own.
    pub(super) alone: Slot,
}

/// A producer that is kept once it was needed.
pub(super) type Slot = Mutex<Option<Arc<Producer>>>;

/// A record of an event.
#[derive(Debug)]
struct Written {
    topic: String,
    key: String,
    headers: OwnedHeaders,
    value: String,
}

/// Why a record was not taken.
#[derive(Debug)]
struct Failed {
    answer: Answer,
    is_too_large: bool,
}

impl Target {
    fn producer(&self, slot: &Slot, cluster: &Cluster) -> KafkaResult<Arc<Producer>> {
        let mut kept = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = kept.as_ref().filter(|producer| !producer.is_broken()) {
            return Ok(Arc::clone(producer));
        }
        let producer = self.producers.to(cluster)?;
        *kept = Some(Arc::clone(&producer));
        Ok(producer)
    }

    async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Answer> {
        let producer = match self.producer(&self.together, &self.cluster) {
            Ok(producer) => producer,
            Err(error) => {
                let reason = format!("set up a producer for Kafka: {error}");
                return vec![Answer::failed(Verdict::Retry, reason); deliveries.len()];
            }
        };
        // All are in the queue, in their order, before the first answer is waited for.
        let sent: Vec<_> =
            deliveries.iter().map(|delivery| self.send(&producer, &delivery.event)).collect();
        let mut answers = Vec::with_capacity(sent.len());
        let mut large = Vec::new();
        for (place, sent) in sent.into_iter().enumerate() {
            answers.push(match sent {
                Err(answer) => answer,
                Ok(sent) => match sent.await {
                    Err(Failed { is_too_large: true, .. }) => {
                        large.push(place);
                        Answer::failed(Verdict::Retry, "it was in a batch that was too large")
                    }
                    Err(Failed { answer, .. }) => answer,
                    Ok(()) => Answer::delivered(),
                },
            });
        }
        if !large.is_empty() {
            self.deliver_alone(deliveries, &large, &mut answers).await;
        }
        answers
    }

    /// Sends those at `places` again, each in a batch of its own: a batch is refused as a whole, however small most of its
    /// records are.
    async fn deliver_alone(
        &self,
        deliveries: &[Delivery],
        places: &[usize],
        answers: &mut [Answer],
    ) {
        let cluster = self.cluster.clone().without_batches();
        let Ok(producer) = self.producer(&self.alone, &cluster) else { return };
        for place in places {
            let Ok(sent) = self.send(&producer, &deliveries[*place].event) else { continue };
            let answer = match sent.await {
                Ok(()) => Answer::delivered(),
                Err(Failed { answer, .. }) => answer,
            };
            let is_final = answer.verdict != Verdict::Retry;
            answers[*place] = answer;
            if !is_final {
                return;
            }
        }
    }

    /// Puts the record of an event into the queue, and returns what waits for the answer.
    fn send<'a>(
        &self,
        producer: &'a Producer,
        event: &RegisteredEvent,
    ) -> Result<impl Future<Output = Result<(), Failed>> + use<'a>, Answer> {
        let Written { topic, key, headers, value } = self.write(event)?;
        let record = FutureRecord::to(&topic).key(key.as_str()).payload(value.as_bytes());
        let sent = producer.send(record.headers(headers));
        Ok(async move {
            sent.await.map_err(|error| {
                let answer = failure::answer(&error, &topic, producer.trouble().as_deref());
                Failed { answer, is_too_large: failure::is_too_large(&error) }
            })
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
        // Once in a batch, and once alone.
        self.timeout * 2 + GRACE
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
