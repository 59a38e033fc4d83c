//! Why something was not taken.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One reason: where in the event, which rule, and in words.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reason {
    /// Where, as a JSON path (RFC 9535) such as `$.edata.timespent`.
    pub path: Cow<'static, str>,
    /// Which rule, in lower case with underscores; names stay as they are from version to version.
    pub code: Cow<'static, str>,
    /// In words, with what to do.
    pub message: String,
}

impl Reason {
    /// Returns a reason.
    #[must_use]
    pub fn new(
        path: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), code: Cow::Borrowed(code), message: message.into() }
    }
}
