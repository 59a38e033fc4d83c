//! One endpoint, and one attempt to reach it with whatever headers and body a format asks for.
//!
//! Everything that is dangerous about calling a stranger is here, once, for all formats: literal addresses, the peer
//! that was reached, the time limit, and the bounds on what is read of the answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::{
    Body, Client, Response, StatusCode,
    header::{HeaderMap, HeaderName},
};
use tidings::{
    deliverer::{Answer, OpenError, Verdict},
    endpoint::{Endpoint, EndpointError},
};
use tokio::time::{Instant, timeout_at};

use super::{Inner, answer, failure::Failure, mask::Mask, snippet};

/// What a receiver answers with to say by which key it verifies: the key's fingerprint.
const VERIFIED_BY: HeaderName = HeaderName::from_static("webhook-verified-by");

/// An endpoint that may be called.
pub(crate) struct Caller {
    pub(super) inner: Arc<Inner>,
    client: Client,
    endpoint: Endpoint,
    mask: Mask,
    timeout: Duration,
}

/// What one attempt has brought.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) answer: Answer,
    /// The beginning of the body, empty if there was none.
    pub(crate) body: String,
    pub(crate) elapsed: Duration,
    /// The fingerprint of the key by which the receiver says that it verifies; whatever it says.
    pub(crate) verified_by: Option<String>,
}

impl Attempt {
    /// Returns what it is not to have sent anything.
    pub(super) const fn none(answer: Answer) -> Self {
        Self { answer, body: String::new(), elapsed: Duration::ZERO, verified_by: None }
    }
}

impl Caller {
    /// Gets ready to call `endpoint`, which has been checked; `headers` are those whose values are secret.
    pub(super) fn open(
        inner: Arc<Inner>,
        endpoint: Endpoint,
        headers: &HeaderMap,
        timeout: Duration,
    ) -> Result<Self, OpenError> {
        if endpoint.url().scheme() == "https" && !inner.trusts {
            return Err(OpenError::new(
                "no trusted certificate was found on this machine; install the package ca-certificates",
            ));
        }
        let client = inner.client.clone();
        Ok(Self::with_client(inner, client, endpoint, headers, timeout))
    }

    /// Gets ready to call `endpoint` by a client of its own.
    pub(super) fn with_client(
        inner: Arc<Inner>,
        client: Client,
        endpoint: Endpoint,
        headers: &HeaderMap,
        timeout: Duration,
    ) -> Self {
        let mask = Mask::new(endpoint.url(), headers);
        Self { inner, client, endpoint, mask, timeout }
    }

    /// Returns where it calls.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the longest that one attempt takes.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends one request and says what became of it.
    pub(crate) async fn attempt(&self, headers: HeaderMap, body: String) -> Attempt {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let attempt = match self.send(headers, body, deadline).await {
            Ok(response) => self.read(response, deadline).await,
            Err(failure) => {
                Attempt::none(Answer::failed(Verdict::Retry, snippet::cut(failure.to_string())))
            }
        };
        Attempt { elapsed: started.elapsed(), ..attempt }
    }

    /// Sends one request and returns the answer as it came, of its body the first `bytes_max`.
    ///
    /// # Errors
    ///
    /// There was no answer in time; the sentence says why.
    pub(crate) async fn exchange(
        &self,
        headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), String> {
        let deadline = Instant::now() + self.timeout;
        let sent = self.send(headers, body, deadline).await;
        let mut response = sent.map_err(|failure| snippet::cut(failure.to_string()))?;
        let deadline = deadline.min(Instant::now() + self.inner.settings.body_timeout);
        let body = snippet::read(&mut response, bytes_max, deadline).await;
        Ok((response.status(), std::mem::take(response.headers_mut()), body))
    }

    /// Returns the time, as the formats tell it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.inner.clock)()
    }

    /// Sends the request and waits for the headers of the answer.
    async fn send(
        &self,
        headers: HeaderMap,
        body: impl Into<Body>,
        deadline: Instant,
    ) -> Result<Response, Failure> {
        let settings = &self.inner.settings;
        // The resolver never sees a literal address.
        if let Some(address) = self.endpoint.literal() {
            let checked = settings.policy.allow.check(address);
            checked.map_err(|refused| Failure::Refused(EndpointError::Address(refused)))?;
        }
        let request = self.client.post(self.endpoint.url().clone()).headers(headers).body(body);
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
    async fn read(&self, mut response: Response, deadline: Instant) -> Attempt {
        let Inner { settings, clock, .. } = &*self.inner;
        let status = response.status();
        let verdict = answer::verdict(status, response.headers(), clock().into());
        let said = response.headers().get(VERIFIED_BY).and_then(|value| value.to_str().ok());
        let verified_by = said.map(str::to_owned);
        let explained = answer::explain(status, response.headers(), verdict, self.endpoint.url());

        let deadline = deadline.min(Instant::now() + settings.body_timeout);
        let bytes = snippet::read(&mut response, settings.body_bytes_max, deadline).await;
        let body = snippet::cut(self.mask.apply(snippet::clean(&bytes)));

        let answer = match verdict {
            Verdict::Delivered => Answer::delivered(),
            verdict if body.is_empty() => Answer::failed(verdict, explained),
            verdict => Answer::failed(verdict, snippet::cut(format!("{explained}: {body}"))),
        };
        Attempt { body, verified_by, ..Attempt::none(answer.with_status(status.as_u16())) }
    }
}
