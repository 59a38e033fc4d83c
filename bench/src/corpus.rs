//! Telemetry as players of Sunbird send it: all kinds of events in turn, about 800 bytes each, twenty to a batch.

use std::io::Write as _;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tidings_pipeline::{Headers, Output, Record, topic};

/// How many events a batch has.
pub(crate) const EVENTS: u64 = 20;

/// How many partitions every topic has: the default.
pub(crate) const PARTITIONS: i32 = 16;

const CHANNEL: &str = "0126796199493140480";

const KINDS: [&str; 17] = [
    "START",
    "IMPRESSION",
    "INTERACT",
    "ASSESS",
    "RESPONSE",
    "INTERRUPT",
    "FEEDBACK",
    "SHARE",
    "AUDIT",
    "ERROR",
    "HEARTBEAT",
    "LOG",
    "SEARCH",
    "METRICS",
    "SUMMARY",
    "EXDATA",
    "END",
];

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// Makes batches, each by a device of its own; the same ones whenever it is made with the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Corpus {
    state: u64,
    batches: u64,
    /// When the relay takes them, in milliseconds since 1970.
    taken_at: i64,
}

impl Corpus {
    pub(crate) fn new(seed: u64, taken_at: i64) -> Self {
        Self { state: seed, batches: 0, taken_at }
    }

    /// Returns the next batch as the relay writes it to the raw log, its partition in turn.
    pub(crate) fn raw(&mut self) -> Output {
        let partition = i32::try_from(self.batches % 16).unwrap_or_default();
        let (message, device) = (self.hex(), self.hex());
        let headers = Headers::new()
            .with("format", "sunbird")
            .with("channel", CHANNEL)
            .with("profile", "lenient")
            .with("syncts", self.taken_at.to_string())
            .with("message_id", message.as_str())
            .with("x-device-id", device.as_str());
        let value = self.batch(&message, &device).into();
        Output { topic: topic::RAW.into(), partition, key: Some(message.into()), headers, value }
    }

    /// Returns the next batch as it is sent, with `@@` where its message id belongs.
    pub(crate) fn body(&mut self) -> String {
        let device = self.hex();
        self.batch("@@", &device)
    }

    /// Returns so many batches as they are read from the raw log.
    pub(crate) fn records(&mut self, batches: usize) -> Vec<Record> {
        let outputs: Vec<_> = std::iter::repeat_with(|| self.raw()).take(batches).collect();
        records(outputs)
    }

    /// Returns so many events as they stand in batches.
    pub(crate) fn events(&mut self, events: usize) -> Result<Vec<Bytes>> {
        let mut found = Vec::with_capacity(events);
        while found.len() < events {
            let raw = self.raw();
            let batch: Batch<'_> = serde_json::from_slice(&raw.value)?;
            found.extend(
                batch.events.iter().map(|event| raw.value.slice_ref(event.get().as_bytes())),
            );
        }
        found.truncate(events);
        Ok(found)
    }

    /// Returns so many events as they stand in `telemetry.unique`, of devices that are spread over partitions.
    pub(crate) fn unique(&mut self, events: usize) -> Result<Vec<Output>> {
        let found = self.events(events)?;
        let mut outputs = Vec::with_capacity(events);
        for (n, event) in found.into_iter().enumerate() {
            let (id, message, sender) = (self.hex(), self.hex(), self.hex());
            let (place, taken_at) = (n % 16, self.taken_at);
            let open = event.strip_suffix(b"}").context("an event is an object")?;
            let mut value = open.to_vec();
            write!(
                value,
                r#","@timestamp":"2026-11-23T00:00:00.000Z","syncts":{taken_at},"metadata":{{"id":"{id}01234567","source":"{place}/{n}/7","channel":"{CHANNEL}","profile":"lenient","message_id":"{message}","sender":"{sender}"}}}}"#
            )?;
            let (topic, headers, value) = (topic::UNIQUE.into(), Headers::new(), value.into());
            let (partition, key) = (i32::try_from(n % 16)?, Some(self.hex().into()));
            outputs.push(Output { topic, partition, key, headers, value });
        }
        Ok(outputs)
    }

    fn batch(&mut self, message: &str, device: &str) -> String {
        let first = self.batches * EVENTS;
        self.batches += 1;
        let (actor, session) = (self.hex(), self.hex());
        let events: Vec<_> = (first..first + EVENTS)
            .map(|n| {
                let kind = usize::try_from(n % 17).unwrap_or_default();
                let envelope = self.envelope(KINDS[kind], n, (device, &actor, &session));
                self.with_data(envelope, n)
            })
            .collect();
        let batch = json!({
            "id": "api.sunbird.telemetry", "ver": "3.0", "ets": self.taken_at - 500, "params": {"msgid": message},
            "events": events,
        });
        batch.to_string()
    }

    fn envelope(
        &mut self,
        eid: &str,
        n: u64,
        (device, actor, session): (&str, &str, &str),
    ) -> Value {
        let ahead = i64::try_from(n % EVENTS).unwrap_or_default();
        json!({
            "eid": eid, "ets": self.taken_at - 60_000 + 2_900 * ahead, "ver": "3.0", "mid": format!("{eid}:{}", self.hex()),
            "actor": {"id": actor, "type": "User"},
            "context": {
                "channel": CHANNEL, "pdata": {"id": "staging.sunbird.portal", "ver": "4.10.1", "pid": "sunbird-portal"},
                "env": "explore-course", "sid": session, "did": device,
                "cdata": [{"id": "do_2131277644284641281206", "type": "course"}, {"id": "desktop", "type": "Device"}],
                "rollup": {"l1": CHANNEL},
            },
            "object": {"id": format!("do_{}", 2_131_277_644_284_000_000 + self.next() % 100_000), "type": "Content", "ver": "2"},
            "tags": [CHANNEL],
        })
    }

