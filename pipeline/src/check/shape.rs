//! What the tables of kinds are made of: fields with their types, in objects that are open or closed.

use std::fmt;

/// What a value has to be.
#[derive(Debug)]
pub(super) enum Type {
    Text,
    /// A text that is not empty.
    Filled,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    Number,
    /// A number that is not smaller.
    NumberFrom(i32),
    /// Any object.
    Object,
    Record(&'static Shape),
    ListOf(&'static Self),
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) is: Type,
    pub(super) required: bool,
}

/// The fields of an object, and whether there may be others.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) fields: &'static [Field],
    pub(super) open: bool,
}

/// A kind of events, with what is said about it.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) eid: &'static str,
    pub(super) edata: Shape,
}

/// A field that has to be there.
pub(super) const fn must(name: &'static str, is: Type) -> Field {
    Field { name, is, required: true }
}

/// A field that may be there.
pub(super) const fn may(name: &'static str, is: Type) -> Field {
    Field { name, is, required: false }
}

/// An object that has no other fields.
pub(super) const fn closed(fields: &'static [Field]) -> Shape {
    // The walk marks the fields that it has met as bits.
    assert!(fields.len() <= 32, "an object has at most 32 fields");
    Shape { fields, open: false }
}

/// An object that may have others.
pub(super) const fn open(fields: &'static [Field]) -> Shape {
    Shape { open: true, ..closed(fields) }
}

pub(super) const fn kind(eid: &'static str, edata: Shape) -> Kind {
    Kind { eid, edata }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => formatter.write_str("a text"),
            Self::Filled => formatter.write_str("a text that is not empty"),
            Self::OneOf(words) => write!(formatter, "`{}`", words.join("` or `")),
            Self::Number => formatter.write_str("a number"),
            Self::NumberFrom(least) => write!(formatter, "a number from {least} on"),
            Self::Object | Self::Record(_) => formatter.write_str("an object"),
            Self::ListOf(Self::Text) => formatter.write_str("an array of texts"),
            Self::ListOf(_) => formatter.write_str("an array of objects"),
        }
    }
}
