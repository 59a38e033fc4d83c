//! Why a request, or one event of it, is not taken: a status, a code for programs and a sentence for people.
//!
//! It knows nothing of protocols; `protocol` writes it as each kind of client expects.

use std::{borrow::Cow, time::Duration};

use axum::http::StatusCode;
use serde_json::Value;

/// Why something is not taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// After how long it may be tried again.
    pub(crate) retry_after: Option<Duration>,
    /// What is wrong with each part, where that is known.
    pub(crate) violations: Vec<Value>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, message: message.into(), retry_after: None, violations: Vec::new() }
    }

    /// The request cannot be read at all.
    pub(crate) fn malformed(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The request can be read, and says something that cannot be.
    pub(crate) fn invalid(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// The request, or a part of it, is larger than is taken.
    pub(crate) fn too_large(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message)
    }

    /// Nothing is wrong with the request; it may be sent again later.
    pub(crate) fn busy(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
            .retry_after(Duration::from_secs(1))
    }

    pub(crate) fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(crate) fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Returns the seconds of `Retry-After`, rounded up and at least one.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|delay| {
            let more = u64::from(delay.subsec_nanos() > 0);
            delay.as_secs().saturating_add(more).max(1)
        })
    }
}
