//! Where an event is: in which topics, under which offsets, and which sinks have taken it.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Place, walk};
use crate::{Log, Record, Result, bundle, log::Start, topic, unbundle::unbundle, value::Value};

/// An event, or a batch with it, in a topic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Found {
    /// The topic.
    pub topic: &'static str,
    /// Where in it.
    pub place: Place,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Its device, where the record says so.
    pub device: Option<String>,
    /// The document id, where it has one.
    pub document_id: Option<String>,
    /// The groups that read this topic, and whether they have taken it.
    pub taken_by: Vec<Taken>,
}

/// Whether a group has gone past a place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Taken {
    /// The group.
    pub group: String,
    /// Whether it has.
    pub taken: bool,
}

/// The topics that are looked through, in the order in which an event passes them, with who reads them.
const TOPICS: [(&str, Option<&str>); 5] = [
    (topic::RAW, Some("unbundle")),
    (topic::EVENTS, Some("refine")),
    (topic::UNIQUE, None),
    (topic::DUPLICATE, None),
    (topic::FAILED, None),
];

/// Looks for an event by its id, in everything that came at `since` or later; `sinks` are asked whether they have it.
///
/// It reads the topics through: some hundred megabytes in a second. `progress` is told how many bytes were read.
///
/// # Errors
///
/// The log does not answer.
pub async fn find<L: Log>(
    log: &L,
    mid: &str,
    since: DateTime<Utc>,
    sinks: &[String],
    mut progress: impl FnMut(u64) + Send,
) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    for (name, reader) in TOPICS {
        let groups: Vec<String> = match reader {
            Some(group) => vec![group.to_owned()],
            None if name == topic::UNIQUE => {
                sinks.iter().map(|sink| format!("sink.{sink}")).collect()
            }
            None => Vec::new(),
        };
        let mut committed = Vec::new();
        for group in groups {
            let positions = log.committed(&group, name).await?;
            committed.push((group, positions));
        }
        for partition in 0..log.partitions(name).await? {
            walk::forwards(log, name, (partition, Start::Time(since)), |record| {
                progress(record.value.len() as u64);
                if has(name, &record, mid) {
                    all.push(found(name, &record, &committed));
                }
                ControlFlow::Continue(())
            })
            .await?;
        }
    }
    Ok(all)
}

fn found(topic: &'static str, record: &Record, committed: &[(String, Vec<Option<i64>>)]) -> Found {
    let device = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
    let event = Value::parse(&record.value).ok();
    let id = event.as_ref().and_then(|event| event.at(&["metadata", "id"])?.as_str());
    let taken = |(group, positions): &(String, Vec<Option<i64>>)| {
        let index = usize::try_from(record.partition).unwrap_or(usize::MAX);
        let position = positions.get(index).copied().flatten();
        let taken = position.is_some_and(|position| position > record.offset);
        Taken { group: group.clone(), taken }
    };
    Found {
        topic,
        place: Place { partition: record.partition, offset: record.offset },
        at: record.appended_at,
        device: device.filter(|_| topic != topic::RAW),
        document_id: id.filter(|_| topic == topic::UNIQUE).map(str::to_owned),
        taken_by: committed.iter().map(taken).collect(),
    }
}

/// Says whether an event with this id is in a record.
fn has(topic: &str, record: &Record, mid: &str) -> bool {
    // Most records are left at the first glance; what an escape has hidden is not worth a second one for all.
    let text = std::str::from_utf8(&record.value);
    if !text.is_ok_and(|text| text.contains(mid)) {
        return false;
    }
    match topic {
        topic::RAW => {
            let unbundled = unbundle(record);
            let mut events = unbundled.bundles.iter().flat_map(|bundle| &bundle.events);
            events.any(|event| is(event, mid)) || unbundled.bundles.is_empty()
        }
        topic::EVENTS => bundle::read(record)
            .is_ok_and(|events| events.into_iter().any(|(_, event)| is(event, mid))),
        // The bytes of what failed may be anything.
        topic::FAILED => true,
        _ => serde_json::from_slice::<&RawValue>(&record.value).is_ok_and(|event| is(event, mid)),
    }
}

fn is(event: &RawValue, mid: &str) -> bool {
    let Ok(event) = Value::parse(event.get().as_bytes()) else { return false };
    // PostHog's events have a uuid, which becomes the mid.
    ["mid", "uuid"].iter().any(|name| event.get(name).and_then(Value::as_str) == Some(mid))
}
