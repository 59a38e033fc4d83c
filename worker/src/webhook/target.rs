//! One subscriber's endpoint, and what is sent to it.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tidings::{
    deliverer::{Answer, BoxFuture, Destination, OpenError, Verdict},
    delivery::Delivery,
    endpoint::{Config, EndpointError},
    secret::Credentials,
    subscriber::Subscriber,
};
use tokio::time::Instant;

use super::{
    Inner,
    caller::{Attempt, Caller},
    format::Format,
    message::Message,
    sign::Signer,
};

/// What the worker waits for beyond our own timeout, so that the sentence that explains it is the one that is kept.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// An endpoint that is ready to be called.
pub(super) struct Target {
    pub(super) caller: Caller,
    pub(super) format: Format,
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
        let headers = headers(&config, subscriber.credentials.as_ref())?;
        let caller = match &config.ca {
            None => Caller::open(inner, endpoint, &headers, timeout)?,
            Some(ca) => {
                let client = inner.client_trusting(ca).map_err(refused)?;
                Caller::with_client(inner, client, endpoint, &headers, timeout)
            }
        };
        let signer = Signer::new(&subscriber.secrets, &config)?;
        Ok(Self { caller, format: Format::of(subscriber, &config), headers, signer })
    }

    /// Sends `message` once and says what became of it; it takes no longer than the subscriber's timeout.
    pub(super) async fn attempt(&self, message: Message) -> Attempt {
        let Some(live) = self.signer.live(Instant::now()) else {
            let error = "every key of the webhook has expired, and nothing is sent unsigned; rotate its keys";
            return Attempt::none(Answer::failed(Verdict::Retry, error));
        };
        let now = (self.caller.inner.clock)();
        let headers = message.headers(&self.headers, &live, now);
        let mut attempt = self.caller.attempt(headers, message.into_body()).await;
        let accepted = attempt.answer.verdict == Verdict::Delivered;
        let verified_by = live.verified_by(attempt.verified_by.as_deref(), accepted);
        attempt.answer = attempt.answer.with_verified_by(verified_by);
        attempt
    }
}

impl Destination for Target {
    fn timeout(&self) -> Duration {
        self.caller.timeout() + GRACE
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        let attempts = deliveries.iter().map(|delivery| async {
            self.attempt(self.format.message(&delivery.event)).await.answer
        });
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

/// Returns the headers of the subscriber and its credentials over them, their values marked as secret.
fn headers(config: &Config, credentials: Option<&Credentials>) -> Result<HeaderMap, OpenError> {
    let mut headers = HeaderMap::new();
    for (name, text) in &config.headers {
        let unsendable = || OpenError::new(format!("the header {name} cannot be sent"));
        let name = HeaderName::try_from(name).map_err(|_| unsendable())?;
        headers.insert(name, secret(text).ok_or_else(unsendable)?);
    }
    if let Some(credentials) = credentials {
        let unsendable = || OpenError::new("the credentials cannot be sent; set them again");
        headers.insert(AUTHORIZATION, secret(credentials.as_header()).ok_or_else(unsendable)?);
    }
    Ok(headers)
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
