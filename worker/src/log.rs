//! How much of the attempts is written down.

use std::str::FromStr;

/// Which attempts get a row in `tidings.attempt`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AttemptLog {
    /// None: the cheapest.
    None,
    /// Those that did not deliver.
    Failures,
    /// Every one.
    #[default]
    All,
}

impl AttemptLog {
    /// Returns the word that is typed and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Failures => "failures",
            Self::All => "all",
        }
    }
}

impl FromStr for AttemptLog {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "failures" => Ok(Self::Failures),
            "all" => Ok(Self::All),
            other => Err(format!("`{other}` is no attempt log; use none, failures or all")),
        }
    }
}
