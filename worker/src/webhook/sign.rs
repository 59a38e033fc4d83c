//! Signatures of Standard Webhooks, version `v1`: HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tidings::secret::Secret;

/// Signs with every secret of a subscriber, so that old and new ones verify while they are being changed.
#[derive(Clone)]
pub(super) struct Signer {
    keys: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// Returns the signer of `secrets`, or `None` if there are none: nothing goes out unsigned.
    pub(super) fn new(secrets: &[Secret]) -> Option<Self> {
        (!secrets.is_empty()).then(|| Self { keys: secrets.iter().map(key).collect() })
    }

    /// Returns the value of `webhook-signature`: `v1,` and base64 per secret, newest first, separated by spaces.
    ///
    /// `timestamp` is in seconds since 1970. `id` must not contain a full stop, which a [`uuid::Uuid`] does not.
    pub(super) fn sign(&self, id: uuid::Uuid, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let signatures = self.keys.iter().map(|key| {
            let mac = key.clone().chain_update(&head).chain_update(body).finalize();
            format!("v1,{}", STANDARD.encode(mac.into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} secrets)", self.keys.len())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn key(secret: &Secret) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("a key of any length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn every_secret_signs_newest_first() {
        let (new, old) = (secret(1), secret(2));
        let sign = |secrets: &[Secret]| Signer::new(secrets).unwrap().sign(Uuid::nil(), 7, b"{}");
        let (a, b) = (sign(std::slice::from_ref(&new)), sign(std::slice::from_ref(&old)));
        assert_eq!(sign(&[new, old]), format!("{a} {b}"));
    }

    #[test]
    fn nothing_is_signed_without_a_secret() {
        assert!(Signer::new(&[]).is_none());
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(
            format!("{:?}", Signer::new(&[secret(1), secret(2)]).unwrap()),
            "Signer(2 secrets)"
        );
    }

    proptest! {
        #[test]
        fn public_implementation_makes_the_same_signature(
            key in proptest::collection::vec(any::<u8>(), 24..=75),
            id in any::<u128>(),
            timestamp in 0..=i64::from(u32::MAX),
            body in ".{0,200}",
        ) {
            let (secret, id) = (Secret::from_bytes(&key).unwrap(), Uuid::from_u128(id));
            let theirs = standardwebhooks::Webhook::new(&secret.to_text()).unwrap();
            let expected = theirs.sign(&id.to_string(), timestamp, body.as_bytes()).unwrap();
            let ours = Signer::new(&[secret]).unwrap().sign(id, timestamp, body.as_bytes());
            prop_assert_eq!(ours, expected);
        }
    }
}
