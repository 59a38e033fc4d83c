//! What the client library says about itself, each thing once.
//!
//! A log has many clients, and each of them reports each broker that is away, again and again: an outage would fill the
//! log of the process. What was said is kept for all of them together, until the cluster answers again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use crate::telemetry;

/// How soon the same is said again.
const AGAIN: Duration = Duration::from_mins(5);

/// How many different things are kept in mind; the library has fewer.
const SAID_MAX: usize = 256;

/// What the clients of one log have said; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether no broker answers.
    away: AtomicBool,
    said: Mutex<Said>,
}

/// What was said, and when; for good where there is no time.
#[derive(Debug, Default)]
struct Said(HashMap<String, Option<Instant>>);

/// Hands on what a client says that needs nothing else.
#[derive(Clone, Debug)]
pub(super) struct Quiet(pub(super) Troubles);

impl Troubles {
    /// Hands on a log line of the library.
    pub(crate) fn said(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // A broker that fails is reported as an error as well.
        let is_warning = (level as i32) <= RDKafkaLogLevel::Warning as i32 && facility != "FAIL";
        let news = is_warning
            && self.with(|said| match facility {
                // A property that is of no use to one kind of client is set for all of them.
                "CONFWARN" => said.first(message),
                _ => said.lately(facility, Instant::now()),
            });
        if news {
            telemetry::kafka_warned(facility, message);
        } else {
            telemetry::kafka_said(facility, message);
        }
    }

    /// Hands on an error that the library recovers from by itself, or reports a second time to whoever polls.
    pub(crate) fn troubled(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        match code {
            // The end of a partition is reported as an error.
            Some(Code::PartitionEOF) => return,
            Some(Code::AllBrokersDown) => self.0.away.store(true, Ordering::Relaxed),
            _ => {}
        }
        if self.with(|said| said.lately(&format!("{code:?}"), Instant::now())) {
            telemetry::kafka_troubled(error, reason);
        } else {
            telemetry::kafka_still_troubled(error, reason);
        }
    }

    /// Takes note that the cluster has answered; what goes wrong from now on is news.
    pub(crate) fn answered(&self) {
        // Asked for each record, and hardly ever true.
        if self.0.away.load(Ordering::Relaxed) && self.0.away.swap(false, Ordering::Relaxed) {
            self.with(Said::forget);
            telemetry::kafka_answers();
        }
    }

    fn with<T>(&self, with: impl FnOnce(&mut Said) -> T) -> T {
        with(&mut self.0.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Said {
    /// Returns whether this has never been said.
    fn first(&mut self, what: &str) -> bool {
        self.bound();
        self.0.insert(what.to_owned(), None).is_none()
    }

    /// Returns whether this has not been said lately.
    fn lately(&mut self, what: &str, now: Instant) -> bool {
        if let Some(Some(at)) = self.0.get(what)
            && now.duration_since(*at) < AGAIN
        {
            return false;
        }
        self.bound();
        self.0.insert(what.to_owned(), Some(now));
        true
    }

    /// Forgets what may come again.
    fn forget(&mut self) {
        self.0.retain(|_, at| at.is_none());
    }

    fn bound(&mut self) {
        if self.0.len() >= SAID_MAX {
            self.0.clear();
        }
    }
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.0.said(level, fac, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.troubled(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_trouble_is_news_after_a_while_or_once_the_cluster_has_answered() {
        let (mut said, begun) = (Said::default(), Instant::now());
        assert!(said.lately("transport", begun));
        // A broker that was away for an hour filled the log with a line per client and second.
        assert!(!said.lately("transport", begun + AGAIN / 2));
        assert!(said.lately("resolve", begun + AGAIN / 2));
        assert!(said.lately("transport", begun + AGAIN));
        said.forget();
        assert!(said.lately("transport", begun + AGAIN));
    }

    #[test]
    fn warning_about_a_property_is_said_once_whatever_happens() {
        let mut said = Said::default();
        assert!(said.first("linger.ms is ignored"));
        said.forget();
        assert!(!said.first("linger.ms is ignored"));
    }

    #[test]
    fn answer_ends_an_outage_and_only_that() {
        let troubles = Troubles::default();
        let transport = KafkaError::Global(Code::BrokerTransportFailure);
        troubles.troubled(&transport, "broker 1");
        troubles.answered();
        let known = |troubles: &Troubles| troubles.with(|said| said.0.len());
        assert_eq!(known(&troubles), 1, "one broker of several is away");
        troubles.troubled(&KafkaError::Global(Code::AllBrokersDown), "1/1");
        troubles.answered();
        assert_eq!(known(&troubles), 0);
    }
}
