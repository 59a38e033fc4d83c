//! Secrets: what signs webhooks and what receivers ask for, and the keys that keep both unreadable at rest.
//!
//! A [`Secret`] signs by `v1`, and a receiver needs the same one; a [`KeyPair`] signs by `v1a`, and a receiver needs only
//! its [`PublicKey`]. Their text forms are those of Standard Webhooks: standard base64 behind `whsec_`, `whsk_` and
//! `whpk_`.
//! [`Credentials`] sign nothing; they are what a receiver wants to see in `authorization`.
//! A [`Keyring`] seals all of them before they are stored, and opens them again; its keys come from the operator.
//! All are wiped from memory when dropped, except for what the signing library derives from a key pair, and `Debug`
//! shows nothing of them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

mod credentials;
mod key_pair;
mod keyring;

pub use self::{
    credentials::{CREDENTIALS_BYTES_MAX, Credentials, CredentialsError},
    key_pair::{KEY_PAIR_PREFIX, KeyPair, PUBLIC_KEY_PREFIX, PublicKey},
    keyring::{KeyId, Keyring, KeyringError},
};

/// What the text form of a signing secret begins with.
pub const PREFIX: &str = "whsec_";

/// The fewest bytes of a signing secret (Standard Webhooks).
pub const BYTES_MIN: usize = 24;

/// The most bytes of a signing secret; Standard Webhooks says 64, and secrets made by Svix have up to 75.
pub const BYTES_MAX: usize = 75;

/// The most bytes of a secret that another system has made.
pub const LEGACY_BYTES_MAX: usize = 1_024;

/// The bytes of a fresh secret: as many as the hash that it keys.
const BYTES_FRESH: usize = 32;

/// What is hashed in front of a key, so that its fingerprint is the hash of nothing else.
const FINGERPRINT_LABEL: &[u8] = b"webhook-key-fingerprint\n";

/// A secret that signs webhooks; never empty, and short only where another system has made it.
///
/// ```
/// use tidings::secret::Secret;
///
/// let secret = Secret::generate(&mut rand::rng());
/// let text = secret.to_text();
/// assert!(text.starts_with("whsec_"));
/// assert_eq!(Secret::parse(&text)?.as_bytes(), secret.as_bytes());
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// # Ok::<(), tidings::secret::SecretError>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    is_legacy: bool,
}

/// A text or bytes that cannot be a signing secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is nothing.
    #[error("the signing secret is empty; leave it out to have one generated")]
    Empty,
    /// It has another beginning than [`PREFIX`].
    #[error(
        "a signing secret begins with {PREFIX}; what follows is the standard base64 of its bytes"
    )]
    Prefix,
    /// What follows the prefix is no standard base64.
    #[error(
        "what follows {PREFIX} is not standard base64 with its padding; was a part of it lost?"
    )]
    Base64,
    /// Too few bytes to be safe, or too many to be read by others.
    #[error("the signing secret has {bytes} bytes, and {BYTES_MIN} to {BYTES_MAX} are needed")]
    Length {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A secret of another system that is too long.
    #[error("the secret has {bytes} bytes, and at most {LEGACY_BYTES_MAX} are allowed")]
    LegacyLength {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A secret of another system, where only Standard Webhooks is spoken.
    #[error(
        "a secret that does not begin with {PREFIX} signs in the profile orchest only; leave it out to have one generated"
    )]
    LegacyProfile,
    /// A text that is no key pair.
    #[error(
        "a key pair begins with {KEY_PAIR_PREFIX}; what follows is the standard base64 of 64 bytes, its seed and its public key, or of the 32 bytes of its seed"
    )]
    KeyPair,
    /// A public key that is not that of the seed before it.
    #[error("the two halves of the key pair do not belong together; was a part of it replaced?")]
    KeyPairHalves,
    /// A text that is no public key.
    #[error(
        "a public key begins with {PUBLIC_KEY_PREFIX}; what follows is the standard base64 of its 32 bytes"
    )]
    PublicKey,
}

