//! How the clients of the library are set up.

use std::fmt;

use rdkafka::ClientConfig;

use super::{
    LOG_LEVEL,
    context::{Quiet, Troubles},
};
use crate::topic::RECORD_BYTES_MAX;

/// How a log on Kafka is reached.
#[derive(Clone)]
pub(super) struct Settings {
    brokers: String,
    pub(super) prefix: String,
    pub(super) replication: i32,
    pub(super) properties: Vec<(String, String)>,
    /// What its clients have said.
    pub(super) troubles: Troubles,
}

/// For all clients: what may be set otherwise.
///
/// A broker that is back is found within a second, and a connection that is dead is given up within ten.
const COMMON: [(&str, &str); 4] = [
    ("client.id", "tidings"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    ("socket.timeout.ms", "10000"),
];

/// For what reads.
///
/// Without the shorter pause, a full queue is filled again only after a second, when it may have been empty for long.
const READING: [(&str, &str); 3] = [
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
    ("queued.min.messages", "100000"),
];

/// For what writes.
///
/// The queue takes the largest transaction, 64 MB in 200,000 records, several times; `0` records are any number.
const WRITING: [(&str, &str); 5] = [
    ("compression.codec", "lz4"),
    ("linger.ms", "2"),
    ("queue.buffering.max.kbytes", "524288"),
    ("queue.buffering.max.messages", "0"),
    ("retry.backoff.max.ms", "500"),
];

impl Settings {
    pub(super) fn new(brokers: String) -> Self {
        let (prefix, properties, troubles) = (String::new(), Vec::new(), Troubles::default());
        Self { brokers, prefix, replication: -1, properties, troubles }
    }

    /// Returns what hears a client that needs nothing else.
    pub(super) fn quiet(&self) -> Quiet {
        Quiet(self.troubles.clone())
    }

    /// Returns the name that a topic, group or transaction has in the cluster.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Returns what asks about topics.
    pub(super) fn inquirer(&self, isolation: &str) -> ClientConfig {
        self.client(&[], &[("isolation.level", isolation), ("enable.auto.commit", "false")])
    }

    /// Returns what is in a group, or asks about it.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let client = client_id(group);
        let own = [
            ("client.id", client.as_str()),
            ("max.poll.interval.ms", "600000"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ];
        let group = self.named(group);
        let fixed = [
            ("group.id", group.as_str()),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
        ];
        self.client(&[&READING[..], &own].concat(), &fixed)
    }

    /// Returns what reads one partition. The library wants a group, which it does not join.
    pub(super) fn reader(&self) -> ClientConfig {
        let (client, group) = (client_id("reader"), self.named("reader"));
        let own = [("client.id", client.as_str())];
        let fixed = [
            ("group.id", group.as_str()),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
        ];
        self.client(&[&READING[..], &own].concat(), &fixed)
    }

    /// Returns what writes outside of groups.
    pub(super) fn appender(&self) -> ClientConfig {
        let own = [("message.timeout.ms", "30000")];
        let bytes = RECORD_BYTES_MAX.to_string();
        let fixed = [("enable.idempotence", "true"), ("message.max.bytes", bytes.as_str())];
        self.client(&[&WRITING[..], &own].concat(), &fixed)
    }

    /// Returns what writes in transactions for a member of a group.
    ///
    /// The broker looks for transactions that are over their time every ten seconds, so that what a killed member has
    /// left open holds others up for twenty at most.
    pub(super) fn writer(&self, group: &str, id: &str) -> ClientConfig {
        let client = client_id(group);
        let own = [("client.id", client.as_str()), ("transaction.timeout.ms", "10000")];
        let bytes = RECORD_BYTES_MAX.to_string();
        let fixed = [
            ("transactional.id", id),
            ("enable.idempotence", "true"),
            ("message.max.bytes", bytes.as_str()),
            // What was delivered need not be reported: the transaction says so.
            ("delivery.report.only.error", "true"),
        ];
        self.client(&[&WRITING[..], &own].concat(), &fixed)
    }

    /// Returns a configuration, in which `fixed` goes before what was asked for, and that before `own`.
    fn client(&self, own: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(LOG_LEVEL);
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in COMMON.iter().chain(own) {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config
    }
}

/// Returns the name by which brokers know what a client is for.
fn client_id(role: &str) -> String {
    format!("tidings-{role}")
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be passwords.
        let names: Vec<_> = self.properties.iter().map(|(name, _)| name).collect();
        let Self { brokers, prefix, replication, .. } = self;
        f.debug_struct("Settings")
            .field("brokers", brokers)
            .field("prefix", prefix)
            .field("replication", replication)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_go_before_defaults_and_behind_what_the_guarantees_rest_on() {
        let mut settings = Settings::new("broker:9092".to_owned());
        settings.properties = vec![
            ("linger.ms".to_owned(), "0".to_owned()),
            ("isolation.level".to_owned(), "read_uncommitted".to_owned()),
            ("enable.idempotence".to_owned(), "false".to_owned()),
        ];
        assert_eq!(settings.appender().get("linger.ms"), Some("0"));
        assert_eq!(settings.appender().get("enable.idempotence"), Some("true"));
        assert_eq!(settings.member("g").get("isolation.level"), Some("read_committed"));
    }

    #[test]
    fn password_is_not_shown() {
        let mut settings = Settings::new("broker:9092".to_owned());
        settings.properties = vec![("sasl.password".to_owned(), "hush".to_owned())];
        let shown = format!("{settings:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("hush"), "{shown}");
    }
}
