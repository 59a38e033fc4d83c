//! The keys that verify: a secret shared with the sender, or the sender's public key.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{digest, hmac, signature};

/// What the text form of a shared secret begins with.
pub const SECRET_PREFIX: &str = "whsec_";

/// What the text form of a public key begins with.
pub const PUBLIC_PREFIX: &str = "whpk_";

/// What the text form of a private key begins with, which belongs to the sender alone.
const PRIVATE_PREFIX: &str = "whsk_";

/// The fewest bytes of a shared secret (Standard Webhooks).
pub const SECRET_BYTES_MIN: usize = 24;

/// The most bytes of a shared secret; Standard Webhooks says 64, and secrets made by Svix have up to 75.
pub const SECRET_BYTES_MAX: usize = 75;

/// The bytes of an Ed25519 public key.
pub const PUBLIC_BYTES: usize = 32;

/// What a fingerprint is taken of, before the key's bytes: the same hash means something else elsewhere.
const FINGERPRINT_CONTEXT: &[u8] = b"webhook-key-fingerprint\n";

/// A key that verifies signatures; `Debug` shows its fingerprint alone.
#[derive(Clone)]
pub struct Key {
    pub(crate) material: Material,
    fingerprint: Fingerprint,
}

#[derive(Clone)]
pub(crate) enum Material {
    /// Verifies `v1`: HMAC-SHA256.
    Secret(hmac::Key),
    /// Verifies `v1a`: Ed25519.
    Public(signature::UnparsedPublicKey<[u8; PUBLIC_BYTES]>),
}

/// The name of a key that may be shown: the first 8 hexadecimal digits of a hash of it.
///
/// That is `SHA-256("webhook-key-fingerprint\n" || key)`, where the key is the bytes of the shared secret, or the 32 bytes
/// of the public key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(u32);

/// A text that is no key to verify with. No variant quotes it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It begins like none of the keys that verify.
    #[error(
        "a key to verify with begins with {SECRET_PREFIX} (shared secret) or {PUBLIC_PREFIX} (public key); copy the whole of what the sender shows"
    )]
    Prefix,
    /// It is the private key of a sender.
    #[error(
        "{PRIVATE_PREFIX} begins a private key, which belongs to the sender alone: ask for the public key ({PUBLIC_PREFIX}), and for a new pair, because this one has been shared"
    )]
    Private,
    /// What follows the prefix is no standard base64.
    #[error(
        "what follows the prefix is not standard base64 with its padding; was a part of it lost?"
    )]
    Base64,
    /// Too few bytes for a shared secret to be safe, or too many to be read by others.
    #[error(
        "the shared secret has {bytes} bytes, and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} are needed"
    )]
    SecretLength {
        /// How many bytes it has.
        bytes: usize,
    },
    /// No Ed25519 public key has that many bytes.
    #[error("the public key has {bytes} bytes, and an Ed25519 public key has {PUBLIC_BYTES}")]
    PublicLength {
        /// How many bytes it has.
        bytes: usize,
    },
    /// The text is no JSON Web Key Set.
    #[error(
        "the document is not a JSON Web Key Set: it needs the form {{\"keys\": [{{\"kty\": …}}]}}"
    )]
    Document,
    /// The key set has no Ed25519 key for signatures, or there are no keys at all.
    #[error(
        "there is no key to verify with: give at least one shared secret or Ed25519 public key"
    )]
    NoKey,
}

impl Key {
    /// Reads the text form, `whsec_…` or `whpk_…`; white space around it is ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, without quoting it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if let Some(encoded) = text.strip_prefix(SECRET_PREFIX) {
            return Self::secret(&decode(encoded)?);
        }
        if let Some(encoded) = text.strip_prefix(PUBLIC_PREFIX) {
            return Self::public(&decode(encoded)?);
        }
        Err(if text.starts_with(PRIVATE_PREFIX) { KeyError::Private } else { KeyError::Prefix })
    }

    /// Takes the bytes of a shared secret.
    ///
    /// # Errors
    ///
    /// Their number is not [`SECRET_BYTES_MIN`] to [`SECRET_BYTES_MAX`].
    pub fn secret(bytes: &[u8]) -> Result<Self, KeyError> {
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(KeyError::SecretLength { bytes: bytes.len() });
        }
        let material = Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes));
        Ok(Self { material, fingerprint: Fingerprint::of(bytes) })
    }

    /// Takes the bytes of an Ed25519 public key.
    ///
    /// # Errors
    ///
    /// Their number is not [`PUBLIC_BYTES`]. Whether they are a point of the curve shows when a signature is checked.
    pub fn public(bytes: &[u8]) -> Result<Self, KeyError> {
        let point = <[u8; PUBLIC_BYTES]>::try_from(bytes)
            .map_err(|_| KeyError::PublicLength { bytes: bytes.len() })?;
        let key = signature::UnparsedPublicKey::new(&signature::ED25519, point);
        Ok(Self { material: Material::Public(key), fingerprint: Fingerprint::of(bytes) })
    }

    /// Returns the name of the key that may be shown.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the version of the signatures that the key verifies: `v1` or `v1a`.
    pub const fn version(&self) -> &'static str {
        match self.material {
            Material::Secret(_) => "v1",
            Material::Public(_) => "v1a",
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.version(), self.fingerprint)
    }
}

impl Fingerprint {
    fn of(key: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(FINGERPRINT_CONTEXT);
        context.update(key);
        let first = context.finish().as_ref().iter().take(4).copied().collect::<Vec<_>>();
        Self(first.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

fn decode(encoded: &str) -> Result<Vec<u8>, KeyError> {
    // Strict, like the libraries of other languages: what only we could read would verify nowhere else.
    STANDARD.decode(encoded).map_err(|_| KeyError::Base64)
}

#[cfg(test)]
mod tests;
