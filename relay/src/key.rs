//! Keys of channels: what senders show.
//!
//! A key is 256 random bits behind `tk_`, shown once; the database has its SHA-256 and its first characters.
//! Keys of browsers are no secrets, because everybody who opens the page has them: they say whose telemetry it is, and
//! a quota and revoking bound what can be done with them.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rand::CryptoRng;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use zeroize::Zeroizing;

use crate::{Error, Result, channel, store};

/// What every key begins with, so that it is recognised where it should not stand.
pub const PREFIX: &str = "tk_";

/// How much of a key is kept readable: enough to tell keys apart, and 30 of 256 bits.
const HINT_BYTES: usize = PREFIX.len() + 5;

/// A key, as far as anybody can still see it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Key {
    /// Its id.
    pub key_id: i32,
    /// The name of its channel.
    pub channel: String,
    /// Its first characters.
    pub hint: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// Since when it is refused.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key that has just been added.
#[non_exhaustive]
pub struct Added {
    /// Its id.
    pub key_id: i32,
    /// The key itself. It cannot be shown again.
    pub text: Zeroizing<String>,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Added").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Adds a key to a channel, and the channel with its defaults if it is not there.
///
/// Relays know it within seconds.
///
/// # Errors
///
/// A name that no channel may have, or a database that does not answer.
pub async fn add(
    conn: &mut PgConnection,
    random: &mut (impl CryptoRng + ?Sized),
    channel: &str,
) -> Result<Added> {
    channel::check(channel)?;
    let mut bytes = Zeroizing::new([0_u8; 32]);
    random.fill_bytes(&mut *bytes);
    let text = Zeroizing::new(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(*bytes)));
    let key_id = store::add_key(conn, channel, &hash(&text), hint(&text)).await?;
    Ok(Added { key_id, text })
}

/// Returns all keys in the order in which they were added, revoked ones too.
///
/// # Errors
///
/// A database that does not answer.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Key>> {
    store::list_keys(conn).await
}

/// Ends a key: relays refuse it within seconds. A key that has been revoked stays so.
///
/// # Errors
///
/// There is no such key, or a database that does not answer.
pub async fn revoke(conn: &mut PgConnection, key_id: i32) -> Result<()> {
    if store::revoke_key(conn, key_id).await? { Ok(()) } else { Err(Error::NoSuchKey { key_id }) }
}

/// Returns what is shown of a key.
pub(crate) fn hint(text: &str) -> &str {
    text.get(..HINT_BYTES).unwrap_or_default()
}

/// Returns what is stored of a key.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
