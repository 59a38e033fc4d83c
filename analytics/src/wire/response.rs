//! An answer as it came, and what its status alone says.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::HeaderMap;

use super::{key::Key, outcome::Outcome, wait};

/// How much of a body is shown to people.
const EXCERPT_CHARS_MAX: usize = 200;

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or as much of it as the caller was willing to read; 1 MiB holds every success.
    pub body: Bytes,
}

impl Response {
    /// Returns what a status other than 200 means, whatever the service.
    ///
    /// Only 400, 413 and 422 are about the events. A redirect, a 404 or a 501 means that the address is not what it
    /// should be; the events are kept until a person has put it right or their time is over.
    pub(super) fn failure(&self, key: &Key, now: DateTime<Utc>, wait_max: Duration) -> Outcome {
        let reason = self.explain(key);
        let wait = wait::asked(&self.headers, now.into(), wait_max);
        match self.status {
            400 | 422 => Outcome::Rejected { reason },
            413 => Outcome::TooLarge { reason },
            401 | 403 => Outcome::Unauthorized { reason },
            402 => Outcome::QuotaLimited { reason },
            429 => Outcome::Throttled { wait, reason },
            408 | 500..=599 if wait.is_some() => Outcome::Throttled { wait, reason },
            _ => Outcome::Transient { reason },
        }
    }

    /// Returns what a person needs to know of this answer: its status and the beginning of its body, without the key.
    pub(super) fn explain(&self, key: &Key) -> String {
        let mut text = format!("answered {}", self.status);
        if (300..400).contains(&self.status) {
            text.push_str(", a redirect, which is not followed: give the final host");
        }
        let excerpt = self.excerpt(key);
        if !excerpt.is_empty() {
            // Writing to a string cannot go wrong.
            _ = write!(text, ": {excerpt}");
        }
        text
    }

    /// Returns the beginning of the body on one line.
    fn excerpt(&self, key: &Key) -> String {
        // Masked before it is cut, so that no half of a key remains; what is looked at is bounded all the same.
        let looked_at = self.body.get(..16 * 1024).unwrap_or(&self.body);
        let text = String::from_utf8_lossy(looked_at).replace(key.expose(), "…");
        let words = text.split(|char: char| char.is_whitespace() || char.is_control());
        let mut line = String::new();
        for word in words.filter(|word| !word.is_empty()) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            if line.chars().count() > EXCERPT_CHARS_MAX {
                line = line.chars().take(EXCERPT_CHARS_MAX).collect();
                line.push('…');
                break;
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &'static str) -> Response {
        Response { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    fn failure(response: &Response) -> Outcome {
        let key = Key::new("s3cr3t").unwrap();
        response.failure(&key, DateTime::UNIX_EPOCH, Duration::from_mins(5))
    }

    #[test]
    fn only_400_413_and_422_are_about_the_events() {
        for status in 100..=599 {
            let expected = match status {
                400 | 422 => "rejected",
                413 => "too_large",
                401 | 403 => "unauthorized",
                402 => "quota_limited",
                429 => "throttled",
                _ => "transient",
            };
            assert_eq!(failure(&response(status, "")).as_str(), expected, "{status}");
        }
    }

    #[test]
    fn wait_that_is_asked_for_pauses_the_sink() {
        for (status, expected) in [(429, true), (503, true), (500, true), (408, true), (404, false)]
        {
            let mut asking = response(status, "");
            asking.headers.insert("retry-after", "7".parse().unwrap());
            let outcome = failure(&asking);
            let wait = Some(Duration::from_secs(7));
            let throttled =
                matches!(outcome, Outcome::Throttled { wait: asked, .. } if asked == wait);
            assert_eq!((throttled, outcome.pauses_sink()), (expected, expected), "{status}");
        }
    }

    #[test]
    fn body_is_shown_on_one_line_without_the_key() {
        let shown = |response: &Response| failure(response).reason().unwrap().to_owned();
        assert_eq!(
            shown(&response(500, "<h1>\n\tit is s3cr3t\u{7}</h1>")),
            "answered 500: <h1> it is … </h1>"
        );
        assert_eq!(
            shown(&response(302, "")),
            "answered 302, a redirect, which is not followed: give the final host"
        );
        let long = Response { body: "é".repeat(9_000).into(), ..response(500, "") };
        assert_eq!(shown(&long).chars().count(), "answered 500: ".len() + 201);
    }
}
