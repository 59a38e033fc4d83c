//! What PostHog's 200 says about the events.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value as Json;
use uuid::Uuid;

use super::Protocol;
use crate::wire::{batch::Encoded, outcome::Verdict};

/// What a 200 says.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// All events are there.
    Delivered,
    /// It was thrown away, for these resources; the service counts what it has sold.
    QuotaLimited(String),
    /// Something about each of them.
    Mixed(Vec<(Uuid, Verdict)>),
    /// It is not the service that has answered.
    Foreign,
}

#[derive(Deserialize)]
struct V0 {
    status: Json,
    #[serde(default)]
    quota_limited: Vec<String>,
}

#[derive(Deserialize)]
struct V1 {
    results: HashMap<Uuid, Judgement>,
}

#[derive(Deserialize)]
struct Judgement {
    result: String,
    #[serde(default)]
    details: Option<String>,
}

/// Reads the body of a 200 to a request with these events.
pub(crate) fn read(protocol: Protocol, body: &[u8], events: &[Encoded]) -> Answer {
    match protocol {
        Protocol::V0 => serde_json::from_slice(body).map_or(Answer::Foreign, v0),
        Protocol::V1 => {
            serde_json::from_slice(body).map_or(Answer::Foreign, |answer| v1(answer, events))
        }
    }
}

fn v0(V0 { status, quota_limited }: V0) -> Answer {
    // Two servers write the same in two ways.
    let is_ok = status.as_u64() == Some(1)
        || status.as_str().is_some_and(|text| text.eq_ignore_ascii_case("ok"));
    match (is_ok, quota_limited.is_empty()) {
        (false, _) => Answer::Foreign,
        (true, true) => Answer::Delivered,
        (true, false) => Answer::QuotaLimited(quota_limited.join(", ")),
    }
}

fn v1(V1 { results }: V1, events: &[Encoded]) -> Answer {
    let verdicts = events.iter().map(|event| (event.id(), verdict(results.get(&event.id()))));
    let verdicts: Vec<_> = verdicts.collect();
    if verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Delivered) {
        return Answer::Delivered;
    }
    Answer::Mixed(verdicts)
}

/// Returns what is said about one event. One of which nothing is said may have been forgotten.
fn verdict(judgement: Option<&Judgement>) -> Verdict {
    let Some(Judgement { result, details }) = judgement else {
        return Verdict::Retry { reason: "nothing was said about the event".to_owned() };
    };
    let details = details.as_deref().unwrap_or("without details");
    let reason = format!("{result}: {details}").chars().take(200).collect();
    match result.as_str() {
        "ok" | "warning" => Verdict::Delivered,
        "drop" => Verdict::Rejected { reason },
        _ => Verdict::Retry { reason },
    }
}
