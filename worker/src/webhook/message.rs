//! What one request says: the body, and the headers that are ours.
//!
//! The payload goes out as the bytes that were stored: nothing parses and writes it again, so the signature of every
//! attempt covers the same body.

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tidings::trace::TraceContext;
use uuid::Uuid;

use super::{sign::Live, trace};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

const ORCHEST_EVENT: HeaderName = HeaderName::from_static("x-orchest-event");
const ORCHEST_DELIVERY: HeaderName = HeaderName::from_static("x-orchest-delivery");
const HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature");

/// An event as it goes on the wire, the same on every attempt.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// What tells a receiver that it has seen this before.
    pub(super) id: Uuid,
    pub(super) media_type: &'static str,
    pub(super) body: String,
    pub(super) trace: Option<TraceContext>,
    pub(super) headers: Headers,
}

/// Whose headers a message has.
#[derive(Clone, Debug)]
pub(super) enum Headers {
    Standard,
    /// Those of Standard Webhooks, and the attributes of a binary event.
    CloudEvent(Vec<(HeaderName, HeaderValue)>),
    Orchest {
        event_type: String,
    },
}

impl Message {
    /// Returns the headers of an attempt at the time `now`: those of the subscriber, then ours over them.
    pub(super) fn headers(
        &self,
        subscriber: &HeaderMap,
        live: &Live<'_>,
        now: DateTime<Utc>,
    ) -> HeaderMap {
        let mut headers = subscriber.clone();
        if let Some(trace) = &self.trace {
            trace::write(trace, &mut headers);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        let id = value(&self.id.to_string());
        if let Headers::CloudEvent(attributes) = &self.headers {
            headers.extend(attributes.iter().cloned());
        }
        match &self.headers {
            Headers::Standard | Headers::CloudEvent(_) => {
                let timestamp = now.timestamp();
                let signature = live.sign(self.id, timestamp, self.body.as_bytes());
                headers.insert(ID, id);
                headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
                headers.insert(SIGNATURE, value(&signature));
            }
            Headers::Orchest { event_type } => {
                headers.insert(USER_AGENT, HeaderValue::from_static("Orchest"));
                headers.insert(ORCHEST_EVENT, value(event_type));
                headers.insert(ORCHEST_DELIVERY, id);
                headers.insert(HUB_SIGNATURE, value(&live.sign_body(self.body.as_bytes())));
            }
        }
        headers
    }

    /// Returns the body.
    pub(super) fn into_body(self) -> String {
        self.body
    }
}

#[expect(
    clippy::expect_used,
    reason = "ids, signatures and types of events are letters, digits and punctuation"
)]
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("printable ASCII")
}
