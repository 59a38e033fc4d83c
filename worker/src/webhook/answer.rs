//! What an HTTP answer means for a delivery (Standard Webhooks).
//!
//! | Status | Verdict |
//! |---|---|
//! | 2xx | delivered, as soon as the status line and headers are there, whatever happens to the body afterwards |
//! | 410 | gone: the receiver wants no more |
//! | any other with a usable `Retry-After` | tried again, and the lane waits so long |
//! | any other, 3xx and 4xx included | tried again on the ladder: a receiver's mistake is often a deploy |

use std::time::SystemTime;

use reqwest::{
    StatusCode, Url,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use tidings::{deliverer::Verdict, endpoint};

use super::retry_after;

/// Returns what the worker has to do about an answer that came at the time `now`.
pub(super) fn verdict(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Verdict {
    if status.is_success() {
        return Verdict::Delivered;
    }
    if status == StatusCode::GONE {
        return Verdict::Gone;
    }
    match headers.get(RETRY_AFTER).and_then(|value| retry_after::parse(value.as_bytes(), now)) {
        Some(wait) if !wait.is_zero() => Verdict::RetryAfter(wait),
        _ => Verdict::Retry,
    }
}

/// Returns what a person needs to know about an answer that is no success, without what its body says.
pub(super) fn explain(
    status: StatusCode,
    headers: &HeaderMap,
    verdict: Verdict,
    url: &Url,
) -> String {
    let mut text = format!("answered {}", status.as_str());
    if let Some(reason) = status.canonical_reason() {
        text = format!("{text} {reason}");
    }
    if status.is_redirection() {
        let target = target(headers, url);
        text = format!("{text}, {target}; redirects are not followed, so give the final URL");
    }
    match verdict {
        Verdict::RetryAfter(wait) => format!("{text}, and asks to wait {} s", wait.as_secs()),
        Verdict::Gone => format!("{text}: it wants no more events"),
        _ => text,
    }
}

/// Returns where a redirect leads, without path and query: they often repeat the secret parts of our URL.
fn target(headers: &HeaderMap, url: &Url) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    match location.and_then(|location| url.join(location).ok()) {
        Some(target) if target.origin() == url.origin() => {
            "a redirect to another path of the same host".to_owned()
        }
        Some(target) => format!("a redirect to {}", endpoint::redacted(&target)),
        None => "a redirect to nowhere".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn status(code: u16) -> StatusCode {
        StatusCode::from_u16(code).unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_2xx_is_success_and_410_is_the_end() {
        for code in 100..=999 {
            let expected = match code {
                200..=299 => Verdict::Delivered,
                410 => Verdict::Gone,
                _ => Verdict::Retry,
            };
            assert_eq!(verdict(status(code), &HeaderMap::new(), NOW), expected, "{code}");
        }
    }

    #[test]
    fn wait_that_is_asked_for_is_granted_on_any_failure() {
        let asking = headers(&[("retry-after", "120")]);
        let wait = Verdict::RetryAfter(Duration::from_mins(2));
        for code in [301, 400, 404, 408, 429, 500, 502, 503, 504, 600] {
            assert_eq!(verdict(status(code), &asking, NOW), wait, "{code}");
        }
        assert_eq!(verdict(status(200), &asking, NOW), Verdict::Delivered);
        assert_eq!(verdict(status(410), &asking, NOW), Verdict::Gone);
    }

    #[test]
    fn wait_that_is_nonsense_or_over_is_the_ladder() {
        for value in ["inf", "NaN", "-1", "1e30", "0", "Thu, 01 Jan 1970 00:00:00 GMT", ""] {
            let asking = headers(&[("retry-after", value)]);
            assert_eq!(verdict(status(503), &asking, NOW), Verdict::Retry, "{value}");
        }
    }

    #[test]
    fn redirect_is_explained_without_the_path_it_leads_to() {
        let url = Url::parse("https://example.com/s3cr3t?s3cr3t").unwrap();
        let table = [
            (
                Some("https://other.example:8443/s3cr3t"),
                "a redirect to https://other.example:8443/…;",
            ),
            (Some("http://example.com/s3cr3t"), "a redirect to http://example.com/…;"),
            (Some("/s3cr3t/"), "a redirect to another path of the same host;"),
            (Some("https://"), "a redirect to nowhere;"),
            (None, "a redirect to nowhere;"),
        ];
        for (location, expected) in table {
            let mut headers = HeaderMap::new();
            location.map(|location| headers.insert(LOCATION, HeaderValue::from_static(location)));
            let text = explain(status(302), &headers, Verdict::Retry, &url);
            assert!(text.starts_with("answered 302 Found, ") && text.contains(expected), "{text}");
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    }

    #[test]
    fn explanation_names_status_and_wait() {
        let explain = |code, verdict| {
            explain(
                status(code),
                &HeaderMap::new(),
                verdict,
                &Url::parse("https://example.com").unwrap(),
            )
        };
        assert_eq!(explain(500, Verdict::Retry), "answered 500 Internal Server Error");
        assert_eq!(explain(600, Verdict::Retry), "answered 600");
        assert_eq!(explain(410, Verdict::Gone), "answered 410 Gone: it wants no more events");
        assert_eq!(
            explain(429, Verdict::RetryAfter(Duration::from_secs(7))),
            "answered 429 Too Many Requests, and asks to wait 7 s"
        );
    }

    proptest! {
        #[test]
        fn any_answer_gets_a_verdict(code in 100_u16..=999, wait in "[ -~]{0,40}", location in "[ -~]{0,60}") {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, wait.parse().unwrap());
            headers.insert(LOCATION, location.parse().unwrap());
            let verdict = verdict(status(code), &headers, NOW);
            prop_assert_eq!(verdict == Verdict::Delivered, (200..300).contains(&code));
            let text = explain(status(code), &headers, verdict, &Url::parse("https://example.com").unwrap());
            prop_assert!(text.starts_with("answered "));
        }
    }
}
