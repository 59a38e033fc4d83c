//! The keys under which values are hashed.
//!
//! A hash without a key can be undone by trying all names; a hash under a key that an installation keeps to itself
//! cannot.
//! Keys are rotated: new hashes are made under the current key, and the retired ones are kept for as long as someone's
//! earlier hashes may have to be found again.

use std::{
    fmt::{self, Write},
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The shortest secret; half of what HMAC-SHA256 can use, and beyond any search.
const SECRET_BYTES_MIN: usize = 16;

/// The longest key id, so that a hash stays short.
const ID_BYTES_MAX: usize = 32;

/// How much of the 32 bytes is kept: 16 are enough against collisions, and say less about the key.
const HASH_BYTES: usize = 16;

/// The keys of this process; there are none until someone installs them.
static INSTALLED: RwLock<Option<Arc<HashKeys>>> = RwLock::new(None);

/// A secret with a name.
///
/// The secret is wiped from memory when the key is dropped, and never printed.
#[derive(Clone)]
pub struct HashKey {
    id: String,
    secret: Zeroizing<Vec<u8>>,
}

impl HashKey {
    /// Returns the key `id`: up to 32 lower-case letters, digits and hyphens.
    ///
    /// The secret has at least 16 bytes, drawn at random.
    ///
    /// # Errors
    ///
    /// An id of another form, or a shorter secret.
    pub fn new(id: impl Into<String>, secret: impl Into<Vec<u8>>) -> Result<Self, HashKeyError> {
        let (id, secret) = (id.into(), Zeroizing::new(secret.into()));
        let is_part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(is_part) {
            return Err(HashKeyError::Id { id });
        }
        if secret.len() < SECRET_BYTES_MIN {
            return Err(HashKeyError::Secret { id, bytes: secret.len() });
        }
        Ok(Self { id, secret })
    }

    /// Returns the name, which stands before each hash.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns `<key id>:<hash>` of `value` as it is displayed.
    ///
    /// The same value gives the same hash, whatever its type: a UUID and its text, for example.
    /// `None` is a value that fails to be displayed.
    fn hash(&self, value: &dyn fmt::Display) -> Option<String> {
        let mut mac = Writer(Hmac::<Sha256>::new_from_slice(&self.secret).ok()?);
        write!(mac, "{value}").ok()?;
        let digest = mac.0.finalize().into_bytes();
        let hash = BASE64_URL_SAFE_NO_PAD.encode(digest.get(..HASH_BYTES)?);
        Some(format!("{}:{hash}", self.id))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The current key, and those that it has replaced.
#[derive(Clone, Debug)]
pub struct HashKeys {
    current: HashKey,
    retired: Vec<HashKey>,
}

impl HashKeys {
    /// Returns a ring of one key.
    pub const fn new(current: HashKey) -> Self {
        Self { current, retired: Vec::new() }
    }

    /// Returns the ring with `key` as the current one; the one before is retired, not forgotten.
    ///
    /// A key whose id is in the ring takes the place of its namesake.
    #[must_use]
    pub fn rotate(mut self, key: HashKey) -> Self {
        self.retired.insert(0, std::mem::replace(&mut self.current, key));
        self.retired.retain(|retired| retired.id != self.current.id);
        self
    }

    /// Makes these the keys of the process, in the place of those that were installed before.
    ///
    /// It may be called at any time; a hash is made under either the old keys or the new ones.
    pub fn install(self) {
        *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(self));
    }

    /// Takes the keys of the process away, so that hashed values are left out from now on.
    pub fn uninstall() {
        *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the keys of the process, or `None` where none are installed.
    pub fn installed() -> Option<Arc<Self>> {
        INSTALLED.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the hash of `value` under the current key, as `<key id>:<hash>`.
    pub fn hash(&self, value: &dyn fmt::Display) -> Option<String> {
        self.current.hash(value)
    }

    /// Returns every hash under which `value` may have left, newest key first.
    ///
    /// It is what finds the traces of a person who asks to be forgotten.
    pub fn hashes(&self, value: &dyn fmt::Display) -> Vec<String> {
        let keys = std::iter::once(&self.current).chain(&self.retired);
        keys.filter_map(|key| key.hash(value)).collect()
    }
}

/// A key that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HashKeyError {
    /// The id has another form.
    #[error(
        "`{id}` is not the id of a hash key: write 1 to {ID_BYTES_MAX} of a-z, 0-9 and hyphen, `2026-01` for example"
    )]
    Id {
        /// What was given.
        id: String,
    },
    /// The secret can be guessed.
    #[error(
        "the secret of hash key `{id}` has {bytes} bytes: draw at least {SECRET_BYTES_MIN} at random"
    )]
    Secret {
        /// Which key.
        id: String,
        /// How long its secret is.
        bytes: usize,
    },
}

/// Feeds text to the hash as it is written, so that no copy of it is made.
struct Writer(Hmac<Sha256>);

impl Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, secret: u8) -> HashKey {
        HashKey::new(id, vec![secret; 32]).unwrap()
    }

    #[test]
    fn hash_is_the_first_half_of_hmac_sha256() {
        // RFC 4231, test case 1: key 20 times 0b, data "Hi There".
        let key = HashKey::new("k1", vec![0x0b; 20]).unwrap();
        let digest = [
            0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b,
            0xf1, 0x2b,
        ];
        let expected = format!("k1:{}", BASE64_URL_SAFE_NO_PAD.encode(digest));
        assert_eq!(HashKeys::new(key).hash(&"Hi There"), Some(expected));
    }

    #[test]
    fn other_key_gives_another_hash() {
        let (one, two) = (HashKeys::new(key("k", 1)), HashKeys::new(key("k", 2)));
        assert_eq!(one.hash(&"ada"), one.hash(&"ada"));
        assert_ne!(one.hash(&"ada"), one.hash(&"grace"));
        assert_ne!(one.hash(&"ada"), two.hash(&"ada"));
    }

    #[test]
    fn earlier_hash_is_found_again_after_a_rotation() {
        let before = HashKeys::new(key("2025", 1));
        let old_hash = before.hash(&"ada");
        let after = before.rotate(key("2026", 2));
        assert_ne!(after.hash(&"ada"), old_hash);
        assert_eq!(after.hashes(&"ada"), [after.hash(&"ada"), old_hash].map(Option::unwrap));
    }

    #[test]
    fn key_of_the_same_id_takes_the_place_of_its_namesake() {
        let keys = HashKeys::new(key("a", 1)).rotate(key("b", 2)).rotate(key("a", 3));
        assert_eq!(keys.hashes(&"ada").len(), 2);
    }

    #[test]
    fn unfit_key_is_refused_with_a_reason() {
        let cases = [
            (HashKey::new("", vec![0; 32]), "`` is not the id of a hash key"),
            (HashKey::new("Key 1", vec![0; 32]), "`Key 1` is not the id of a hash key"),
            (HashKey::new("k:1", vec![0; 32]), "`k:1` is not the id of a hash key"),
            (HashKey::new("k1", vec![0; 15]), "the secret of hash key `k1` has 15 bytes"),
        ];
        for (key, reason) in cases {
            assert!(key.unwrap_err().to_string().starts_with(reason), "{reason}");
        }
    }

    #[test]
    fn secret_is_never_printed() {
        let printed = format!("{:?}", HashKeys::new(key("k1", 42)));
        assert_eq!(printed, r#"HashKeys { current: HashKey { id: "k1", .. }, retired: [] }"#);
    }
}
