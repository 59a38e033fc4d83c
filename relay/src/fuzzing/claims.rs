//! What holds of every request, whatever it says: read from the answer and from what was stored, by other means than
//! those of the relay.

use std::{collections::BTreeMap, io::Write};

use chrono::Datelike;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use serde_json::{Map, Value, value::RawValue};
use tidings::register::TELEMETRY_BYTES_MAX;

use super::{
    Sent,
    house::{Seen, appended, written},
};
use crate::gather::{Entry, Record, Written};

/// Every type that clients may send, and what its schema names.
const TYPES: &[(&str, &[&str])] = &[
    ("view:loaded", &["name", "seconds", "nested"]),
    ("cart:opened", &["name"]),
    ("user:identified", &["name"]),
    ("team:joined", &["name"]),
    ("page:viewed", &["name"]),
];

/// Checks a request that is over.
pub(super) fn check(sent: &Sent, seen: &Seen) {
    assert!(seen.status < 500, "{} {:?}", seen.status, seen.body);
    assert!(!seen.retry_after, "there is no quota, and room for one");
    assert_eq!(seen.held, (0, 0), "what was held is given back");
    assert_eq!(seen.status == 204, seen.body.is_empty());
    if seen.status != 200 {
        // All or nothing; but for a single call that the database does not want, and a batch of such.
        let refused =
            |entry: &Entry| matches!(written(entry), Written::Conflict(_) | Written::Refused(_));
        assert!(seen.records.is_empty() && seen.entries.iter().all(refused), "{}", seen.status);
    }
    let objects = ["sec-gpc", "dnt"];
    if objects.iter().any(|name| sent.headers.get(*name).is_some_and(|value| value == "1")) {
        assert!(seen.entries.is_empty() && seen.records.is_empty(), "who objects is not observed");
    }
    seen.entries.iter().for_each(entry);
    for record in &seen.records {
        self::record(sent, record);
    }
    if seen.status != 204 {
        let answer: Value = serde_json::from_slice(&seen.body).unwrap();
        match sent.path {
            "/analytics" => tidings(seen, &answer),
            path if path.ends_with("telemetry") => sunbird(sent, seen, &answer),
            path if path.starts_with("/v1/") => segment(seen, &answer),
            _ => posthog(seen, &answer),
        }
    }
}

/// Our own answers.
fn tidings(seen: &Seen, answer: &Value) {
    if let Some(results) = answer.get("results") {
        assert_eq!(counts(answer).iter().sum::<usize>(), results.as_array().unwrap().len());
        assert!(matches!(seen.status, 200 | 422), "{}", seen.status);
        stored(seen, answer);
    } else if seen.status == 200 {
        assert!(matches!(answer["status"].as_str(), Some("accepted" | "repeated")), "{answer}");
        assert!(answer["event_id"].is_string() && seen.entries.len() == 1, "{answer}");
    } else {
        error(&answer["error"]);
    }
}

/// Segment's answers.
fn segment(seen: &Seen, answer: &Value) {
    assert_eq!(answer["success"], seen.status == 200, "{answer}");
    if seen.status == 200 { stored(seen, answer) } else { error(&answer["error"]) }
}

/// PostHog's answers.
fn posthog(seen: &Seen, answer: &Value) {
    if seen.status != 200 {
        for name in ["type", "code", "detail"] {
            assert!(answer[name].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
        }
        return;
    }
    assert_eq!(answer["status"], 1);
    stored(seen, answer);
    let logged = answer["logged"].as_u64().unwrap();
    let in_log = seen.records.iter().map(|record| {
        let batch: Map<String, Value> = serde_json::from_slice(&record.value).unwrap();
        batch["batch"].as_array().unwrap().len() as u64
    });
    assert_eq!(logged, in_log.sum::<u64>());
}

/// Sunbird's answers.
fn sunbird(sent: &Sent, seen: &Seen, answer: &Value) {
    for name in ["id", "ver", "ts", "responseCode"] {
        assert!(answer[name].is_string(), "{answer}");
    }
    let good = seen.status == 200;
    assert_eq!(answer["responseCode"] == "SUCCESS", good, "{answer}");
    assert_eq!(answer["params"]["status"], if good { "successful" } else { "failed" }, "{answer}");
    assert_eq!(answer["params"]["err"].is_null(), good, "{answer}");
    if !good {
        return;
    }
    let Some(record) = seen.records.first() else {
        return assert_eq!(answer["result"]["filtered"], answer["result"]["events"]);
    };
    assert_eq!(answer["result"]["repeated"], appended(record).is_none());
    // Not as values: a lone surrogate and a number without bounds are JSON, and for the pipeline to judge.
    let batch: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&record.value).unwrap();
    let events: Vec<Box<RawValue>> = serde_json::from_str(batch["events"].get()).unwrap();
    assert_eq!(answer["result"]["events"], events.len(), "{answer}");
    assert_eq!(record.value, decoded(sent), "it is kept as it came");
}

