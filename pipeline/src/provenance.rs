//! Where events come from: the batch, its place in the raw log, and who sent it.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::{
    Profile,
    record::{Headers, Record},
};

/// What is known of a batch, and travels with its events.
///
/// The relay writes it as headers of the raw record; it is passed on as headers of records in `events`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provenance {
    /// The place in the raw log.
    pub source: Source,
    /// In which form the batch is.
    pub format: Format,
    /// The channel of the key that it was sent with; empty where no relay has written it.
    pub channel: String,
    /// By which rules its events are checked.
    pub profile: Profile,
    /// When the relay took it, in milliseconds since 1970: the sender's clock has no part in it.
    pub syncts: i64,
    /// The message id that the sender gave, if any.
    pub message_id: Option<String>,
    /// The device that sent it, as it says (`x-device-id`); not necessarily whose events they are.
    pub sender: Option<String>,
    /// The device that the batch itself names (`did`), for events that name none.
    pub did: Option<String>,
    /// When the batch was sent, by its sender's clock, in milliseconds since 1970, if it says so.
    pub batch_ets: Option<i64>,
    /// Who imported it from an archive, if it came so.
    pub importer: Option<String>,
}

/// A place in the raw log.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl Source {
    /// That of something which does not say where it is from.
    pub const UNKNOWN: Self = Self { partition: -1, offset: -1 };
}

/// In which form a batch is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Sunbird's envelope with `events`; DIGIT's too.
    #[default]
    Sunbird,
    /// PostHog's, with `batch`; the events carry Sunbird's members in their properties.
    Posthog,
}

impl Format {
    /// Returns the word in the headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sunbird => "sunbird",
            Self::Posthog => "posthog",
        }
    }
}

impl Provenance {
    /// Reads a raw record's headers; what is missing, or cannot be read, is taken for the default.
    ///
    /// So others may write to the raw topic of Kafka too: without headers it is a lenient Sunbird batch that was taken
    /// when the log took it.
    #[must_use]
    pub fn of_raw(record: &Record) -> Self {
        let source = Source { partition: record.partition, offset: record.offset };
        Self::read(&record.headers, source, record.appended_at.timestamp_millis())
    }

    /// Returns that of something which says nothing about its batch, and which the log took then.
    #[must_use]
    pub(crate) fn unknown(appended_at: DateTime<Utc>) -> Self {
        Self::read(&Headers::new(), Source::UNKNOWN, appended_at.timestamp_millis())
    }

    /// Reads what [`headers`](Self::headers) has written.
    #[must_use]
    pub fn of_events(record: &Record) -> Option<Self> {
        let source = record.headers.get("source")?.parse().ok()?;
        Some(Self::read(&record.headers, source, record.appended_at.timestamp_millis()))
    }

    fn read(headers: &Headers, source: Source, appended_at: i64) -> Self {
        let text = |name| headers.get(name).map(str::to_owned);
        Self {
            source,
            format: match headers.get("format") {
                Some("posthog") => Format::Posthog,
                _ => Format::Sunbird,
            },
            channel: text("channel").unwrap_or_default(),
            profile: headers.get("profile").and_then(|word| word.parse().ok()).unwrap_or_default(),
            syncts: headers.get("syncts").and_then(|ms| ms.parse().ok()).unwrap_or(appended_at),
            message_id: text("message_id"),
            sender: text("x-device-id"),
            did: text("did"),
            batch_ets: headers.get("batch_ets").and_then(|ms| ms.parse().ok()),
            importer: text("importer"),
        }
    }

    /// Returns the headers that carry it on.
    #[must_use]
    pub fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        headers.push("source", self.source.to_string());
        headers.push("format", self.format.as_str());
        headers.push("channel", self.channel.as_str());
        headers.push("profile", self.profile.as_str());
        headers.push("syncts", self.syncts.to_string());
        if let Some(ets) = self.batch_ets {
            headers.push("batch_ets", ets.to_string());
        }
        let optional = [
            ("message_id", &self.message_id),
            ("x-device-id", &self.sender),
            ("did", &self.did),
            ("importer", &self.importer),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                headers.push(name, value.as_str());
            }
        }
        headers
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.partition, self.offset)
    }
}

impl std::str::FromStr for Source {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (partition, offset) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { partition: partition.parse()?, offset: offset.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let provenance = Provenance {
            source: Source { partition: 3, offset: 1045 },
            format: Format::Posthog,
            channel: "portal".to_owned(),
            profile: Profile::Digit,
            syncts: 1_700_000_000_123,
            message_id: Some("m".to_owned()),
            sender: None,
            did: Some("d".to_owned()),
            batch_ets: Some(1_700_000_000_000),
            importer: Some("desk".to_owned()),
        };
        let record = Record {
            partition: 9,
            offset: 7,
            appended_at: chrono::DateTime::UNIX_EPOCH,
            key: None,
            headers: provenance.headers(),
            value: bytes::Bytes::new(),
        };
        assert_eq!(Provenance::of_events(&record), Some(provenance));
    }

    #[test]
    fn raw_record_without_headers_is_a_lenient_sunbird_batch() {
        let record = Record {
            partition: 1,
            offset: 2,
            appended_at: chrono::DateTime::UNIX_EPOCH,
            key: None,
            headers: Headers::new(),
            value: bytes::Bytes::new(),
        };
        let read = Provenance::of_raw(&record);
        assert_eq!(
            (read.profile, read.format, read.syncts),
            (Profile::Lenient, Format::Sunbird, 0)
        );
        assert_eq!(read.source.to_string(), "1/2");
    }
}
