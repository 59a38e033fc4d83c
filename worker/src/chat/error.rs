//! What can be wrong with a chat subscriber, each in one sentence that says what to do.
//!
//! The texts never contain the path of the URL, which is a secret.

use std::fmt;

use minijinja::ErrorKind;
use tidings::{endpoint::EndpointError, pattern::PatternError};

use super::{OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX};

/// What the engine says of the filters that mark text as safe elsewhere.
const MARKS: [&str; 3] = ["filter safe ", "filter escape ", "filter e "];

/// A configuration of a chat subscriber that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is not a JSON object.
    #[error(
        "the configuration of a chat subscriber is a JSON object such as {{\"url\": \"https://hooks.slack.com/…\"}}"
    )]
    NotObject,
    /// A field that no chat subscriber has.
    #[error("a chat subscriber has no field {field:?}; it has url, templates and timeout_ms")]
    UnknownField {
        /// The name of the field.
        field: String,
    },
    /// The field that has to be there.
    #[error("the chat subscriber needs a url: that of the incoming webhook which the service made")]
    NoUrl,
    /// A field of another type.
    #[error("the field {field} of a chat subscriber is {expected}")]
    FieldType {
        /// The name of the field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The URL or the timeout.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The name of a template is neither a type nor a pattern.
    #[error("a template is named by the event type or pattern that it is for")]
    Pattern(#[from] PatternError),
    /// A template that does not work.
    #[error("the template for {pattern:?}")]
    Template {
        /// The type or pattern that it is for.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: TemplateError,
    },
}

/// A template that does not work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateError {
    pub(super) kind: Fault,
    /// The line, from one; `None` where it is no line's fault.
    pub line: Option<usize>,
    /// What is wrong, and what to do; it may quote the template.
    pub reason: String,
}

/// What went wrong with a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// Its text is wrong, whatever the event.
    Text,
    /// It takes or prints more than it may.
    Bounds,
    /// It does not suit this event.
    Event,
}

impl TemplateError {
    pub(super) fn text(line: Option<usize>, reason: impl Into<String>) -> Self {
        Self { kind: Fault::Text, line, reason: reason.into() }
    }

    pub(super) fn too_large(bytes: usize) -> Self {
        let reason = format!("it has {bytes} bytes, and at most {TEMPLATE_BYTES_MAX} are allowed");
        Self::text(None, reason)
    }

    pub(super) fn prints_too_much(line: Option<usize>) -> Self {
        let reason = format!("it prints more than {OUTPUT_BYTES_MAX} bytes; print less");
        Self { kind: Fault::Bounds, line, reason }
    }

    pub(super) fn prints_nothing() -> Self {
        Self { kind: Fault::Event, line: None, reason: "it prints nothing".to_owned() }
    }

    /// Returns whether it is about the template as such, rather than about one event.
    pub(super) fn is_general(&self) -> bool {
        self.kind != Fault::Event
    }
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let line = error.line();
        let kind = match error.kind() {
            ErrorKind::WriteFailure => return Self::prints_too_much(line),
            ErrorKind::OutOfFuel => {
                let reason = "it does more work than one message is worth; loop over less";
                return Self { kind: Fault::Bounds, line, reason: reason.to_owned() };
            }
            ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownTest => Fault::Text,
            _ => Fault::Event,
        };
        let reason = match error.detail() {
            // Habits of other engines.
            Some(detail) if MARKS.iter().any(|mark| detail.contains(mark)) => format!(
                "{detail}, because everything is escaped by itself; `link(url, text)` makes a link"
            ),
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self { kind, line, reason }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for TemplateError {}
