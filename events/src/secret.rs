//! Secrets: what signs webhooks, and the keys that keep it unreadable at rest.
//!
//! A [`Secret`] signs; its text form is that of Standard Webhooks, `whsec_` and standard base64.
//! A [`Keyring`] seals secrets before they are stored, and opens them again; its keys come from the operator.
//! Both are wiped from memory when dropped, and `Debug` shows nothing of them.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::CryptoRng;
use zeroize::Zeroizing;

mod keyring;

pub use self::keyring::{KeyId, Keyring, KeyringError};

/// What the text form of a signing secret begins with.
pub const PREFIX: &str = "whsec_";

/// The fewest bytes of a signing secret (Standard Webhooks).
pub const BYTES_MIN: usize = 24;

/// The most bytes of a signing secret; Standard Webhooks says 64, and secrets made by Svix have up to 75.
pub const BYTES_MAX: usize = 75;

/// The bytes of a fresh secret: as many as the hash that it keys.
const BYTES_FRESH: usize = 32;

/// A secret that signs webhooks; never empty, never short.
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
pub struct Secret(Zeroizing<Vec<u8>>);

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
}

impl Secret {
    /// Makes a secret of 32 random bytes.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = Zeroizing::new(vec![0; BYTES_FRESH]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
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
            BYTES_MIN..=BYTES_MAX => Ok(Self(Zeroizing::new(bytes.to_vec()))),
            bytes => Err(SecretError::Length { bytes }),
        }
    }

    /// Returns the bytes, the key of signatures.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text form, to be shown once to the subscriber.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text =
            Zeroizing::new(String::with_capacity(PREFIX.len() + BYTES_MAX.div_ceil(3) * 4));
        text.push_str(PREFIX);
        STANDARD.encode_string(self.as_bytes(), &mut text);
        text
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
