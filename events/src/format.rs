//! How an event is written for those who are told of it: the body of a webhook, the value of a record.
//!
//! The payload goes out as the bytes that were stored: nothing parses and writes it again.

pub mod cloud_event;

use std::{fmt, str::FromStr};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::cloud_event::CloudEvent;

/// A way to write an event.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `{"type":…,"timestamp":…,"data":…}`, as Standard Webhooks asks.
    #[default]
    Tidings,
    /// `CloudEvents` 1.0, structured: one JSON document.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// `CloudEvents` 1.0, binary: the payload alone, and the attributes in headers.
    #[serde(rename = "cloudevents-binary")]
    CloudEventsBinary,
}

/// A word that is no format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no such format; write tidings, cloudevents or cloudevents-binary")]
pub struct BadFormat;

impl Format {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Tidings, Self::CloudEvents, Self::CloudEventsBinary];

    /// Returns the word that is stored and typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tidings => "tidings",
            Self::CloudEvents => "cloudevents",
            Self::CloudEventsBinary => "cloudevents-binary",
        }
    }

    /// Returns the media type of what is written.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Tidings | Self::CloudEventsBinary => cloud_event::DATA_MEDIA_TYPE,
            Self::CloudEvents => cloud_event::STRUCTURED_MEDIA_TYPE,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(text: &str) -> Result<Self, BadFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or(BadFormat)
    }
}

/// Returns a time as all formats have it: RFC 3339 in UTC with the microseconds that the database keeps.
#[must_use]
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Returns the body that Standard Webhooks asks for, with the payload `data` as it stands.
#[must_use]
pub fn body(event_type: &str, at: DateTime<Utc>, data: &str) -> String {
    let (event_type, at) = (Value::from(event_type), timestamp(at));
    format!(r#"{{"type":{event_type},"timestamp":"{at}","data":{data}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_read_as_it_is_written() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
        assert_eq!("CloudEvents".parse::<Format>(), Err(BadFormat));
    }
}
