//! Messages that come from no registered event: the test message, and the event that templates are checked with.

use chrono::DateTime;
use tidings::delivery::RegisteredEvent;
use uuid::Uuid;

use super::{Kind, body::Message, escape::escape};

/// Returns the message of a ping.
pub(super) fn greeting(kind: Kind, subscriber: &str) -> Message {
    let name = escape(kind, subscriber);
    let service = kind.name();
    Message::Text(format!(
        "Hello from Tidings: this is a test. Events for the subscriber {name} will be posted here, in {service}."
    ))
}

/// Returns an event without content, of a type that `pattern` matches.
pub(super) fn event(pattern: &str) -> RegisteredEvent {
    RegisteredEvent {
        event_id: Uuid::nil(),
        event_type: pattern.replace("**", "sample").replace('*', "sample"),
        version: 1,
        tenant: String::new(),
        scope: String::new(),
        ordering_key: None,
        occurred_at: DateTime::UNIX_EPOCH,
        payload: "{}".to_owned(),
        headers: None,
    }
}
