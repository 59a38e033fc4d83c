//! What a sink reads of a unique event, and how one that it rejected is written down.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Datelike, NaiveDate};
use serde::Deserialize;

use crate::{
    Failed, Profile, Stage,
    provenance::{Format, Provenance},
    reason::Reason,
    record::{Output, Record},
};

/// The longest document id: what search engines take is 512 bytes.
const ID_BYTES_MAX: usize = 128;

/// A unique event as a sink knows it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its record.
    pub(super) record: Record,
    /// Its document id: letters, digits, `-` and `_`.
    pub(super) id: Bytes,
    /// The UTC day on which the relay took it.
    pub(super) day: NaiveDate,
}

#[derive(Deserialize)]
struct Head<'a> {
    syncts: i64,
    #[serde(borrow)]
    metadata: HeadMetadata<'a>,
}

#[derive(Deserialize)]
struct HeadMetadata<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    metadata: HeadMetadata<'a>,
}

#[derive(Deserialize)]
struct Origin {
    syncts: i64,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    source: String,
    channel: Option<String>,
    profile: Option<String>,
    message_id: Option<String>,
    sender: Option<String>,
    importer: Option<String>,
}

impl Event {
    /// Reads what a sink needs of a record, whatever else is in it.
    ///
    /// # Errors
    ///
    /// The record, with the reason why it is no unique event.
    pub(super) fn read(record: Record) -> Result<Self, Box<(Record, Reason)>> {
        let unreadable = |path, message: String| Reason::new(path, "unreadable", message);
        let head: Head<'_> = match serde_json::from_slice(&record.value) {
            Ok(head) => head,
            Err(error) => {
                let message = format!("not what the pipeline writes to unique: {error}");
                return Err(Box::new((record, unreadable("$", message))));
            }
        };
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let id = head.metadata.id.as_bytes();
        if !(1..=ID_BYTES_MAX).contains(&id.len()) || !id.iter().all(|byte| is_fit(*byte)) {
            let message = format!("an id has 1 to {ID_BYTES_MAX} letters, digits, - and _");
            return Err(Box::new((record, unreadable("$.metadata.id", message))));
        }
        let Some(day) = day(head.syncts) else {
            let message = "the relay's time lies between 2000 and 2199".to_owned();
            return Err(Box::new((record, unreadable("$.syncts", message))));
        };
        let id = match &head.metadata.id {
            Cow::Borrowed(id) => record.value.slice_ref(id.as_bytes()),
            Cow::Owned(id) => Bytes::copy_from_slice(id.as_bytes()),
        };
        Ok(Self { record, id, day })
    }
}

/// Returns the document id of a unique event, which does not keep the event's memory.
pub(super) fn document_id(event: &[u8]) -> Option<Bytes> {
    let Named { metadata } = serde_json::from_slice(event).ok()?;
    Some(Bytes::copy_from_slice(metadata.id.as_bytes()))
}

/// Returns the day of a time in milliseconds; none where it would make an index, or a folder, that nobody looks for.
fn day(syncts: i64) -> Option<NaiveDate> {
    let day = DateTime::from_timestamp_millis(syncts)?.date_naive();
    (2000..2200).contains(&day.year()).then_some(day)
}

/// Returns what is written about a record that a sink rejected: its bytes, where they came from, and why.
pub(super) fn rejected(sink: &str, record: &Record, reason: &Reason) -> Output {
    let origin = serde_json::from_slice::<Origin>(&record.value).ok().and_then(Origin::split);
    let (provenance, index) = match origin {
        Some((provenance, index)) => (provenance, Some(index)),
        None => (Provenance::unknown(record.appended_at), None),
    };
    let device = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
    let failed = Failed {
        provenance,
        stage: Stage::Sink,
        sink: Some(sink.to_owned()),
        index,
        device,
        reasons: vec![reason.clone()],
        bytes: record.value.clone(),
    };
    failed.output(record.partition)
}

