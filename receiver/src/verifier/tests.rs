//! What is believed, and what is refused for which reason.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::SIGNATURES_MAX;

const SECRET: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];
const NOW: u64 = 1_795_356_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn secret(bytes: &[u8]) -> Key {
    Key::secret(bytes).unwrap()
}

fn public(seed: u8) -> Key {
    Key::public(pair(seed).public_key().as_ref()).unwrap()
}

fn message(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{timestamp}.").as_bytes(), body].concat()
}

/// Signs as a sender with a shared secret does.
pub(crate) fn v1(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &message(id, timestamp, body))))
}

/// Signs as a sender with a key pair does.
fn v1a(seed: u8, id: &str, timestamp: &str, body: &[u8]) -> String {
    format!("v1a,{}", STANDARD.encode(pair(seed).sign(&message(id, timestamp, body))))
}

fn headers(id: &str, timestamp: &str, signatures: &str) -> HeaderMap {
    named("webhook", [id, timestamp, signatures])
}

fn named(prefix: &str, values: [&str; 3]) -> HeaderMap {
    let names = ["id", "timestamp", "signature"].map(|name| format!("{prefix}-{name}"));
    let pairs = names.iter().zip(values);
    pairs
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        })
        .collect()
}

/// A request of a sender that has both kinds of keys.
fn request(body: &[u8]) -> HeaderMap {
    let now = NOW.to_string();
    let signatures = format!("{} {}", v1(&SECRET, "m", &now, body), v1a(1, "m", &now, body));
    headers("m", &now, &signatures)
}

#[test]
fn each_kind_of_key_verifies_its_signature_and_is_named() {
    let body = b"{\"a\":1}";
    for key in [secret(&SECRET), public(1)] {
        let name = key.fingerprint();
        let verified = Verifier::new([key]).unwrap().verify(&request(body), body, at(NOW)).unwrap();
        assert_eq!(
            verified,
            Verified { id: "m".to_owned(), timestamp: at(NOW), fingerprint: name }
        );
    }
}

#[test]
fn body_need_not_be_text() {
    for body in [&b""[..], b"\xff\xfe\0.", &[0x80; 4096]] {
        for key in [secret(&SECRET), public(1)] {
            Verifier::new([key]).unwrap().verify(&request(body), body, at(NOW)).unwrap();
        }
    }
}

#[test]
fn old_and_new_key_are_both_believed_during_a_rotation() {
    let now = NOW.to_string();
    for (sign, old, new) in [
        (v1(&SECRET, "m", &now, b""), secret(&SECRET), secret(&OTHER)),
        (v1a(1, "m", &now, b""), public(1), public(2)),
    ] {
        // The receiver already knows the new key, the sender signs with the old one.
        let name = old.fingerprint();
        let both = Verifier::new([new.clone(), old.clone()]).unwrap();
        let verified = both.verify(&headers("m", &now, &sign), b"", at(NOW)).unwrap();
        assert_eq!(verified.fingerprint, name);
        // The receiver knows the old key only, the sender signs with both, the new one first.
        let other =
            if old.version() == "v1" { v1(&OTHER, "m", &now, b"") } else { v1a(2, "m", &now, b"") };
        let signed_twice = headers("m", &now, &format!("{other} {sign}"));
        let verified = Verifier::new([old.clone()]).unwrap().verify(&signed_twice, b"", at(NOW));
        assert_eq!(verified.unwrap().fingerprint, name);
        // After the rotation, the old key alone is refused.
        let after = Verifier::new([new]).unwrap().verify(&headers("m", &now, &sign), b"", at(NOW));
        assert_eq!(after, Err(VerifyError::WrongSignature));
    }
}

#[test]
fn signature_of_the_other_version_does_not_count() {
    let now = NOW.to_string();
    let asymmetric = headers("m", &now, &v1a(1, "m", &now, b""));
    let refused = Verifier::new([secret(&SECRET)]).unwrap().verify(&asymmetric, b"", at(NOW));
    assert_eq!(refused, Err(VerifyError::NoSignature));
    // Whoever knows the public key must not be able to sign with it as a shared secret.
    let forged = headers("m", &now, &v1(pair(1).public_key().as_ref(), "m", &now, b""));
    let refused = Verifier::new([public(1)]).unwrap().verify(&forged, b"", at(NOW));
    assert_eq!(refused, Err(VerifyError::NoSignature));
}

