//! The configuration of a webhook subscriber.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Endpoint, EndpointError, Policy, check_headers};

/// The usual time of one attempt, answer included; Standard Webhooks asks for 15 to 30 s.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);

/// The shortest time of one attempt; below it, a TLS handshake across an ocean fails.
pub const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The longest time of one attempt; a receiver that needs more should answer first and work later.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// The configuration of a webhook subscriber, as it is stored.
///
/// ```json
/// {"url": "https://example.com/hook", "headers": {"x-api-key": "…"}, "timeout_ms": 15000}
/// ```
///
/// Only `url` is required, and no other field is accepted.
/// `Debug` shows neither the path of the URL nor the values of headers.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Value")]
pub struct Config {
    /// Where requests go.
    pub url: String,
    /// What is sent beside our own headers, by name; see [`check_headers`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The time of one attempt in milliseconds, [`TIMEOUT_MIN`] to [`TIMEOUT_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Config {
    /// Returns the configuration that calls `url` and leaves the rest at its defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: BTreeMap::new(), timeout_ms: None }
    }

    /// Reads a stored configuration.
    ///
    /// It says only that the shape is right; [`check`](Self::check) says whether it may be used.
    ///
    /// # Errors
    ///
    /// The first field that is missing, unknown or of another type; never with its content.
    pub fn read(value: &Value) -> Result<Self, EndpointError> {
        let fields = value.as_object().ok_or(EndpointError::NotObject)?;
        let mut url = None;
        let mut headers = BTreeMap::new();
        let mut timeout_ms = None;
        for (field, value) in fields {
            match field.as_str() {
                "url" => url = Some(read_text(value, "url", "a string")?),
                "headers" => headers = read_headers(value)?,
                "timeout_ms" => timeout_ms = Some(read_timeout(value)?),
                _ => return Err(EndpointError::UnknownField { field: field.clone() }),
            }
        }
        Ok(Self { url: url.ok_or(EndpointError::NoUrl)?, headers, timeout_ms })
    }

    /// Checks that requests may be sent like this, and returns where they go.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the URL, the headers or the timeout.
    pub fn check(&self, policy: &Policy) -> Result<Endpoint, EndpointError> {
        let endpoint = Endpoint::parse(&self.url, policy)?;
        check_headers(&self.headers)?;
        if let Some(timeout_ms) = self.timeout_ms
            && !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&Duration::from_millis(timeout_ms))
        {
            return Err(EndpointError::Timeout { timeout_ms });
        }
        Ok(endpoint)
    }

    /// Returns the time of one attempt, answer included, or `default` where the subscriber does not say.
    #[must_use]
    pub fn timeout(&self, default: Duration) -> Duration {
        self.timeout_ms.map_or(default, Duration::from_millis)
    }
}

impl TryFrom<Value> for Config {
    type Error = EndpointError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::read(&value)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = url::Url::parse(&self.url).map(|url| super::redacted(&url));
        f.debug_struct("Config")
            .field("url", &url.as_deref().unwrap_or("…"))
            .field("headers", &self.headers.keys())
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

fn read_headers(value: &Value) -> Result<BTreeMap<String, String>, EndpointError> {
    const EXPECTED: &str = "an object of strings, such as {\"x-api-key\": \"…\"}";
    let fields = value
        .as_object()
        .ok_or(EndpointError::FieldType { field: "headers", expected: EXPECTED })?;
    fields
        .iter()
        .map(|(name, value)| Ok((name.clone(), read_text(value, "headers", EXPECTED)?)))
        .collect()
}

fn read_timeout(value: &Value) -> Result<u64, EndpointError> {
    value.as_u64().ok_or(EndpointError::FieldType {
        field: "timeout_ms",
        expected: "a whole number of milliseconds",
    })
}

fn read_text(
    value: &Value,
    field: &'static str,
    expected: &'static str,
) -> Result<String, EndpointError> {
    value.as_str().map(str::to_owned).ok_or(EndpointError::FieldType { field, expected })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stored_configuration_is_read_and_written_back() {
        for stored in [
            json!({"url": "https://example.com/hook"}),
            json!({"url": "https://example.com", "headers": {"X-A": "b"}, "timeout_ms": 2000}),
        ] {
            let config: Config = serde_json::from_value(stored.clone()).unwrap();
            assert_eq!(serde_json::to_value(&config).unwrap(), stored);
            assert!(config.check(&Policy::default()).is_ok());
        }
        let plain = Config::new("https://example.com/hook");
        assert_eq!(Config::read(&json!({"url": plain.url.clone()})), Ok(plain.clone()));
        assert_eq!(plain.timeout(TIMEOUT_DEFAULT), TIMEOUT_DEFAULT);
    }

    #[test]
    fn wrong_shape_is_an_error_that_names_the_field_and_never_its_content() {
        let table = [
            (json!("s3cr3t"), "JSON object"),
            (json!({}), "needs a url"),
            (json!({"url": ["s3cr3t"]}), "url of a webhook is a string"),
            (json!({"url": "s3cr3t", "headers": "s3cr3t"}), "headers"),
            (json!({"url": "s3cr3t", "headers": {"a": ["s3cr3t"]}}), "object of strings"),
            (json!({"url": "s3cr3t", "timeout_ms": "s3cr3t"}), "milliseconds"),
            (json!({"url": "s3cr3t", "timeout_ms": -1}), "milliseconds"),
            (json!({"url": "s3cr3t", "timeout_ms": 1.5}), "milliseconds"),
            (json!({"url": "s3cr3t", "timeout": 1}), "no field \"timeout\""),
        ];
        for (stored, expected) in table {
            let error = Config::read(&stored).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        }
    }

    #[test]
    fn timeout_is_kept_within_its_range() {
        let check = |timeout_ms| {
            let config =
                Config { timeout_ms: Some(timeout_ms), ..Config::new("https://example.com") };
            config.check(&Policy::default()).map(|_| config.timeout(TIMEOUT_DEFAULT))
        };
        assert_eq!(check(1_000), Ok(TIMEOUT_MIN));
        assert_eq!(check(60_000), Ok(TIMEOUT_MAX));
        for timeout_ms in [0, 999, 60_001, u64::MAX] {
            let error = check(timeout_ms).unwrap_err();
            assert_eq!(error, EndpointError::Timeout { timeout_ms });
            assert!(error.to_string().contains("between 1000 and 60000"), "{error}");
        }
    }

    #[test]
    fn check_covers_url_and_headers() {
        let policy = Policy::default();
        assert_eq!(Config::new("ftp://example.com").check(&policy), Err(EndpointError::Scheme));
        let mut config = Config::new("https://example.com");
        config.headers.insert("webhook-id".into(), "1".into());
        assert!(matches!(config.check(&policy), Err(EndpointError::HeaderReserved { .. })));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut config = Config::new("https://example.com/s3cr3t?s3cr3t#s3cr3t");
        config.headers.insert("authorization".into(), "s3cr3t".into());
        let debug = format!("{config:?} {:?}", Config::new("s3cr3t"));
        assert!(!debug.contains("s3cr3t"), "{debug}");
        assert!(debug.contains("https://example.com/…") && debug.contains("authorization"));
    }
}
