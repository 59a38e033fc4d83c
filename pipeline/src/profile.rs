//! Profiles: by which rules the events of a channel are checked.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// By which rules Sunbird's, DIGIT's and registered events are checked.
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

/// A word that is no profile.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a profile; write strict-3.0, strict-3.1, lenient, digit or tidings")]
pub struct BadProfile {
    /// The word.
    pub text: String,
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
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = BadProfile;

    fn from_str(text: &str) -> Result<Self, BadProfile> {
        let found = Self::ALL.into_iter().find(|profile| profile.as_str() == text);
        found.ok_or_else(|| BadProfile { text: text.to_owned() })
    }
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
}
