//! The verdict on one request: who has signed it, and when.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderMap;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::{
    Fingerprint, Key, KeyError, VerifyError,
    key::Material,
    signed::{STANDARD_NAMES, SVIX_NAMES, Signature, Signed},
};

/// How far the time of a signature may be from now, both ways; what the libraries of Standard Webhooks allow.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// Verifies requests with one or several keys; cheap to clone.
///
/// It reads no clock and keeps nothing: the same request gets the same verdict until it is too old. Whoever must not act
/// twice on a request that somebody has listened to and sends again asks a [`Replays`](crate::Replays) afterwards.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Arc<[Key]>,
    tolerance: Duration,
    svix: bool,
}

/// A request that was signed with one of the keys, not too long ago.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verified {
    /// The id of the message, the same on every retry: 1 to 255 printable ASCII characters.
    pub id: String,
    /// When this attempt was signed, in whole seconds; every retry has a time of its own.
    pub timestamp: SystemTime,
    /// Which key has verified it.
    pub fingerprint: Fingerprint,
}

impl Verifier {
    /// Returns a verifier that believes each of `keys`: during a rotation, the old one and the new one.
    ///
    /// # Errors
    ///
    /// There is no key.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self, KeyError> {
        let keys: Arc<[Key]> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        Ok(Self { keys, tolerance: TOLERANCE, svix: false })
    }

    /// Sets how far the time of a signature may be from now, in the past and in the future; [`TOLERANCE`] if left out.
    #[must_use]
    pub const fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Reads `svix-id`, `svix-timestamp` and `svix-signature` where a request has none of the standard names.
    #[must_use]
    pub const fn accept_svix_headers(mut self) -> Self {
        self.svix = true;
        self
    }

    /// Returns the keys, in the order in which they are tried.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Checks that one of the keys has signed exactly these bytes, at a time close to `now`.
    ///
    /// `body` is what came over the wire, before anything has parsed it; it need not be text. One good signature is enough,
    /// among the first [`SIGNATURES_MAX`](crate::SIGNATURES_MAX); versions other than `v1` and `v1a` are skipped. How long
    /// it takes depends on how much there is to check, and not on how much of a signature is right.
    ///
    /// # Errors
    ///
    /// Why the request is refused. The reason is for your own log: tell the caller no more than
    /// [`is_malformed`](VerifyError::is_malformed).
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Verified, VerifyError> {
        let svix = self.svix && !STANDARD_NAMES.are_used(headers);
        let names = if svix { &SVIX_NAMES } else { &STANDARD_NAMES };
        let signed = Signed::read(headers, names)?;
        self.check_time(signed.timestamp, now)?;
        let fingerprint = self.signer(&signed, body)?;
        Ok(Verified { id: signed.id.to_owned(), timestamp: signed.timestamp, fingerprint })
    }

    /// Returns until when a request is not too old, or `None` if that is beyond what the clock can say.
    ///
    /// That is how long a [`Replays`](crate::Replays) has to remember it.
    pub fn until(&self, verified: &Verified) -> Option<SystemTime> {
        verified.timestamp.checked_add(self.tolerance)
    }

    fn check_time(&self, timestamp: SystemTime, now: SystemTime) -> Result<(), VerifyError> {
        let tolerance = self.tolerance;
        match now.duration_since(timestamp) {
            Ok(age) if age > tolerance => Err(VerifyError::TooOld { age, tolerance }),
            Ok(_) => Ok(()),
            Err(early) if early.duration() > tolerance => {
                Err(VerifyError::TooNew { ahead: early.duration(), tolerance })
            }
            Err(_) => Ok(()),
        }
    }

    /// Returns the key that has made one of the signatures.
    fn signer(&self, signed: &Signed<'_>, body: &[u8]) -> Result<Fingerprint, VerifyError> {
        let signatures = signed.signatures();
        let head = signed.head();
        // Ed25519 takes the message in one piece; it is put together when the first such key asks for it.
        let mut whole = None;
        let mut tried = false;
        for key in &*self.keys {
            let fits = match &key.material {
                Material::Secret(secret) => {
                    let macs = signatures.iter().filter_map(Signature::v1);
                    let macs: Vec<_> = macs.collect();
                    tried |= !macs.is_empty();
                    !macs.is_empty() && is_any(&mac(secret, &head, body), &macs)
                }
                Material::Public(public) => {
                    signatures.iter().filter_map(Signature::v1a).any(|it| {
                        tried = true;
                        let message = whole.get_or_insert_with(|| [head.as_bytes(), body].concat());
                        public.verify(message, it).is_ok()
                    })
                }
            };
            if fits {
                return Ok(key.fingerprint());
            }
        }
        Err(if tried { VerifyError::WrongSignature } else { VerifyError::NoSignature })
    }
}

/// Returns the signature of version `v1`.
fn mac(secret: &hmac::Key, head: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(secret);
    context.update(head.as_bytes());
    context.update(body);
    context.sign()
}

/// Says in constant time whether one of `macs` is the expected one.
fn is_any(expected: &hmac::Tag, macs: &[&[u8; 32]]) -> bool {
    let equal = macs.iter().map(|mac| expected.as_ref().ct_eq(mac.as_slice()));
    equal.fold(subtle::Choice::from(0), |any, one| any | one).into()
}

#[cfg(test)]
pub(crate) mod tests;