#[test]
fn time_of_the_signature_lies_within_the_tolerance_both_ways() {
    let verifier = Verifier::new([secret(&SECRET)]).unwrap();
    let headers = request(b"");
    let verdict = |now| verifier.verify(&headers, b"", at(now)).map(|_| ());
    let tolerance = TOLERANCE;
    assert_eq!(verdict(NOW + 300), Ok(()));
    assert_eq!(verdict(NOW - 300), Ok(()));
    let age = Duration::from_secs(301);
    assert_eq!(verdict(NOW + 301), Err(VerifyError::TooOld { age, tolerance }));
    assert_eq!(verdict(NOW - 301), Err(VerifyError::TooNew { ahead: age, tolerance }));
    assert!(matches!(verdict(0), Err(VerifyError::TooNew { .. })));
    let wide = verifier.clone().tolerance(Duration::MAX);
    assert!(wide.verify(&headers, b"", at(0)).is_ok());
    let narrow = verifier.tolerance(Duration::ZERO);
    assert!(narrow.verify(&headers, b"", at(NOW)).is_ok());
    assert!(narrow.verify(&headers, b"", at(NOW + 1)).is_err());
}

#[test]
fn header_that_is_missing_twice_there_or_malformed_is_named() {
    let verifier = Verifier::new([secret(&SECRET)]).unwrap();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut missing = request(b"");
        missing.remove(name);
        let refused = verifier.verify(&missing, b"", at(NOW));
        assert_eq!(refused, Err(VerifyError::Missing { name }));
        let mut twice = request(b"");
        twice.append(name, twice[name].clone());
        let refused = verifier.verify(&twice, b"", at(NOW));
        assert_eq!(refused, Err(VerifyError::Duplicate { name }));
        let mut malformed = request(b"");
        malformed.insert(name, HeaderValue::from_bytes(b"\xff").unwrap());
        let refused = verifier.verify(&malformed, b"", at(NOW)).unwrap_err();
        assert!(matches!(refused, VerifyError::Malformed { name: found, .. } if found == name));
        assert!(refused.is_malformed() && refused.to_string().contains(name), "{refused}");
    }
}

#[test]
fn id_with_a_full_stop_is_refused_because_it_could_move_the_time() {
    // The bytes `m.1.2.x` are the message `m` at 1 with the body `2.x`, or `m.1` at 2 with the body `x`.
    let signature = v1(&SECRET, "m", "1", b"2.x");
    let verifier = Verifier::new([secret(&SECRET)]).unwrap().tolerance(Duration::MAX);
    assert!(verifier.verify(&headers("m", "1", &signature), b"2.x", at(NOW)).is_ok());
    let moved = verifier.verify(&headers("m.1", "2", &signature), b"x", at(NOW));
    assert!(matches!(moved, Err(VerifyError::Malformed { name: "webhook-id", .. })));
}

#[test]
fn signatures_beyond_the_limit_are_not_looked_at() {
    let now = NOW.to_string();
    let good = v1(&SECRET, "m", &now, b"");
    let verifier = Verifier::new([secret(&SECRET)]).unwrap();
    let after = |others: usize| {
        let signatures = format!("{}{good}", "v0,x ".repeat(others));
        verifier.verify(&headers("m", &now, &signatures), b"", at(NOW)).is_ok()
    };
    assert!(after(SIGNATURES_MAX - 1));
    assert!(!after(SIGNATURES_MAX));
}

