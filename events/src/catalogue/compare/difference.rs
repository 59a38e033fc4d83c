//! One difference between two declarations of a type.

use std::fmt;

use serde::Serialize;

use crate::catalogue::snapshot::TypeVersion;

/// One difference between two declarations, as the consumers of the events see it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The type that is different.
    #[serde(flatten)]
    pub id: TypeVersion,
    /// Where in the notification view: `$` is its root, `$.items[].price` a field of every item, `*` any key of a map.
    pub path: String,
    /// What is different.
    pub kind: Kind,
    /// Whether consumers of the type break.
    pub breaking: bool,
    /// The same in words.
    pub message: String,
}

/// What is different.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// The type has gone, and was not retired. Breaking.
    TypeRemoved,
    /// Analytics, subscribers or clients have lost the type. Breaking.
    AudienceNarrowed,
    /// The scope no longer begins with the same keys. Breaking.
    ScopesChanged,
    /// A field has gone. Breaking.
    FieldRemoved,
    /// A field that was always there may be absent. Breaking.
    FieldMadeOptional,
    /// A field was added to an object that allowed no others. Breaking.
    FieldUnexpected,
    /// There are values of another JSON type, null among them. Breaking.
    TypeChanged,
    /// An enum has another value. Breaking.
    ValueAdded,
    /// A union has another alternative. Breaking.
    AlternativeAdded,
    /// A range, length, format or other rule allows more than before. Breaking.
    RuleLoosened,
    /// The type is new.
    TypeAdded,
    /// The type is retired.
    TypeRetired,
    /// The audience is larger.
    AudienceWidened,
    /// The scope goes further into the particular.
    ScopesExtended,
    /// The telemetry view is collected from another level on.
    LevelChanged,
    /// The event is something else to analytics.
    CallChanged,
    /// A field was added.
    FieldAdded,
    /// A field that could be absent is always there.
    FieldMadeRequired,
    /// A JSON type no longer occurs.
    TypeNarrowed,
    /// An enum has lost a value.
    ValueRemoved,
    /// A range, length, format or other rule allows less than before.
    RuleTightened,
}

/// A difference within a schema, before it is said of which type.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) message: String,
}

impl Kind {
    /// Returns whether consumers break.
    pub const fn is_breaking(self) -> bool {
        match self {
            Self::TypeRemoved
            | Self::AudienceNarrowed
            | Self::ScopesChanged
            | Self::FieldRemoved
            | Self::FieldMadeOptional
            | Self::FieldUnexpected
            | Self::TypeChanged
            | Self::ValueAdded
            | Self::AlternativeAdded
            | Self::RuleLoosened => true,
            Self::TypeAdded
            | Self::TypeRetired
            | Self::AudienceWidened
            | Self::ScopesExtended
            | Self::LevelChanged
            | Self::CallChanged
            | Self::FieldAdded
            | Self::FieldMadeRequired
            | Self::TypeNarrowed
            | Self::ValueRemoved
            | Self::RuleTightened => false,
        }
    }
}

impl Difference {
    pub(super) fn of_type(id: &TypeVersion, kind: Kind, message: String) -> Self {
        Note { path: "$".to_owned(), kind, message }.of(id)
    }
}

impl Note {
    pub(super) fn of(self, id: &TypeVersion) -> Difference {
        Difference {
            id: id.clone(),
            path: self.path,
            breaking: self.kind.is_breaking(),
            kind: self.kind,
            message: self.message,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if self.path != "$" {
            write!(f, ", `{}`", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}
