//! What must not be kept of a receiver's answer.
//!
//! Servers like to repeat the request in their errors (`Cannot POST /hooks/…`), and the path, the query and the
//! headers of a webhook are secrets. What they repeat word for word is masked; what they encode anew is not found.

use std::{cmp::Reverse, fmt, iter};

use reqwest::{Url, header::HeaderMap};

/// What stands in place of a secret.
const MASK: &str = "[…]";

/// Shorter texts are no secrets, and would be found by chance.
const BYTES_MIN: usize = 8;

/// One part of a path is often a plain word, `notifications` for example; a token is longer.
const SEGMENT_BYTES_MIN: usize = 16;

/// The texts that are masked for one subscriber.
#[derive(Clone)]
pub(super) struct Mask {
    /// Longest first, so that a part is not masked inside the whole.
    secrets: Vec<String>,
}

impl Mask {
    /// Returns the mask of the secret parts of `url` and of the values of `headers`.
    pub(super) fn new(url: &Url, headers: &HeaderMap) -> Self {
        let path = [url.path(), url.query().unwrap_or_default()].map(str::to_owned);
        let parameters = url.query_pairs().map(|(_, value)| value.into_owned());
        let values = headers.values().filter_map(|value| value.to_str().ok()).flat_map(|value| {
            // `Bearer …` is a secret as a whole, and so is what follows the word.
            iter::once(value).chain(value.split_whitespace()).map(str::to_owned)
        });
        let segments = url.path_segments().into_iter().flatten().map(str::to_owned);

        let whole = path.into_iter().chain(parameters).chain(values);
        let mut secrets = whole
            .filter(|text| text.len() >= BYTES_MIN)
            .chain(segments.filter(|segment| segment.len() >= SEGMENT_BYTES_MIN))
            .collect::<Vec<_>>();
        secrets.sort_by_key(|text| Reverse(text.len()));
        secrets.dedup();
        Self { secrets }
    }

    /// Returns `text` without the secrets.
    pub(super) fn apply(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| text.replace(secret, MASK))
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({} texts)", self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        let url =
            Url::parse("https://example.com/hooks/T0123456789ABCDEF?token=s3cr3t%20token&v=1")
                .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer abcdefgh12345678".parse().unwrap());
        headers.insert("x-short", "on".parse().unwrap());
        Mask::new(&url, &headers)
    }

    #[test]
    fn repeated_secrets_are_masked() {
        for (text, expected) in [
            ("Cannot POST /hooks/T0123456789ABCDEF", "Cannot POST […]"),
            ("no hook T0123456789ABCDEF here", "no hook […] here"),
            ("bad token=s3cr3t%20token&v=1", "bad […]"),
            ("bad s3cr3t token", "bad […]"),
            ("authorization: Bearer abcdefgh12345678!", "authorization: […]!"),
            ("token abcdefgh12345678 expired", "token […] expired"),
            ("turn it on, example.com", "turn it on, example.com"),
        ] {
            assert_eq!(mask().apply(text.to_owned()), expected);
        }
    }

    #[test]
    fn short_parts_are_left_alone() {
        let url = Url::parse("https://example.com/a?b=c").unwrap();
        let mask = Mask::new(&url, &HeaderMap::new());
        assert_eq!(mask.apply("a /a b=c".to_owned()), "a /a b=c");
    }

    #[test]
    fn debug_shows_no_secret() {
        let debug = format!("{:?}", mask());
        assert!(debug.starts_with("Mask(") && !debug.contains("s3cr3t"), "{debug}");
    }
}
