//! What the suite needs to know of a destination.

use chrono::DateTime;
use serde_json::Value;
use uuid::{Builder, Uuid};

use crate::{
    delivery::{Delivery, RegisteredEvent},
    secret::Secret,
    subscriber::{SigningKey, Subscriber},
};

/// When every event of the suite happened, in seconds of the Unix epoch; any time does.
const OCCURRED_AT_S: i64 = 1_700_000_000;

/// What the suite needs to know of a destination that is there and accepts.
#[derive(Clone, Debug)]
#[must_use]
pub struct Fixtures {
    config: Value,
    secrets: Vec<SigningKey>,
    event_type: String,
    accepted: String,
    refused: Option<String>,
}

/// Whether the destination accepts what an event says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    Accepted,
    Refused,
}

impl Fixtures {
    /// Returns the fixtures of a destination with this configuration, which accepts any event.
    pub fn new(config: Value) -> Self {
        Self {
            config,
            secrets: Vec::new(),
            event_type: "order:placed".to_owned(),
            accepted: r#"{"order":{"id":7}}"#.to_owned(),
            refused: None,
        }
    }

    /// Gives the subscriber a secret that signs.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Says which events the destination accepts, where it does not accept any.
    pub fn accepted(mut self, event_type: impl Into<String>, payload: impl Into<String>) -> Self {
        self.event_type = event_type.into();
        self.accepted = payload.into();
        self
    }

    /// Says which payload the destination does not accept; without it, the order of answers is not checked.
    pub fn refused(mut self, payload: impl Into<String>) -> Self {
        self.refused = Some(payload.into());
        self
    }

    /// Returns whether there is a payload that is not accepted.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    pub(super) fn subscriber(&self, kind: &str) -> Subscriber {
        Subscriber {
            subscriber_id: 1,
            tenant: String::new(),
            name: "conformance".to_owned(),
            kind: kind.to_owned(),
            config: self.config.clone(),
            secrets: self.secrets.clone(),
            credentials: None,
        }
    }

    /// Returns a delivery; `number` tells it from the others.
    pub(super) fn delivery(&self, number: u32, content: Content) -> Delivery {
        let payload = match (content, &self.refused) {
            (Content::Refused, Some(refused)) => refused,
            _ => &self.accepted,
        };
        let occurred_at = DateTime::from_timestamp(OCCURRED_AT_S, 0).unwrap_or_default();
        Delivery {
            delivery_id: i64::from(number),
            subscriber_id: 1,
            subscription_id: Some(1),
            attempt: 1,
            first_due_at: occurred_at,
            call: None,
            event: RegisteredEvent {
                event_id: event_id(number),
                event_type: self.event_type.clone(),
                version: 1,
                tenant: String::new(),
                scope: "shop=s1".to_owned(),
                ordering_key: None,
                occurred_at,
                payload: payload.clone(),
                headers: None,
            },
        }
    }

    /// Returns deliveries that the destination accepts, the first of them number `first`.
    pub(super) fn deliveries(&self, first: u32, number: usize) -> Vec<Delivery> {
        let numbers = (first..).take(number);
        numbers.map(|number| self.delivery(number, Content::Accepted)).collect()
    }
}

fn event_id(number: u32) -> Uuid {
    let mut random = [0; 10];
    random[6..].copy_from_slice(&number.to_be_bytes());
    Builder::from_unix_timestamp_millis(OCCURRED_AT_S.unsigned_abs() * 1000, &random).into_uuid()
}
