//! Writing in transactions: outputs and positions, all or none.

use std::{
    sync::Arc,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::DeliveryResult,
    producer::{BaseProducer, NoCustomPartitioner, Producer as _, ProducerContext},
};

use super::{
    context::Troubles,
    fault::{is_fencing, is_permanent},
    membership::Membership,
    outgoing::outgoing,
    settings::Settings,
    topics::Topic,
};
use crate::{Error, Result, record::Output};

/// How long one step of a transaction may take before it is asked again what became of it.
const STEP_MAX: Duration = Duration::from_secs(5);

/// How long one try to abort takes: in between, what it has thrown away has to be heard of.
const ABORT_STEP_MAX: Duration = Duration::from_millis(200);

/// How soon it is looked again whether everything is written, or whether a queue has room.
const LOOK: Duration = Duration::from_millis(1);

/// A transactional producer.
pub(super) struct Writer {
    producer: BaseProducer<Reports>,
    closing: Arc<AtomicBool>,
}

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It took effect.
    Committed,
    /// It did not; the same may work later.
    Aborted(KafkaError),
    /// It did not, and never will.
    Refused(KafkaError),
    /// It cannot be known or decided by this producer any more.
    Fenced(KafkaError),
}

/// Why a transaction does not go on.
enum Stop {
    /// Abort it.
    Abort(KafkaError),
    /// Abort it if that is possible; then the member goes.
    Fence(KafkaError),
}

/// Hears of records that could not be written.
struct Reports {
    error: Mutex<Option<KafkaError>>,
    troubles: Troubles,
}

impl Writer {
    /// Makes a producer, and waits until the cluster knows it.
    pub(super) fn open(
        settings: &Settings,
        (group, id): (&str, &str),
        closing: &Arc<AtomicBool>,
    ) -> Result<Self, KafkaError> {
        let troubles = settings.troubles.clone();
        let reports = Reports { error: Mutex::new(None), troubles };
        let producer: BaseProducer<_> = settings.writer(group, id).create_with_context(reports)?;
        let this = Self { producer, closing: Arc::clone(closing) };
        loop {
            let opened = this.producer.init_transactions(STEP_MAX);
            this.producer.poll(Duration::ZERO);
            match opened {
                Ok(()) => return Ok(this),
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && !this.is_closing() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes outputs and positions in one transaction.
    pub(super) fn transact(
        &self,
        outputs: &[(Topic, Output)],
        positions: &TopicPartitionList,
        consumer: &BaseConsumer<Membership>,
    ) -> Verdict {
        self.reports().take();
        if let Err(error) = self.producer.begin_transaction() {
            return Verdict::Fenced(error);
        }
        let done = self
            .write(outputs)
            .and_then(|()| self.move_positions(positions, consumer))
            .and_then(|()| self.flush())
            .and_then(|()| self.commit());
        match done {
            Ok(()) => Verdict::Committed,
            Err(Stop::Abort(error)) => {
                // What could not be written says more than what came of it.
                let cause = self.reports().take().unwrap_or(error);
                match self.abort() {
                    Ok(()) if cause.rdkafka_error_code().is_some_and(is_permanent) => {
                        Verdict::Refused(cause)
                    }
                    Ok(()) => Verdict::Aborted(cause),
                    Err(error) => Verdict::Fenced(error),
                }
            }
            Err(Stop::Fence(error)) => {
                // If it fails, the cluster aborts when the transaction is over its time.
                drop(self.abort());
                Verdict::Fenced(error)
            }
        }
    }

    fn write(&self, outputs: &[(Topic, Output)]) -> Result<(), Stop> {
        for (topic, output) in outputs {
            while let Err((error, _)) = self.producer.send(outgoing(output, &topic.name, ())) {
                if error.rdkafka_error_code() != Some(Code::QueueFull) || self.is_closing() {
                    return Err(Stop::Abort(error));
                }
                self.producer.poll(LOOK);
                self.check()?;
            }
        }
        Ok(())
    }

    fn move_positions(
        &self,
        positions: &TopicPartitionList,
        consumer: &BaseConsumer<Membership>,
    ) -> Result<(), Stop> {
        let lost = || Stop::Fence(KafkaError::ConsumerCommit(Code::UnknownMemberId));
        loop {
            let metadata = consumer.group_metadata().ok_or_else(lost)?;
            // In this order: whoever was put out of the group before has metadata that fence nobody.
            if consumer.assignment_lost() {
                return Err(lost());
            }
            match self.producer.send_offsets_to_transaction(positions, &metadata, STEP_MAX) {
                Ok(()) => return Ok(()),
                Err(error) => self.weigh(error)?,
            }
        }
    }

    /// Waits until all records are written.
    fn flush(&self) -> Result<(), Stop> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(LOOK);
            self.check()?;
        }
        self.check()
    }

    fn commit(&self) -> Result<(), Stop> {
        loop {
            match self.producer.commit_transaction(STEP_MAX) {
                Ok(()) => return Ok(()),
                Err(error) => self.weigh(error)?,
            }
        }
    }

    fn abort(&self) -> Result<(), KafkaError> {
        loop {
            let aborted = self.producer.abort_transaction(ABORT_STEP_MAX);
            self.producer.poll(Duration::ZERO);
            match aborted {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && !self.is_closing() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns where the same is to be tried again, and otherwise why not.
    fn weigh(&self, error: KafkaError) -> Result<(), Stop> {
        let fences = error.rdkafka_error_code().is_some_and(is_fencing);
        let (again, abort) = match &error {
            KafkaError::Transaction(error) => {
                (error.is_retriable() && !error.txn_requires_abort(), !error.is_fatal())
            }
            // Not everything is written yet.
            _ => (true, true),
        };
        if fences || !abort {
            Err(Stop::Fence(error))
        } else if again && !self.is_closing() {
            self.check()
        } else {
            Err(Stop::Abort(error))
        }
    }

    /// Fails if a record could not be written.
    fn check(&self) -> Result<(), Stop> {
        let error = self.reports().clone();
        error.map_or(Ok(()), |error| Err(Stop::Abort(error)))
    }

    fn reports(&self) -> std::sync::MutexGuard<'_, Option<KafkaError>> {
        self.producer.context().error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

impl Verdict {
    /// Returns the error that a member answers with, where it is one of `group`.
    pub(super) fn fenced(group: &str) -> Error {
        Error::Fenced { group: group.to_owned() }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.troubles.said(level, fac, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.troubled(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            // What an abort throws away has failed for another reason.
            if !matches!(error.rdkafka_error_code(), Some(Code::PurgeQueue | Code::PurgeInflight)) {
                first.get_or_insert_with(|| error.clone());
            }
        }
    }
}
