//! Events of one device of one batch, which travel together from unbundling to the second hop.
//!
//! A bundle is one record: a JSON array of the events as they came, keyed by the device, with their places in the batch
//! as the header `indexes`, such as `0-19` or `0,3,5-7`.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use crate::{
    identity,
    provenance::Provenance,
    reason::Reason,
    record::{Output, Record},
    topic,
};

/// The header that says where in the batch the events stood.
const INDEXES: &str = "indexes";

/// Events of one device of one batch, in their order.
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    /// The device that they are of.
    pub device: Cow<'a, str>,
    /// Where in the batch each of them stands; as many as there are events, growing.
    pub indexes: Vec<u32>,
    /// The events as they came.
    pub events: Vec<&'a RawValue>,
    /// The array as it stands in the batch, if they are all that is in it: it need not be written anew.
    pub(crate) array: Option<Bytes>,
}

impl Bundle<'_> {
    /// Returns the record that carries it, in a topic of so many partitions.
    #[must_use]
    pub fn output(&self, provenance: &Provenance, partitions: i32) -> Output {
        let mut headers = provenance.headers();
        headers.push(INDEXES, write_indexes(&self.indexes));
        Output {
            topic: Cow::Borrowed(topic::EVENTS),
            partition: identity::partition(&self.device, partitions),
            key: Some(Bytes::copy_from_slice(self.device.as_bytes())),
            headers,
            value: self.array.clone().unwrap_or_else(|| self.join()),
        }
    }

    fn join(&self) -> Bytes {
        let bytes: usize = self.events.iter().map(|event| event.get().len() + 1).sum();
        let mut array = BytesMut::with_capacity(bytes + 1);
        for (index, event) in self.events.iter().enumerate() {
            array.extend_from_slice(if index == 0 { b"[" } else { b"," });
            array.extend_from_slice(event.get().as_bytes());
        }
        array.extend_from_slice(b"]");
        array.freeze()
    }
}

/// Reads the events of a bundle with their places in the batch.
///
/// # Errors
///
/// The record is no bundle: somebody else has written it.
pub fn read(record: &Record) -> Result<Vec<(u32, &RawValue)>, Reason> {
    let malformed = |error: &dyn std::fmt::Display| {
        Reason::new("$", "malformed_json", format!("write an array of events: {error}"))
    };
    let text = std::str::from_utf8(&record.value).map_err(|error| malformed(&error))?;
    let events: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    let header = record.headers.get(INDEXES).unwrap_or_default();
    let indexes = read_indexes(header, events.len()).ok_or_else(|| {
        let message = format!(
            "the header `indexes` does not say where {} events stood; write to telemetry.raw instead",
            events.len()
        );
        Reason::new("$", "wrong_indexes", message)
    })?;
    Ok(indexes.into_iter().zip(events).collect())
}

/// Writes places as ranges, both ends included.
fn write_indexes(indexes: &[u32]) -> String {
    let ranges = indexes.chunk_by(|a, b| a.checked_add(1) == Some(*b)).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        only => only.iter().map(u32::to_string).collect(),
    });
    ranges.collect::<Vec<_>>().join(",")
}

/// Reads as many places as there are events, growing.
fn read_indexes(text: &str, count: usize) -> Option<Vec<u32>> {
    let mut indexes = Vec::with_capacity(count);
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let grows = first <= last && indexes.last().is_none_or(|before| *before < first);
        // Before anything is allocated: a range of a stranger may be any length.
        if !grows || (last - first) as usize >= count - indexes.len() {
            return None;
        }
        indexes.extend(first..=last);
    }
    (indexes.len() == count).then_some(indexes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_written_as_ranges() {
        for (indexes, text) in [
            (&[0][..], "0"),
            (&[0, 1], "0-1"),
            (&[0, 3, 5, 6, 7], "0,3,5-7"),
            (&[1, 2, 3, 9], "1-3,9"),
        ] {
            assert_eq!(write_indexes(indexes), text);
            assert_eq!(read_indexes(text, indexes.len()).unwrap(), indexes);
        }
    }

    #[test]
    fn places_that_are_not_those_of_the_events_are_refused() {
        for (text, count) in [
            ("", 0),
            ("", 1),
            ("0-1", 1),
            ("0", 2),
            ("0,0", 2),
            ("1,0", 2),
            ("1-0", 2),
            ("0-4294967295", 2),
            ("x", 1),
            ("0-", 1),
            ("0-1-2", 3),
            ("99999999999", 1),
        ] {
            assert_eq!(read_indexes(text, count), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn places_are_read_as_they_are_written(places in prop::collection::btree_set(any::<u32>(), 1..40),
            dense in prop::collection::btree_set(0..60_u32, 1..40)) {
            for places in [places, dense] {
                let places: Vec<_> = places.into_iter().collect();
                prop_assert_eq!(read_indexes(&write_indexes(&places), places.len()), Some(places));
            }
        }
    }
}
