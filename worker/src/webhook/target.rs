//! One subscriber's endpoint, and one attempt to reach it.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use reqwest::{
    Response,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tidings::{
    deliverer::{Answer, BoxFuture, Destination, OpenError, Verdict},
    delivery::Delivery,
    endpoint::{Config, Endpoint, EndpointError},
    subscriber::Subscriber,
};
use tokio::time::{Instant, timeout_at};

use super::{Inner, answer, failure::Failure, mask::Mask, message::Message, sign::Signer, snippet};

/// What the worker waits for beyond our own timeout, so that the sentence that explains it is the one that is kept.
const GRACE: Duration = Duration::from_secs(1);

/// An endpoint that is ready to be called.
pub(super) struct Target {
    pub(super) inner: Arc<Inner>,
    endpoint: Endpoint,
    headers: HeaderMap,
    signer: Signer,
    mask: Mask,
    timeout: Duration,
}

/// What one attempt has brought.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) answer: Answer,
    /// The beginning of the body, empty if there was none.
    pub(super) body: String,
    pub(super) elapsed: Duration,
}

impl Target {
    /// Checks what is stored of `subscriber`, and gets ready to call it.
    pub(super) fn open(inner: Arc<Inner>, subscriber: &Subscriber) -> Result<Self, OpenError> {
        let refused = |error: EndpointError| OpenError::new(error.to_string());
        let config = Config::read(&subscriber.config).map_err(refused)?;
        let endpoint = config.check(&inner.settings.policy).map_err(refused)?;
        if endpoint.url().scheme() == "https" && !inner.trusts {
            return Err(OpenError::new(
                "no trusted certificate was found on this machine; install the package ca-certificates",
            ));
        }
        let signer = Signer::new(&subscriber.secrets).ok_or_else(|| {
            OpenError::new("the webhook has no signing secret, and nothing is sent unsigned; rotate its secret")
        })?;
        let headers = headers(&config)?;
        let mask = Mask::new(endpoint.url(), &headers);
        let timeout = config.timeout(inner.settings.timeout);
        Ok(Self { inner, endpoint, headers, signer, mask, timeout })
    }

    /// Sends `message` once and says what became of it; it takes no longer than the subscriber's timeout.
    pub(super) async fn attempt(&self, message: Message) -> Attempt {
        let started = Instant::now();
        let (answer, body) = match self.send(message, started + self.timeout).await {
            Ok(response) => self.read(response, started + self.timeout).await,
            Err(failure) => {
                (Answer::failed(Verdict::Retry, snippet::cut(failure.to_string())), String::new())
            }
        };
        Attempt { answer, body, elapsed: started.elapsed() }
    }

    /// Sends the request and waits for the headers of the answer.
    async fn send(&self, message: Message, deadline: Instant) -> Result<Response, Failure> {
        let Inner { client, settings, clock, .. } = &*self.inner;
        // The resolver never sees a literal address.
        if let Some(address) = self.endpoint.literal() {
            let checked = settings.policy.allow.check(address);
            checked.map_err(|refused| Failure::Refused(EndpointError::Address(refused)))?;
        }
        let request = client
            .post(self.endpoint.url().clone())
            .headers(message.headers(&self.headers, &self.signer, clock()))
            .body(message.into_body());
        let response = timeout_at(deadline, request.send())
            .await
            .map_err(|_| Failure::timed_out(&self.endpoint, self.timeout))?
            .map_err(|error| Failure::of(error, &self.endpoint, settings.connect_timeout))?;
        // The last alarm, behind the resolver and the check of literals.
        let peer = response.remote_addr().map(|peer| settings.policy.allow.check(peer.ip()));
        match peer {
            Some(Err(peer)) => Err(Failure::Peer { peer }),
            _ => Ok(response),
        }
    }

    /// Reads an answer, and returns what it means and how its body begins.
    async fn read(&self, mut response: Response, deadline: Instant) -> (Answer, String) {
        let Inner { settings, clock, .. } = &*self.inner;
        let status = response.status();
        let verdict = answer::verdict(status, response.headers(), clock().into());
        let explained = answer::explain(status, response.headers(), verdict, self.endpoint.url());

        let deadline = deadline.min(Instant::now() + settings.body_timeout);
        let bytes = snippet::read(&mut response, settings.body_bytes_max, deadline).await;
        let body = snippet::cut(self.mask.apply(snippet::clean(&bytes)));

        let answer = match verdict {
            Verdict::Delivered => Answer::delivered(),
            verdict if body.is_empty() => Answer::failed(verdict, explained),
            verdict => Answer::failed(verdict, snippet::cut(format!("{explained}: {body}"))),
        };
        (answer.with_status(status.as_u16()), body)
    }
}

impl Destination for Target {
    fn timeout(&self) -> Duration {
        self.timeout + GRACE
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
            .field("endpoint", &self.endpoint)
            .field("headers", &self.headers.keys())
            .field("signer", &self.signer)
            .field("timeout", &self.timeout)
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
