//! One subscriber's endpoint, and what is sent to it.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tidings::{
    deliverer::{Answer, BoxFuture, Destination, OpenError},
    delivery::Delivery,
    endpoint::{Config, EndpointError},
    subscriber::Subscriber,
};

use super::{
    Inner,
    caller::{Attempt, Caller},
    message::Message,
    sign::Signer,
};

/// What the worker waits for beyond our own timeout, so that the sentence that explains it is the one that is kept.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// An endpoint that is ready to be called.
pub(super) struct Target {
    pub(super) caller: Caller,
    headers: HeaderMap,
    signer: Signer,
}

impl Target {
    /// Checks what is stored of `subscriber`, and gets ready to call it.
    pub(super) fn open(inner: Arc<Inner>, subscriber: &Subscriber) -> Result<Self, OpenError> {
        let refused = |error: EndpointError| OpenError::new(error.to_string());
        let config = Config::read(&subscriber.config).map_err(refused)?;
        let endpoint = config.check(&inner.settings.policy).map_err(refused)?;
        let timeout = config.timeout(inner.settings.timeout);
        let headers = headers(&config)?;
        let caller = Caller::open(inner, endpoint, &headers, timeout)?;
        let signer = Signer::new(&subscriber.secrets).ok_or_else(|| {
            OpenError::new("the webhook has no signing secret, and nothing is sent unsigned; rotate its secret")
        })?;
        Ok(Self { caller, headers, signer })
    }

    /// Sends `message` once and says what became of it; it takes no longer than the subscriber's timeout.
    pub(super) async fn attempt(&self, message: Message) -> Attempt {
        let now = (self.caller.inner.clock)();
        let headers = message.headers(&self.headers, &self.signer, now);
        self.caller.attempt(headers, message.into_body()).await
    }
}

impl Destination for Target {
    fn timeout(&self) -> Duration {
        self.caller.timeout() + GRACE
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        let attempts = deliveries
            .iter()
            .map(|delivery| async { self.attempt(Message::of(&delivery.event)).await.answer });
        Box::pin(join_all(attempts))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("endpoint", self.caller.endpoint())
            .field("headers", &self.headers.keys())
            .field("signer", &self.signer)
            .field("timeout", &self.caller.timeout())
            .finish_non_exhaustive()
    }
}

/// Returns the headers of the subscriber, their values marked as secret.
fn headers(config: &Config) -> Result<HeaderMap, OpenError> {
    let header = |name: &String, value: &String| {
        let name = HeaderName::try_from(name).ok()?;
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    config
        .headers
        .iter()
        .map(|(name, value)| {
            header(name, value)
                .ok_or_else(|| OpenError::new(format!("the header {name} cannot be sent")))
        })
        .collect()
}
