//! A request is verified exactly where a key has signed it, at a time close to now.
//!
//! Input: headers as `name: value`, an empty line, the body.

#![no_main]

use std::{
    collections::BTreeSet,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use ring::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use tidings_receiver::{Key, SIGNATURES_MAX, Verified, Verifier};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// The time of the verifier, in seconds since 1970, and what it tolerates.
const NOW: u64 = 1_795_356_000;
const TOLERANCE: u64 = 300;

const SECRET: [u8; 32] = [7; 32];

/// A sender, and the receiver that knows its keys.
struct Pair {
    secret: hmac::Key,
    private: Ed25519KeyPair,
    verifier: Verifier,
}

static PAIR: LazyLock<Pair> = LazyLock::new(|| {
    let private = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).expect("32 bytes are a seed");
    let keys = [Key::secret(&SECRET), Key::public(private.public_key().as_ref())];
    let verifier = Verifier::new(keys.map(|key| key.expect("a key of the right length")));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    Pair { secret, private, verifier: verifier.expect("there are keys") }
});

fuzz_target!(|request: &[u8]| {
    let (headers, body) = read(request);
    let verified = verify(&headers, body);
    let [id, timestamp, signatures] = [ID, TIMESTAMP, SIGNATURE].map(|name| only(&headers, name));
    let (Some(id), Some(timestamp)) = (id, timestamp) else {
        return assert_eq!(verified, None);
    };
    let right = sign(id, timestamp, body);
    let parts = signatures.unwrap_or_default().split(' ').filter(|part| !part.is_empty());
    let is_signed = parts.take(SIGNATURES_MAX).any(|part| right.contains(part));
    assert_eq!(verified.is_some(), is_signed && is_id(id) && is_timely(timestamp));

    // Signed rightly, it is verified; what comes after does not count, and any change of the body does.
    let mut signed = headers.clone();
    for signature in &right {
        let junk = signatures.unwrap_or_default();
        let value = HeaderValue::from_str(&format!("{signature} {junk}"));
        signed.insert(SIGNATURE, value.expect("what was a header is one behind a signature"));
        let verified = verify(&signed, body);
        assert_eq!(verified.is_some(), is_id(id) && is_timely(timestamp));
        assert!(verified.is_none_or(|verified| verified.id == id));
    }
    for signature in right {
        signed.insert(SIGNATURE, HeaderValue::from_str(&signature).expect("base64 is a header"));
        assert_eq!(verify(&signed, &[body, b"x"].concat()), None);
        if let Some((last, rest)) = body.split_last() {
            assert_eq!(verify(&signed, rest), None);
            assert_eq!(verify(&signed, &[rest, &[last ^ 1]].concat()), None);
        }
    }
});

fn verify(headers: &HeaderMap, body: &[u8]) -> Option<Verified> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let verified = PAIR.verifier.verify(headers, body, now);
    verified.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

/// Reads the headers that HTTP allows, and the body.
fn read(request: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = request;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().map(HeaderName::from_bytes);
        let value = parts.next().map(|value| HeaderValue::from_bytes(value.trim_ascii()));
        if let (Some(Ok(name)), Some(Ok(value))) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, rest)
}

/// Returns the value of a header that is there once, and is text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok();
    value.filter(|_| values.next().is_none())
}

/// Returns the signatures that both keys make.
fn sign(id: &str, timestamp: &str, body: &[u8]) -> BTreeSet<String> {
    let message = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let mac = hmac::sign(&PAIR.secret, &message);
    let signature = PAIR.private.sign(&message);
    [format!("v1,{}", STANDARD.encode(mac)), format!("v1a,{}", STANDARD.encode(signature))].into()
}

fn is_id(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.')
}

fn is_timely(timestamp: &str) -> bool {
    let is_number = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    is_number && timestamp.parse().is_ok_and(|seconds: u64| seconds.abs_diff(NOW) <= TOLERANCE)
}
