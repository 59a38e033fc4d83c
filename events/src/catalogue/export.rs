//! Documents made of a catalogue: for people, validators, AsyncAPI tools and compilers.
//!
//! All of them are pure functions of a [`Snapshot`], so what they write is the same wherever it is written.
//! Types of Tidings' own are in if they are in the snapshot; [`Snapshot::without_reserved`] leaves them out.

mod asyncapi;
mod json_schema;
mod markdown;
mod reference;
mod sample;
mod typescript;

use std::{fmt, str::FromStr};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::snapshot::{Entry, Snapshot};

/// What form a document has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// A reference for people.
    Markdown,
    /// One JSON Schema (draft 2020-12), with the notification view of each type and version in `$defs`.
    JsonSchema,
    /// An AsyncAPI 3.0 document, as JSON: what subscribers are sent, with its headers and its envelope.
    AsyncApi,
    /// Types of what subscribers are sent, as a union that `type` tells apart.
    TypeScript,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Markdown, Self::JsonSchema, Self::AsyncApi, Self::TypeScript];

    /// Returns the word that is typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::JsonSchema => "json-schema",
            Self::AsyncApi => "asyncapi",
            Self::TypeScript => "typescript",
        }
    }

    /// Returns whether the document is JSON.
    pub const fn is_json(self) -> bool {
        matches!(self, Self::JsonSchema | Self::AsyncApi)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is no format of an export; there are markdown, json-schema, asyncapi and typescript"
)]
pub struct FormatError(String);

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| FormatError(word.to_owned()))
    }
}

/// Returns the types as a document.
pub(super) fn export(snapshot: &Snapshot, format: Format, title: &str) -> String {
    match format {
        Format::Markdown => markdown::write(snapshot, title),
        Format::JsonSchema => text(&json_schema::document(snapshot, title)),
        Format::AsyncApi => text(&asyncapi::document(snapshot, title)),
        Format::TypeScript => typescript::write(snapshot, title),
    }
}

/// Returns a notification view that `entry` allows, made up from its schema, or `None` where the schema allows none.
///
/// Patterns are not solved: a text with a pattern and without examples is a text like any other.
pub fn sample(entry: &Entry) -> Option<Value> {
    sample::of(&entry.schema)
}

fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// Returns what tells one content from another: the beginning of the digest of a baseline.
fn digest(snapshot: &Snapshot) -> String {
    let digest = Sha256::digest(snapshot.to_json().as_bytes());
    let number = digest.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:012x}")
}

#[cfg(test)]
mod tests;
