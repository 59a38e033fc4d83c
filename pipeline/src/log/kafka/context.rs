//! What the client library says about itself.

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::telemetry;

/// Hands on what a client says that needs nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        said(level, fac, message);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        troubled(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// Hands on a log line of the library.
pub(super) fn said(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if (level as i32) <= RDKafkaLogLevel::Warning as i32 {
        telemetry::kafka_warned(facility, message);
    } else {
        telemetry::kafka_said(facility, message);
    }
}

/// Hands on an error that the library recovers from by itself, or reports a second time to whoever polls.
pub(super) fn troubled(error: &KafkaError, reason: &str) {
    // The end of a partition is reported as an error.
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
        telemetry::kafka_troubled(error, reason);
    }
}
