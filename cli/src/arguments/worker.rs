//! What `worker` understands.

use clap::Args;

use super::{
    pipeline::{LogChoice, LogPlace},
    serve::Serve,
};

/// A worker on a database of somebody's own.
#[derive(Args, Clone, Debug)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) serve: Serve,

    /// Where sinks of the kind `pipeline` write to.
    #[command(flatten)]
    pub(crate) log: LogPlace,
}

impl Worker {
    /// Returns the log of telemetry, on the brokers of the worker where it is on Kafka.
    pub(crate) fn log(&self) -> LogChoice {
        let (place, brokers) = (self.log.clone(), self.serve.kafka.clone());
        LogChoice { place, brokers, kafka_replication: None }
    }
}
