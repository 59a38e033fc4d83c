//! What an event type is called.
//!
//! A name is a colon path from the general to the particular, whose last part says in the past tense what has
//! happened: `project:job:failed`.
//! The grammar is one `const` function, so that the derive checks it at compile time and everybody else at run time,
//! with the same words.

mod grammar;
mod tense;

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use grammar::{BYTES_MAX, Fault, PARTS_MAX, PARTS_MIN, part_fault};
pub(crate) use tense::past_tense;

/// Where the names of Tidings' own events begin.
const RESERVED: &str = "tidings:";

/// The name of an event type: two to eight parts, joined by colons.
///
/// A part is made of lower-case letters, digits and single hyphens inside, begins with a letter and has at most 64
/// bytes; the whole has at most 200.
/// The last part is a verb in the past tense, as far as a rule can tell: it, or a word of it between hyphens, ends in
/// `ed` or is one of the irregular forms (`order:paid`, `session:service-restarted`).
#[derive(
    Clone, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Cow<'static, str>);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// The first fault, with the part that has it and what would be right.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        grammar::check(name).map_err(|(fault, part)| NameError::new(name, fault, part))?;
        Ok(Self(Cow::Owned(name.to_owned())))
    }

    /// Returns a name out of the program's own text.
    ///
    /// # Panics
    ///
    /// Where [`Name::parse`] returns an error; in a `const`, that is at compile time.
    ///
    /// # Examples
    ///
    /// ```
    /// use tidings::name::Name;
    ///
    /// const PLACED: Name = Name::from_static("order:placed");
    /// assert_eq!(PLACED.as_str(), "order:placed");
    /// ```
    #[track_caller]
    pub const fn from_static(name: &'static str) -> Self {
        if let Some(message) = fault_of(name) {
            panic!("{}", message.as_str());
        }
        Self(Cow::Borrowed(name))
    }

    /// Returns the colon path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parts, from the general to the particular.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split(':')
    }

    /// Returns whether the name is one of Tidings' own events.
    ///
    /// Those may be subscribed to like any other; `#[derive(Event)]` refuses to define them.
    pub fn is_reserved(&self) -> bool {
        is_reserved(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into_owned()
    }
}

/// Text that is not a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct NameError {
    message: String,
}

impl NameError {
    fn new(name: &str, fault: Fault, part: usize) -> Self {
        Self { message: grammar::explain(name, fault, part).as_str().to_owned() }
    }
}

/// Returns what is wrong with `name`, in words, or `None` where nothing is.
#[doc(hidden)]
pub const fn fault_of(name: &str) -> Option<crate::private::Message> {
    match grammar::check(name) {
        Ok(()) => None,
        Err((fault, part)) => Some(grammar::explain(name, fault, part)),
    }
}

/// Returns what is wrong with giving a type of an application the name `name`, or `None` where it is not one of ours.
#[doc(hidden)]
pub const fn reserved(name: &str) -> Option<crate::private::Message> {
    if !is_reserved(name) {
        return None;
    }
    let message = crate::private::Message::new().with("`").with(name);
    Some(message.with("` is a name of Tidings' own, as all that begin with `tidings:`; begin with a word of yours"))
}

/// Returns whether `name` is one of Tidings' own.
pub(crate) const fn is_reserved(name: &str) -> bool {
    let (name, reserved) = (name.as_bytes(), RESERVED.as_bytes());
    match name.split_at_checked(reserved.len()) {
        Some((start, _)) => crate::private::same(start, reserved),
        None => false,
    }
}

#[cfg(test)]
mod tests;
