//! Channels: whose telemetry it is.
//!
//! A channel has a profile, by which the pipeline checks its Sunbird and DIGIT events, and a quota.
//! What comes without a key, where a relay takes it, belongs to the channel `anonymous`.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

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

/// By which rules the pipeline checks Sunbird and DIGIT events.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Profile {
    /// Telemetry specification 3.0, as Sunbird's own schemas have it.
    #[serde(rename = "strict-3.0")]
    Strict30,
    /// Telemetry specification 3.1.
    #[serde(rename = "strict-3.1")]
    Strict31,
    /// The envelope, with coercions that are flagged.
    #[default]
    #[serde(rename = "lenient")]
    Lenient,
    /// What the client of eGov DIGIT sends.
    #[serde(rename = "digit")]
    Digit,
    /// Registered events.
    #[serde(rename = "tidings")]
    Tidings,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 5] =
        [Self::Strict30, Self::Strict31, Self::Lenient, Self::Digit, Self::Tidings];

    /// Returns the word that is stored and typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict30 => "strict-3.0",
            Self::Strict31 => "strict-3.1",
            Self::Lenient => "lenient",
            Self::Digit => "digit",
            Self::Tidings => "tidings",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|profile| profile.as_str() == text);
        found.ok_or_else(|| Error::BadProfile { text: text.to_owned() })
    }
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
    fn profile_is_read_as_it_is_written() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse::<Profile>().unwrap(), profile);
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.as_str());
        }
        assert_eq!(
            "strict".parse::<Profile>().unwrap_err().to_string(),
            "`strict` is not a profile; write strict-3.0, strict-3.1, lenient, digit or tidings"
        );
    }

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
