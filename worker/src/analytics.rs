//! Sends the telemetry view of events to Segment and PostHog.
//!
//! An analytics subscriber is a sink: it gets the telemetry view and never the notification, of every tenant.
//! What is sent and what an answer means is [`tidings::analytics::wire`]; here it is sent, by the client and the rules of
//! [`crate::webhook`], many events in a request.
//!
//! | Answer | What follows |
//! |---|---|
//! | delivered | settled |
//! | transient, no answer | comes again on its ladder, under the same message id |
//! | 429, `Retry-After` | the whole sink waits, and no attempt is counted |
//! | 400, 413 | sent in halves until the culprits are alone; those are dead letters, the others delivered |
//! | 401, 403, quota | the subscriber is disabled with the reason, and its deliveries wait |

use std::{fmt, sync::Arc};

use serde_json::Value;
use tidings::{
    analytics::wire::{Context, Vendor},
    deliverer::{Deliverer, Destination, OpenError},
    subscriber::Subscriber,
};
use uuid::Uuid;

use self::target::Target;
use crate::webhook::{Ping, Webhook};

mod config;
mod message;
mod target;
mod turn;

pub use self::config::{Config, ConfigError};

/// Few sinks, and each of them one lane.
const SHARDS: u16 = 4;

/// What is added to every event when it is sent: of the application, and of the system that it runs on.
pub type ContextProvider = Arc<dyn Fn() -> Context + Send + Sync>;

/// Delivers to the subscribers of one analytics service.
///
/// ```
/// use tidings::analytics::wire::Vendor;
/// use tidings_worker::{Webhook, analytics::Analytics};
/// use uuid::Uuid;
///
/// let webhook = Webhook::builder().build()?;
/// // The name of the installation: `tidings::privacy::installation`.
/// let installation = Uuid::from_u128(7);
/// let segment = Analytics::new(Vendor::Segment, &webhook, installation);
/// # Ok::<(), tidings_worker::webhook::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Analytics {
    vendor: Vendor,
    webhook: Webhook,
    installation: Uuid,
    context: ContextProvider,
}

impl Analytics {
    /// Returns the deliverer of `vendor`, which shares the HTTP client and the rules of `webhook`.
    ///
    /// Events that are of nobody in particular are sent as those of `installation`.
    #[must_use]
    pub fn new(vendor: Vendor, webhook: &Webhook, installation: Uuid) -> Self {
        let context: ContextProvider = Arc::new(Context::new);
        Self { vendor, webhook: webhook.clone(), installation, context }
    }

    /// Adds what `context` returns to every event, once, when it is sent.
    #[must_use]
    pub fn context(self, context: ContextProvider) -> Self {
        Self { context, ..self }
    }

    /// Checks a configuration as far as that is possible before anything is sent: its shape, its URL, and the addresses
    /// that its name has now.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and what to do about it.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await point.
    pub async fn check(&self, config: &Value) -> Result<(), ConfigError> {
        let config = Config::read(self.vendor, config)?;
        let endpoint = config.check(self.vendor, self.webhook.policy())?;
        Ok(self.webhook.check_addresses(&endpoint).await?)
    }

    /// Sends a test event to `subscriber`, once; nothing is recorded.
    ///
    /// # Errors
    ///
    /// The subscriber's configuration cannot be used; an attempt that fails is no error.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await point; the event may have been sent by then.
    pub async fn ping(&self, subscriber: &Subscriber, ping_id: Uuid) -> Result<Ping, OpenError> {
        Ok(Target::open(self, subscriber)?.ping(ping_id).await)
    }
}

impl Deliverer for Analytics {
    fn kind(&self) -> &str {
        self.vendor.as_str()
    }

    fn shards(&self) -> u16 {
        SHARDS
    }

    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        Ok(Box::new(Target::open(self, subscriber)?))
    }
}

impl fmt::Debug for Analytics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analytics")
            .field("vendor", &self.vendor)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

/// Returns the deliverers of every service, which share the HTTP client and the rules of `webhook`.
#[must_use]
pub fn all(webhook: &Webhook, installation: Uuid) -> [Analytics; 2] {
    Vendor::ALL.map(|vendor| Analytics::new(vendor, webhook, installation))
}
