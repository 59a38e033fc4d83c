//! One event on its way to one subscriber.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tidings_analytics::wire::Call;
use uuid::Uuid;

use crate::trace::TraceContext;

/// An event as it was registered, immutable from then on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RegisteredEvent {
    /// The public id, a `UUIDv7`; the same in every delivery and on every retry and replay.
    pub event_id: Uuid,
    /// The colon path, `order:placed` for example.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the type's schema.
    pub version: i16,
    /// The tenant; empty where the application has none.
    pub tenant: String,
    /// The scope path, `project=p1/job=j1`; empty at the root.
    pub scope: String,
    /// The key within which order is kept for subscriptions that ask for it.
    pub ordering_key: Option<String>,
    /// When it happened, in the words of the application.
    pub occurred_at: DateTime<Utc>,
    /// The view that the subscriber gets, the stored bytes of JSON exactly: the notification, or for a sink the telemetry.
    pub payload: String,
    /// What travels beside the payload, a JSON object; `traceparent` among it.
    pub headers: Option<String>,
}

impl RegisteredEvent {
    /// Returns the trace that it was registered in, if there was one.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        TraceContext::read(self.headers.as_deref()?)
    }
}

/// A delivery in the hands of a destination.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Delivery {
    /// The row's id, which grows in the order of registering within a lane.
    pub delivery_id: i64,
    /// The lane.
    pub subscriber_id: i32,
    /// The lowest subscription that matched.
    pub subscription_id: Option<i32>,
    /// The number of this attempt, from one.
    pub attempt: u16,
    /// When it was first due; age counts from here.
    pub first_due_at: DateTime<Utc>,
    /// What the event is to analytics; `None` unless it goes to a sink.
    pub call: Option<Call>,
    /// What is delivered.
    pub event: RegisteredEvent,
}
