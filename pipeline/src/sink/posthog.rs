//! PostHog: each unique event as one of its events, in the flattened form of Samagra's telemetry.
//!
//! What an event says becomes properties with dotted names (`context.cdata.0.id`); who it is about leaves as a keyed
//! hash. The same event has the same id in every try, by which PostHog drops what comes again: eventually, and not within
//! the request, so this is at least once.

mod flatten;
mod message;
mod options;
mod sender;

use std::sync::Arc;

use tidings_analytics::wire;
use tokio_util::sync::CancellationToken;

use super::{drive, hooks::Hooks, http::Http, metrics::Metrics};
use crate::{Error, Log, Result};

pub use self::options::{Clock, Options};

/// A sink to PostHog.
#[derive(Debug)]
pub struct Sink {
    sender: Arc<sender::Sender>,
}

impl Sink {
    /// Returns a sink that has not talked to anybody yet.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used, which is named, or TLS that cannot be set up.
    pub fn new(options: Options) -> Result<Self> {
        let refuse = |error: wire::Error| {
            Error::setting(format!("sink {}", options.name), error.to_string())
        };
        let wire = wire::Sink::posthog(options.settings.clone(), options.posthog.clone());
        let wire = wire.map_err(refuse)?;
        let is_tls = wire.url().scheme() == "https";
        let http = Http::new(&options.trusted_certificates, is_tls, options.timeout)?;
        let sender = sender::Sender { wire, http, metrics: Arc::default(), options };
        Ok(Self { sender: Arc::new(sender) })
    }

    /// Returns what it has done so far.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.sender.metrics)
    }

    /// Reads unique events as the group `sink.<name>` and sends them, until `shutdown`.
    ///
    /// A service that is away, has no quota left or refuses the key is waited for.
    ///
    /// # Errors
    ///
    /// What the log says and does not pass by itself.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves events behind that were sent and not committed; they are sent again.
    pub async fn run<L: Log>(
        &self,
        log: &L,
        hooks: Arc<dyn Hooks>,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        drive::run(log, Arc::clone(&self.sender), hooks, shutdown).await
    }
}
