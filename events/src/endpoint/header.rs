//! Headers that a subscriber adds to its requests.
//!
//! The letter case of a name is not kept: HTTP names have none, and requests carry them in lower case.

use std::collections::BTreeMap;

use super::{EndpointError, Profile};
use crate::format::Format;

/// The most headers of one subscriber; a server commonly takes a hundred of all kinds.
pub const HEADER_COUNT_MAX: usize = 32;

/// The most bytes of names and values together; common servers take 8 to 16 KiB with ours.
pub const HEADER_BYTES_MAX: usize = 4_096;

/// Names that are ours, that belong to the connection, or that proxies and clouds set and receivers believe.
const RESERVED: [&str; 24] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "metadata",
    "metadata-flavor",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-metadata-token",
    "x-real-ip",
];

/// Beginnings of such names.
const RESERVED_PREFIXES: [&str; 6] =
    ["proxy-", "sec-", "tidings-", "webhook-", "x-aws-ec2-metadata-", "x-forwarded-"];

/// The beginning of what a binary event of `CloudEvents` sends beside [`RESERVED`].
const CLOUD_EVENT_PREFIX: &str = "ce-";

/// What the profile of Orchest sends beside [`RESERVED`].
const ORCHEST: [&str; 3] = ["x-hub-signature", "x-orchest-delivery", "x-orchest-event"];

/// Checks that the headers of a subscriber leave those of the profile and the format alone.
pub(super) fn check_profile(
    headers: &BTreeMap<String, String>,
    (profile, format): (Profile, Format),
) -> Result<(), EndpointError> {
    let is_ours = |name: &&String| {
        let name = name.to_ascii_lowercase();
        (profile == Profile::Orchest && ORCHEST.contains(&name.as_str()))
            || (format == Format::CloudEventsBinary && name.starts_with(CLOUD_EVENT_PREFIX))
    };
    match headers.keys().find(is_ours) {
        Some(name) => Err(EndpointError::HeaderReserved { name: name.clone() }),
        None => Ok(()),
    }
}

/// Checks the headers that a subscriber wants to add.
///
/// # Errors
///
/// The first header that cannot be sent, in the order of names, or that there are too many.
pub fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), EndpointError> {
    if headers.len() > HEADER_COUNT_MAX {
        return Err(EndpointError::HeaderCount { count: headers.len() });
    }
    let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if bytes > HEADER_BYTES_MAX {
        return Err(EndpointError::HeaderBytes { bytes });
    }
    let mut seen = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        check_name(name)?;
        if !is_value(value) {
            return Err(EndpointError::HeaderValue { name: name.clone() });
        }
        let lower = name.to_ascii_lowercase();
        if seen.contains(&lower) {
            return Err(EndpointError::HeaderTwice { name: name.clone() });
        }
        seen.push(lower);
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), EndpointError> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(EndpointError::HeaderName { name: name.to_owned() });
    }
    let lower = name.to_ascii_lowercase();
    let reserved = RESERVED.contains(&lower.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if reserved {
        return Err(EndpointError::HeaderReserved { name: name.to_owned() });
    }
    Ok(())
}

/// Returns whether `byte` may be in a header name (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether `value` arrives as it is written; a receiver strips space at the ends.
fn is_value(value: &str) -> bool {
    value.trim().len() == value.len()
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<(), EndpointError> {
        let headers = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        check_headers(&headers.collect())
    }

    #[test]
    fn ordinary_headers_pass() {
        let headers = [
            ("Authorization", "Bearer abc.def"),
            ("X-Api-Key", "s3cr3t"),
            ("x-empty", ""),
            ("cookie", "a=b; c=\"d e\""),
            ("X-Tab", "a\tb"),
        ];
        assert_eq!(check(&headers), Ok(()));
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn header_that_is_ours_or_of_the_connection_is_refused_in_any_letter_case() {
        for name in [
            "webhook-id",
            "Webhook-Signature",
            "WEBHOOK-TIMESTAMP",
            "webhook-anything",
            "Content-Type",
            "content-length",
            "HOST",
            "Connection",
            "Transfer-Encoding",
            "Upgrade",
            "TE",
            "Trailer",
            "Proxy-Authorization",
            "User-Agent",
            "TraceParent",
            "X-Forwarded-For",
            "Metadata-Flavor",
            "X-aws-ec2-metadata-token",
            "Expect",
            "Accept-Encoding",
        ] {
            assert_eq!(
                check(&[(name, "x")]),
                Err(EndpointError::HeaderReserved { name: name.to_owned() })
            );
        }
    }

    #[test]
    fn header_of_another_profile_is_free() {
        let headers = |name: &str| BTreeMap::from([(name.to_owned(), "x".to_owned())]);
        for name in ["X-Hub-Signature", "x-orchest-event", "X-ORCHEST-DELIVERY"] {
            let refused = EndpointError::HeaderReserved { name: name.to_owned() };
            assert_eq!(
                check_profile(&headers(name), (Profile::Orchest, Format::Tidings)),
                Err(refused)
            );
            assert_eq!(check_profile(&headers(name), (Profile::Standard, Format::Tidings)), Ok(()));
        }
        assert_eq!(check_profile(&headers("x-own"), (Profile::Orchest, Format::Tidings)), Ok(()));
    }

    #[test]
    fn name_or_value_that_could_break_out_of_its_line_is_refused() {
        for name in ["", "a b", "a:b", "a\r\nb", "é", "a\0", "(a)"] {
            assert_eq!(check(&[(name, "x")]), Err(EndpointError::HeaderName { name: name.into() }));
        }
        for value in ["a\r\nwebhook-id: 1", "a\n", "\0", "é", " a", "a ", "\u{7f}"] {
            assert_eq!(
                check(&[("a", value)]),
                Err(EndpointError::HeaderValue { name: "a".into() })
            );
        }
    }

    #[test]
    fn names_that_differ_in_letter_case_only_are_one_header() {
        let twice = check(&[("X-A", "1"), ("x-a", "2")]);
        assert_eq!(twice, Err(EndpointError::HeaderTwice { name: "x-a".into() }));
    }

    #[test]
    fn number_and_size_are_bounded() {
        let many = |count: usize| (0..count).map(|i| (format!("x-{i}"), "1".to_owned())).collect();
        assert_eq!(check_headers(&many(HEADER_COUNT_MAX)), Ok(()));
        assert_eq!(
            check_headers(&many(HEADER_COUNT_MAX + 1)),
            Err(EndpointError::HeaderCount { count: HEADER_COUNT_MAX + 1 })
        );
        assert_eq!(check(&[("a", &"x".repeat(HEADER_BYTES_MAX - 1))]), Ok(()));
        assert_eq!(
            check(&[("a", &"x".repeat(HEADER_BYTES_MAX))]),
            Err(EndpointError::HeaderBytes { bytes: HEADER_BYTES_MAX + 1 })
        );
    }

    #[test]
    fn error_never_shows_a_value() {
        let error = check(&[("a", "s3cr3t\n")]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cr3t"));
    }
}
