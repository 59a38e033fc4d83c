//! What the three headers of a signed request say, before anything is believed.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;

use crate::VerifyError;

/// The most bytes of an id. Senders use UUIDs and the like; who stores ids can count on it.
pub const ID_BYTES_MAX: usize = 255;

/// How many signatures of a request are looked at. A sender in the middle of a rotation has two or three of each version.
pub const SIGNATURES_MAX: usize = 32;

/// The bytes of an HMAC-SHA256.
const V1_BYTES: usize = 32;

/// The bytes of an Ed25519 signature.
const V1A_BYTES: usize = 64;

/// The names of the headers, as one sender writes them.
pub(crate) struct Names {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

/// Standard Webhooks.
pub(crate) const STANDARD_NAMES: Names =
    Names { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" };

/// The same under the names of Svix.
pub(crate) const SVIX_NAMES: Names =
    Names { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" };

impl Names {
    /// Says whether a request uses any of the names.
    pub(crate) fn are_used(&self, headers: &HeaderMap) -> bool {
        [self.id, self.timestamp, self.signature].iter().any(|name| headers.contains_key(*name))
    }
}

/// The headers of a signed request.
#[derive(Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) id: &'a str,
    /// The timestamp as it was signed.
    pub(crate) timestamp_text: &'a str,
    pub(crate) timestamp: SystemTime,
    signatures: &'a str,
}

/// A signature in a form that could be right.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Signature {
    V1([u8; V1_BYTES]),
    V1a([u8; V1A_BYTES]),
}

impl<'a> Signed<'a> {
    /// Reads the headers.
    pub(crate) fn read(headers: &'a HeaderMap, names: &Names) -> Result<Self, VerifyError> {
        let id = text(headers, names.id, "an id of printable ASCII")?;
        if !is_id(id) {
            let expected =
                "an id of 1 to 255 printable ASCII characters without space or full stop";
            return Err(VerifyError::Malformed { name: names.id, expected });
        }
        let expected = "a whole number of seconds since 1970";
        let timestamp_text = text(headers, names.timestamp, expected)?;
        let timestamp = instant(timestamp_text)
            .ok_or(VerifyError::Malformed { name: names.timestamp, expected })?;
        let expected = "v1,<base64> or v1a,<base64>, several of them separated by spaces,";
        let signatures = text(headers, names.signature, expected)?;
        Ok(Self { id, timestamp_text, timestamp, signatures })
    }

    /// Returns the signatures of versions that are known and of the right length, among the first [`SIGNATURES_MAX`].
    pub(crate) fn signatures(&self) -> Vec<Signature> {
        let parts = self.signatures.split(' ').filter(|part| !part.is_empty());
        parts.take(SIGNATURES_MAX).filter_map(Signature::parse).collect()
    }

    /// Returns what is signed before the body.
    pub(crate) fn head(&self) -> String {
        format!("{}.{}.", self.id, self.timestamp_text)
    }
}

impl Signature {
    fn parse(text: &str) -> Option<Self> {
        let (version, encoded) = text.split_once(',')?;
        match version {
            "v1" => decode(encoded).map(Self::V1),
            "v1a" => decode(encoded).map(Self::V1a),
            // A version that comes after us.
            _ => None,
        }
    }

    pub(crate) const fn v1(&self) -> Option<&[u8; V1_BYTES]> {
        match self {
            Self::V1(mac) => Some(mac),
            Self::V1a(_) => None,
        }
    }

    pub(crate) const fn v1a(&self) -> Option<&[u8; V1A_BYTES]> {
        match self {
            Self::V1(_) => None,
            Self::V1a(signature) => Some(signature),
        }
    }
}

fn decode<const BYTES: usize>(encoded: &str) -> Option<[u8; BYTES]> {
    // Nobody makes us decode more than a signature.
    (encoded.len() == BYTES.div_ceil(3) * 4)
        .then(|| STANDARD.decode(encoded).ok())
        .flatten()
        .and_then(|bytes| bytes.try_into().ok())
}

/// Returns the only value of a header.
fn text<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    expected: &'static str,
) -> Result<&'a str, VerifyError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(VerifyError::Missing { name })?;
    if values.next().is_some() {
        return Err(VerifyError::Duplicate { name });
    }
    value.to_str().map_err(|_| VerifyError::Malformed { name, expected })
}

/// Says whether a text may be an id. With a full stop, `a.1` at 2 and `a` at 1 could be signed by the same bytes.
fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.')
}

/// Reads seconds since 1970. Signs are refused: nobody signs the time before 1970, and `+7` is `7` to some libraries only.
fn instant(text: &str) -> Option<SystemTime> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_seconds_since_1970_are_a_time() {
        for text in ["0", "1795356000", "007"] {
            assert!(instant(text).is_some(), "{text}");
        }
        for text in [
            "",
            "-1",
            "+7",
            " 7",
            "7 ",
            "1.5",
            "1e9",
            "0x7",
            "٧",
            "now",
            "-9223372036854775808",
            // More seconds than this clock, or an integer, has.
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999999999999999999999999",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn only_printable_ascii_without_space_and_full_stop_is_an_id() {
        let longest = "x".repeat(ID_BYTES_MAX);
        for text in ["1", "msg_2/a:b~", &longest] {
            assert!(is_id(text), "{text}");
        }
        let longer = "x".repeat(ID_BYTES_MAX + 1);
        for text in ["", "a.b", "a b", "a\tb", "é", "a\0", &longer] {
            assert!(!is_id(text), "{text}");
        }
    }

    #[test]
    fn signatures_of_other_versions_lengths_and_alphabets_are_skipped() {
        let (v1, v1a) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 64]));
        for (text, expected) in [
            (format!("v1,{v1}"), Some(Signature::V1([1; 32]))),
            (format!("v1a,{v1a}"), Some(Signature::V1a([2; 64]))),
            (format!("v1,{v1a}"), None),
            (format!("v1a,{v1}"), None),
            (format!("V1,{v1}"), None),
            (format!("v2,{v1}"), None),
            (v1.clone(), None),
            (format!("v1,{}", v1.trim_end_matches('=')), None),
            (format!("v1,{}", "_".repeat(44)), None),
            (format!("v1, {v1}"), None),
            ("v1,".to_owned(), None),
            (",".to_owned(), None),
        ] {
            assert_eq!(Signature::parse(&text), expected, "{text}");
        }
    }
}
