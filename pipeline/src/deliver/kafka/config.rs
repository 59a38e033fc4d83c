//! The configuration of a topic as a subscriber.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings::{
    endpoint::{EndpointError, TIMEOUT_MAX, TIMEOUT_MIN, read_authorities},
    format::Format,
};

use super::template::{Template, TemplateError};

/// The usual time of one attempt: what Kafka's own producers allow for a request.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The longest list of brokers.
const BROKERS_BYTES_MAX: usize = 1024;

/// The configuration of a subscriber of the kind `kafka`, as it is stored.
///
/// ```json
/// {"topic": "orders.{type}", "format": "cloudevents", "brokers": "kafka-1:9092,kafka-2:9092"}
/// ```
///
/// Only the topic is required.
/// The user name and password of brokers of its own are no part of it: they are stored sealed, as the subscriber's
/// credentials.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where records go: the name of a topic, with places for `{type}` (with `.` for `:`), `{version}`, `{tenant}` and
    /// `{scope.KEY}`.
    pub topic: String,
    /// How the value is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: Format,
    /// The brokers to begin with, `host:port` with commas between; those of the worker where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brokers: Option<String>,
    /// Whether these brokers are spoken to by TLS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: bool,
    /// The certificates that these brokers are trusted by, PEM; those of the machine where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// How the credentials are shown to these brokers; `PLAIN` where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl_mechanism: Option<Mechanism>,
    /// The time of one attempt in milliseconds, 1,000 to 60,000; 30,000 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// How a name and a password are shown to a broker.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Mechanism {
    /// As they are.
    #[default]
    #[serde(rename = "PLAIN")]
    Plain,
    /// By a challenge.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// By a challenge.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It has another shape.
    #[error("the configuration of the topic cannot be read: {reason}")]
    Shape {
        /// What is wrong, never with a value.
        reason: String,
    },
    /// No name of a topic.
    #[error(transparent)]
    Topic(#[from] TemplateError),
    /// Neither the subscriber nor the worker says where the brokers are.
    #[error(
        "it does not say where Kafka is; give it brokers, or start the workers with --kafka-brokers"
    )]
    NoBrokers,
    /// No list of brokers.
    #[error("brokers are written host:port, with commas between")]
    Brokers,
    /// What is said of brokers that are not its own.
    #[error(
        "{field} is for brokers of its own; give it brokers too, or leave it out and go by those of the worker"
    )]
    OwnBrokersOnly {
        /// The field.
        field: &'static str,
    },
    /// Credentials that Kafka has no use for.
    #[error("Kafka asks for a user name and a password; set them as basic credentials")]
    Credentials,
    /// TLS, or what needs its library, in a build that has neither.
    #[error(
        "this build speaks to Kafka without TLS and SCRAM; build it with the feature kafka-tls"
    )]
    NoTls,
    /// A time that no attempt may take, or certificates that cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Config {
    /// Returns the configuration of this topic, and leaves the rest at its defaults.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// Reads a stored configuration.
    ///
    /// It says only that the shape is right; [`check`](Self::check) says whether it can be used.
    ///
    /// # Errors
    ///
    /// The first field that is missing, unknown or of another type; never with its content.
    pub fn read(config: &Value) -> Result<Self, ConfigError> {
        Self::deserialize(config).map_err(|error| {
            // serde quotes values of the wrong type, and one of them may be a password in the wrong place.
            let text = error.to_string();
            let reason = match text.strip_prefix("unknown field ") {
                Some(rest) => format!("unknown field {}", rest.split(',').next().unwrap_or(rest)),
                None if text.starts_with("missing field") => "it needs a topic".to_owned(),
                None => "a field has another value than it may: topic, format, brokers, tls, ca, sasl_mechanism or timeout_ms".to_owned(),
            };
            ConfigError::Shape { reason }
        })
    }

    /// Checks what can be checked without a broker.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the topic, the brokers, the certificates or the timeout.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.template()?;
        if let Some(timeout_ms) = self.timeout_ms
            && !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&Duration::from_millis(timeout_ms))
        {
            return Err(EndpointError::Timeout { timeout_ms }.into());
        }
        let Some(brokers) = &self.brokers else {
            let own = [
                ("tls", self.tls),
                ("ca", self.ca.is_some()),
                ("sasl_mechanism", self.sasl_mechanism.is_some()),
            ];
            return match own.into_iter().find(|(_, is_set)| *is_set) {
                Some((field, _)) => Err(ConfigError::OwnBrokersOnly { field }),
                None => Ok(()),
            };
        };
        if brokers.len() > BROKERS_BYTES_MAX || !brokers.split(',').all(is_broker) {
            return Err(ConfigError::Brokers);
        }
        if let Some(ca) = &self.ca {
            read_authorities(ca)?;
        }
        let needs_tls = self.tls
            || self.ca.is_some()
            || !matches!(self.sasl_mechanism, None | Some(Mechanism::Plain));
        if needs_tls && !cfg!(feature = "kafka-tls") {
            return Err(ConfigError::NoTls);
        }
        Ok(())
    }

    pub(super) fn template(&self) -> Result<Template, TemplateError> {
        Template::parse(&self.topic)
    }

    /// Returns the time of one attempt.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout_ms.map_or(TIMEOUT_DEFAULT, Duration::from_millis)
    }
}

