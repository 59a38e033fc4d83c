//! How much is collected.
//!
//! It is the operator's choice, at run time.
//! Every event type states the lowest level at which it is collected.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much is collected, from nothing to everything.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing leaves.
    Off,
    /// What keeps installations safe: versions and failures of updates.
    Security,
    /// What is used at all.
    #[default]
    Basic,
    /// How it is used.
    Enhanced,
    /// Everything that is anonymous.
    Full,
}

impl Level {
    /// All levels, in ascending order.
    pub const ALL: [Self; 5] = [Self::Off, Self::Security, Self::Basic, Self::Enhanced, Self::Full];

    /// Returns whether what needs `required` is collected at this level.
    ///
    /// Nothing is collected at [`Level::Off`].
    pub fn allows(self, required: Self) -> bool {
        self != Self::Off && required <= self
    }

    /// Returns the word that is stored and typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Security => "security",
            Self::Basic => "basic",
            Self::Enhanced => "enhanced",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| ParseLevelError { text: text.to_owned() })
    }
}

/// A word that is no level.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a level: write off, security, basic, enhanced or full")]
pub struct ParseLevelError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_is_read_as_it_is_written() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
    }

    #[test]
    fn unknown_level_is_answered_with_the_known_ones() {
        assert_eq!(
            "Basic".parse::<Level>().unwrap_err().to_string(),
            "`Basic` is not a level: write off, security, basic, enhanced or full"
        );
    }

    #[test]
    fn levels_ascend_from_off_to_full() {
        assert!(Level::ALL.is_sorted());
        assert!(Level::Basic.allows(Level::Security));
        assert!(Level::Basic.allows(Level::Basic));
        assert!(!Level::Basic.allows(Level::Enhanced));
        assert!(Level::ALL.into_iter().all(|required| !Level::Off.allows(required)));
    }
}
