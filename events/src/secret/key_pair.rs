//! Key pairs: what signs by `v1a` (Ed25519), and what anybody may know to verify it.

use std::{fmt, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rand::CryptoRng;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{SecretError, fingerprint};

/// What the text form of a key pair begins with.
pub const KEY_PAIR_PREFIX: &str = "whsk_";

/// What the text form of a public key begins with.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";

const SEED_BYTES: usize = 32;

/// The bytes of a public key.
const PUBLIC_BYTES: usize = 32;

/// An Ed25519 key pair that signs webhooks.
///
/// Its text form is `whsk_` and the standard base64 of its seed and its public key, 64 bytes; 32 bytes, the seed alone,
/// are read as well, because both are in use.
///
/// ```
/// use tidings::secret::KeyPair;
///
/// let pair = KeyPair::generate(&mut rand::rng());
/// assert!(pair.to_text().starts_with("whsk_"));
/// assert!(pair.public_key().to_text().starts_with("whpk_"));
/// assert_eq!(KeyPair::parse(&pair.to_text())?.public_key(), pair.public_key());
/// assert_eq!(format!("{pair:?}"), "KeyPair(…)");
/// # Ok::<(), tidings::secret::SecretError>(())
/// ```
#[derive(Clone)]
pub struct KeyPair {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    public_key: PublicKey,
    // Made once, because it costs about as much as a signature.
    signing: Arc<Ed25519KeyPair>,
}

/// The public half of a [`KeyPair`]; it verifies and cannot sign.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct PublicKey([u8; PUBLIC_BYTES]);

impl KeyPair {
    /// Makes a key pair of a random seed.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(seed)
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
        let encoded = text.strip_prefix(KEY_PAIR_PREFIX).ok_or(SecretError::KeyPair)?;
        let bytes =
            STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| SecretError::KeyPair)?;
        Self::from_bytes(&bytes)
    }

    /// Takes the bytes of a seed, or of a seed and its public key.
    ///
    /// # Errors
    ///
    /// Their number is neither 32 nor 64, or the public key is not that of the seed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let (seed, public_key) = bytes.split_first_chunk().ok_or(SecretError::KeyPair)?;
        let pair = Self::from_seed(Zeroizing::new(*seed));
        match public_key.len() {
            0 => Ok(pair),
            PUBLIC_BYTES if public_key == pair.public_key.as_bytes() => Ok(pair),
            PUBLIC_BYTES => Err(SecretError::KeyPairHalves),
            _ => Err(SecretError::KeyPair),
        }
    }

    fn from_seed(seed: Zeroizing<[u8; SEED_BYTES]>) -> Self {
        #[expect(clippy::expect_used, reason = "a seed is refused for its length only")]
        let signing = Ed25519KeyPair::from_seed_unchecked(&*seed).expect("a seed has 32 bytes");
        let mut public_key = [0; PUBLIC_BYTES];
        public_key.copy_from_slice(signing.public_key().as_ref());
        Self { seed, public_key: PublicKey(public_key), signing: Arc::new(signing) }
    }

    /// Returns the public half, to be given to receivers.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Returns the signature of `message`, which is always the same (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.signing.sign(message).as_ref());
        signature
    }

    /// Returns the seed and the public key.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; SEED_BYTES + PUBLIC_BYTES]> {
        let mut bytes = Zeroizing::new([0; SEED_BYTES + PUBLIC_BYTES]);
        bytes[..SEED_BYTES].copy_from_slice(&*self.seed);
        bytes[SEED_BYTES..].copy_from_slice(self.public_key.as_bytes());
        bytes
    }

    /// Returns the text form; whoever has it can sign.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for all, so that no half of it stays behind in memory.
        let mut text = Zeroizing::new(String::with_capacity(KEY_PAIR_PREFIX.len() + 88));
        text.push_str(KEY_PAIR_PREFIX);
        STANDARD.encode_string(*self.to_bytes(), &mut text);
        text
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(…)")
    }
}

