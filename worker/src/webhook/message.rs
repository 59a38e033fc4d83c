//! What one request says: the body, and the headers that are ours.
//!
//! The payload goes out as the bytes that were stored: nothing parses and writes it again, so the signature of every
//! attempt covers the same body.

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tidings::{delivery::RegisteredEvent, trace::TraceContext};
use uuid::Uuid;

use super::{sign::Signer, trace};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// An event as it goes on the wire, the same on every attempt.
#[derive(Clone, Debug)]
pub(super) struct Message {
    id: Uuid,
    body: String,
    trace: Option<TraceContext>,
}

impl Message {
    /// Returns the message of `event`.
    pub(super) fn of(event: &RegisteredEvent) -> Self {
        Self {
            id: event.event_id,
            body: body(&event.event_type, event.occurred_at, &event.payload),
            trace: event.headers.as_deref().and_then(trace::read),
        }
    }

    /// Returns a message that is no stored event.
    pub(super) fn new(id: Uuid, event_type: &str, at: DateTime<Utc>, data: &Value) -> Self {
        Self { id, body: body(event_type, at, &data.to_string()), trace: None }
    }

    /// Returns the headers of an attempt at the time `now`: those of the subscriber, then ours over them.
    pub(super) fn headers(
        &self,
        subscriber: &HeaderMap,
        signer: &Signer,
        now: DateTime<Utc>,
    ) -> HeaderMap {
        let timestamp = now.timestamp();
        let mut headers = subscriber.clone();
        if let Some(trace) = &self.trace {
            trace::write(trace, &mut headers);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ID, value(&self.id.to_string()));
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        headers.insert(SIGNATURE, value(&signer.sign(self.id, timestamp, self.body.as_bytes())));
        headers
    }

    /// Returns the body.
    pub(super) fn into_body(self) -> String {
        self.body
    }
}

/// Returns `{"type":…,"timestamp":…,"data":…}`, with `data` verbatim.
fn body(event_type: &str, at: DateTime<Utc>, data: &str) -> String {
    let event_type = Value::from(event_type);
    // The database keeps microseconds.
    let timestamp = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    format!(r#"{{"type":{event_type},"timestamp":"{timestamp}","data":{data}}}"#)
}

#[expect(
    clippy::expect_used,
    reason = "ids and signatures are hexadecimal, base64 and punctuation"
)]
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("printable ASCII")
}

#[cfg(test)]
mod tests {
    use tidings::secret::Secret;

    use super::*;

    fn event(payload: &str) -> RegisteredEvent {
        RegisteredEvent {
            event_id: Uuid::from_u128(7),
            event_type: "order:placed".to_owned(),
            version: 1,
            tenant: String::new(),
            scope: String::new(),
            ordering_key: None,
            occurred_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            payload: payload.to_owned(),
            headers: None,
        }
    }

    fn signer() -> Signer {
        Signer::new(&[Secret::from_bytes(&[1; 32]).unwrap()]).unwrap()
    }

    #[test]
    fn payload_is_sent_byte_for_byte() {
        // Key order, spaces, escapes and number forms are those that were stored.
        for payload in
            ["{}", "{ \"b\":1.0, \"a\" : 1e2 }", r#"{"a":"\u00e9é\/"}"#, "[1,\n2]", "null"]
        {
            let body = Message::of(&event(payload)).into_body();
            let expected = format!(
                r#"{{"type":"order:placed","timestamp":"2023-11-14T22:13:20.123456Z","data":{payload}}}"#
            );
            assert_eq!(body, expected);
            assert!(serde_json::from_str::<Value>(&body).is_ok());
        }
    }

    #[test]
    fn type_cannot_break_out_of_its_string() {
        let body = body("a\"b\\", DateTime::UNIX_EPOCH, "{}");
        let value: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["type"], "a\"b\\");
    }

    #[test]
    fn attempts_share_id_and_body_and_differ_in_timestamp_and_signature() {
        let message = Message::of(&event("{}"));
        let at = |seconds| DateTime::from_timestamp(seconds, 999_999_999).unwrap();
        let first = message.headers(&HeaderMap::new(), &signer(), at(100));
        let second = message.headers(&HeaderMap::new(), &signer(), at(200));
        assert_eq!(first["webhook-id"], "00000000-0000-0000-0000-000000000007");
        assert_eq!(first["webhook-id"], second["webhook-id"]);
        assert_eq!(
            (&first["webhook-timestamp"], &second["webhook-timestamp"]),
            (&value("100"), &value("200"))
        );
        assert_ne!(first["webhook-signature"], second["webhook-signature"]);
        assert_eq!(first["content-type"], "application/json");
    }

    #[test]
    fn headers_of_the_subscriber_never_replace_ours() {
        let mut theirs = HeaderMap::new();
        for name in
            ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "x-own"]
        {
            theirs.append(name, value("forged"));
            theirs.append(name, value("forged twice"));
        }
        let headers = Message::of(&event("{}")).headers(&theirs, &signer(), DateTime::UNIX_EPOCH);
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"] {
            assert_eq!(headers.get_all(name).iter().count(), 1, "{name}");
            assert!(!headers[name].to_str().unwrap().contains("forged"), "{name}");
        }
        assert_eq!(headers["x-own"], "forged");
    }
}
