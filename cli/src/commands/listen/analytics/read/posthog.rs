//! PostHog: the older protocol refuses a request for one bad event, the newer one says something about each.

use std::collections::BTreeSet;

use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tidings::analytics::wire::{Call, Id, Protocol};
use uuid::Uuid;

use super::{Message, Reading, Refusal, authorized, id, inflate, masked, object, text, time};

/// What an event may have after it was processed.
const EVENT_BYTES_MAX: usize = 1 << 20;
const NAME_CHARS_MAX: usize = 200;

/// What the newer protocol needs to know of the sender.
const HEADERS: [&str; 4] =
    ["posthog-sdk-info", "posthog-attempt", "posthog-request-id", "posthog-request-timestamp"];

#[derive(Deserialize)]
struct Batch {
    batch: Vec<Box<RawValue>>,
}

/// Reads a batch, an array of events, or an event.
pub(super) fn read(
    protocol: Protocol,
    bytes_max: usize,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reading, Refusal> {
    let too_large = || {
        let reason = format!("the body is larger than {} MB", bytes_max >> 20);
        Refusal::new(413, "payload_too_large", reason)
    };
    let plain = inflate(headers, body, bytes_max, too_large)?;
    let unreadable =
        |error: serde_json::Error| Refusal::new(400, "invalid_payload", error.to_string());
    let (members, items) = if plain.trim_ascii_start().starts_with(b"[") {
        (Map::new(), serde_json::from_slice(&plain).map_err(unreadable)?)
    } else {
        let members = object(&plain)?;
        let items = if members.contains_key("batch") {
            serde_json::from_slice::<Batch>(&plain).map_err(unreadable)?.batch
        } else {
            vec![serde_json::from_slice(&plain).map_err(unreadable)?]
        };
        (members, items)
    };
    if items.is_empty() {
        return Err(Refusal::new(400, "empty_batch", "there is no event in the batch"));
    }
    let key = key(protocol, headers, &members, &items)?;
    let messages: Vec<_> =
        items.into_iter().map(|raw| message(protocol, raw)).collect::<Result<_, _>>()?;
    let answer = match protocol {
        Protocol::V0 => json!({"status": 1}),
        Protocol::V1 => json!({"results": verdicts(&messages)?}),
    };
    Ok(Reading { key: masked(&key), messages, answer })
}

fn key(
    protocol: Protocol,
    headers: &HeaderMap,
    members: &Map<String, Value>,
    items: &[Box<RawValue>],
) -> Result<String, Refusal> {
    if protocol == Protocol::V1 {
        if let Some(name) = HEADERS.into_iter().find(|name| !headers.contains_key(*name)) {
            return Err(Refusal::new(400, "missing_header", format!("{name} is missing")));
        }
        let unauthorized =
            || Refusal::new(401, "unauthorized", "there is no project token: send it as a bearer");
        return authorized(headers).ok_or_else(unauthorized);
    }
    // Bare events have it among their properties.
    let first = items.first().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let inner = first.as_ref().and_then(|event| event.pointer("/properties/token"));
    let inner = inner.or_else(|| first.as_ref()?.get("api_key"));
    text(members, "api_key")
        .or_else(|| text(members, "token"))
        .or_else(|| id(inner))
        .ok_or_else(|| Refusal::new(401, "invalid_api_key", "there is no `api_key`"))
}

fn message(protocol: Protocol, raw: Box<RawValue>) -> Result<Message, Refusal> {
    let size_bytes = raw.get().len();
    let wrong = |code, reason: String| Err(Refusal::new(400, code, reason));
    let Ok(members) = serde_json::from_str::<Map<String, Value>>(raw.get()) else {
        return wrong("invalid_payload", "an event is no JSON object".to_owned());
    };
    let Some(event) = text(&members, "event") else {
        return wrong("missing_event_name", "an event has no `event`".to_owned());
    };
    let properties = members.get("properties");
    if properties.is_some_and(|it| !it.is_object() && !it.is_null()) {
        return wrong("invalid_payload", format!("the properties of `{event}` are no object"));
    }
    let property = |name: &str| id(properties.and_then(|it| it.get(name)));
    let distinct = id(members.get("distinct_id")).or_else(|| property("distinct_id"));
    let Some(distinct) = distinct else {
        return wrong("missing_distinct_id", format!("`{event}` has no `distinct_id`"));
    };
    let uuid = text(&members, "uuid");
    if let Some(text) = uuid.as_ref().filter(|text| text.parse::<Uuid>().is_err()) {
        return wrong("invalid_uuid", format!("`{text}` is no UUID"));
    }
    if protocol == Protocol::V1 {
        strict(&event, &distinct, uuid.as_deref())?;
    }
    let (call, name) = match event.as_str() {
        "$identify" => (Call::Identify, None),
        "$groupidentify" => (Call::Group, None),
        "$create_alias" => (Call::Alias, None),
        "$pageview" => (Call::Page, property("name")),
        "$screen" => (Call::Screen, property("$screen_name")),
        _ => (Call::Track, Some(event)),
    };
    let groups = properties.and_then(|it| it.get("$groups")).and_then(Value::as_object);
    let too_large = size_bytes > EVENT_BYTES_MAX;
    Ok(Message {
        call: call.as_str(),
        event: name,
        user: Some(distinct),
        anonymous: property("$anon_distinct_id"),
        group: property("$group_key").or_else(|| id(groups?.values().next())),
        id: uuid,
        size_bytes,
        occurred_at: time(&members),
        discarded: too_large.then(|| "it is larger than 1 MB".to_owned()),
        raw,
    })
}

/// Refuses what the newer protocol refuses, a whole request for one event.
fn strict(event: &str, distinct: &str, uuid: Option<&str>) -> Result<(), Refusal> {
    if uuid.is_none() {
        return Err(Refusal::new(400, "missing_event_uuid", format!("`{event}` has no `uuid`")));
    }
    if event.chars().count() > NAME_CHARS_MAX {
        let reason = "the name of an event is longer than 200 characters";
        return Err(Refusal::new(400, "event_name_too_long", reason));
    }
    Id::new(distinct).map_err(|_| {
        let reason = format!("`{distinct}` is nobody's `distinct_id`");
        Refusal::new(400, "malformed_distinct_id", reason)
    })?;
    Ok(())
}

/// Returns what the newer protocol says about each event.
fn verdicts(messages: &[Message]) -> Result<Map<String, Value>, Refusal> {
    let mut seen = BTreeSet::new();
    let verdict = |message: &Message| match &message.discarded {
        None => json!({"result": "ok"}),
        Some(_) => json!({"result": "drop", "details": "event_too_large"}),
    };
    messages
        .iter()
        .map(|message| {
            let uuid = message.id.clone().unwrap_or_default();
            if seen.insert(uuid.clone()) {
                return Ok((uuid, verdict(message)));
            }
            let reason = format!("`{uuid}` stands twice in the batch");
            Err(Refusal::new(400, "duplicate_event_uuid", reason))
        })
        .collect()
}
