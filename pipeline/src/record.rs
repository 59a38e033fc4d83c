//! Records of a log: what is read from it, and what is written.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};

/// A record as it stands in a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The partition of its topic.
    pub partition: i32,
    /// Its place in the partition. Offsets grow, and may have gaps.
    pub offset: i64,
    /// When the log took it, by the log's clock or, where the topic is set to it, the producer's.
    pub appended_at: DateTime<Utc>,
    /// What it is keyed by.
    pub key: Option<Bytes>,
    /// What is said about it.
    pub headers: Headers,
    /// What it is.
    pub value: Bytes,
}

/// A record that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The topic, without the prefix of the installation.
    pub topic: Cow<'static, str>,
    /// The partition; always said, never left to a partitioner.
    pub partition: i32,
    /// What it is keyed by; text.
    pub key: Option<Bytes>,
    /// What is said about it.
    pub headers: Headers,
    /// What it is.
    pub value: Bytes,
}

impl Output {
    /// Returns how much it counts against a limit of bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.value.len() + self.key.as_ref().map_or(0, Bytes::len)
    }
}

/// Named texts beside a record, in their order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers(Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// Returns none.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header; the name is not looked for first.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds a header and returns the headers.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// Returns the last header of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns the headers in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
