//! The keys of a subscriber: as they are stored, and as they sign.

use std::time::Duration;

use rand::CryptoRng;
use serde::Serialize;
use sqlx::PgConnection;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::owner;
use crate::{
    Error, Result,
    secret::{Credentials, KeyPair, Keyring, PublicKey, Secret},
    store::{
        LaneRow,
        secret::{self as store, Sealed},
    },
};

/// What a stored secret is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// It signs, and the receiver has the same.
    Signing,
    /// It signs, and the receiver has its public half.
    KeyPair,
    /// The receiver asks for it.
    Credentials,
}

/// A key that signs what is sent to a subscriber.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// Its row, by which an [`Answer`](crate::Answer) names it; `None` where it is not stored.
    pub secret_id: Option<i32>,
    /// The key.
    pub key: Key,
    /// When it stops signing; `None` while it is not replaced.
    ///
    /// It is never later than the database's clock says, which decides it.
    pub expires_at: Option<Instant>,
}

/// A key, of either kind.
#[derive(Clone, Debug)]
pub enum Key {
    /// A secret, the same on both sides.
    Secret(Secret),
    /// A key pair.
    KeyPair(KeyPair),
}

/// What of a subscriber is opened: its keys, newest first, and its credentials.
pub(super) type Opened = (Vec<SigningKey>, Option<Credentials>);

/// Something that is about to be sealed and stored.
pub(super) struct NewSecret {
    purpose: Purpose,
    bytes: Zeroizing<Vec<u8>>,
    is_legacy: bool,
    public_key: Option<PublicKey>,
    fingerprint: Option<String>,
}

impl Purpose {
    /// Returns the word that is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::KeyPair => "key_pair",
            Self::Credentials => "credentials",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Signing, Self::KeyPair, Self::Credentials]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
    }

    /// Returns what a sealed value is bound to: it opens for this subscriber and this purpose alone.
    fn bound(self, id: i32) -> Vec<u8> {
        let mut owner = owner(id);
        // Secrets were stored before anything else was.
        if self != Self::Signing {
            owner.push(b':');
            owner.extend(self.as_str().bytes());
        }
        owner
    }
}

impl SigningKey {
    /// Returns whether it signs at the time `now`.
    #[must_use]
    pub fn is_live(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// Returns the secret, if it is one.
    #[must_use]
    pub const fn secret(&self) -> Option<&Secret> {
        match &self.key {
            Key::Secret(secret) => Some(secret),
            Key::KeyPair(_) => None,
        }
    }

    /// Returns the key pair, if it is one.
    #[must_use]
    pub const fn key_pair(&self) -> Option<&KeyPair> {
        match &self.key {
            Key::Secret(_) => None,
            Key::KeyPair(pair) => Some(pair),
        }
    }

    /// Returns its [`fingerprint`](crate::secret::fingerprint).
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match &self.key {
            Key::Secret(secret) => secret.fingerprint(),
            Key::KeyPair(pair) => pair.public_key().fingerprint(),
        }
    }
}

impl From<Secret> for SigningKey {
    fn from(secret: Secret) -> Self {
        Self { secret_id: None, key: Key::Secret(secret), expires_at: None }
    }
}

impl From<KeyPair> for SigningKey {
    fn from(pair: KeyPair) -> Self {
        Self { secret_id: None, key: Key::KeyPair(pair), expires_at: None }
    }
}

impl NewSecret {
    /// Seals it for the subscriber `id`, stores it, and returns the id of its row.
    pub(super) async fn store<R: CryptoRng + ?Sized>(
        self,
        conn: &mut PgConnection,
        keyring: &Keyring,
        rng: &mut R,
        id: i32,
    ) -> Result<i32> {
        let sealed = Sealed {
            purpose: self.purpose,
            is_legacy: self.is_legacy,
            bytes: keyring.seal(rng, &self.bytes, &self.purpose.bound(id)),
            public_key: self.public_key,
            fingerprint: self.fingerprint,
        };
        store::add(conn, id, &sealed).await
    }
}

impl From<&Secret> for NewSecret {
    fn from(secret: &Secret) -> Self {
        Self {
            purpose: Purpose::Signing,
            bytes: Zeroizing::new(secret.as_bytes().to_vec()),
            is_legacy: secret.is_legacy(),
            public_key: None,
            // A short one could be guessed from it.
            fingerprint: (!secret.is_legacy()).then(|| secret.fingerprint()),
        }
    }
}

