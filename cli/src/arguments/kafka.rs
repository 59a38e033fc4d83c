//! Where Kafka is, for subscribers of the kind `kafka` and for the log of telemetry.

use clap::Args;

/// Where Kafka is, and as whom it is spoken to.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Brokers {
    /// Kafka's brokers, `host:9092`, with commas between
    #[arg(long, env = "TIDINGS_KAFKA_BROKERS", value_name = "BROKERS")]
    pub(crate) kafka_brokers: Option<String>,

    /// A setting of librdkafka, `security.protocol=SSL` for example; repeatable, or with commas
    #[arg(
        long = "kafka-property",
        env = "TIDINGS_KAFKA_PROPERTIES",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "NAME=VALUE",
        value_parser = pair
    )]
    pub(crate) kafka_properties: Vec<(String, String)>,
}

/// Reads `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(feature = "kafka")]
impl Brokers {
    /// Returns the deliverer to topics.
    pub(crate) fn deliverer(&self) -> tidings_pipeline::deliver::Kafka {
        let mut kafka = tidings_pipeline::deliver::Kafka::new();
        if let Some(brokers) = &self.kafka_brokers {
            kafka = kafka.brokers(brokers);
        }
        for (name, value) in &self.kafka_properties {
            kafka = kafka.property(name, value);
        }
        kafka
    }
}