/// Undoes the encoding of a body at one blow, and not as it is read.
fn decoded(sent: &Sent) -> Vec<u8> {
    let encoding = sent.headers.get("content-encoding").map(|value| value.to_str().unwrap());
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    match encoding.as_str() {
        "gzip" | "x-gzip" => {
            let mut decoder = MultiGzDecoder::new(Vec::new());
            decoder.write_all(&sent.body).unwrap();
            decoder.finish().unwrap()
        }
        // What comes behind the end, or is missing of it, is no matter.
        "deflate" if sent.body.first().is_some_and(|byte| byte & 0x0f == 8) => {
            let mut decoder = ZlibDecoder::new(Vec::new());
            decoder.write_all(&sent.body).ok();
            decoder.try_finish().ok();
            decoder.get_ref().clone()
        }
        "deflate" => {
            let mut decoder = DeflateDecoder::new(Vec::new());
            decoder.write_all(&sent.body).ok();
            decoder.try_finish().ok();
            decoder.get_ref().clone()
        }
        _ => sent.body.clone(),
    }
}

/// A refusal says what and why.
fn error(error: &Value) {
    for name in ["code", "message"] {
        assert!(error[name].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    }
}

fn counts(answer: &Value) -> [usize; 4] {
    ["accepted", "repeated", "filtered", "rejected"]
        .map(|name| usize::try_from(answer[name].as_u64().unwrap()).unwrap())
}

/// What was handed to the database is what the answer counts.
fn stored(seen: &Seen, answer: &Value) {
    let of = |wanted: fn(&Written) -> bool| {
        seen.entries.iter().filter(|entry| wanted(&written(entry))).count()
    };
    let [accepted, repeated, filtered, rejected] = counts(answer);
    assert_eq!(accepted, of(|written| matches!(written, Written::Registered(_))), "{answer}");
    assert_eq!(repeated, of(|written| matches!(written, Written::Repeated(_))), "{answer}");
    assert!(filtered >= of(|written| matches!(written, Written::Refused(_))), "{answer}");
    assert!(rejected >= of(|written| matches!(written, Written::Conflict(_))), "{answer}");
}

/// What is registered is what the schema names, and nothing that says who it was.
fn entry(entry: &Entry) {
    let (_, names) = TYPES.iter().find(|(name, _)| *name == &*entry.event_type).unwrap();
    let payload: Map<String, Value> = serde_json::from_str(&entry.payload).unwrap();
    for (name, value) in &payload {
        assert!(names.contains(&name.as_str()), "{name} was not declared");
        let fits = match name.as_str() {
            "name" => value.is_string(),
            "seconds" => value.as_f64().is_some_and(|value| value >= 0.0 && value.fract() == 0.0),
            _ => value
                .as_object()
                .unwrap()
                .iter()
                .all(|(name, value)| name == "known" && value.is_boolean()),
        };
        assert!(fits, "{name}: {value}");
    }
    assert!(&*entry.event_type != "view:loaded" || payload.contains_key("name"));
    let mut telemetry: Map<String, Value> = serde_json::from_str(&entry.telemetry).unwrap();
    assert!(entry.telemetry.len() <= TELEMETRY_BYTES_MAX);
    let mut properties = telemetry["event_properties"].as_object().unwrap().clone();
    assert_eq!(properties.remove("type").unwrap(), &*entry.event_type);
    assert_eq!(properties, payload);
    telemetry.remove("event_properties");
    assert_eq!(Value::Object(telemetry), serde_json::json!({"derived_properties": {}}));
    if let Some(key) = &entry.idempotency_key {
        assert!(key.starts_with("relay:7:") && key.len() <= 255 && !key.contains('\0'), "{key}");
    }
    assert!(entry.occurred_at.is_none_or(|at| (1..=9999).contains(&at.year())));
    if let Some(headers) = &entry.headers {
        let headers: Map<String, Value> = serde_json::from_str(headers).unwrap();
        assert!(headers.keys().eq(["analytics"]));
        for (name, value) in headers["analytics"].as_object().unwrap() {
            match value {
                Value::String(hash) => assert!(hash.starts_with("k1:"), "{name}: {hash}"),
                value => assert!(
                    name == "consent" && value.as_object().unwrap().values().all(Value::is_boolean)
                ),
            }
        }
    }
}

/// What is appended can be stored, and says whose it is.
fn record(sent: &Sent, record: &Record) {
    let key = record.key.as_deref().unwrap_or_default();
    assert!(key.len() <= 256 && !key.contains('\0'), "{key}");
    let headers: Map<String, Value> =
        serde_json::from_str(&crate::raw_log::json(&record.headers)).unwrap();
    assert_eq!(headers["channel"], "anonymous");
    assert_eq!(
        headers["format"],
        if sent.path.ends_with("telemetry") { "sunbird" } else { "posthog" }
    );
    assert!(headers["syncts"].is_i64());
}
