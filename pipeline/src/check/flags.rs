//! What is said of an event that was accepted although it was not as it should be.

use std::fmt;

use crate::value::{Object, Value};

/// How many coercions, and how many mismatches, of one event are told.
pub(super) const FLAGS_MAX: usize = 16;

/// What a check says of an event besides that it is accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// What was made to fit: where, and how.
    pub coerced: Vec<(String, Coercion)>,
    /// What does not fit and is as it was: where, and the code of the reason.
    pub mismatched: Vec<(String, &'static str)>,
    /// Whether its kind is none of the specification's.
    pub unknown_kind: bool,
    /// How many coercions and mismatches there were that are not told here.
    pub more: u32,
}

/// How something was made to fit; the words stay as they are from version to version.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Coercion {
    /// A member had another name.
    Renamed,
    /// A text became the number that it is.
    ParsedNumber,
    /// A text became the time that it is.
    ParsedTime,
    /// A number, or a boolean, became a text.
    Text,
    /// Seconds became milliseconds.
    Seconds,
    /// Microseconds became milliseconds.
    Microseconds,
    /// A float became whole milliseconds.
    Rounded,
    /// An id was made from the content.
    Made,
    /// The device is the one that the batch names.
    BatchDid,
    /// The channel is that of the key.
    KeyChannel,
    /// `f:` and the realm were taken off the actor's id.
    Realm,
    /// A dialcode is in upper case.
    UpperCase,
    /// The event had PostHog's form.
    Posthog,
}

impl Flags {
    /// Returns whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what is said, as members of `flags`.
    #[must_use]
    pub fn to_object(&self) -> Object<'static> {
        let mut object = Object::new();
        let mut list = |name, items: Vec<Value<'static>>| {
            if !items.is_empty() {
                object.set(name, items);
            }
        };
        let coerced = self.coerced.iter().map(|(path, how)| format!("{path}: {how}").into());
        list("coerced", coerced.collect());
        let mismatched =
            self.mismatched.iter().map(|(path, code)| format!("{path}: {code}").into());
        list("mismatched", mismatched.collect());
        if self.unknown_kind {
            object.set("unknown_kind", true);
        }
        if self.more > 0 {
            object.set("more", u64::from(self.more));
        }
        object
    }
}

impl Coercion {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Renamed,
        Self::ParsedNumber,
        Self::ParsedTime,
        Self::Text,
        Self::Seconds,
        Self::Microseconds,
        Self::Rounded,
        Self::Made,
        Self::BatchDid,
        Self::KeyChannel,
        Self::Realm,
        Self::UpperCase,
        Self::Posthog,
    ];

    /// Returns the word in flags.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renamed => "renamed",
            Self::ParsedNumber => "parsed_number",
            Self::ParsedTime => "parsed_time",
            Self::Text => "text",
            Self::Seconds => "seconds",
            Self::Microseconds => "microseconds",
            Self::Rounded => "rounded",
            Self::Made => "made",
            Self::BatchDid => "batch_did",
            Self::KeyChannel => "key_channel",
            Self::Realm => "realm",
            Self::UpperCase => "upper_case",
            Self::Posthog => "posthog",
        }
    }
}

impl fmt::Display for Coercion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
