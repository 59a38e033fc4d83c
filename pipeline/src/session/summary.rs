//! What is said of a session when it is over.
//!
//! The measures have the names of Sunbird's `ME_WORKFLOW_SUMMARY`; times of sections are ours.

use serde_json::Number;
use sha2::{Digest, Sha256};

use super::{
    open::Open,
    tally::{Line, Tally},
};
use crate::{
    enrich,
    identity::{self, Fingerprint},
    provenance::Source,
    value::{Object, Value},
};

/// The kind of a summary.
pub const KIND: &str = "ME_SESSION_SUMMARY";

/// A session that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Its summary, as it stands in `telemetry.unique`.
    pub event: Value<'static>,
    /// The batch of the last event that came.
    pub source: Source,
    /// When the relay took that one, in milliseconds since 1970; the summary's own `syncts`.
    pub syncts: i64,
    /// When the relay took the earliest event.
    pub since: i64,
    /// The channel of the key that its events were sent with.
    pub channel: String,
}

/// Returns what is said of a session; `cut` if there was no room to wait for its end.
///
/// Its id is made of whose it is, when it began and the event that came first, so that a second run says it again under
/// the same one.
/// It is of the batch of its last event, and was taken when that was, whenever it is closed.
pub(super) fn of(session: &Open, cut: bool) -> Closed {
    let (partition, offset) = session.source.split_once('/').unwrap_or_default();
    let offset = offset.split('/').next().unwrap_or_default();
    let source = Source {
        partition: partition.parse().unwrap_or_default(),
        offset: offset.parse().unwrap_or_default(),
    };
    Closed {
        event: event(session, cut),
        source,
        syncts: session.syncts,
        since: session.since,
        channel: session.sender.to_string(),
    }
}

fn event(session: &Open, cut: bool) -> Value<'static> {
    let mid = mid(session);
    let mut event = Object::new();
    event.set("eid", KIND);
    event.set("ets", session.end);
    event.set("ver", "3.0");
    event.set("mid", mid.clone());
    event.set("actor", session.actor.clone().unwrap_or_else(|| Value::Object(Object::new())));
    let mut context = Object::new();
    context.set("channel", session.channel.to_string());
    context.set("pdata", Object::from_iter([("id", session.pdata.to_string())]));
    context.set("env", "session");
    context.set("did", session.device.to_string());
    event.set("context", context);
    event.set("edata", edata(session, cut));
    let timestamp = enrich::timestamp(session.end).or_else(|| enrich::timestamp(session.syncts));
    event.set("@timestamp", timestamp.unwrap_or_default());
    event.set("syncts", session.syncts);
    let mut metadata = Object::new();
    // By its id alone: whatever it says, it is one document.
    metadata.set("id", identity::document_id(&mid, &session.device, &Fingerprint([0; 32])));
    metadata.set("source", session.source.to_string());
    if !session.sender.is_empty() {
        metadata.set("channel", session.sender.to_string());
    }
    event.set("metadata", metadata);
    Value::Object(event)
}

fn mid(session: &Open) -> String {
    let mut hash = Sha256::new();
    hash.update(session.who.0);
    hash.update(session.start.to_be_bytes());
    // Of two sessions that begin at one moment, the second has come late.
    hash.update(&*session.first);
    let digest = hash.finalize();
    let hex = |byte: &u8| {
        [byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0'))
    };
    let hex: String = digest[..16].iter().flat_map(hex).collect();
    format!("{KIND}:{hex}")
}

fn edata(session: &Open, cut: bool) -> Object<'static> {
    let mut edata = Object::new();
    edata.set("type", "session");
    edata.set("start_time", session.start);
    edata.set("end_time", session.end);
    edata.set("time_spent", seconds(session.spent_ms));
    edata.set("time_diff", seconds(session.end.saturating_sub(session.start)));
    let interactions = session.count("INTERACT");
    edata.set("interact_events_count", interactions);
    edata.set("interact_events_per_min", per_minute(interactions, session.spent_ms));
    edata.set("page_summary", rows(&session.pages, |line| vec![("id", line.name.to_string())]));
    edata.set(
        "section_summary",
        rows(&session.sections, |line| {
            vec![("type", line.name.0.to_string()), ("id", line.name.1.to_string())]
        }),
    );
    edata.set(
        "env_summary",
        rows(&session.environments, |line| vec![("env", line.name.to_string())]),
    );
    let kinds = session.kinds.lines().iter().map(|line| {
        let mut kind = Object::new();
        kind.set("id", line.name.to_string());
        kind.set("count", line.count);
        Value::Object(kind)
    });
    edata.set("events_summary", kinds.collect::<Vec<_>>());
    if cut {
        edata.set("cut", true);
    }
    edata
}

fn rows<K>(
    tally: &Tally<K>,
    names: impl Fn(&Line<K>) -> Vec<(&'static str, String)>,
) -> Vec<Value<'static>> {
    let row = |line: &Line<K>| {
        let mut row = Object::from_iter(names(line));
        row.set("time_spent", seconds(line.spent_ms));
        row.set("visit_count", line.count);
        Value::Object(row)
    };
    tally.lines().iter().map(row).collect()
}

/// Returns milliseconds as seconds, to the millisecond.
fn seconds(ms: i64) -> Value<'static> {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 285,000 years")]
    let seconds = ms as f64 / 1000.0;
    float(seconds)
}

/// Returns a rate to two decimals; 0 where no time was spent.
fn per_minute(count: u64, spent_ms: i64) -> Value<'static> {
    if spent_ms <= 0 {
        return float(0.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 * 60_000.0 / spent_ms as f64;
    float((rate * 100.0).round() / 100.0)
}

fn float(number: f64) -> Value<'static> {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
