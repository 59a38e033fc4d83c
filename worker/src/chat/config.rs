//! The configuration of a chat subscriber.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tidings::{
    endpoint::{self, Endpoint, EndpointError, Policy, TIMEOUT_MAX, TIMEOUT_MIN},
    pattern::Pattern,
};
use url::Url;

use super::Error;

/// The configuration of a chat subscriber, as it is stored.
///
/// ```json
/// {"url": "https://hooks.slack.com/services/…", "templates": {"order:placed": "…", "project:**": "…"}}
/// ```
///
/// Only `url` is required, and no other field than these and `timeout_ms` is accepted.
/// `Debug` does not show the path of the URL.
#[derive(Clone, Eq, PartialEq, Serialize)]
pub struct Config {
    /// Where messages go: the incoming webhook that the service made. It is a secret.
    pub url: String,
    /// The templates, by the event type or pattern they are for; the most specific one is used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// The time of one attempt in milliseconds, as for a webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Config {
    /// Returns the configuration that posts default messages to `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), templates: BTreeMap::new(), timeout_ms: None }
    }

    /// Reads a stored configuration.
    ///
    /// It says only that the shape is right; [`check`](Self::check) says whether it may be used.
    ///
    /// # Errors
    ///
    /// The first field that is missing, unknown or of another type; never with its content.
    pub fn read(value: &Value) -> Result<Self, Error> {
        let fields = value.as_object().ok_or(Error::NotObject)?;
        let mut url = None;
        let mut templates = BTreeMap::new();
        let mut timeout_ms = None;
        for (field, value) in fields {
            match field.as_str() {
                "url" => url = Some(read_text(value, "url", "a string")?),
                "templates" => templates = read_templates(value)?,
                "timeout_ms" => timeout_ms = Some(read_timeout(value)?),
                _ => return Err(Error::UnknownField { field: field.clone() }),
            }
        }
        Ok(Self { url: url.ok_or(Error::NoUrl)?, templates, timeout_ms })
    }

    /// Checks that messages may be sent like this, and returns where they go; of the templates it checks the names.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the URL, the timeout or the name of a template.
    pub fn check(&self, policy: &Policy) -> Result<Endpoint, Error> {
        let endpoint = Endpoint::parse(&self.url, policy)?;
        if let Some(timeout_ms) = self.timeout_ms
            && !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&Duration::from_millis(timeout_ms))
        {
            return Err(EndpointError::Timeout { timeout_ms }.into());
        }
        for pattern in self.templates.keys() {
            Pattern::parse(pattern)?;
        }
        Ok(endpoint)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Url::parse(&self.url).map(|url| endpoint::redacted(&url));
        f.debug_struct("Config")
            .field("url", &url.as_deref().unwrap_or("…"))
            .field("templates", &self.templates)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

fn read_templates(value: &Value) -> Result<BTreeMap<String, String>, Error> {
    const EXPECTED: &str =
        "an object of strings, such as {\"order:placed\": \"Order {{ data.number }}\"}";
    let fields =
        value.as_object().ok_or(Error::FieldType { field: "templates", expected: EXPECTED })?;
    fields
        .iter()
        .map(|(name, value)| Ok((name.clone(), read_text(value, "templates", EXPECTED)?)))
        .collect()
}

fn read_timeout(value: &Value) -> Result<u64, Error> {
    let expected = "a whole number of milliseconds";
    value.as_u64().ok_or(Error::FieldType { field: "timeout_ms", expected })
}

fn read_text(value: &Value, field: &'static str, expected: &'static str) -> Result<String, Error> {
    value.as_str().map(str::to_owned).ok_or(Error::FieldType { field, expected })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stored_configuration_is_read_and_written_back() {
        for stored in [
            json!({"url": "https://hooks.slack.com/services/a"}),
            json!({"url": "https://example.com", "templates": {"order:*": "x"}, "timeout_ms": 2000}),
        ] {
            let config = Config::read(&stored).unwrap();
            assert_eq!(serde_json::to_value(&config).unwrap(), stored);
            assert!(config.check(&Policy::default()).is_ok());
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_and_never_quoted() {
        let table = [
            (json!("s3cr3t"), "JSON object"),
            (json!({}), "needs a url"),
            (json!({"url": ["s3cr3t"]}), "url of a chat subscriber is a string"),
            (json!({"url": "s3cr3t", "templates": ["s3cr3t"]}), "object of strings"),
            (json!({"url": "s3cr3t", "templates": {"order:placed": 1}}), "object of strings"),
            (json!({"url": "s3cr3t", "timeout_ms": 1.5}), "milliseconds"),
            (json!({"url": "s3cr3t", "headers": {}}), "no field \"headers\""),
            (json!({"url": "ftp://s3cr3t"}), "begin with https://"),
            (json!({"url": "https://example.com/s3cr3t", "timeout_ms": 1}), "between 1000"),
            (json!({"url": "https://example.com/s3cr3t", "templates": {"order": "x"}}), "pattern"),
        ];
        for (stored, expected) in table {
            let read = Config::read(&stored);
            let error = read.and_then(|config| config.check(&Policy::default())).unwrap_err();
            let debug = format!("{error:?}");
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let said = format!("{error}: {}", source.unwrap_or_default());
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("s3cr3t") && !debug.contains("s3cr3t"), "{said} {debug}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let debug =
            format!("{:?} {:?}", Config::new("https://example.com/s3cr3t"), Config::new("s3cr3t"));
        assert!(debug.contains("https://example.com/…") && !debug.contains("s3cr3t"), "{debug}");
    }
}
