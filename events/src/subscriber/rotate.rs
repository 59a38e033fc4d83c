//! Rotation: a new key signs beside the old ones for a while, so that receivers can follow in their own time.
//!
//! ```text
//! old key  ──────────signs──────────┤ expires, by the database's clock
//! new key              ├────signs────────────────────────▶
//!                 rotation  overlap
//! ```
//!
//! Signatures of all keys that sign stand in one header, and a receiver accepts a request that one of them verifies.

use std::{fmt, time::Duration};

use rand::CryptoRng;
use serde::{Serialize, Serializer};
use sqlx::{PgConnection, PgTransaction};
use zeroize::Zeroizing;

use super::{Key, Purpose, SYSTEM_LANE, WEBHOOK, key::NewSecret};
use crate::{
    Error, Result,
    endpoint::{Config, Profile},
    secret::{KeyPair, Keyring, Secret, SecretError},
    store::secret as store,
};

/// How long old keys go on signing where nobody says otherwise.
pub const OVERLAP_DEFAULT: Duration = Duration::from_hours(24);

/// The longest that old keys go on signing.
pub const OVERLAP_MAX: Duration = Duration::from_hours(30 * 24);

/// How many old keys of one kind sign beside the new one at most; their signatures share one header.
pub const OLD_KEYS_MAX: i64 = 10;

/// What a rotation is to do.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rotation {
    /// The kind of key that is replaced, and the new one; without one, a fresh one is made.
    pub new: NewKey,
    /// How long the old keys of that kind go on signing, zero to [`OVERLAP_MAX`].
    ///
    /// Those that are to stop sooner already are left at that. Zero ends all of them at once.
    pub overlap: Duration,
}

/// A key that takes the place of others.
#[derive(Clone, Debug)]
pub enum NewKey {
    /// A secret.
    Secret(Option<Secret>),
    /// A key pair.
    KeyPair(Option<KeyPair>),
}

/// A key that has been replaced, in a transaction that has yet to commit.
#[derive(Serialize)]
pub struct Rotated {
    /// The row of the new key.
    pub secret_id: i32,
    /// The secret that was generated, in its text form `whsec_…`; `None` where it was given, and of a key pair, which
    /// nobody needs to have but the workers.
    ///
    /// It is shown here and never again, so it has to be handed to the subscriber now.
    #[serde(serialize_with = "write_secret")]
    pub secret: Option<Zeroizing<String>>,
    /// The public half of the new key pair in its text form `whpk_…`; `None` of a secret.
    pub public_key: Option<String>,
    /// How many old keys of the kind go on signing for the overlap or less.
    pub old_keys: i64,
}

impl Rotation {
    /// Returns the rotation to a fresh secret, with the usual overlap.
    pub const fn secret() -> Self {
        Self { new: NewKey::Secret(None), overlap: OVERLAP_DEFAULT }
    }

    /// Returns the rotation to a fresh key pair, with the usual overlap.
    pub const fn key_pair() -> Self {
        Self { new: NewKey::KeyPair(None), overlap: OVERLAP_DEFAULT }
    }

    /// Sets how long the old keys go on signing.
    pub const fn overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }
}

impl From<Secret> for Rotation {
    fn from(secret: Secret) -> Self {
        Self { new: NewKey::Secret(Some(secret)), overlap: OVERLAP_DEFAULT }
    }
}

impl From<KeyPair> for Rotation {
    fn from(pair: KeyPair) -> Self {
        Self { new: NewKey::KeyPair(Some(pair)), overlap: OVERLAP_DEFAULT }
    }
}

impl fmt::Debug for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotated")
            .field("secret_id", &self.secret_id)
            .field("secret", &self.secret.as_ref().map(|_| "…"))
            .field("public_key", &self.public_key)
            .field("old_keys", &self.old_keys)
            .finish()
    }
}

