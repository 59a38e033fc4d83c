//! What the log on Kafka says.

use rdkafka::error::KafkaError;

pub(crate) fn kafka_said(facility: &str, message: &str) {
    tracing::debug!(kafka.facility = facility, "kafka client: {message}");
}

pub(crate) fn kafka_warned(facility: &str, message: &str) {
    tracing::warn!(kafka.facility = facility, "kafka client: {message}");
}

/// It tries again by itself.
pub(crate) fn kafka_troubled(error: &KafkaError, reason: &str) {
    tracing::warn!(%error, "kafka client: {reason}");
}

/// It was said lately.
pub(crate) fn kafka_still_troubled(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, "kafka client, again: {reason}");
}

/// No broker did.
pub(crate) fn kafka_answers() {
    tracing::info!("kafka answers again");
}

pub(crate) fn kafka_gained(group: &str, topic: &str, partitions: &[i32]) {
    tracing::info!(
        log.group = group,
        log.topic = topic,
        "{group} has gained {topic} {partitions:?}"
    );
}

pub(crate) fn kafka_lost(group: &str, topic: &str, partitions: &[i32]) {
    tracing::info!(
        log.group = group,
        log.topic = topic,
        "{group} has given up {topic} {partitions:?}"
    );
}

pub(crate) fn kafka_unassigned(group: &str, topic: &str, error: &KafkaError) {
    tracing::warn!(log.group = group, log.topic = topic, %error, "{group} could not take or give up partitions of {topic}");
}

pub(crate) fn kafka_aborted(group: &str, error: &KafkaError) {
    tracing::warn!(log.group = group, %error, "a transaction of {group} was aborted, and its records are read again");
}

pub(crate) fn kafka_fenced(group: &str, error: &KafkaError) {
    tracing::warn!(log.group = group, %error, "a member of {group} is of no use any more");
}