    fn with_data(&mut self, mut event: Value, n: u64) -> Value {
        let id = self.hex();
        let content = json!({"id": format!("do_{}", self.next()), "ver": "1.0", "type": "Content"});
        event["edata"] = match n % 17 {
            0 => {
                json!({"type": "player", "mode": "play", "pageid": "content-player", "duration": 0.412,
                "uaspec": {"agent": "Chrome", "ver": "120.0.0.0", "system": "Windows 10", "platform": "Blink",
                    "raw": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"}})
            }
            1 => {
                json!({"type": "detail", "pageid": "course-details", "uri": format!("/explore-course/course/do_{}", self.next()),
                "subtype": "Scroll", "visits": [{"objid": id, "objtype": "Course", "objver": "3", "section": "Recent", "index": n % 9}]})
            }
            2 => {
                json!({"type": "CLICK", "subtype": "toc", "id": "play-button", "pageid": "content-player", "target": content,
                "extra": {"pos": [{"x": self.next() % 1280, "y": self.next() % 800}], "values": ["next", n]}})
            }
            3 => {
                json!({"item": {"id": id, "maxscore": 1, "exlength": 0, "uri": "", "desc": "", "title": "Which of these is a prime number?",
                    "mmc": [], "mc": []},
                "pass": "Yes", "score": 1, "resvalues": [{"1": "{\"text\":\"17\"}"}], "duration": n % 40, "index": n % 10})
            }
            4 => {
                json!({"type": "CHOOSE", "target": content, "values": [{"option": n % 4}, {"text": "the second of them"}]})
            }
            5 => json!({"type": "background", "pageid": "content-player"}),
            6 => {
                json!({"rating": n % 5, "commentid": id, "commenttxt": "The audio of the second chapter is hard to follow."})
            }
            7 => {
                json!({"dir": "Out", "type": "File", "items": [{"id": id, "type": "Content", "ver": "1.0",
                "params": [{"transfers": 1, "size": 10_485_760}], "origin": {"id": "device", "type": "Device"}}]})
            }
            8 => {
                json!({"type": "updated", "props": ["firstName", "phone", "framework"], "state": "Update", "prevstate": "Create"})
            }
            9 => {
                json!({"err": "ERR_502", "errtype": "SYSTEM", "pageid": "content-player", "stacktrace":
                "Error: request failed\n    at XMLHttpRequest.onError (main.js:1:24019)\n    at Zone.runTask (polyfills.js:1:9021)"})
            }
            10 => json!({"beat": n, "state": "alive"}),
            11 => {
                json!({"type": "api_call", "level": "INFO", "message": "content read", "params": [{"duration": n % 300}, {"status": 200},
                {"url": "/api/content/v2/read"}, {"requestid": id}]})
            }
            12 => {
                json!({"type": "content", "query": "fractions for class five", "size": n % 900, "correlationid": id,
                "filters": {"board": ["CBSE"], "medium": ["English"], "gradeLevel": ["Class 5"]}, "sort": {"lastUpdatedOn": "desc"},
                "topn": [{"identifier": format!("do_{}", self.next())}, {"identifier": format!("do_{}", self.next())}]})
            }
            13 => json!({"system": "player", "subsystem": "renderer",
                "metrics": [{"metric": "frames", "value": n % 60}, {"metric": "stalls", "value": n % 3}]}),
            14 => {
                json!({"type": "session", "starttime": self.taken_at - 900_000, "endtime": self.taken_at - 60_000, "timespent": 840.5,
                "pageviews": n % 20, "interactions": n % 70, "mode": "play", "extra": [{"id": "progress", "value": "57"}]})
            }
            15 => json!({"type": "partnerdata", "data": format!("{id}{id}")}),
            _ => {
                json!({"type": "player", "mode": "play", "pageid": "content-player", "duration": n % 600,
                "summary": [{"progress": n % 100}, {"totallength": 12}, {"visitedlength": n % 12}]})
            }
        };
        event
    }

    /// Returns 32 hexadecimal digits, which do not compress.
    fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// By `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Returns outputs as they are read.
pub(crate) fn records(outputs: Vec<Output>) -> Vec<Record> {
    let mut offsets = std::collections::HashMap::new();
    let record = |output: Output| {
        let Output { partition, key, headers, value, .. } = output;
        let next = offsets.entry(partition).or_insert(0_i64);
        let offset = *next;
        *next += 1;
        Record { partition, offset, appended_at: now(), key, headers, value }
    };
    outputs.into_iter().map(record).collect()
}

/// Returns how many bytes values have together.
pub(crate) fn bytes<'a>(values: impl IntoIterator<Item = &'a Bytes>) -> usize {
    values.into_iter().map(Bytes::len).sum()
}

/// Returns the time, when the relay takes what is made here.
#[expect(
    clippy::disallowed_methods,
    reason = "telemetry of any other time would be flagged as late"
)]
pub(crate) fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
