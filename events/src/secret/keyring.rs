//! The keys under which secrets are stored.
//!
//! A sealed value names its key, so that keys can be changed while values under the old one are still there:
//! the first key of the ring seals, and all of them open.
//! What is sealed is bound to its owner: the caller gives bytes that say whose it is, and a value that was moved to
//! another owner does not open.
//!
//! ```text
//! version (1) │ key id (4) │ nonce (24) │ XChaCha20-Poly1305 of the value (its length + 16)
//! ```
//!
//! Version and key id are authenticated with the owner. The nonce is random, and long enough for that.

use std::{fmt, iter};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The only version of the stored form so far.
const VERSION: u8 = 1;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KeyId::BYTES;

/// The keys that seal and open stored secrets.
///
/// The text form is a list with commas; each part is the standard base64 of 32 bytes, optionally behind its key id
/// and a colon: `1a2b3c4d:q83v…=,eHl6…=`.
/// To change keys, put the new one in front and keep the old one until nothing is sealed under it any more.
///
/// ```
/// use tidings::secret::Keyring;
///
/// let rng = &mut rand::rng();
/// let keyring = Keyring::generate(rng);
/// let sealed = keyring.seal(rng, b"value", b"subscriber 7");
/// assert_eq!(*keyring.open(&sealed, b"subscriber 7")?, b"value");
/// assert!(keyring.open(&sealed, b"subscriber 8").is_err());
/// # Ok::<(), tidings::secret::KeyringError>(())
/// ```
#[derive(Clone)]
pub struct Keyring {
    /// The key that seals.
    current: Key,
    /// The keys that only open; no two of the ring share an id.
    older: Vec<Key>,
}

/// The public name of a key: the first four bytes of its SHA-256, shown in hexadecimal.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct KeyId([u8; Self::BYTES]);

#[derive(Clone)]
struct Key {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// A key ring that cannot be read, or a value that it cannot open.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is no key in the text.
    #[error("read the encryption keys: there is none; give the base64 of 32 random bytes")]
    NoKey,
    /// A part of the text is no key.
    #[error("read the encryption keys: key number {number} is not the standard base64 of 32 bytes")]
    BadKey {
        /// Its place in the list, from one.
        number: usize,
    },
    /// A key stands behind the id of another one.
    #[error(
        "read the encryption keys: the id in front of key number {number} is not that of the key, which is {id}; was \
         a part of it lost?"
    )]
    OtherId {
        /// Its place in the list, from one.
        number: usize,
        /// The id of the bytes that were given.
        id: KeyId,
    },
    /// A key is given twice.
    #[error("read the encryption keys: key {id} is given twice; remove one of them")]
    Twice {
        /// The id that both have.
        id: KeyId,
    },
    /// The stored value is not in a form that this version knows.
    #[error(
        "open a stored secret: its form is unknown; it was stored by a newer version of this program, or damaged"
    )]
    UnknownForm,
    /// The value was sealed under a key that the ring does not have.
    #[error(
        "open a stored secret: it is sealed under key {id}, which is not given; add that key behind the current one"
    )]
    UnknownKey {
        /// The key that is missing.
        id: KeyId,
    },
    /// The value was changed, or belongs to another owner.
    #[error(
        "open a stored secret: it is sealed under key {id}, but was changed or belongs to another subscriber; rotate \
         the subscriber's secret"
    )]
    Tampered {
        /// The key under which it claims to be sealed.
        id: KeyId,
    },
}

