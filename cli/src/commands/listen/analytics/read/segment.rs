//! Segment: a 400 for what it cannot read, and a 200 for the rest, of which it throws away what is wrong.

use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tidings::analytics::wire::Call;

use super::{Message, Reading, Refusal, authorized, id, inflate, masked, object, text, time};

const BODY_BYTES_MAX: usize = 500 * 1024;
const CALL_BYTES_MAX: usize = 32 * 1024;
const CALLS_MAX: usize = 2500;
const MESSAGE_ID_CHARS_MAX: usize = 100;

#[derive(Deserialize)]
struct Batch {
    batch: Vec<Box<RawValue>>,
    #[serde(rename = "writeKey")]
    write_key: Option<String>,
}

/// Reads a call, or a batch where the path names none.
pub(super) fn read(
    call: Option<Call>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reading, Refusal> {
    let bytes_max = if call.is_some() { CALL_BYTES_MAX } else { BODY_BYTES_MAX };
    let too_large = || {
        let reason = format!("the body is larger than {} KB", bytes_max / 1024);
        Refusal::new(400, "too_large", reason)
    };
    let plain = inflate(headers, body, bytes_max, too_large)?;
    let members = object(&plain)?;
    let unreadable =
        |error: serde_json::Error| Refusal::new(400, "invalid_json", error.to_string());
    let (items, write_key) = if call.is_some() {
        (vec![serde_json::from_slice(&plain).map_err(unreadable)?], text(&members, "writeKey"))
    } else {
        let batch: Batch = serde_json::from_slice(&plain).map_err(unreadable)?;
        (batch.batch, batch.write_key)
    };
    let key = authorized(headers).or(write_key).ok_or_else(|| {
        let reason = "there is no write key: it is the user name of Basic authentication";
        Refusal::new(401, "unauthorized", reason)
    })?;
    let messages = items.into_iter().enumerate();
    let messages = messages.map(|(index, raw)| message(call, raw, index)).collect();
    Ok(Reading { key: masked(&key), messages, answer: json!({"success": true}) })
}

fn message(call: Option<Call>, raw: Box<RawValue>, index: usize) -> Message {
    let size_bytes = raw.get().len();
    let Ok(members) = serde_json::from_str::<Map<String, Value>>(raw.get()) else {
        let discarded = Some("it is no JSON object".to_owned());
        return Message { call: "?", size_bytes, discarded, raw, ..Message::default() };
    };
    let call = call.or_else(|| text(&members, "type")?.parse().ok());
    let name = if call == Some(Call::Track) { "event" } else { "name" };
    let message = Message {
        call: call.map_or("?", Call::as_str),
        event: text(&members, name),
        user: id(members.get("userId")),
        anonymous: id(members.get("anonymousId")),
        group: id(members.get("groupId"))
            .or_else(|| id(members.get("context").and_then(|it| it.get("groupId")))),
        id: text(&members, "messageId"),
        size_bytes,
        occurred_at: time(&members),
        discarded: None,
        raw,
    };
    let discarded = discarded(call, &message, &members)
        .or_else(|| (index >= CALLS_MAX).then(|| format!("a batch has at most {CALLS_MAX} calls")));
    Message { discarded, ..message }
}

/// Returns why Segment throws a call away behind its 200.
fn discarded(
    call: Option<Call>,
    message: &Message,
    members: &Map<String, Value>,
) -> Option<String> {
    let Some(call) = call else {
        return Some("`type` is none of track, identify, group, page, screen, alias".to_owned());
    };
    let place = if matches!(call, Call::Identify | Call::Group) { "traits" } else { "properties" };
    let is_object = |value: &Value| value.is_object() || value.is_null();
    let id_chars = message.id.as_ref().map_or(0, |id| id.chars().count());
    let wrong = [
        (message.size_bytes > CALL_BYTES_MAX, "it is larger than 32 KB"),
        (
            message.user.is_none() && message.anonymous.is_none(),
            "it has neither a `userId` nor an `anonymousId`",
        ),
        (call == Call::Track && message.event.is_none(), "it has no `event`"),
        (call == Call::Group && message.group.is_none(), "it has no `groupId`"),
        (call == Call::Alias && id(members.get("previousId")).is_none(), "it has no `previousId`"),
        (id_chars > MESSAGE_ID_CHARS_MAX, "its `messageId` is longer than 100 characters"),
        (!members.get(place).is_none_or(is_object), "its properties or traits are no object"),
    ];
    wrong.into_iter().find(|(is_wrong, _)| *is_wrong).map(|(_, reason)| reason.to_owned())
}
