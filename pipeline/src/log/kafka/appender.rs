//! Writing outside of groups: one idempotent producer for all callers.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Message as _, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::DeliveryResult,
    producer::{NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::sync::oneshot;

use super::{context::Troubles, outgoing::outgoing, settings::Settings, topics::Topics};
use crate::{Error, Result, record::Output};

/// How soon a record is offered again to a queue that is full.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// What is being attempted, for errors.
const DOING: &str = "write to a topic";

/// A producer that all calls share, so that their records travel together.
pub(super) struct Appender {
    producer: ThreadedProducer<Deliveries>,
}

/// Hears what became of records.
struct Deliveries {
    /// Whether the producer has met an error from which there is no way back.
    broken: AtomicBool,
    troubles: Troubles,
}

/// The records of one call.
struct Call {
    state: Mutex<State>,
}

struct State {
    offsets: Vec<i64>,
    /// How many are not known yet.
    left: usize,
    error: Option<KafkaError>,
    done: Option<oneshot::Sender<()>>,
}

/// One record of a call.
struct Ticket {
    call: Arc<Call>,
    index: usize,
}

impl Appender {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let troubles = settings.troubles.clone();
        let deliveries = Deliveries { broken: AtomicBool::new(false), troubles };
        let producer = settings.appender().create_with_context(deliveries);
        Ok(Self { producer: producer.map_err(Error::broker("set up a producer for Kafka"))? })
    }

    pub(super) fn is_broken(&self) -> bool {
        self.producer.context().broken.load(Ordering::Relaxed)
    }

    /// Writes records to topics that are known, and returns their offsets.
    pub(super) async fn append(&self, topics: &Topics, records: Vec<Output>) -> Result<Vec<i64>> {
        let (done, all_done) = oneshot::channel();
        let left = records.len();
        if left == 0 {
            return Ok(Vec::new());
        }
        let state = State { offsets: vec![-1; left], left, error: None, done: Some(done) };
        let call = Arc::new(Call { state: Mutex::new(state) });
        for (index, output) in records.iter().enumerate() {
            let Some(topic) = topics.known(output)? else {
                let (topic, partition) = (output.topic.to_string(), output.partition);
                return Err(Error::NoSuchPartition { topic, partition });
            };
            while let Err(error) = self.offer(output, &topic.name, &call, index) {
                if error.rdkafka_error_code() == Some(Code::QueueFull) {
                    tokio::time::sleep(FULL_PAUSE).await;
                } else {
                    self.producer.context().heard(&error);
                    call.settle(index, Err(error));
                    break;
                }
            }
        }
        // The sender goes with the last record, after it has said so.
        drop(all_done.await);
        let mut state = call.lock();
        match state.error.take() {
            Some(error) => Err(Error::broker(DOING)(error)),
            None => Ok(std::mem::take(&mut state.offsets)),
        }
    }

    fn offer(
        &self,
        output: &Output,
        topic_name: &str,
        call: &Arc<Call>,
        index: usize,
    ) -> Result<(), KafkaError> {
        let ticket = Box::new(Ticket { call: Arc::clone(call), index });
        self.producer.send(outgoing(output, topic_name, ticket)).map_err(|(error, _)| error)
    }
}

impl Call {
    fn settle(&self, index: usize, result: Result<i64, KafkaError>) {
        let mut state = self.lock();
        match result {
            Ok(offset) => state.offsets[index] = offset,
            Err(error) => state.error = Some(state.error.take().unwrap_or(error)),
        }
        state.left -= 1;
        if state.left == 0
            && let Some(done) = state.done.take()
        {
            // Whoever called may have gone meanwhile.
            done.send(()).unwrap_or_default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliveries {
    fn heard(&self, error: &KafkaError) {
        if matches!(error.rdkafka_error_code(), Some(Code::Fatal)) {
            self.broken.store(true, Ordering::Relaxed);
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.troubles.said(level, fac, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.heard(&error);
        self.troubles.troubled(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let result = match result {
            Ok(message) => {
                self.troubles.answered();
                Ok(message.offset())
            }
            Err((error, _)) => {
                self.heard(error);
                Err(error.clone())
            }
        };
        ticket.call.settle(ticket.index, result);
    }
}
