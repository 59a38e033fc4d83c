//! What an endpoint needs to know about the requests that it takes.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderMap;

use crate::{Rejection, Replays, Sighting, Verified, Verifier, replays::Memory};

/// The most bytes of a body, unless it is set: as many as Tidings lets the data of an event have, 1 MiB, and 4 KiB for what goes
/// around them.
pub const BODY_BYTES_MAX: usize = 1024 * 1024 + 4096;

/// How far ahead an end lies that is beyond what the clock can say: a century, longer than any process runs.
const FAR: Duration = Duration::from_hours(876_000);

/// How an endpoint takes webhooks: the state of [`Webhook`](crate::Webhook) and [`RawWebhook`](crate::RawWebhook). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Endpoint {
    verifier: Verifier,
    replays: Option<Arc<dyn Replays>>,
    body_bytes_max: usize,
}

impl Endpoint {
    /// Returns an endpoint that remembers requests in memory to refuse replays, and takes bodies of up to [`BODY_BYTES_MAX`].
    pub fn new(verifier: Verifier) -> Self {
        let replays: Arc<dyn Replays> = Arc::new(Memory::default());
        Self { verifier, replays: Some(replays), body_bytes_max: BODY_BYTES_MAX }
    }

    /// Sets who remembers requests: a memory of another size, or one that several processes share.
    #[must_use]
    pub fn replays(mut self, replays: impl Replays) -> Self {
        self.replays = Some(Arc::new(replays));
        self
    }

    /// Lets replays within the tolerance through: for handlers on which a repetition has no effect.
    ///
    /// A handler that records every id in its own transaction is one (module `inbox`).
    #[must_use]
    pub fn accept_replays(mut self) -> Self {
        self.replays = None;
        self
    }

    /// Sets the most bytes that a body may have; [`BODY_BYTES_MAX`] if left out.
    #[must_use]
    pub const fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    pub(crate) const fn limit(&self) -> usize {
        self.body_bytes_max
    }

    /// Checks the signature, and then that the request was not here before.
    pub(crate) async fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Verified, Rejection> {
        let verified = self.verifier.verify(headers, body, now).map_err(Rejection::Refused)?;
        if let Some(replays) = &self.replays {
            let until = self.verifier.until(&verified).unwrap_or(now + FAR);
            match replays.record(&verified, until, now).await.map_err(Rejection::Replays)? {
                Sighting::First => {}
                Sighting::Again => return Err(Rejection::Replayed),
            }
        }
        Ok(verified)
    }
}

impl From<Verifier> for Endpoint {
    fn from(verifier: Verifier) -> Self {
        Self::new(verifier)
    }
}
