//! What devices send, and what is to become of it.
//!
//! It has everything that comes twice: events in later batches with their members in another order, batches posted
//! again with their events in another order, other content under an id that was used. And what is refused: events
//! without a kind, items that are no events, batches that cannot be read, and events that the index has no field for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use chrono::{DateTime, Days, NaiveDate, Utc};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::Value;
use tidings_pipeline::{
    Headers, Output, Record,
    identity::{self, Fingerprint, Scratch},
    provenance::Source,
    topic, value,
};

/// How many devices send.
const DEVICES: u32 = 150;

/// How many events a batch has.
const BATCH: u32 = 20;

/// An event that can be said in two ways.
#[derive(Clone, Debug)]
struct Event {
    number: u32,
    device: u32,
    content: u32,
    fits_the_index: bool,
}

/// A sender of batches, the same for the same seed.
#[derive(Debug)]
pub(super) struct Sender {
    random: StdRng,
    partitions: i32,
    /// When the relay has taken them: on two days in turn.
    taken_at: [DateTime<Utc>; 2],
    sent: Vec<Event>,
    /// Batches that are posted again later.
    again: Vec<Vec<String>>,
    batches: u32,
}

/// What is to become of the batches of a raw log.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// The batches by their place, with how many events they have, and how many bytes if they cannot be read.
    pub(super) batches: BTreeMap<Source, (u64, u64)>,
    /// The document ids of what is let through.
    pub(super) unique: BTreeSet<String>,
    /// Those of them that the index refuses.
    pub(super) refused: BTreeSet<String>,
    pub(super) collisions: u64,
    pub(super) duplicate: u64,
    pub(super) failed: u64,
    /// How many contents each id of a device has.
    contents: HashMap<(String, String), u64>,
}

