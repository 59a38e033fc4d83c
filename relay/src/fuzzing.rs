//! One request through the code of the relay, without a socket and without a database: for the targets in `fuzz/`, and
//! for the tests that do the same for a moment.
//!
//! ```text
//! request ─▶ door ─▶ body ─▶ protocol ─▶ schema ─▶ rows ─▶ kept in memory
//!                                                             │
//!            claims ◀──────────── answer ◀────────────────────┘
//! ```
//!
//! Everything is what a real request meets; only the writers keep what a database would get.

#![expect(clippy::unwrap_used, reason = "what does not hold has to stop the fuzzer")]

mod claims;
mod house;

use std::io::Write;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use self::house::House;

/// The paths of `/analytics`.
pub const ANALYTICS: &[&str] = &["/analytics"];

/// The paths of Segment's calls, one of each kind.
pub const SEGMENT: &[&str] =
    &["/v1/batch", "/v1/track", "/v1/identify", "/v1/group", "/v1/page", "/v1/screen", "/v1/alias"];

/// The paths of PostHog's routes, one of each kind.
pub const POSTHOG: &[&str] = &["/capture/", "/batch/", "/e/", "/i/v0/e/"];

/// The paths of Sunbird and DIGIT.
pub const TELEMETRY: &[&str] = &["/v1/telemetry", "/action/data/v3/telemetry"];

/// Sends what `input` says to one of these paths, checks everything that has to hold, and returns the status.
///
/// Input: a path with its query, headers as `name: value`, an empty line, the body. Another path than those is the first
/// of them.
pub fn request(paths: &'static [&'static str], input: &[u8]) -> u16 {
    let (head, body) = split(input, b"\n\n");
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let target = lines.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = paths.iter().copied().find(|known| *known == path).unwrap_or(paths[0]);
    let uri = format!("{path}?{query}").parse().unwrap_or_else(|_| Uri::from_static(path));
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?))
    });
    let sent = Sent { path, uri, headers: headers.collect(), body: body.to_vec() };
    House::with(|house| {
        let seen = house.send(&sent);
        claims::check(&sent, &seen);
        seen.status
    })
}

/// Sends `input` as a batch of telemetry in each content encoding, whole and cut off, and as if it were encoded already;
/// returns the status of the plain one.
///
/// An encoding changes nothing: the answer is the same, and what is stored are the bytes before it.
pub fn encodings(input: &[u8]) -> u16 {
    let whole = post(input.to_vec(), None);
    for (encoding, body) in
        [("gzip", gzip(input)), ("deflate", zlib(input)), ("deflate", raw(input))]
    {
        let encoded = post(body.clone(), Some(encoding));
        assert_eq!((encoded.0, &encoded.1), (whole.0, &whole.1), "{encoding}");
        let (_, cut) = body.split_last().unwrap();
        let cut = post(cut.to_vec(), Some(encoding));
        assert!(cut.0 == 400 || cut == whole, "{encoding}: a body that was cut off is another one");
        post(input.to_vec(), Some(encoding));
    }
    whole.0
}

/// Sends a batch, and returns the status and what was stored of it.
fn post(body: Vec<u8>, encoding: Option<&'static str>) -> (u16, Option<Vec<u8>>) {
    let headers = encoding.map(|encoding| {
        (HeaderName::from_static("content-encoding"), HeaderValue::from_static(encoding))
    });
    let headers = headers.into_iter().collect();
    let sent = Sent { path: TELEMETRY[0], uri: Uri::from_static(TELEMETRY[0]), headers, body };
    House::with(|house| {
        let seen = house.send(&sent);
        claims::check(&sent, &seen);
        (seen.status, seen.records.first().map(|record| record.value.to_vec()))
    })
}

/// A request.
#[derive(Debug)]
struct Sent {
    path: &'static str,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn split<'a>(input: &'a [u8], at: &[u8]) -> (&'a [u8], &'a [u8]) {
    let place = input.windows(at.len()).position(|window| window == at);
    place.map_or((input, &[]), |place| (&input[..place], &input[place + at.len()..]))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn raw(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[cfg(test)]
mod tests;
