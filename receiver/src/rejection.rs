//! What the sender hears when a request is not taken: enough to mend it, and nothing that helps to forge one.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{ReplaysError, VerifyError};

/// How many seconds a sender is asked to wait when nobody can say whether a request was here before.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// A request that an endpoint does not take.
///
/// The answer is a JSON document, `{"error": {"code": "…", "message": "…"}}`. To see and log the reason, extract
/// `Result<Webhook<T>, Rejection>`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is not signed as it should be: 400 or 401.
    #[error("take a webhook")]
    Refused(#[source] VerifyError),
    /// The same request was here before: 409. A retry of the sender is signed anew, and taken.
    #[error("take a webhook: it is a replay of a request that was here before")]
    Replayed,
    /// Nobody can say whether the request was here before: 503.
    #[error("take a webhook")]
    Replays(#[source] ReplaysError),
    /// The body has more bytes than the endpoint takes: 413.
    #[error("take a webhook: the body has more than {bytes_max} bytes")]
    TooLarge {
        /// How many it may have.
        bytes_max: usize,
    },
    /// The body ended before its end: 400.
    #[error("take a webhook: the body broke off")]
    Incomplete(#[source] axum::Error),
    /// The body is of another type than JSON: 415.
    #[error("take a webhook: the body is not said to be JSON")]
    MediaType,
    /// The body is signed, and not what the handler expects: 400.
    #[error("take a webhook: the body is not what the handler expects")]
    Content(#[source] serde_json::Error),
}

impl Rejection {
    /// Returns the status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Refused(error) if error.is_malformed() => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::Replayed => StatusCode::CONFLICT,
            Self::Replays(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete(_) | Self::Content(_) => StatusCode::BAD_REQUEST,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// Returns the code in the answer: one word for programs, which stays the same.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => match error {
                VerifyError::TooOld { .. } | VerifyError::TooNew { .. } => "timestamp",
                VerifyError::NoSignature | VerifyError::WrongSignature => "signature",
                _ => "header",
            },
            Self::Replayed => "replay",
            Self::Replays(_) => "busy",
            Self::TooLarge { .. } => "too_large",
            Self::Incomplete(_) => "incomplete",
            Self::MediaType => "media_type",
            Self::Content(_) => "content",
        }
    }

    /// Returns what the sender can do.
    fn message(&self) -> String {
        match self {
            Self::Refused(error) => match error {
                VerifyError::TooOld { tolerance, .. } | VerifyError::TooNew { tolerance, .. } => format!(
                    "the timestamp is more than {} s from the receiver's clock: sign every attempt anew, and set your clock",
                    tolerance.as_secs()
                ),
                // One sentence for everything: which part is wrong is nobody's business but the receiver's.
                VerifyError::NoSignature | VerifyError::WrongSignature => "the request is not signed with a key that the receiver knows: sign `id.timestamp.body` over the bytes that you send, with the current key".to_owned(),
                malformed => malformed.to_string(),
            },
            Self::Replayed => "this request was received before; to send the message again, sign it anew with the current time".to_owned(),
            Self::Replays(_) => "the receiver cannot take requests at the moment: send it again later".to_owned(),
            Self::TooLarge { bytes_max } => format!("the body may have {bytes_max} bytes: send less, or ask the receiver for a higher limit"),
            Self::Incomplete(_) => "the body ended before its end: send the request again".to_owned(),
            Self::MediaType => "the body has to be JSON: send it with content-type application/json".to_owned(),
            // Whoever hears this has signed the request.
            Self::Content(error) => format!("the signature is right, but the receiver expects other content: {error}"),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let error = serde_json::json!({"code": self.code(), "message": self.message()});
        let mut response =
            Response::new(Body::from(serde_json::json!({"error": error}).to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if matches!(self, Self::Replays(_)) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
