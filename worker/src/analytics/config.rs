//! The configuration of a sink.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings::{
    analytics::wire::{self, Host, Key, PostHog, Protocol, Settings, Sink, Vendor},
    endpoint::{Endpoint, EndpointError, Policy, TIMEOUT_MAX, TIMEOUT_MIN},
};

/// The configuration of a subscriber of the kind `segment` or `posthog`, as it is stored.
///
/// ```json
/// {"host": "eu", "consent": ["Analytics"], "gzip": true}
/// ```
///
/// All of it has a default. The key is no part of it: it is stored sealed, as the subscriber's bearer token.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it is: `us`, `eu` or a URL; `us` where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The categories of consent that it needs, all of them. An event that says nothing about consent passes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub consent: BTreeSet<String>,
    /// Whether bodies of 1 KiB and more are compressed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gzip: bool,
    /// The time of one request in milliseconds, as for a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Of PostHog: `v0` (the default) or `v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Of PostHog: what its groups are of, `company` for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_type: Option<String>,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It has another shape.
    #[error("the configuration of the sink cannot be read: {reason}")]
    Shape {
        /// What is wrong, never with a value.
        reason: String,
    },
    /// A field that only PostHog has.
    #[error("{field} is of PostHog alone; leave it out")]
    PostHogOnly {
        /// The field.
        field: &'static str,
    },
    /// A protocol that there is not.
    #[error("PostHog has no protocol of that name; write v0 or v1")]
    Protocol,
    /// It has no key.
    #[error("the sink has no key; give it its write key or project token as a bearer token")]
    NoKey,
    /// The service would not take it.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It may not be called.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl Config {
    /// Reads a stored configuration.
    ///
    /// It says only that the shape is right; [`check`](Self::check) says whether it may be used.
    ///
    /// # Errors
    ///
    /// The first field that is unknown, of another type, or not of this vendor.
    pub fn read(vendor: Vendor, config: &Value) -> Result<Self, ConfigError> {
        let read: Self = Self::deserialize(config).map_err(|error| {
            // serde quotes values of the wrong type, and one of them may be a key that was put into the wrong place.
            let text = error.to_string();
            let reason = match text.strip_prefix("unknown field ") {
                Some(rest) => format!("unknown field {}", rest.split(',').next().unwrap_or(rest)),
                None => "a field has another type than it should: host, timeout_ms, protocol, group_type, gzip or consent"
                    .to_owned(),
            };
            ConfigError::Shape { reason }
        })?;
        match vendor {
            Vendor::Segment if read.protocol.is_some() => {
                Err(ConfigError::PostHogOnly { field: "protocol" })
            }
            Vendor::Segment if read.group_type.is_some() => {
                Err(ConfigError::PostHogOnly { field: "group_type" })
            }
            Vendor::Segment | Vendor::PostHog => Ok(read),
        }
    }

    /// Checks that events may be sent like this, and returns where they go.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the host, the protocol or the timeout.
    pub fn check(&self, vendor: Vendor, policy: &Policy) -> Result<Endpoint, ConfigError> {
        if let Some(timeout_ms) = self.timeout_ms
            && !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&Duration::from_millis(timeout_ms))
        {
            return Err(EndpointError::Timeout { timeout_ms }.into());
        }
        // Its key has no part in where it is.
        let sink = self.sink(vendor, Key::new("unknown")?, "unknown")?;
        Ok(Endpoint::parse(sink.url().as_str(), policy)?)
    }

    /// Returns what speaks to the service.
    pub(super) fn sink(
        &self,
        vendor: Vendor,
        key: Key,
        instance: &str,
    ) -> Result<Sink, ConfigError> {
        let host = self.host.as_deref().map_or(Ok(Host::Us), Host::parse)?;
        let settings = Settings { gzip: self.gzip, ..Settings::new(host, key, instance) };
        Ok(match vendor {
            Vendor::Segment => Sink::segment(settings)?,
            Vendor::PostHog => Sink::posthog(settings, self.posthog()?)?,
        })
    }

    fn posthog(&self) -> Result<PostHog, ConfigError> {
        let protocol = match self.protocol.as_deref() {
            None | Some("v0") => Protocol::V0,
            Some("v1") => Protocol::V1,
            Some(_) => return Err(ConfigError::Protocol),
        };
        let usual = PostHog { protocol, ..PostHog::default() };
        Ok(match self.group_type.clone() {
            Some(group_type) => PostHog { group_type, ..usual },
            None => usual,
        })
    }
}