impl Keyring {
    /// Makes a key ring of one random key.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rng.fill_bytes(&mut *bytes);
        Self { current: Key::new(bytes), older: Vec::new() }
    }

    /// Reads the text form; white space around keys is ignored.
    ///
    /// # Errors
    ///
    /// The first part that is no key, without quoting it.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keys: Vec<Key> = Vec::new();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        for (number, part) in (1..).zip(parts) {
            let key = Key::parse(number, part)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyringError::Twice { id: key.id });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(KeyringError::NoKey)?;
        Ok(Self { current, older: keys.collect() })
    }

    /// Returns the text form, with key ids, to be stored where only the operator can read it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for all, so that no half of it stays behind in memory: id, colon, 44 characters, comma.
        let mut text = Zeroizing::new(String::with_capacity((1 + self.older.len()) * 54));
        for key in self.keys() {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&key.id.to_string());
            text.push(':');
            STANDARD.encode_string(*key.bytes, &mut text);
        }
        text
    }

    /// Returns the id of the key that seals.
    #[must_use]
    pub fn current(&self) -> KeyId {
        self.current.id
    }

    /// Returns whether the ring has the key of this id.
    #[must_use]
    pub fn holds(&self, id: KeyId) -> bool {
        self.keys().any(|key| key.id == id)
    }

    /// Seals `value` under the first key, bound to `owner`.
    ///
    /// # Panics
    ///
    /// The value has 256 GiB or more.
    #[must_use]
    pub fn seal<R: CryptoRng + ?Sized>(&self, rng: &mut R, value: &[u8], owner: &[u8]) -> Vec<u8> {
        let key = &self.current;
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let header = header(key.id);
        let bound = bound(header, owner);
        #[expect(clippy::expect_used, reason = "the cipher refuses values of 256 GiB only")]
        let sealed = key
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: &bound })
            .expect("a secret is short");
        [&header[..], &nonce, &sealed].concat()
    }

    /// Opens what [`seal`](Self::seal) has made, for the same `owner`.
    ///
    /// # Errors
    ///
    /// The key is not in the ring, the value was changed or belongs to another owner, or its form is unknown.
    pub fn open(&self, sealed: &[u8], owner: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let id = KeyId::of_sealed(sealed).ok_or(KeyringError::UnknownForm)?;
        let (nonce, ciphertext) = sealed[HEADER_BYTES..]
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(KeyringError::UnknownForm)?;
        let key = self.keys().find(|key| key.id == id).ok_or(KeyringError::UnknownKey { id })?;
        let bound = bound(header(id), owner);
        key.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &bound })
            .map(Zeroizing::new)
            .map_err(|_| KeyringError::Tampered { id })
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        iter::once(&self.current).chain(&self.older)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")?;
        f.debug_list().entries(self.keys().map(|key| key.id)).finish()
    }
}

impl KeyId {
    const BYTES: usize = 4;

    /// Returns the id of the key under which `sealed` is sealed, or `None` if its form is unknown.
    ///
    /// A value whose key is not [`Keyring::current`] is due to be sealed again.
    #[must_use]
    pub fn of_sealed(sealed: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = sealed.split_first()? else { return None };
        rest.first_chunk().copied().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Key {
    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(*bytes).into();
        Self { id: KeyId([a, b, c, d]), bytes }
    }

    fn parse(number: usize, text: &str) -> Result<Self, KeyringError> {
        let (id, encoded) = match text.split_once(':') {
            Some((id, encoded)) => (Some(id.trim()), encoded.trim()),
            None => (None, text),
        };
        let bad = KeyringError::BadKey { number };
        let decoded = STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| bad.clone())?;
        let bytes = <[u8; KEY_BYTES]>::try_from(decoded.as_slice()).map_err(|_| bad)?;
        let key = Self::new(Zeroizing::new(bytes));
        match id {
            Some(id) if !id.eq_ignore_ascii_case(&key.id.to_string()) => {
                Err(KeyringError::OtherId { number, id: key.id })
            }
            _ => Ok(key),
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

fn header(KeyId([a, b, c, d]): KeyId) -> [u8; HEADER_BYTES] {
    [VERSION, a, b, c, d]
}

/// Returns what is authenticated beside the value; the header's length is fixed, so no two pairs give the same bytes.
fn bound(header: [u8; HEADER_BYTES], owner: &[u8]) -> Vec<u8> {
    [&header[..], owner].concat()
}

#[cfg(test)]
mod tests;