impl PublicKey {
    /// Reads the text form; white space around it is ignored.
    ///
    /// # Errors
    ///
    /// It is no public key.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(PUBLIC_KEY_PREFIX).ok_or(SecretError::PublicKey)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::PublicKey)?;
        Self::from_bytes(&bytes)
    }

    /// Takes the bytes of a public key.
    ///
    /// # Errors
    ///
    /// There are not 32 of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        bytes.try_into().map(Self).map_err(|_| SecretError::PublicKey)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_BYTES] {
        &self.0
    }

    /// Returns the text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{PUBLIC_KEY_PREFIX}{}", STANDARD.encode(self.0))
    }

    /// Returns its [`fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0)
    }

    /// Returns the key as a JSON Web Key (RFC 7517, RFC 8037); its `kid` is its fingerprint.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": self.fingerprint(),
            "x": URL_SAFE_NO_PAD.encode(self.0),
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// The key of RFC 8037, appendix A.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn pair() -> KeyPair {
        KeyPair::parse(&format!("whsk_{SEED}")).unwrap()
    }

    #[test]
    fn public_half_of_the_specification_is_found_and_published() {
        let jwk = pair().public_key().to_jwk();
        assert_eq!(
            jwk,
            json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": X,
                "kid": fingerprint(pair().public_key().as_bytes()),
            })
        );
    }

    #[test]
    fn signature_of_the_specification_is_made() {
        // RFC 8037, appendix A.4.
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(pair().sign(message)),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn both_forms_of_a_key_pair_are_read_and_the_long_one_is_written() {
        let long = pair().to_text();
        assert_eq!(long.len(), KEY_PAIR_PREFIX.len() + 88);
        assert_eq!(KeyPair::parse(&format!(" {}\n", *long)).unwrap().to_bytes(), pair().to_bytes());
    }

    #[test]
    fn text_that_is_no_key_pair_is_refused_without_being_quoted() {
        let text = |bytes: &[u8]| format!("whsk_{}", STANDARD.encode(bytes));
        let mut halves = *pair().to_bytes();
        halves[40] ^= 1;
        for (text, expected) in [
            (String::new(), SecretError::Empty),
            (format!("whsec_{SEED}"), SecretError::KeyPair),
            ("whsk_".to_owned(), SecretError::KeyPair),
            (format!("whsk_{}", &SEED[1..]), SecretError::KeyPair),
            (text(&[7; 31]), SecretError::KeyPair),
            (text(&[7; 33]), SecretError::KeyPair),
            (text(&[7; 65]), SecretError::KeyPair),
            (text(&halves), SecretError::KeyPairHalves),
        ] {
            let error = KeyPair::parse(&text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(text.len() < 8 || !error.to_string().contains(&text), "{error}");
        }
        for text in ["", "whpk_", "whsk_AAAA", "whpk_AAAA"] {
            assert_eq!(PublicKey::parse(text).unwrap_err(), SecretError::PublicKey, "{text}");
        }
    }

    #[test]
    fn debug_shows_no_seed() {
        let debug = format!("{:?} {:?}", pair(), pair().public_key());
        assert_eq!(debug, format!("KeyPair(…) {}", pair().public_key().to_text()));
    }

    proptest! {
        #[test]
        fn text_forms_are_read_back_and_signatures_verify(seed in any::<[u8; 32]>(), message in ".{0,200}") {
            let pair = KeyPair::from_bytes(&seed).unwrap();
            let read = KeyPair::parse(&pair.to_text()).unwrap();
            prop_assert_eq!(read.to_bytes(), pair.to_bytes());
            let public_key = PublicKey::parse(&pair.public_key().to_text()).unwrap();
            prop_assert_eq!(public_key, pair.public_key());
            let signature = pair.sign(message.as_bytes());
            let theirs = UnparsedPublicKey::new(&ED25519, public_key.as_bytes());
            prop_assert!(theirs.verify(message.as_bytes(), &signature).is_ok());
        }
    }
}