#[test]
fn svix_names_are_read_where_they_are_asked_for_and_stand_alone() {
    let now = NOW.to_string();
    let svix = named("svix", ["m", &now, &v1(&SECRET, "m", &now, b"")]);
    let verifier = Verifier::new([secret(&SECRET)]).unwrap();
    let refused = verifier.verify(&svix, b"", at(NOW));
    assert_eq!(refused, Err(VerifyError::Missing { name: "webhook-id" }));
    let verifier = verifier.accept_svix_headers();
    assert_eq!(verifier.verify(&svix, b"", at(NOW)).unwrap().id, "m");
    assert_eq!(verifier.verify(&request(b""), b"", at(NOW)).unwrap().id, "m");
    // The two are never mixed.
    let mut mixed = svix;
    mixed.insert("webhook-id", HeaderValue::from_static("other"));
    let refused = verifier.verify(&mixed, b"", at(NOW));
    assert_eq!(refused, Err(VerifyError::Missing { name: "webhook-timestamp" }));
}

#[test]
fn public_key_that_is_no_point_of_the_curve_verifies_nothing() {
    let refused = Verifier::new([Key::public(&[0xff; 32]).unwrap()]).unwrap();
    let verdict = refused.verify(&request(b""), b"", at(NOW));
    assert_eq!(verdict, Err(VerifyError::WrongSignature));
}

#[test]
fn verifier_without_a_key_is_refused_at_once() {
    assert_eq!(Verifier::new([]).unwrap_err(), KeyError::NoKey);
}

proptest! {
    #[test]
    fn whatever_is_changed_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u32,
        part in 0..4_u8,
        asymmetric in any::<bool>(),
    ) {
        let now = NOW.to_string();
        let (key, signature) = if asymmetric {
            (public(1), v1a(1, "msg_1", &now, &body))
        } else {
            (secret(&SECRET), v1(&SECRET, "msg_1", &now, &body))
        };
        let verifier = Verifier::new([key]).unwrap();
        prop_assert!(verifier.verify(&headers("msg_1", &now, &signature), &body, at(NOW)).is_ok());

        let (mut id, mut timestamp) = (b"msg_1".to_vec(), now.into_bytes());
        let (mut signature, mut body) = (signature.into_bytes(), body);
        let changed = [&mut id, &mut timestamp, &mut signature, &mut body][usize::from(part)].as_mut_slice();
        changed[place.index(changed.len())] ^= 1 << bit;
        let values = [id, timestamp, signature].map(|bytes| HeaderValue::from_bytes(&bytes));
        let [Ok(id), Ok(timestamp), Ok(signature)] = values else {
            return Ok(());
        };
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers = names.map(HeaderName::from_static).into_iter().zip([id, timestamp, signature]).collect();
        // However late or early it is made to look.
        let verifier = verifier.tolerance(Duration::MAX);
        prop_assert!(verifier.verify(&headers, &body, at(NOW)).is_err());
    }

    #[test]
    fn any_request_gets_a_verdict(
        id in "[ -~]{0,40}",
        timestamp in "(-?[0-9]{0,30}|[ -~]{0,20})",
        signature in "((v1|v1a|v2|),?[ -~]{0,100} ?){0,4}",
        body in proptest::collection::vec(any::<u8>(), 0..50),
        tolerance in any::<u64>(),
        now in 0..=i64::MAX.cast_unsigned(),
    ) {
        let verifier = Verifier::new([secret(&SECRET), public(1)]).unwrap();
        let verifier = verifier.tolerance(Duration::from_secs(tolerance));
        let verdict = verifier.verify(&headers(&id, &timestamp, &signature), &body, at(now));
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn public_library_and_this_one_believe_each_other(
        key in proptest::collection::vec(any::<u8>(), 24..=75),
        id in "[!-\\-/-~]{1,60}",
        timestamp in 0..=i64::from(u32::MAX),
        body in ".{0,200}",
    ) {
        let theirs = standardwebhooks::Webhook::from_bytes(key.clone()).unwrap();
        let signature = theirs.sign(&id, timestamp, body.as_bytes()).unwrap();
        let headers = headers(&id, &timestamp.to_string(), &signature);
        let now = at(timestamp.cast_unsigned());
        let verified = Verifier::new([secret(&key)]).unwrap().verify(&headers, body.as_bytes(), now);
        prop_assert_eq!(verified.map(|verified| verified.id), Ok(id.clone()));
        prop_assert_eq!(v1(&key, &id, &timestamp.to_string(), body.as_bytes()), signature);
    }
}