impl Origin {
    /// Returns the provenance of the event's batch, and its index in it.
    fn split(self) -> Option<(Provenance, u32)> {
        let Metadata { source, channel, profile, message_id, sender, importer } = self.metadata;
        let (source, index) = source.rsplit_once('/')?;
        let provenance = Provenance {
            source: source.parse().ok()?,
            // The event is in Sunbird's form by now, whatever its batch was.
            format: Format::Sunbird,
            channel: channel.unwrap_or_default(),
            profile: profile.and_then(|word| word.parse::<Profile>().ok()).unwrap_or_default(),
            syncts: self.syncts,
            message_id,
            sender,
            did: None,
            batch_ets: None,
            importer,
        };
        Some((provenance, index.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::{provenance::Source, record::Headers, topic};

    fn record(value: &'static str) -> Record {
        Record {
            partition: 3,
            offset: 9,
            appended_at: DateTime::<Utc>::UNIX_EPOCH,
            key: Some(Bytes::from_static(b"d1")),
            headers: Headers::new(),
            value: Bytes::from_static(value.as_bytes()),
        }
    }

    #[test]
    fn day_is_that_of_the_relay_in_utc() {
        let text = r#"{"eid":"LOG","ets":1,"syncts":1700006399999,"metadata":{"source":"3/1045/7","id":"0a-_Z"}}"#;
        let event = Event::read(record(text)).unwrap();
        assert_eq!((event.day.to_string().as_str(), &event.id[..]), ("2023-11-14", &b"0a-_Z"[..]));
        let next = Event::read(record(r#"{"syncts":1700006400000,"metadata":{"id":"a"}}"#));
        assert_eq!(next.unwrap().day.to_string(), "2023-11-15");
    }

    #[test]
    fn event_without_a_relays_time_does_not_go_to_1970() {
        // Secor wrote what it could not date to dt=1970-01-01, and nobody found it there.
        let table = [
            (r#"{"syncts":0,"metadata":{"id":"a"}}"#, "$.syncts"),
            (r#"{"syncts":7258118400000,"metadata":{"id":"a"}}"#, "$.syncts"),
            (r#"{"metadata":{"id":"a"}}"#, "$"),
            (r#"{"syncts":1700000000000,"metadata":{"id":"a\"b"}}"#, "$.metadata.id"),
            (r#"{"syncts":1700000000000,"metadata":{"id":""}}"#, "$.metadata.id"),
            ("no json", "$"),
        ];
        for (text, path) in table {
            let (_, reason) = *Event::read(record(text)).unwrap_err();
            assert_eq!(
                (reason.path.as_ref(), reason.code.as_ref()),
                (path, "unreadable"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_rejected_keeps_its_bytes_and_where_they_came_from() {
        let text = r#"{"syncts":1700000000000,"metadata":{"id":"a","source":"3/1045/7","channel":"c","profile":"digit","sender":"s"}}"#;
        let reason = Reason::new("$", "mapper_parsing_exception", "no");
        let output = rejected("os", &record(text), &reason);
        assert_eq!((output.topic.as_ref(), output.partition), (topic::FAILED, 3));
        assert_eq!(output.value, text.as_bytes());
        assert_eq!(output.key.as_deref(), Some(&b"d1"[..]));
        let header = |name| output.headers.get(name).unwrap_or_default();
        assert_eq!((header("stage"), header("sink"), header("index")), ("sink", "os", "7"));
        let wanted = r#"[{"path":"$","code":"mapper_parsing_exception","message":"no"}]"#;
        assert_eq!((header("source"), header("reasons")), ("3/1045", wanted));
        assert_eq!((header("profile"), header("x-device-id")), ("digit", "s"));
    }

    #[test]
    fn what_says_nothing_of_its_batch_is_found_among_what_failed() {
        // It was written without a source, and what has none is not listed.
        let reason = Reason::new("$", "unreadable", "no");
        let bare = rejected("os", &record("no json"), &reason);
        let Output { partition, key, headers, value, .. } = bare;
        let written = Record { partition, key, headers, value, ..record("") };
        let failed = Failed::read(&written).unwrap();
        assert_eq!((failed.stage, failed.sink.as_deref()), (Stage::Sink, Some("os")));
        assert_eq!((failed.provenance.source, failed.index), (Source::UNKNOWN, None));
        assert_eq!((failed.device.as_deref(), &failed.bytes[..]), (Some("d1"), &b"no json"[..]));
    }
}