impl From<&KeyPair> for NewSecret {
    fn from(pair: &KeyPair) -> Self {
        Self {
            purpose: Purpose::KeyPair,
            bytes: Zeroizing::new(pair.to_bytes().to_vec()),
            is_legacy: false,
            public_key: Some(pair.public_key()),
            fingerprint: Some(pair.public_key().fingerprint()),
        }
    }
}

impl From<&Credentials> for NewSecret {
    fn from(credentials: &Credentials) -> Self {
        Self {
            purpose: Purpose::Credentials,
            bytes: Zeroizing::new(credentials.as_header().as_bytes().to_vec()),
            is_legacy: false,
            public_key: None,
            fingerprint: None,
        }
    }
}

impl LaneRow {
    /// Opens what is sealed for the subscriber; `began` is a time before it was read.
    pub(super) fn unseal(&self, keyring: Option<&Keyring>, began: Instant) -> Result<Opened> {
        let mut keys = Vec::with_capacity(self.secret_ids.len());
        let mut credentials = None;
        for (index, &secret_id) in self.secret_ids.iter().enumerate() {
            let corrupt =
                |column| Error::Corrupt { table: "secret", column, row: secret_id.to_string() };
            let purpose = self.purposes.get(index).and_then(|purpose| Purpose::parse(purpose));
            let purpose = purpose.ok_or_else(|| corrupt("purpose"))?;
            let bytes = self.unseal_one(keyring, index, purpose)?;
            let key = match purpose {
                Purpose::Signing if self.legacy.get(index) == Some(&true) => {
                    let text = std::str::from_utf8(&bytes).map_err(|_| corrupt("sealed"))?;
                    Key::Secret(Secret::legacy(text)?)
                }
                Purpose::Signing => Key::Secret(Secret::from_bytes(&bytes)?),
                Purpose::KeyPair => Key::KeyPair(KeyPair::from_bytes(&bytes)?),
                Purpose::Credentials => {
                    let stored = Credentials::from_stored(&bytes);
                    credentials = Some(stored.ok_or_else(|| corrupt("sealed"))?);
                    continue;
                }
            };
            let left_ms = self.expires_in_ms.get(index).copied().flatten();
            let left = left_ms.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs()));
            let expires_at = left.map(|left| began + left);
            keys.push(SigningKey { secret_id: Some(secret_id), key, expires_at });
        }
        Ok((keys, credentials))
    }

    fn unseal_one(
        &self,
        keyring: Option<&Keyring>,
        index: usize,
        purpose: Purpose,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let Some(keyring) = keyring else {
            return Err(Error::NoKey { name: self.name.clone() });
        };
        let sealed = self.sealed.get(index).map(Vec::as_slice).unwrap_or_default();
        let owner = self.owners.get(index).copied().unwrap_or(self.subscriber_id);
        keyring
            .open(sealed, &purpose.bound(owner))
            .map_err(|source| Error::Sealed { name: self.name.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_signs_until_it_expires() {
        let now = Instant::now();
        let mut key = SigningKey::from(Secret::from_bytes(&[7; 24]).unwrap());
        assert!(key.is_live(now));
        key.expires_at = Some(now + Duration::from_secs(1));
        assert!(key.is_live(now));
        assert!(!key.is_live(now + Duration::from_secs(1)));
    }

    #[test]
    fn sealed_value_is_bound_to_its_purpose_and_old_ones_stay_as_they_were() {
        let bound = |purpose: Purpose| String::from_utf8(purpose.bound(7)).unwrap();
        assert_eq!(bound(Purpose::Signing), "subscriber:7");
        assert_eq!(bound(Purpose::KeyPair), "subscriber:7:key_pair");
        assert_eq!(bound(Purpose::Credentials), "subscriber:7:credentials");
    }

    #[test]
    fn every_purpose_is_read_back() {
        for purpose in [Purpose::Signing, Purpose::KeyPair, Purpose::Credentials] {
            assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
            assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.as_str());
        }
        assert_eq!(Purpose::parse("other"), None);
    }
}
