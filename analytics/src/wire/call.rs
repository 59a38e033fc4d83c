//! The six calls of Segment's specification, which is what other services understand as well.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a message says about its identity.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// Something has happened.
    #[default]
    Track,
    /// Who a user is, as traits.
    Identify,
    /// That a user belongs to a group, and what the group is, as traits.
    Group,
    /// A page was looked at.
    Page,
    /// A screen of an app was looked at.
    Screen,
    /// A user was known under another id before.
    Alias,
}

impl Call {
    /// All calls, as the specification lists them.
    pub const ALL: [Self; 6] =
        [Self::Track, Self::Identify, Self::Group, Self::Page, Self::Screen, Self::Alias];

    /// Returns the word that is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Group => "group",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Alias => "alias",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Call {
    type Err = ParseCallError;

    fn from_str(text: &str) -> Result<Self, ParseCallError> {
        Self::ALL
            .into_iter()
            .find(|call| call.as_str() == text)
            .ok_or_else(|| ParseCallError { text: text.to_owned() })
    }
}

/// A word that is no call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a call: write track, identify, group, page, screen or alias")]
pub struct ParseCallError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_is_read_as_it_is_written() {
        for call in Call::ALL {
            assert_eq!(call.to_string().parse(), Ok(call));
            assert_eq!(serde_json::to_value(call).unwrap(), call.as_str());
        }
    }

    #[test]
    fn unknown_call_is_answered_with_the_known_ones() {
        assert_eq!(
            "Track".parse::<Call>().unwrap_err().to_string(),
            "`Track` is not a call: write track, identify, group, page, screen or alias"
        );
    }
}
