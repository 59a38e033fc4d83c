//! What goes to the raw log: batches as they came, with who sent them and when.

use std::sync::Arc;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tidings_pipeline::{Headers, archive::Batch};

use crate::{door::Visit, gather::Record, refusal::Refusal, snapshot::Channel};

/// The longest header of a sender that is kept, in bytes.
const HEADER_BYTES_MAX: usize = 256;

/// The longest key of a record, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// Returns the headers of a record: the channel, what the sender said of itself, the message id and the time.
fn headers(
    visit: &Visit,
    channel: &Channel,
    format: &'static str,
    message_id: Option<&str>,
) -> Headers {
    let mut headers = Headers::new()
        .with("format", format)
        .with("channel", channel.name.as_str())
        .with("profile", channel.profile.as_str())
        .with("syncts", visit.state.watcher.now().timestamp_millis().to_string());
    if let Some(message_id) = message_id {
        headers.push("message_id", message_id);
    }
    for name in ["x-channel-id", "x-device-id", "x-app-id"] {
        if let Some(value) = header(&visit.headers, name) {
            headers.push(name, value);
        }
    }
    headers
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (!value.is_empty() && value.len() <= HEADER_BYTES_MAX).then_some(value)
}

/// Appends what is left of a batch, which is known by how it came; whether it was new.
pub(crate) async fn append_batch(
    visit: &Visit,
    channel: &Arc<Channel>,
    message_id: Option<&str>,
    (came, left): (&Bytes, Bytes),
) -> Result<bool, Refusal> {
    let sha256 = fingerprint(channel.id, message_id, came);
    append(visit, channel, ("sunbird", sha256), message_id, left).await
}

/// Appends events in PostHog's form, the bytes of each as they came; whether they were new.
pub(crate) async fn append_posthog(
    visit: &Visit,
    channel: &Arc<Channel>,
    events: &[&RawValue],
) -> Result<bool, Refusal> {
    // By hand, because a value would not keep the bytes.
    let events: Vec<_> = events.iter().map(|event| event.get()).collect();
    let batch = format!("{{\"batch\":[{}]}}", events.join(","));
    let sha256 = fingerprint(channel.id, None, batch.as_bytes());
    append(visit, channel, ("posthog", sha256), None, batch.into()).await
}

async fn append(
    visit: &Visit,
    channel: &Channel,
    (format, sha256): (&'static str, [u8; 32]),
    message_id: Option<&str>,
    body: Bytes,
) -> Result<bool, Refusal> {
    let headers = headers(visit, channel, format, message_id);
    let record = Record { sha256, key: message_id.map(key), headers, value: body };
    visit.state.raw_log.write(record, &visit.room).await
}

/// Returns the record of a batch of an archive, of which `left` is kept; it is known as if its device had sent it.
pub(crate) fn imported(
    channel_id: i32,
    batch: &Batch,
    (mid, headers): (Option<&str>, Headers),
    left: Bytes,
) -> Record {
    // A device sends the message id in the batch or not at all; what the archive says of it would make it another one.
    let sha256 = fingerprint(channel_id, batch.message_id.as_deref(), &batch.bytes);
    Record { sha256, key: mid.map(key), headers, value: left }
}

/// Returns the key of a record.
fn key(message_id: &str) -> String {
    // The database cannot store the character in text; the headers and the body keep it.
    message_id.chars().filter(|char| *char != '\0').take(KEY_BYTES_MAX / 4).collect()
}

/// Returns by what a request is known: one client uses one message id for a whole run, so the body counts too.
fn fingerprint(channel_id: i32, message_id: Option<&str>, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(channel_id.to_be_bytes());
    let message_id = message_id.unwrap_or_default();
    // Its length, so that no message id can be confused with the beginning of a body.
    hash.update((message_id.len() as u64).to_be_bytes());
    hash.update(message_id);
    hash.update(body);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_known_by_channel_message_id_and_body() {
        let known = fingerprint(1, Some("m"), b"{}");
        assert_eq!(known, fingerprint(1, Some("m"), b"{}"));
        for other in [
            fingerprint(2, Some("m"), b"{}"),
            fingerprint(1, Some("n"), b"{}"),
            fingerprint(1, Some("m"), b"{ }"),
            fingerprint(1, Some("m{"), b"}"),
            fingerprint(1, None, b"m{}"),
        ] {
            assert_ne!(known, other);
        }
    }
}
