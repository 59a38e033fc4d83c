//! How refusals are written: each client gets them as the service that it was made for would write them.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{refusal::Refusal, telemetry_batch};

/// Whose conventions a route follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// Our own: `{"error": {"code", "message"}}`.
    Tidings,
    /// Segment's: `{"success": false, "error": {…}}`.
    Segment,
    /// PostHog's: `{"type", "code", "detail", "attr"}`.
    PostHog,
    /// The envelope of Sunbird's API.
    Sunbird,
}

impl Protocol {
    /// Writes a refusal.
    pub(crate) fn refuse(self, refusal: &Refusal, now: DateTime<Utc>) -> Response {
        let body = match self {
            Self::Tidings => json!({"error": error(refusal)}),
            Self::Segment => json!({"success": false, "error": error(refusal)}),
            Self::PostHog => json!({
                "type": match refusal.status {
                    StatusCode::UNAUTHORIZED => "authentication_error",
                    StatusCode::TOO_MANY_REQUESTS => "throttled_error",
                    status if status.is_server_error() => "server_error",
                    _ => "validation_error",
                },
                "code": refusal.code,
                "detail": refusal.message,
                "attr": null,
            }),
            Self::Sunbird => telemetry_batch::refused(refusal, None, now),
        };
        with_headers(json_response(refusal.status, &body), refusal)
    }
}

/// Adds what goes with the status.
pub(crate) fn with_headers(mut response: Response, refusal: &Refusal) -> Response {
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"tidings\"");
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if refusal.code == "unsupported_encoding" {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
    }
    response
}

/// Writes a refusal as a member of an answer.
pub(crate) fn error(refusal: &Refusal) -> Value {
    let mut error = json!({"code": refusal.code, "message": refusal.message});
    if !refusal.violations.is_empty() {
        error["violations"] = refusal.violations.clone().into();
    }
    error
}

/// Makes a response of JSON.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    content(status, "application/json", body.to_string())
}

/// Makes a response that nobody keeps.
pub(crate) fn content(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn refusal_is_written_as_each_kind_of_client_expects() {
        let refusal = Refusal::unauthorized("there is no such key");
        for (protocol, pointer, expected) in [
            (Protocol::Tidings, "/error/code", "unauthorized"),
            (Protocol::Segment, "/error/message", "there is no such key"),
            (Protocol::PostHog, "/type", "authentication_error"),
            (Protocol::Sunbird, "/responseCode", "UNAUTHORIZED"),
        ] {
            let response = protocol.refuse(&refusal, DateTime::UNIX_EPOCH);
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body.pointer(pointer).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn time_to_come_back_is_in_whole_seconds() {
        let refusal = Refusal::busy("overloaded", "x");
        let refusal = refusal.retry_after(std::time::Duration::from_millis(1001));
        let response = Protocol::Segment.refuse(&refusal, DateTime::UNIX_EPOCH);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
