//! Looking into the log: what has failed and why, where an event is, and doing things again.

pub mod failed;
pub mod find;
pub mod reprocess;
mod walk;

use std::{fmt, str::FromStr};

use serde::Serialize;

/// A place in a topic, written as `partition-offset`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// A text that is no place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no place in a topic; write its partition and offset, such as 3-1045")]
pub struct BadPlace {
    /// The text.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let bad = || BadPlace { text: text.to_owned() };
        let (partition, offset) = text.split_once('-').ok_or_else(bad)?;
        let partition = partition.parse().ok().filter(|partition| *partition >= 0);
        let offset = offset.parse().ok().filter(|offset| *offset >= 0);
        partition.zip(offset).map(|(partition, offset)| Self { partition, offset }).ok_or_else(bad)
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
