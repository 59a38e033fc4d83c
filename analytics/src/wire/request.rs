//! A request as it leaves: pure values, for whichever HTTP client there is.

use std::{fmt, io::Write as _};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT},
};
use url::Url;
use uuid::Uuid;

/// Who sends.
pub(super) const LIBRARY: &str = "tidings";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(super) const LIBRARY_AND_VERSION: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

/// Below this, compressing costs more than it saves.
const GZIP_BYTES_MIN: usize = 1024;

/// A `POST` request. Redirects are not to be followed.
#[derive(Clone)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// All headers but the length. Those with a key in them are marked as sensitive.
    pub headers: HeaderMap,
    /// The body, compressed if `content-encoding` says so.
    pub body: Bytes,
}

/// One try to send a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// What the tries of one batch have in common.
    pub request_id: Uuid,
    /// The how manieth try it is, from one.
    pub number: u32,
    /// When the first try was made.
    pub created_at: DateTime<Utc>,
    /// When this one is made, by the sender's clock.
    ///
    /// Segment corrects the times of events by it, so one that is older than the try puts them into the future.
    pub sent_at: DateTime<Utc>,
}

impl Attempt {
    /// Returns the first try, made at `now`.
    pub const fn first(request_id: Uuid, now: DateTime<Utc>) -> Self {
        Self { request_id, number: 1, created_at: now, sent_at: now }
    }

    /// Returns the try after this one, made at `now`.
    #[must_use]
    pub const fn next(self, now: DateTime<Utc>) -> Self {
        Self { number: self.number.saturating_add(1), sent_at: now, ..self }
    }
}

impl Request {
    /// Returns a request with the headers that all of them have.
    pub(super) fn json(url: Url, body: Vec<u8>, gzip: bool) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(LIBRARY_AND_VERSION));
        let packed = if gzip && body.len() >= GZIP_BYTES_MIN { pack(&body) } else { None };
        if packed.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Self { url, headers, body: packed.unwrap_or(body).into() }
    }

    /// Returns the request with a header whose value is digits, letters and hyphens.
    pub(super) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// Compresses, unless that makes it longer.
fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < body.len()).then_some(packed)
}

impl fmt::Debug for Request {
    /// Leaves the body out: PostHog's holds the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("url", &self.url.as_str())
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn request(body: &str, gzip: bool) -> Request {
        let url = Url::parse("https://t.example/v1/batch").unwrap();
        Request::json(url, body.as_bytes().to_vec(), gzip)
    }

    #[test]
    fn body_is_compressed_from_1_kib_on_where_that_helps() {
        let long = "tidings ".repeat(1000);
        let packed = request(&long, true);
        assert_eq!(packed.headers[CONTENT_ENCODING], "gzip");
        assert!(packed.body.len() < long.len() / 10);
        let mut unpacked = String::new();
        GzDecoder::new(packed.body.as_ref()).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, long);

        for (body, gzip) in [(&long[..GZIP_BYTES_MIN - 1], true), (long.as_str(), false)] {
            let plain = request(body, gzip);
            assert_eq!(plain.headers.get(CONTENT_ENCODING), None);
            assert_eq!(plain.body, body.as_bytes());
        }
    }

    #[test]
    fn attempts_of_a_batch_share_their_id_and_their_beginning() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let first = Attempt::first(Uuid::from_u128(7), at(10));
        let third = first.next(at(20)).next(at(30));
        let expected = Attempt {
            request_id: Uuid::from_u128(7),
            number: 3,
            created_at: at(10),
            sent_at: at(30),
        };
        assert_eq!(third, expected);
    }
}