/// Gives a subscriber a new secret or key pair, and says when its old ones of that kind stop signing.
///
/// The owner of the lane signs with the new one within a second or so of the commit, and with an old one until it
/// expires by the database's clock, also if it sees no change until then.
/// Keys that have expired are removed here and by maintenance.
/// The first key pair of a subscriber takes over at once from those of the installation.
/// In the profile `orchest`, whose header holds one signature, the newest secret signs at once, whatever the overlap.
///
/// # Errors
///
/// There is no such subscriber, an overlap out of its range, more than [`OLD_KEYS_MAX`] old keys, a secret of another
/// system where only Standard Webhooks is spoken, or no key to seal it with; the transaction stays usable.
/// A database that does not answer; the transaction is lost.
pub async fn rotate<R: CryptoRng + ?Sized>(
    tx: &mut PgTransaction<'_>,
    keyring: Option<&Keyring>,
    rng: &mut R,
    id: i32,
    rotation: Rotation,
) -> Result<Rotated> {
    if id == SYSTEM_LANE {
        return Err(Error::NoSuchSubscriber { subscriber_id: id });
    }
    replace(tx, keyring, rng, id, rotation).await
}

/// Gives the installation a new key pair, or its first one; it signs for every subscriber that asks for `v1a` and has no
/// key pair of its own.
///
/// Otherwise it is [`rotate`].
///
/// # Errors
///
/// Those of [`rotate`].
pub async fn rotate_installation<R: CryptoRng + ?Sized>(
    tx: &mut PgTransaction<'_>,
    keyring: Option<&Keyring>,
    rng: &mut R,
    new: Option<KeyPair>,
    overlap: Duration,
) -> Result<Rotated> {
    let rotation = Rotation { new: NewKey::KeyPair(new), overlap };
    replace(tx, keyring, rng, SYSTEM_LANE, rotation).await
}

async fn replace<R: CryptoRng + ?Sized>(
    conn: &mut PgConnection,
    keyring: Option<&Keyring>,
    rng: &mut R,
    id: i32,
    Rotation { new, overlap }: Rotation,
) -> Result<Rotated> {
    if overlap > OVERLAP_MAX {
        let value = format!("{} s", overlap.as_secs());
        return Err(Error::OutOfRange { field: "overlap", value, allowed: "0 to 30 days" });
    }
    let Some(holder) = store::lock(conn, id).await? else {
        return Err(Error::NoSuchSubscriber { subscriber_id: id });
    };
    let (purpose, given) = match new {
        NewKey::Secret(given) => (Purpose::Signing, given.map(Key::Secret)),
        NewKey::KeyPair(given) => (Purpose::KeyPair, given.map(Key::KeyPair)),
    };
    if let Some(Key::Secret(secret)) = &given
        && holder.kind == WEBHOOK
    {
        check_secret(secret, &Config::read(&holder.config)?)?;
    }
    let Some(keyring) = keyring else {
        return Err(Error::NoSealingKey { name: holder.name });
    };
    let old_keys = store::count(conn, id, purpose).await?;
    if old_keys > OLD_KEYS_MAX && !overlap.is_zero() {
        return Err(Error::TooManyKeys { name: holder.name });
    }
    let overlap_ms = i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX);
    store::retire(conn, id, purpose, overlap_ms).await?;
    store::prune(conn, id).await?;

    let is_generated = given.is_none();
    let key = given.unwrap_or_else(|| match purpose {
        Purpose::KeyPair => Key::KeyPair(KeyPair::generate(rng)),
        Purpose::Signing | Purpose::Credentials => Key::Secret(Secret::generate(rng)),
    });
    let (secret, public_key, new) = match &key {
        Key::Secret(secret) => {
            (is_generated.then(|| secret.to_text()), None, NewSecret::from(secret))
        }
        Key::KeyPair(pair) => (None, Some(pair.public_key().to_text()), NewSecret::from(pair)),
    };
    let secret_id = new.store(conn, keyring, rng, id).await?;
    let old_keys = if overlap.is_zero() { 0 } else { old_keys };
    Ok(Rotated { secret_id, secret, public_key, old_keys })
}

/// Checks that a secret can sign what `config` asks for.
pub(super) fn check_secret(secret: &Secret, config: &Config) -> Result<()> {
    if secret.is_legacy() && config.profile != Profile::Orchest {
        return Err(SecretError::LegacyProfile.into());
    }
    Ok(())
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(super) fn write_secret<S: Serializer>(
    secret: &Option<Zeroizing<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|secret| secret.as_str()).serialize(serializer)
}
