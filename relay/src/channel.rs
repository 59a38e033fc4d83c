//! Channels: whose telemetry it is.
//!
//! A channel has a profile, by which the pipeline checks its Sunbird and DIGIT events, and a quota.
//! What comes without a key, where a relay takes it, belongs to the channel `anonymous`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
pub use tidings_pipeline::Profile;

use crate::{Error, Result, store};

/// The channel of what comes without a key.
pub const ANONYMOUS: &str = "anonymous";

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A channel.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Its profile.
    pub profile: String,
    /// How many events each relay process takes of it in a minute; all, if `None`.
    pub events_per_minute: Option<i32>,
    /// How many keys it has that are not revoked.
    pub keys: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// What a channel is to be; what is not said stays as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// The profile.
    pub profile: Option<Profile>,
    /// Events per minute and relay process; 0 takes the quota away.
    pub events_per_minute: Option<u32>,
}

/// Adds a channel, or changes what `settings` says.
///
/// Relays follow within seconds. Called twice, it changes nothing more.
///
/// # Errors
///
/// A name that no channel may have, a quota out of range, or a database that does not answer.
pub async fn set(conn: &mut PgConnection, name: &str, settings: Settings) -> Result<()> {
    check(name)?;
    let quota = settings.events_per_minute.map(i32::try_from).transpose();
    let quota = quota.map_err(|_| Error::QuotaTooLarge)?;
    store::set_channel(conn, name, settings.profile.map(Profile::as_str), quota).await?;
    Ok(())
}

/// Returns the channels, by name.
///
/// # Errors
///
/// A database that does not answer.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Channel>> {
    store::list_channels(conn).await
}

/// Checks a name before it goes to the database, which checks the same.
pub(crate) fn check(name: &str) -> Result<()> {
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_part) {
        return Ok(());
    }
    Err(Error::BadChannelName { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_channel_is_a_word() {
        for (name, fine) in [
            ("portal", true),
            ("org.egov", true),
            ("9", true),
            ("", false),
            ("-a", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(check(name).is_ok(), fine, "{name}");
        }
        assert!(check(&"a".repeat(100)).is_ok() && check(&"a".repeat(101)).is_err());
    }
}
