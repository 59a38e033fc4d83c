//! Signatures over what is sent, by every key of a subscriber that signs at the time.
//!
//! Standard Webhooks signs `id.timestamp.body`: `v1` by HMAC-SHA256, `v1a` by Ed25519. The profile of Orchest signs the
//! body alone, by HMAC-SHA256 under the text of the secret.
//!
//! A key that expires stops signing at its time, also while the destination stays open.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tidings::{
    deliverer::OpenError,
    endpoint::{Config, Profile},
    secret::KeyPair,
    subscriber::SigningKey,
};
use tokio::time::Instant;

/// Signs with every key of a subscriber, so that old and new ones verify while they are being changed.
#[derive(Clone)]
pub(super) struct Signer {
    /// Those that share a header: symmetric before asymmetric, newest first.
    keys: Vec<Key>,
    /// How many of them sign one request.
    keys_max: usize,
}

/// The keys that sign one request; at least one.
#[derive(Debug)]
pub(super) struct Live<'a>(Vec<&'a Key>);

#[derive(Clone)]
struct Key {
    secret_id: Option<i32>,
    fingerprint: String,
    expires_at: Option<Instant>,
    means: Means,
}

#[derive(Clone)]
enum Means {
    Hmac(Hmac<Sha256>),
    Ed25519(KeyPair),
}

impl Signer {
    /// Returns the signer that `config` asks for; nothing goes out unsigned, nor with fewer kinds of signature.
    ///
    /// # Errors
    ///
    /// There is no key of a kind that is asked for.
    pub(super) fn new(secrets: &[SigningKey], config: &Config) -> Result<Self, OpenError> {
        let is_orchest = config.profile == Profile::Orchest;
        let mut keys = Vec::new();
        if config.needs_secret() {
            let symmetric = secrets.iter().filter_map(|key| Some((key, key.secret()?)));
            // The text of another system is no secret of Standard Webhooks.
            let usable = symmetric.filter(|(_, secret)| is_orchest || !secret.is_legacy());
            keys.extend(usable.map(|(key, secret)| {
                let means = match config.profile {
                    Profile::Standard => hmac(secret.as_bytes()),
                    Profile::Orchest => hmac(secret.to_text().as_bytes()),
                };
                Key::new(key, Means::Hmac(means))
            }));
            if keys.is_empty() {
                return Err(OpenError::new(
                    "the webhook has no signing secret, and nothing is sent unsigned; rotate its secret",
                ));
            }
        }
        if config.needs_key_pair() {
            let pairs = secrets.iter().filter_map(|key| Some((key, key.key_pair()?)));
            let before = keys.len();
            keys.extend(pairs.map(|(key, pair)| Key::new(key, Means::Ed25519(pair.clone()))));
            if keys.len() == before {
                return Err(OpenError::new(
                    "the webhook is to sign by v1a, and neither it nor the installation has a key pair; rotate its key pair",
                ));
            }
        }
        // The header of Orchest holds one signature.
        let keys_max = if is_orchest { 1 } else { usize::MAX };
        Ok(Self { keys, keys_max })
    }

    /// Returns the keys that sign at the time `now`; `None` if all have expired.
    pub(super) fn live(&self, now: Instant) -> Option<Live<'_>> {
        let live = self.keys.iter().filter(|key| key.expires_at.is_none_or(|at| now < at));
        let live: Vec<_> = live.take(self.keys_max).collect();
        (!live.is_empty()).then_some(Live(live))
    }
}

impl Live<'_> {
    /// Returns the value of `webhook-signature`: `v1,` or `v1a,` and base64 for each key, separated by spaces.
    ///
    /// `timestamp` is in seconds since 1970. `id` must not contain a full stop, which a [`uuid::Uuid`] does not.
    pub(super) fn sign(&self, id: uuid::Uuid, timestamp: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let signatures = self.0.iter().map(|key| match &key.means {
            Means::Hmac(mac) => {
                let mac = mac.clone().chain_update(&signed).finalize();
                format!("v1,{}", STANDARD.encode(mac.into_bytes()))
            }
            Means::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&signed))),
        });
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// Returns the value of `X-Hub-Signature` as Orchest sends it: lower-case hexadecimal digits, by the newest secret.
    pub(super) fn sign_body(&self, body: &[u8]) -> String {
        let mac = self.0.iter().find_map(|key| match &key.means {
            Means::Hmac(mac) => Some(mac.clone().chain_update(body).finalize().into_bytes()),
            Means::Ed25519(_) => None,
        });
        let digits = mac.into_iter().flatten().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }

    /// Returns the stored key by which the receiver verifies, as far as its answer shows it: it has `said` the
    /// fingerprint of one, or has `accepted` what only one had signed.
    pub(super) fn verified_by(&self, said: Option<&str>, accepted: bool) -> Option<i32> {
        let key = match said {
            Some(said) => self.0.iter().find(|key| key.fingerprint.eq_ignore_ascii_case(said)),
            None => self.0.first().filter(|_| accepted && self.0.len() == 1),
        };
        key?.secret_id
    }
}

impl Key {
    fn new(key: &SigningKey, means: Means) -> Self {
        Self {
            secret_id: key.secret_id,
            fingerprint: key.fingerprint(),
            expires_at: key.expires_at,
            means,
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} keys)", self.keys.len())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length")
}

#[cfg(test)]
mod tests;
