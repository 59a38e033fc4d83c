//! What a request says, judged as the service that it is for would judge it. No I/O, and no clock.

mod posthog;
mod segment;

#[cfg(test)]
mod tests;

use std::io::Read as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, CONTENT_ENCODING},
};
use serde_json::{Map, Value, json, value::RawValue};
use tidings::analytics::wire::Protocol;

use super::place::Place;

/// What a request came to.
#[derive(Debug)]
pub(super) struct Reading {
    /// The key as it is shown.
    pub(super) key: String,
    pub(super) messages: Vec<Message>,
    /// What the service says.
    pub(super) answer: Value,
}

/// One message.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// The call in Segment's words.
    pub(super) call: &'static str,
    pub(super) event: Option<String>,
    pub(super) user: Option<String>,
    pub(super) anonymous: Option<String>,
    pub(super) group: Option<String>,
    /// By which the service recognises it when it comes again.
    pub(super) id: Option<String>,
    /// How long it is as JSON.
    pub(super) size_bytes: usize,
    /// When it happened, as it says.
    pub(super) occurred_at: Option<DateTime<Utc>>,
    /// Why the service does not keep it, although it does not say so.
    pub(super) discarded: Option<String>,
    pub(super) raw: Box<RawValue>,
}

/// Why the service does not take a request.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, reason: impl Into<String>) -> Self {
        Self { status, code, reason: reason.into() }
    }

    /// Writes it as the service does.
    pub(super) fn body(&self, place: Option<Place>) -> Value {
        let Self { code, reason, .. } = self;
        match place {
            Some(Place::PostHog(Protocol::V1, _)) => {
                json!({"error": code, "error_description": reason})
            }
            Some(Place::PostHog(Protocol::V0, _) | Place::Question) => {
                json!({"type": "validation_error", "code": code, "detail": reason, "attr": null})
            }
            Some(Place::Segment(_)) | None => {
                json!({"success": false, "code": code, "message": reason})
            }
        }
    }
}

/// Reads a request to a place of a service.
///
/// # Errors
///
/// The service would not take it.
pub(super) fn read(place: Place, headers: &HeaderMap, body: &[u8]) -> Result<Reading, Refusal> {
    match place {
        Place::Segment(call) => segment::read(call, headers, body),
        Place::PostHog(protocol, bytes_max) => posthog::read(protocol, bytes_max, headers, body),
        Place::Question => {
            Ok(Reading { key: String::new(), messages: Vec::new(), answer: json!({}) })
        }
    }
}

/// Returns the body as it was before it was compressed.
fn inflate(
    headers: &HeaderMap,
    body: &[u8],
    bytes_max: usize,
    too_large: impl Fn() -> Refusal,
) -> Result<Vec<u8>, Refusal> {
    let encoding = headers.get(CONTENT_ENCODING).map_or("", |it| it.to_str().unwrap_or("?"));
    // PostHog's clients compress without a word about it, too.
    let is_gzip = encoding == "gzip" || body.starts_with(&[0x1f, 0x8b]);
    if !["", "identity", "gzip"].contains(&encoding) {
        let reason = format!("the body is encoded as {encoding}; this recorder reads gzip alone");
        return Err(Refusal::new(400, "unsupported_encoding", reason));
    }
    let mut plain = Vec::new();
    if is_gzip {
        let limit = bytes_max as u64 + 1;
        let mut decoder = MultiGzDecoder::new(body).take(limit);
        decoder
            .read_to_end(&mut plain)
            .map_err(|error| Refusal::new(400, "invalid_gzip", format!("gzip: {error}")))?;
    } else {
        plain.extend_from_slice(body);
    }
    if plain.len() > bytes_max { Err(too_large()) } else { Ok(plain) }
}

fn object(text: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(text).map_err(|error| {
        Refusal::new(400, "invalid_json", format!("the body is no JSON object: {error}"))
    })
}

/// Returns the user name of Basic authentication, or the token of a bearer.
fn authorized(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let key = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => credentials.trim().to_owned(),
        "basic" => {
            let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?);
            decoded.ok()?.split(':').next()?.to_owned()
        }
        _ => return None,
    };
    (!key.is_empty()).then_some(key)
}

/// Returns so much of a key that its owner knows it.
fn masked(key: &str) -> String {
    let shown = if key.chars().count() < 12 { 2 } else { 6 };
    key.chars().take(shown).chain(['…']).collect()
}

/// Returns the text of an id, which some clients send as a number.
fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name).and_then(Value::as_str).filter(|it| !it.is_empty()).map(str::to_owned)
}

fn time(members: &Map<String, Value>) -> Option<DateTime<Utc>> {
    let text = members.get("timestamp").and_then(Value::as_str)?;
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}
