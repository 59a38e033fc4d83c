//! What PostHog is told of an event: whom it is about, what it is called, when it happened.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use tidings_analytics::{
    HashKeys,
    wire::{self, Call, Id, Identity, Message, Name, Properties},
};
use uuid::{Builder, Uuid};

use super::{flatten::Flattened, options::Options};
use crate::{reason::Reason, value::Value};

/// What ids of events are made under.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f2b_53ae_0a56_4b5c_9f0e_52d7_9c55_1c3a);

/// The most characters of a name.
const NAME_CHARS_MAX: usize = 200;

/// The texts that name people and devices.
const HASHED: [&str; 2] = ["actor.id", "context.did"];

/// Returns what PostHog is told of an event with this document id.
///
/// # Errors
///
/// Why it cannot be told.
pub(super) fn message(event: &[u8], id: &[u8], options: &Options) -> Result<Message, Reason> {
    let refuse = |code, message: String| Reason::new("$", code, message);
    let event = Value::parse(event).map_err(|error| refuse("unreadable", error.to_string()))?;
    let ets = event.get("ets").and_then(Value::as_f64).map(whole);
    let time = ets.and_then(DateTime::from_timestamp_millis);
    let Some(time) = time else {
        return Err(Reason::new("$.ets", "unreadable", "it says no time"));
    };
    let not_sent = |error: wire::Error| refuse("not_sent", error.to_string());
    let identity = identity(&event, id, &options.keys).map_err(not_sent)?;
    let name = Name::new(name(&event, &options.event_name)).map_err(not_sent)?;
    let bytes_max = wire::Limits::POSTHOG.event_bytes_max();
    let hash = |text: &str| hash(text, &options.keys);
    let properties = Flattened::of(&event, bytes_max, &HASHED, hash);
    let Ok(mut properties) = properties else {
        let message = "with names written out, it is longer than PostHog takes".to_owned();
        return Err(refuse("too_large", message));
    };
    properties.insert("$session_id".to_owned(), session(&event, time).to_string().into());
    let uuid = Uuid::new_v5(&NAMESPACE, id);
    let message = Message::new(uuid, Call::Track, name, identity, time).map_err(not_sent)?;
    Ok(message.with_properties(Properties::from(properties)))
}

/// Returns whom it is about: the actor, unless nobody in particular; or else the device; or else the event alone.
fn identity(event: &Value<'_>, id: &[u8], keys: &HashKeys) -> Result<Identity, wire::Error> {
    let text = |path: &[&str]| event.at(path).and_then(Value::as_str).unwrap_or_default();
    let (actor, device) = (text(&["actor", "id"]), text(&["context", "did"]));
    // Sunbird's clients give the device for the actor where nobody has signed in. A long id becomes a hash: no reason.
    let is_somebody =
        !matches!(Id::new(actor), Err(wire::Error::BlankId | wire::Error::PlaceholderId { .. }));
    if is_somebody
        && actor != device
        && let Some(hash) = hash(actor, keys)
    {
        return Ok(Identity::user(Id::new(hash)?));
    }
    let own = String::from_utf8_lossy(id);
    let known = [device, actor].into_iter().find(|text| Id::new(*text).is_ok());
    let hash = hash(known.unwrap_or(&own), keys).unwrap_or_else(|| own.into_owned());
    Ok(Identity::anonymous(Id::new(hash)?))
}

/// Returns the keyed hash of an id; one that is a keyed hash already, because it was redacted, as it is.
fn hash(text: &str, keys: &HashKeys) -> Option<String> {
    let is_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_hash = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_hashed = text.split_once(':').is_some_and(|(key, hash)| {
        (1..=32).contains(&key.len())
            && key.bytes().all(is_key)
            && hash.len() == 22
            && hash.bytes().all(is_hash)
    });
    if is_hashed { Some(text.to_owned()) } else { keys.hash(&text) }
}

/// Returns the name that a template gives: paths in braces are what the event says there, or nothing.
fn name(event: &Value<'_>, template: &str) -> String {
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        name.push_str(before);
        let (path, after) = after.split_once('}').unwrap_or((after, ""));
        let path: Vec<_> = path.split('.').collect();
        name.push_str(event.at(&path).and_then(Value::as_str).unwrap_or_default());
        rest = after;
    }
    name.push_str(rest);
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// Returns the id of the session: the sender's, where it is one that PostHog takes; or else one that follows from the
/// sender's id, the device and the day.
///
/// PostHog asks for a UUID of version 7 that is not younger than the events of the session, and closes it after a day. So
/// a session that goes on after midnight (UTC) is two.
fn session(event: &Value<'_>, time: DateTime<Utc>) -> Uuid {
    let text = |path: &[&str]| event.at(path).and_then(Value::as_str).unwrap_or_default();
    let (sid, device) = (text(&["context", "sid"]), text(&["context", "did"]));
    if let Ok(uuid) = Uuid::parse_str(sid)
        && uuid.get_version_num() == 7
    {
        return uuid;
    }
    let device = if device.is_empty() { text(&["actor", "id"]) } else { device };
    let midnight = time.date_naive().and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
    let digest = Sha256::new()
        .chain_update(sid.len().to_be_bytes())
        .chain_update(sid)
        .chain_update(device)
        .chain_update(midnight.to_be_bytes())
        .finalize();
    let mut random = [0; 10];
    for (place, byte) in random.iter_mut().zip(digest) {
        *place = byte;
    }
    Builder::from_unix_timestamp_millis(u64::try_from(midnight).unwrap_or_default(), &random)
        .into_uuid()
}

#[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is no time")]
const fn whole(milliseconds: f64) -> i64 {
    milliseconds as i64
}

#[cfg(test)]
mod tests;
