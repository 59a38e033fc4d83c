//! The body of a bulk request: for each document a line that says its id, and its bytes as they are.

use std::{io::Write as _, ops::Range};

use bytes::Bytes;
use chrono::NaiveDate;
use flate2::{Compression, write::GzEncoder};

use crate::sink::event::Event;

const BEFORE: &[u8] = br#"{"create":{"_id":""#;
const AFTER: &[u8] = b"\"}}\n";

/// How many bytes an event takes in a body.
pub(super) fn bytes(event: &Event) -> usize {
    BEFORE.len() + event.id.len() + AFTER.len() + event.record.value.len() + 1
}

/// Returns the body that creates `events`. The index is that of the path.
///
/// Line ends between the members of a document are made spaces; there are none within a text of valid JSON.
pub(super) fn body(events: &[Event]) -> Vec<u8> {
    let mut body = Vec::with_capacity(events.iter().map(bytes).sum());
    for event in events {
        body.extend_from_slice(BEFORE);
        body.extend_from_slice(&event.id);
        body.extend_from_slice(AFTER);
        let start = body.len();
        body.extend_from_slice(&event.record.value);
        if event.record.value.contains(&b'\n') {
            for byte in body.iter_mut().skip(start).filter(|byte| **byte == b'\n') {
                *byte = b' ';
            }
        }
        body.push(b'\n');
    }
    body
}

/// Compresses a body.
pub(super) fn packed(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

/// Returns which runs of events go together: of one day (or all, where `days` does not matter), within the limits, at
/// least one in each.
pub(super) fn parts(
    events: &[(NaiveDate, usize)],
    days: bool,
    bytes_max: usize,
    documents_max: usize,
) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, (day, size)) in events.iter().enumerate() {
        let fits = parts.last().is_some_and(|part| {
            let same = !days || events.get(part.start).is_some_and(|(first, _)| first == day);
            same && bytes + size <= bytes_max && part.len() < documents_max
        });
        match parts.last_mut() {
            Some(part) if fits => {
                part.end = index + 1;
                bytes += size;
            }
            _ => {
                parts.push(index..index + 1);
                bytes = *size;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Headers, Record};

    fn event(id: &'static str, value: &'static str) -> Event {
        let record = Record {
            partition: 0,
            offset: 0,
            appended_at: chrono::DateTime::UNIX_EPOCH,
            key: None,
            headers: Headers::new(),
            value: Bytes::from_static(value.as_bytes()),
        };
        Event { record, id: Bytes::from_static(id.as_bytes()), day: NaiveDate::MIN }
    }

    #[test]
    fn document_is_copied_and_stays_on_one_line() {
        let events = [event("a", r#"{"x":"\n"}"#), event("b", "{\n\"x\":\n1}")];
        let text = "{\"create\":{\"_id\":\"a\"}}\n{\"x\":\"\\n\"}\n{\"create\":{\"_id\":\"b\"}}\n{ \"x\": 1}\n";
        assert_eq!(String::from_utf8(body(&events)).unwrap(), text);
        assert_eq!(events.iter().map(bytes).sum::<usize>(), text.len());
    }

    proptest! {
        #[test]
        fn every_event_is_in_one_part_within_the_limits(
            events in prop::collection::vec((0_i64..3, 1_usize..50), 0..60),
            days: bool, bytes_max in 1_usize..100, documents_max in 1_usize..8,
        ) {
            let day = |day| chrono::DateTime::from_timestamp(day * 86_400, 0).unwrap().date_naive();
            let events: Vec<_> = events.into_iter().map(|(n, size)| (day(n), size)).collect();
            let parts = parts(&events, days, bytes_max, documents_max);
            let all: Vec<_> = parts.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..events.len()).collect::<Vec<_>>());
            for part in parts {
                let part = &events[part];
                prop_assert!(!part.is_empty() && part.len() <= documents_max);
                let sum: usize = part.iter().map(|(_, size)| size).sum();
                prop_assert!(part.len() == 1 || sum <= bytes_max);
                prop_assert!(!days || part.iter().all(|(day, _)| *day == part[0].0));
            }
        }
    }
}
