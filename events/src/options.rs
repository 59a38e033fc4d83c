//! How an event is registered, beyond what it says of itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidings_analytics::wire::Identity;
use uuid::Uuid;

use crate::trace::TraceContext;

/// How one event is registered; the default is what [`register_event`](crate::register_event) does.
///
/// ```
/// use std::time::Duration;
/// use tidings::Options;
///
/// let options = Options::default().idempotency_key("order-7").delay(Duration::from_secs(60));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Options {
    pub(crate) tenant: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) ordering_key: Option<String>,
    pub(crate) delay: Option<Duration>,
    pub(crate) occurred_at: Option<DateTime<Utc>>,
    pub(crate) event_id: Option<Uuid>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) identity: Option<Identity>,
}

impl Options {
    /// Registers on behalf of `tenant`: only its subscriptions match. At most 255 bytes.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Makes a repeated call harmless: the same key in the same tenant gives the first event's id, and an error if
    /// the type, the version or the content differs. At most 255 bytes; kept as long as the event.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets the key within which subscriptions that ask for it get events in the order of registering. At most 255
    /// bytes; instead of the key that the event has by itself.
    pub fn ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }

    /// Delivers no sooner than `delay` after registering, by the database's clock.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Says when it happened, if that was not now.
    pub fn occurred_at(mut self, at: DateTime<Utc>) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// Sets the event's id: a `UUIDv7` of the last or the next hour.
    pub fn event_id(mut self, id: Uuid) -> Self {
        self.event_id = Some(id);
        self
    }

    /// Says whom the event is of, to analytics: keyed hashes, and what they have agreed to. It is of the installation
    /// where that is not said. Whoever is suppressed is not collected, see [`privacy`](crate::privacy).
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Sets the trace that deliveries continue, instead of the one of [`trace::scope`](crate::trace::scope).
    pub fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }
}