impl Event {
    /// Writes it; `turned` is the same event with its members in another order, sent at another time.
    fn text(&self, turned: bool) -> String {
        let Self { number, device, content, fits_the_index } = self;
        let object =
            if *fits_the_index { r#"{"id":"do_1","type":"Content"}"# } else { r#""do_1""# };
        let context = format!(
            r#""context":{{"channel":"c","env":"e","did":"d{device}","pdata":{{"id":"p"}}}}"#
        );
        let edata = format!(r#""edata":{{"type":"system","level":"INFO","message":"{content}"}}"#);
        let actor = r#""actor":{"id":"u","type":"User"}"#;
        let head = format!(r#""eid":"LOG","mid":"m{number}","ets":1700000000000,"ver":"3.0""#);
        if turned {
            format!(r#"{{"syncts":7,"object":{object},{edata},{context},{actor},{head}}}"#)
        } else {
            format!(r#"{{{head},{actor},{context},{edata},"object":{object}}}"#)
        }
    }
}

impl Sender {
    /// Returns a sender to a raw log of so many partitions, whose batches are taken today and on the day before.
    pub(super) fn new(seed: u64, partitions: i32, now: DateTime<Utc>) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            partitions,
            taken_at: [now, now.checked_sub_days(Days::new(1)).unwrap()],
            sent: Vec::new(),
            again: Vec::new(),
            batches: 0,
        }
    }

    /// Returns the days on which its batches are taken.
    pub(super) fn days(&self) -> [NaiveDate; 2] {
        self.taken_at.map(|at| at.date_naive())
    }

    /// Returns the next batches, with so many events or some more.
    pub(super) fn batches(&mut self, events: u32) -> Vec<Output> {
        (0..events.div_ceil(BATCH)).map(|_| self.batch()).collect()
    }

    fn batch(&mut self) -> Output {
        let value = match self.random.random_range(0..100) {
            0 => r#"{"id":"x","ver":"3.0","events":[{"#.to_owned(),
            1..6 if !self.again.is_empty() => {
                let place = self.random.random_range(0..self.again.len());
                let mut events = self.again.swap_remove(place);
                events.shuffle(&mut self.random);
                batch_of(&events)
            }
            _ => {
                let events: Vec<String> = (0..BATCH).map(|_| self.event()).collect();
                if self.random.random_range(0..20) == 0 {
                    self.again.push(events.clone());
                }
                batch_of(&events)
            }
        };
        self.raw(value)
    }

    /// Returns the record of a batch.
    pub(super) fn raw(&mut self, value: String) -> Output {
        self.batches += 1;
        let taken_at = self.taken_at[usize::from(self.random.random_bool(0.3))];
        let headers = Headers::new()
            .with("syncts", taken_at.timestamp_millis().to_string())
            .with("channel", "portal");
        let partition = i32::try_from(self.batches).unwrap() % self.partitions;
        let (topic, key, value) = (topic::RAW.into(), None, Bytes::from(value));
        Output { topic, partition, key, headers, value }
    }

    fn event(&mut self) -> String {
        match self.random.random_range(0..100) {
            0 => return r#"{"mid":"of no kind","ets":1700000000000}"#.to_owned(),
            1 => return "7".to_owned(),
            2..12 if !self.sent.is_empty() => {
                let event = &self.sent[self.random.random_range(0..self.sent.len())];
                return event.text(self.random.random_bool(0.5));
            }
            12..14 if !self.sent.is_empty() => {
                let earlier = &self.sent[self.random.random_range(0..self.sent.len())];
                let other = Event { content: earlier.content + 1, ..earlier.clone() };
                self.sent.push(other);
            }
            number => {
                let device = self.random.random_range(0..DEVICES);
                let number_of_it = u32::try_from(self.sent.len()).unwrap();
                let fits_the_index = number != 14;
                let event = Event { number: number_of_it, device, content: 0, fits_the_index };
                self.sent.push(event);
            }
        }
        self.sent.last().unwrap().text(false)
    }
}

/// Writes a batch of events.
pub(super) fn batch_of(events: &[String]) -> String {
    format!(r#"{{"id":"x","ver":"3.0","ets":1700000000000,"events":[{}]}}"#, events.join(","))
}

impl Expected {
    /// Reads a raw log.
    pub(super) fn of(raw: &[Record]) -> Self {
        let mut expected = Self::default();
        for record in raw {
            let source = Source { partition: record.partition, offset: record.offset };
            let batch: Result<Value, _> = serde_json::from_slice(&record.value);
            let counts = match batch {
                Err(_) => (0, record.value.len() as u64),
                Ok(batch) => {
                    let events = batch["events"].as_array().unwrap();
                    for event in events {
                        expected.add(event);
                    }
                    (events.len() as u64, 0)
                }
            };
            expected.batches.insert(source, counts);
        }
        expected
    }

    fn add(&mut self, event: &Value) {
        if event["eid"].is_null() {
            self.failed += 1;
            return;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (mid, device) = (text(&event["mid"]), text(&event["context"]["did"]));
        let id = document_id(&mid, &device, event);
        if !self.unique.insert(id.clone()) {
            self.duplicate += 1;
            return;
        }
        if !event["object"].is_object() {
            self.refused.insert(id);
        }
        let contents = self.contents.entry((mid, device)).or_default();
        self.collisions += u64::from(*contents > 0);
        *contents += 1;
    }

    /// Returns how many events there are in batches that can be read.
    pub(super) fn received(&self) -> u64 {
        self.batches.values().map(|(events, _)| events).sum()
    }

    /// Returns how many batches cannot be read, and how many bytes these have.
    pub(super) fn broken(&self) -> (u64, u64) {
        let broken = self.batches.values().filter(|(_, bytes)| *bytes > 0);
        broken.fold((0, 0), |(batches, bytes), (_, of)| (batches + 1, bytes + of))
    }
}

fn document_id(mid: &str, device: &str, event: &Value) -> String {
    let text = event.to_string();
    let parsed = value::Value::parse(text.as_bytes()).unwrap();
    identity::document_id(mid, device, &Fingerprint::of(&parsed, &mut Scratch::default()))
}
