//! The log of telemetry that a command works on.

use anyhow::Result;
use sqlx::PgPool;
use tidings_pipeline::log::{Postgres, postgres};

use crate::{
    arguments::{
        pipeline::{LogChoice, LogKind},
        serve::Session,
    },
    connection::Place,
    exit::Exit,
    failure::Coded,
};

/// A log of one kind or the other.
#[derive(Clone, Debug)]
pub(crate) enum TelemetryLog {
    Postgres(Postgres),
    #[cfg(feature = "kafka")]
    Kafka(tidings_pipeline::log::Kafka),
}

impl TelemetryLog {
    /// Returns the log that is chosen; the one in the database works on `pool`.
    ///
    /// # Errors
    ///
    /// Kafka without brokers, a setting that librdkafka does not know, or a build without Kafka.
    pub(crate) fn choose(
        choice: &LogChoice,
        place: &Place,
        (pool, session, host): (&PgPool, Session, &str),
    ) -> Result<Self> {
        match choice.place.kind {
            LogKind::Postgres => {
                let options = postgres::Options {
                    prefix: choice.place.prefix.clone(),
                    host: host.to_owned(),
                    session: session.into(),
                    ..postgres::Options::default()
                };
                Ok(Self::Postgres(Postgres::new(pool.clone(), place.options(), options)))
            }
            LogKind::Kafka => kafka(choice),
        }
    }
}

#[cfg(feature = "kafka")]
fn kafka(choice: &LogChoice) -> Result<TelemetryLog> {
    let Some(brokers) = &choice.brokers.kafka_brokers else {
        let message = "find Kafka: --kafka-brokers is not set";
        let hint = "name at least one, such as --kafka-brokers 127.0.0.1:9092";
        return Err(Coded::new(Exit::Usage, message).hint(hint).into());
    };
    let prefix = choice.place.prefix.as_str();
    let mut builder = tidings_pipeline::log::Kafka::builder(brokers).prefix(prefix);
    if let Some(copies) = choice.kafka_replication {
        builder = builder.replication(copies);
    }
    for (name, value) in &choice.brokers.kafka_properties {
        builder = builder.property(name, value);
    }
    Ok(TelemetryLog::Kafka(builder.build()?))
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &LogChoice) -> Result<TelemetryLog> {
    let message = "this program was built without Kafka";
    let hint = "build it with the feature `kafka`, which is on by default";
    Err(Coded::new(Exit::Usage, message).hint(hint).into())
}

/// Does the same with either log.
macro_rules! on_log {
    ($log:expr, $name:ident => $body:expr) => {
        match $log {
            $crate::telemetry_log::TelemetryLog::Postgres($name) => $body,
            #[cfg(feature = "kafka")]
            $crate::telemetry_log::TelemetryLog::Kafka($name) => $body,
        }
    };
}

pub(crate) use on_log;