impl Mechanism {
    /// Returns the word that Kafka has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, format, brokers, tls, ca, sasl_mechanism, timeout_ms } = self;
        f.debug_struct("Config")
            .field("topic", topic)
            .field("format", format)
            .field("brokers", brokers)
            .field("tls", tls)
            .field("ca", &ca.as_ref().map(|_| "…"))
            .field("sasl_mechanism", sasl_mechanism)
            .field("timeout_ms", timeout_ms)
            .finish()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether a text is `host:port`; names are looked up by whoever connects.
fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.trim().rsplit_once(':') else { return false };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(is_host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(config: &Value) -> Result<(), String> {
        let read = Config::read(config).and_then(|config| config.check());
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn stored_configuration_is_read_and_written_back() {
        for stored in [
            json!({"topic": "orders"}),
            json!({"topic": "orders.{type}", "format": "cloudevents-binary", "timeout_ms": 5000}),
            json!({"topic": "a", "brokers": "k1:9092, [::1]:9093", "sasl_mechanism": "PLAIN"}),
        ] {
            let config = Config::read(&stored).unwrap();
            config.check().unwrap();
            assert_eq!(serde_json::to_value(&config).unwrap(), stored);
        }
        assert_eq!(Config::new("orders").timeout(), Duration::from_secs(30));
    }

    #[test]
    fn what_is_wrong_is_said_and_never_its_content() {
        for (config, expected) in [
            (json!("s3cr3t"), "another value"),
            (json!({}), "needs a topic"),
            (json!({"topic": ["s3cr3t"]}), "another value"),
            (json!({"topic": "a", "format": "s3cr3t"}), "another value"),
            (json!({"topic": "a", "password": "s3cr3t"}), "unknown field `password`"),
            (json!({"topic": "s3cr3t {type}"}), "letters, digits"),
            (json!({"topic": "{s3cr3t}"}), "{scope.KEY}, and no other"),
            (json!({"topic": "a", "brokers": ""}), "host:port"),
            (json!({"topic": "a", "brokers": "s3cr3t"}), "host:port"),
            (json!({"topic": "a", "brokers": "user:s3cr3t@host"}), "host:port"),
            (json!({"topic": "a", "brokers": "k:9092,"}), "host:port"),
            (json!({"topic": "a", "brokers": "k:0"}), "host:port"),
            (json!({"topic": "a", "tls": true}), "tls is for brokers of its own"),
            (json!({"topic": "a", "sasl_mechanism": "PLAIN"}), "sasl_mechanism is for brokers"),
            (json!({"topic": "a", "brokers": "k:1", "ca": "s3cr3t"}), "-----BEGIN CERTIFICATE"),
            (json!({"topic": "a", "timeout_ms": 999}), "between 1000 and 60000"),
        ] {
            let error = check(&config).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cr3t"), "{config}: {error}");
        }
    }

    #[test]
    fn tls_and_scram_are_there_where_they_are_built_in() {
        for config in [
            json!({"topic": "a", "brokers": "k:1", "tls": true}),
            json!({"topic": "a", "brokers": "k:1", "sasl_mechanism": "SCRAM-SHA-512"}),
        ] {
            assert_eq!(check(&config).is_ok(), cfg!(feature = "kafka-tls"));
        }
    }
}
