//! The configuration of a webhook subscriber.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ContentType, Endpoint, EndpointError, Policy, Profile, Scheme, check_headers, format,
    header::check_profile, read_authorities,
};
use crate::format::Format;

/// The usual time of one attempt, answer included; Standard Webhooks asks for 15 to 30 s.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);

/// The shortest time of one attempt; below it, a TLS handshake across an ocean fails.
pub const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The longest time of one attempt; a receiver that needs more should answer first and work later.
pub const TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// The configuration of a webhook subscriber, as it is stored.
///
/// ```json
/// {
///   "url": "https://example.com/hook",
///   "headers": {"x-api-key": "…"},
///   "timeout_ms": 15000,
///   "profile": "standard",
///   "content_type": "application/json",
///   "format": "tidings",
///   "signatures": ["v1", "v1a"],
///   "ca": "-----BEGIN CERTIFICATE-----\n…"
/// }
/// ```
///
/// | Field | Meaning | Default |
/// |---|---|---|
/// | `url` | Where requests go, at most 2,048 characters | none, it is required |
/// | `headers` | What is sent beside our own headers, which it cannot replace; at most 32, and 4,096 bytes together | none |
/// | `timeout_ms` | The time of one attempt, answer included, 1,000 to 60,000 | 15,000, or what the operator says |
/// | `profile` | `standard` (Standard Webhooks) or `orchest`, see [`Profile`] | `standard` |
/// | `content_type` | `application/json` or `application/x-www-form-urlencoded`, see [`ContentType`] | `application/json` |
/// | `format` | `tidings`, `cloudevents` or `cloudevents-binary`, see [`Format`]; another than the first in the profile `standard` and as JSON only | `tidings` |
/// | `signatures` | Which signatures the profile `standard` sends: `v1` by the subscriber's secrets, `v1a` by its key pairs or, where it has none, by those of the installation | `["v1"]` |
/// | `ca` | PEM text of the certificates that this endpoint is trusted by, **instead of** those of the machine and of the operator; at most 32,768 bytes | those of the machine |
///
/// No other field is accepted.
/// Credentials are not in it: they are stored sealed, see [`Credentials`](crate::secret::Credentials).
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
    /// Whose conventions requests follow.
    #[serde(skip_serializing_if = "is_default")]
    pub profile: Profile,
    /// How bodies are written.
    #[serde(skip_serializing_if = "is_default")]
    pub content_type: ContentType,
    /// What a body says.
    #[serde(skip_serializing_if = "is_default")]
    pub format: Format,
    /// Which signatures requests carry, at least one; of no meaning in another profile than the standard one.
    #[serde(skip_serializing_if = "is_default_signatures")]
    pub signatures: BTreeSet<Scheme>,
    /// The certificates that the endpoint is trusted by, and no others; see [`read_authorities`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl Config {
    /// Returns the configuration that calls `url` and leaves the rest at its defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: BTreeMap::new(),
            timeout_ms: None,
            profile: Profile::default(),
            content_type: ContentType::default(),
            format: Format::default(),
            signatures: format::default_signatures(),
            ca: None,
        }
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
        let url = fields.get("url").ok_or(EndpointError::NoUrl);
        let mut config = Self::new("");
        for (field, value) in fields {
            match field.as_str() {
                "url" => config.url = read_text(value, "url", "a string")?,
                "headers" => config.headers = read_headers(value)?,
                "timeout_ms" => config.timeout_ms = Some(read_timeout(value)?),
                "profile" => config.profile = format::read_profile(value)?,
                "content_type" => config.content_type = format::read_content_type(value)?,
                "format" => config.format = format::read_format(value)?,
                "signatures" => config.signatures = format::read_signatures(value)?,
                "ca" => {
                    let expected = "a string, the PEM text of certificates";
                    config.ca = Some(read_text(value, "ca", expected)?);
                }
                _ => return Err(EndpointError::UnknownField { field: field.clone() }),
            }
        }
        url.map(|_| config)
    }

    /// Checks that requests may be sent like this, and returns where they go.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the URL, the headers, the timeout, the signatures or the certificates.
    pub fn check(&self, policy: &Policy) -> Result<Endpoint, EndpointError> {
        let endpoint = Endpoint::parse(&self.url, policy)?;
        check_headers(&self.headers)?;
        if let Some(timeout_ms) = self.timeout_ms
            && !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&Duration::from_millis(timeout_ms))
        {
            return Err(EndpointError::Timeout { timeout_ms });
        }
        check_profile(&self.headers, (self.profile, self.format))?;
        if self.format != Format::default()
            && (self.profile, self.content_type) != (Profile::Standard, ContentType::Json)
        {
            return Err(EndpointError::Format);
        }
        if self.profile == Profile::Orchest && !is_default_signatures(&self.signatures) {
            return Err(EndpointError::SignaturesProfile);
        }
        if let Some(ca) = &self.ca {
            read_authorities(ca)?;
            if endpoint.url().scheme() != "https" {
                return Err(EndpointError::CaHttp);
            }
        }
        Ok(endpoint)
    }

    /// Returns whether requests are signed with a secret that the receiver has as well.
    #[must_use]
    pub fn needs_secret(&self) -> bool {
        self.profile == Profile::Orchest || self.signatures.contains(&Scheme::V1)
    }

    /// Returns whether requests are signed with a key pair.
    #[must_use]
    pub fn needs_key_pair(&self) -> bool {
        self.profile == Profile::Standard && self.signatures.contains(&Scheme::V1a)
    }

    /// Returns whether it has a header `authorization` of its own.
    #[must_use]
    pub fn has_authorization(&self) -> bool {
        self.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
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
            .field("profile", &self.profile)
            .field("content_type", &self.content_type)
            .field("format", &self.format)
            .field("signatures", &self.signatures)
            .field("ca", &self.ca.as_ref().map(|_| "…"))
            .finish()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_default_signatures(signatures: &BTreeSet<Scheme>) -> bool {
    *signatures == format::default_signatures()
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

    const CA: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    #[test]
    fn stored_configuration_is_read_and_written_back() {
        for stored in [
            json!({"url": "https://example.com/hook"}),
            json!({"url": "https://example.com", "headers": {"X-A": "b"}, "timeout_ms": 2000}),
            json!({"url": "https://example.com", "profile": "orchest", "content_type": "application/x-www-form-urlencoded"}),
            json!({"url": "https://example.com", "signatures": ["v1", "v1a"], "ca": CA}),
            json!({"url": "https://example.com", "format": "cloudevents-binary"}),
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
            (json!({"url": "s3cr3t", "profile": "s3cr3t"}), "\"standard\" or \"orchest\""),
            (json!({"url": "s3cr3t", "content_type": "s3cr3t"}), "\"application/json\" or"),
            (json!({"url": "s3cr3t", "format": "s3cr3t"}), "\"cloudevents-binary\""),
            (json!({"url": "s3cr3t", "signatures": ["s3cr3t"]}), "\"v1\", \"v1a\" or both"),
            (json!({"url": "s3cr3t", "ca": ["s3cr3t"]}), "PEM text"),
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
    fn fields_that_contradict_each_other_are_refused() {
        let open = Policy { https_only: false, ..Policy::default() };
        let orchest = || Config { profile: Profile::Orchest, ..Config::new("http://example.com") };
        let hub = BTreeMap::from([("X-Hub-Signature".to_owned(), "x".to_owned())]);
        let ca = |ca: &str| Some(ca.to_owned());
        let table = [
            (Config { headers: hub.clone(), ..orchest() }, "X-Hub-Signature is set by the sender"),
            (Config { signatures: [Scheme::V1a].into(), ..orchest() }, "remove signatures"),
            (Config { ca: ca(CA), ..orchest() }, "ca is for https"),
            (Config { format: Format::CloudEvents, ..orchest() }, "profile standard"),
            (
                Config {
                    format: Format::CloudEventsBinary,
                    content_type: ContentType::Form,
                    ..Config::new("http://example.com")
                },
                "application/json",
            ),
            (
                Config {
                    format: Format::CloudEventsBinary,
                    headers: BTreeMap::from([("Ce-Subject".to_owned(), "x".to_owned())]),
                    ..Config::new("http://example.com")
                },
                "Ce-Subject is set by the sender",
            ),
            (
                Config { ca: ca("s3cr3t"), ..Config::new("https://example.com") },
                "-----BEGIN CERTIFICATE",
            ),
        ];
        for (config, expected) in table {
            let error = config.check(&open).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("s3cr3t"), "{error}");
        }
        let standard = Config { headers: hub, ..Config::new("http://example.com") };
        assert!(standard.check(&open).is_ok() && orchest().check(&open).is_ok());
    }

    #[test]
    fn keys_that_are_needed_follow_from_profile_and_signatures() {
        let standard = |signatures: &[Scheme]| Config {
            signatures: signatures.iter().copied().collect(),
            ..Config::new("https://example.com")
        };
        let orchest = Config { profile: Profile::Orchest, ..standard(&[Scheme::V1]) };
        for (config, secret, pair) in [
            (standard(&[Scheme::V1]), true, false),
            (standard(&[Scheme::V1a]), false, true),
            (standard(&[Scheme::V1, Scheme::V1a]), true, true),
            (orchest, true, false),
        ] {
            assert_eq!(
                (config.needs_secret(), config.needs_key_pair()),
                (secret, pair),
                "{config:?}"
            );
        }
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