/// Returns the fingerprint of a key: the first eight hexadecimal digits of the SHA-256 of
/// `webhook-key-fingerprint`, a line feed and the key.
///
/// The key is the bytes of a [`Secret`], or the 32 bytes of a [`PublicKey`].
/// It names a key among a few, in the answer header `webhook-verified-by` and as the `kid` of a published key.
/// It may be shown: nobody finds a key of 24 bytes from it. It proves nothing.
#[must_use]
pub fn fingerprint(key: &[u8]) -> String {
    let [a, b, c, d, ..]: [u8; 32] =
        Sha256::new().chain_update(FINGERPRINT_LABEL).chain_update(key).finalize().into();
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

impl Secret {
    /// Makes a secret of 32 random bytes.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = Zeroizing::new(vec![0; BYTES_FRESH]);
        rng.fill_bytes(&mut bytes);
        Self { bytes, is_legacy: false }
    }

    /// Reads the text form; white space around it is ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, without quoting it.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        // Strict, because the receiver's library is as well: a text that only we could read would never verify.
        let bytes =
            STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| SecretError::Base64)?;
        Self::from_bytes(&bytes)
    }

    /// Takes the bytes of a secret.
    ///
    /// # Errors
    ///
    /// Their number is not [`BYTES_MIN`] to [`BYTES_MAX`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        match bytes.len() {
            0 => Err(SecretError::Empty),
            BYTES_MIN..=BYTES_MAX => {
                Ok(Self { bytes: Zeroizing::new(bytes.to_vec()), is_legacy: false })
            }
            bytes => Err(SecretError::Length { bytes }),
        }
    }

    /// Takes a secret that another system has made, any text of 1 to [`LEGACY_BYTES_MAX`] bytes, exactly as it is.
    ///
    /// Its bytes are those of the text. It signs in the profile `orchest` only, because it may be short enough to be
    /// guessed; replace it by a fresh one when the receiver can.
    ///
    /// # Errors
    ///
    /// It is empty or too long.
    pub fn legacy(text: &str) -> Result<Self, SecretError> {
        match text.len() {
            0 => Err(SecretError::Empty),
            1..=LEGACY_BYTES_MAX => {
                Ok(Self { bytes: Zeroizing::new(text.as_bytes().to_vec()), is_legacy: true })
            }
            bytes => Err(SecretError::LegacyLength { bytes }),
        }
    }

    /// Returns whether another system has made it, so that it is a text rather than bytes behind [`PREFIX`].
    #[must_use]
    pub const fn is_legacy(&self) -> bool {
        self.is_legacy
    }

    /// Returns the bytes, the key of signatures.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the text form, to be shown once to the subscriber; of a legacy secret, the text that it is.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        if self.is_legacy {
            return Zeroizing::new(String::from_utf8_lossy(&self.bytes).into_owned());
        }
        let mut text =
            Zeroizing::new(String::with_capacity(PREFIX.len() + BYTES_MAX.div_ceil(3) * 4));
        text.push_str(PREFIX);
        STANDARD.encode_string(self.as_bytes(), &mut text);
        text
    }

    /// Returns its [`fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fresh_secrets_have_32_bytes_and_differ() {
        let rng = &mut rand::rng();
        let (a, b) = (Secret::generate(rng), Secret::generate(rng));
        assert_eq!(a.as_bytes().len(), 32);
        assert_ne!(a.as_bytes(), b.as_bytes());
    }

    #[test]
    fn secret_of_the_specification_is_read() {
        let secret = Secret::parse(" whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n").unwrap();
        assert_eq!(secret.as_bytes().len(), 24);
        assert_eq!(*secret.to_text(), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    }

    #[test]
    fn text_that_is_no_secret_is_refused_without_being_quoted() {
        let text = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        let table = [
            (String::new(), SecretError::Empty),
            (" \n".to_owned(), SecretError::Empty),
            ("whsec_".to_owned(), SecretError::Empty),
            ("hunter2".to_owned(), SecretError::Prefix),
            ("whsk_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(), SecretError::Prefix),
            ("WHSEC_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(), SecretError::Prefix),
            ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7o".to_owned(), SecretError::Base64),
            ("whsec_C2FVsBQIhrscChlQIMV-b5sSYspob7oD".to_owned(), SecretError::Base64),
            ("whsec_not base64!".to_owned(), SecretError::Base64),
            (text(1), SecretError::Length { bytes: 1 }),
            (text(23), SecretError::Length { bytes: 23 }),
            (text(76), SecretError::Length { bytes: 76 }),
        ];
        for (text, expected) in table {
            let error = Secret::parse(&text).unwrap_err();
            assert_eq!(error, expected, "{text:?}");
            assert!(text.len() < 8 || !error.to_string().contains(text.trim()), "{error}");
        }
    }

    #[test]
    fn lengths_of_the_specification_and_of_svix_are_taken() {
        for bytes in [24, 32, 64, 75] {
            assert!(Secret::from_bytes(&vec![0; bytes]).is_ok(), "{bytes}");
        }
        assert_eq!(Secret::from_bytes(&[]).unwrap_err(), SecretError::Empty);
    }

    #[test]
    fn secret_of_another_system_is_any_text_but_none() {
        let secret = Secret::legacy("secret").unwrap();
        assert_eq!((secret.as_bytes(), secret.to_text().as_str()), (&b"secret"[..], "secret"));
        assert!(secret.is_legacy() && !Secret::from_bytes(&[7; 24]).unwrap().is_legacy());
        assert_eq!(Secret::legacy(" ").unwrap().as_bytes(), b" ");
        assert_eq!(Secret::legacy("").unwrap_err(), SecretError::Empty);
        let long = "x".repeat(LEGACY_BYTES_MAX + 1);
        assert!(Secret::legacy(&long[1..]).is_ok());
        assert_eq!(Secret::legacy(&long).unwrap_err(), SecretError::LegacyLength { bytes: 1025 });
    }

    #[test]
    fn fingerprint_is_what_anybody_computes_by_its_rule() {
        // printf 'webhook-key-fingerprint\n%s' 'k…k' | sha256sum | cut -c -8, for 24 times the letter.
        let secret = Secret::from_bytes(&[b'k'; 24]).unwrap();
        assert_eq!(secret.fingerprint(), "29581364");
        assert_eq!(fingerprint(&[b'k'; 24]), secret.fingerprint());
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::from_bytes(&[b'x'; 24]).unwrap();
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "Secret(…) Some(\n    Secret(…),\n)"
        );
    }

    proptest! {
        #[test]
        fn text_form_is_read_back(bytes in proptest::collection::vec(any::<u8>(), BYTES_MIN..=BYTES_MAX)) {
            let secret = Secret::from_bytes(&bytes).unwrap();
            let read = Secret::parse(&secret.to_text()).unwrap();
            prop_assert_eq!(read.as_bytes(), &bytes[..]);
        }

        #[test]
        fn any_text_gets_a_verdict(text in ".{0,120}") {
            let _never_panics = Secret::parse(&text);
            if let Ok(secret) = Secret::parse(&format!("whsec_{text}")) {
                prop_assert!((BYTES_MIN..=BYTES_MAX).contains(&secret.as_bytes().len()));
            }
        }
    }
}
