//! Where in the application's world an event belongs.
//!
//! A scope is a path of keys and values from the general to the particular, `project=p1/job=j1`.
//! A subscription with the scope `project=p1` is for every event whose scope begins with it, whole element by whole
//! element; the root, which is empty, is for all.

mod encoding;

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use encoding::{decode as percent_decode, encode_where as percent_encode};

/// As deep as names; each level costs one look-up when an event is registered.
const DEPTH_MAX: usize = 8;
/// It stands in an index, whose entries Postgres bounds to 2,700 bytes with all their columns.
const BYTES_MAX: usize = 1000;
/// A key is a word or a few.
const KEY_BYTES_MAX: usize = 32;
/// A value is an id, not a text.
const VALUE_CHARS_MAX: usize = 200;

/// A path of keys and values, `project=p1/job=j1`; empty at the root.
///
/// It has at most eight elements and 1,000 bytes, and no key twice.
/// A key begins with a lower-case letter and goes on with those, digits and underscores, up to 32 bytes.
/// A value is any text of 1 to 200 characters, in which `%`, `/`, `=`, control characters and white space are
/// percent-encoded, so that ordinary ids stay as they are.
/// There is one way to write a scope: two that are equal are the same text.
#[derive(
    Clone, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    /// Returns the scope of everything.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Reads a path whose values are percent-encoded.
    ///
    /// Characters that need not be encoded may be, and the other way round; what is kept is the one way to write it.
    ///
    /// # Errors
    ///
    /// The first fault, with the element that has it and what would be right.
    pub fn parse(path: &str) -> Result<Self, ScopeError> {
        if path.is_empty() {
            return Ok(Self::root());
        }
        path.split('/').try_fold(Self::root(), |scope, element| {
            let element_error = || ScopeError::Element { element: element.to_owned() };
            let (key, value) = element.split_once('=').ok_or_else(element_error)?;
            if value.contains('=') {
                return Err(element_error());
            }
            let encoding_error =
                || ScopeError::Encoding { key: key.to_owned(), value: value.to_owned() };
            scope.with(key, &encoding::decode(value).ok_or_else(encoding_error)?)
        })
    }

    /// Returns the scope one element deeper; `value` is the text itself, not encoded.
    ///
    /// # Errors
    ///
    /// A key of another form or one that is there already, an empty or too long value, a path too deep or too long.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, ScopeError> {
        if key_fault(key).is_some() {
            return Err(ScopeError::Key { key: key.to_owned() });
        }
        if self.keys().any(|other| other == key) {
            return Err(ScopeError::KeyTwice { key: key.to_owned() });
        }
        let chars = value.chars().count();
        if chars == 0 {
            return Err(ScopeError::ValueEmpty { key: key.to_owned() });
        }
        if chars > VALUE_CHARS_MAX {
            return Err(ScopeError::ValueLength { key: key.to_owned(), chars });
        }
        if self.keys().count() == DEPTH_MAX {
            return Err(ScopeError::Depth { key: key.to_owned() });
        }
        let separator = if self.is_root() { "" } else { "/" };
        let path = format!("{}{separator}{key}={}", self.0, encoding::encode(value));
        if path.len() > BYTES_MAX {
            return Err(ScopeError::Length { key: key.to_owned(), bytes: path.len() });
        }
        Ok(Self(path))
    }

    /// Returns whether this is the scope of everything.
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the path, values encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns every scope that covers this one, from the root to the whole, values encoded.
    ///
    /// # Examples
    ///
    /// ```
    /// use tidings::scope::Scope;
    ///
    /// let scope = Scope::parse("project=p1/job=j1")?;
    /// assert!(scope.prefixes().eq(["", "project=p1", "project=p1/job=j1"]));
    /// # Ok::<_, tidings::scope::ScopeError>(())
    /// ```
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let path = self.as_str();
        let inner = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        let whole = (!self.is_root()).then_some(path);
        std::iter::once("").chain(inner).chain(whole)
    }

    /// Returns the elements, from the general to the particular, values decoded.
    pub fn elements(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.0.split('/').filter_map(|element| {
            let (key, value) = element.split_once('=')?;
            Some((key, encoding::decode(value)?))
        })
    }

    /// Returns whether what happens in `other` happens in this scope: its elements begin with all of these.
    ///
    /// A scope covers itself, and the root covers all.
    pub fn covers(&self, other: &Self) -> bool {
        match other.0.strip_prefix(&self.0) {
            Some(rest) => self.is_root() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter_map(|element| Some(element.split_once('=')?.0))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Self::parse(path)
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::parse(&path)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

/// Text that is not a scope, or an element that cannot be added to one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// An element is not a key and a value.
    #[error(
        "`{element}` is not an element of a scope: write `key=value`, elements joined by `/`, \
         as in `project=p1/job=j1`; inside a value `=` is written `%3D` and `/` is written `%2F`"
    )]
    Element {
        /// What was given.
        element: String,
    },
    /// A value is not percent-encoded text.
    #[error(
        "the value `{value}` of the scope key `{key}` is not percent-encoded text: \
         write `%` itself as `%25`, and a byte of UTF-8 as `%` and two hexadecimal digits"
    )]
    Encoding {
        /// Whose value.
        key: String,
        /// What was given.
        value: String,
    },
    /// A key has another form.
    #[error(
        "`{key}` is not a scope key: begin with a-z, go on with a-z, 0-9 and underscore, up to 32 \
         characters, as in `pipeline_run`"
    )]
    Key {
        /// What was given.
        key: String,
    },
    /// A key is there twice.
    #[error("the scope key `{key}` is there twice, and a scope has one value for each key")]
    KeyTwice {
        /// Which key.
        key: String,
    },
    /// A value is empty.
    #[error("the value of the scope key `{key}` is empty: leave the element out, or give the id")]
    ValueEmpty {
        /// Whose value.
        key: String,
    },
    /// A value is a text rather than an id.
    #[error(
        "the value of the scope key `{key}` has {chars} characters, and 200 are the most: use an id"
    )]
    ValueLength {
        /// Whose value.
        key: String,
        /// How long it is.
        chars: usize,
    },
    /// The path has too many elements.
    #[error("the scope is too deep for the key `{key}`: 8 elements are the most")]
    Depth {
        /// The key that has no place.
        key: String,
    },
    /// The path is too long.
    #[error(
        "the scope has {bytes} bytes with the key `{key}`, and 1000 are the most: use shorter ids"
    )]
    Length {
        /// The key that has no place.
        key: String,
        /// How long the path would be.
        bytes: usize,
    },
}

/// Returns what is wrong with `key`, in words that follow it, or `None` where nothing is.
pub(crate) const fn key_fault(key: &str) -> Option<&'static str> {
    let key = key.as_bytes();
    let [first, ..] = key else { return Some("is empty") };
    if key.len() > KEY_BYTES_MAX {
        return Some("has more than 32 characters");
    }
    if !first.is_ascii_lowercase() {
        return Some("does not begin with a lower-case letter");
    }
    let mut at = 0;
    while at < key.len() {
        if !matches!(key[at], b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return Some("has a character other than a-z, 0-9 and underscore");
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests;
