use std::time::Duration;

use proptest::prelude::*;
use ring::signature::{ED25519, UnparsedPublicKey};
use tidings::{endpoint::Scheme, secret::Secret};
use uuid::Uuid;

use super::*;

const BODY: &[u8] = b"{}";

fn secret(byte: u8) -> SigningKey {
    Secret::from_bytes(&[byte; 32]).unwrap().into()
}

fn pair(byte: u8) -> SigningKey {
    KeyPair::from_bytes(&[byte; 32]).unwrap().into()
}

fn config(schemes: &[Scheme]) -> Config {
    Config { signatures: schemes.iter().copied().collect(), ..Config::new("https://example.com") }
}

fn both() -> Config {
    config(&[Scheme::V1, Scheme::V1a])
}

fn orchest() -> Config {
    Config { profile: Profile::Orchest, ..Config::new("https://example.com") }
}

fn signatures(keys: &[SigningKey], config: &Config, now: Instant) -> Vec<String> {
    let signer = Signer::new(keys, config).unwrap();
    let live = signer.live(now).unwrap();
    live.sign(Uuid::nil(), 7, BODY).split(' ').map(str::to_owned).collect()
}

fn signature(key: SigningKey) -> String {
    let config =
        if key.secret().is_some() { config(&[Scheme::V1]) } else { config(&[Scheme::V1a]) };
    signatures(&[key], &config, Instant::now()).remove(0)
}

#[test]
fn every_key_signs_symmetric_first_and_newest_first() {
    let keys = [pair(1), secret(2), pair(3), secret(4)];
    let expected = [secret(2), secret(4), pair(1), pair(3)].map(signature);
    assert_eq!(signatures(&keys, &both(), Instant::now()), expected);
    assert!(expected[0].starts_with("v1,") && expected[2].starts_with("v1a,"));
}

#[test]
fn only_what_is_asked_for_signs() {
    let keys = [pair(1), secret(2)];
    let now = Instant::now();
    assert_eq!(signatures(&keys, &config(&[Scheme::V1]), now), [signature(secret(2))]);
    assert_eq!(signatures(&keys, &config(&[Scheme::V1a]), now), [signature(pair(1))]);
}

#[test]
fn expired_key_stops_signing_while_the_destination_stays_open() {
    let now = Instant::now();
    let until =
        |key: SigningKey, s| SigningKey { expires_at: Some(now + Duration::from_secs(s)), ..key };
    let keys = [secret(1), until(secret(2), 5), pair(3), until(pair(4), 10)];
    let at = |s| signatures(&keys, &both(), now + Duration::from_secs(s)).len();
    assert_eq!([0, 4, 5, 9, 10, 100].map(at), [4, 4, 3, 3, 2, 2]);

    let signer = Signer::new(&[until(secret(1), 5)], &config(&[Scheme::V1])).unwrap();
    assert!(signer.live(now).is_some());
    assert!(signer.live(now + Duration::from_secs(5)).is_none());
}

#[test]
fn nothing_is_signed_by_less_than_what_is_asked_for() {
    let legacy = || SigningKey::from(Secret::legacy("s3cr3t").unwrap());
    for (keys, config, expected) in [
        (vec![], both(), "rotate its secret"),
        (vec![pair(1)], both(), "rotate its secret"),
        (vec![legacy()], config(&[Scheme::V1]), "rotate its secret"),
        (vec![secret(1)], both(), "rotate its key pair"),
        (vec![secret(1)], config(&[Scheme::V1a]), "rotate its key pair"),
        (vec![pair(1)], orchest(), "rotate its secret"),
    ] {
        let error = Signer::new(&keys, &config).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn signatures_of_orchest_are_those_of_the_original() {
    let key = SigningKey::from(Secret::legacy("secret").unwrap());
    let signer = Signer::new(&[key], &orchest()).unwrap();
    let live = signer.live(Instant::now()).unwrap();
    for (body, expected) in [
        ("{}", "77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"),
        (r#"{"a":1}"#, "aa9e2e3575f5d7098b6caccd790888c36d5fdb63342a73bada2d6a51747a8494"),
        (
            "delivered_for=%7B%7D&event=%7B%7D",
            "4e383b26a1b67d5f0d96edd6da48469e6fca6699860d63870b90de32e7085b77",
        ),
    ] {
        assert_eq!(live.sign_body(body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn in_the_profile_of_orchest_the_newest_secret_signs_alone_and_as_its_text() {
    let keys = [secret(1), secret(2)];
    let signer = Signer::new(&keys, &orchest()).unwrap();
    let text = keys[0].secret().unwrap().to_text();
    let as_text = Signer::new(&[Secret::legacy(&text).unwrap().into()], &orchest()).unwrap();
    let sign = |signer: &Signer| signer.live(Instant::now()).unwrap().sign_body(BODY);
    assert_eq!(sign(&signer), sign(&as_text));
    assert_eq!(signer.live(Instant::now()).unwrap().0.len(), 1);
}

#[test]
fn receiver_verifies_by_the_key_it_names_or_the_only_one() {
    let stored = |key: SigningKey, id| SigningKey { secret_id: Some(id), ..key };
    let keys = [stored(secret(1), 11), stored(pair(2), 12)];
    let names = [keys[0].fingerprint(), keys[1].fingerprint().to_uppercase()];
    let signer = Signer::new(&keys, &both()).unwrap();
    let live = signer.live(Instant::now()).unwrap();
    for (said, accepted, expected) in [
        (Some(names[0].as_str()), true, Some(11)),
        (Some(&names[1]), true, Some(12)),
        (Some(&names[1]), false, Some(12)),
        (Some("00000000"), true, None),
        (None, true, None),
    ] {
        assert_eq!(live.verified_by(said, accepted), expected, "{said:?} {accepted}");
    }
    let signer = Signer::new(&keys[..1], &config(&[Scheme::V1])).unwrap();
    let live = signer.live(Instant::now()).unwrap();
    for (said, accepted, expected) in
        [(None, true, Some(11)), (None, false, None), (Some("00000000"), true, None)]
    {
        assert_eq!(live.verified_by(said, accepted), expected, "{said:?} {accepted}");
    }
}

#[test]
fn debug_shows_no_key() {
    let signer = Signer::new(&[secret(1), pair(2)], &both()).unwrap();
    let debug = format!("{signer:?} {:?}", signer.live(Instant::now()).unwrap());
    assert_eq!(debug, "Signer(2 keys) Live([Key(…), Key(…)])");
}

proptest! {
    #[test]
    fn public_implementation_makes_the_same_signature(
        key in proptest::collection::vec(any::<u8>(), 24..=75),
        id in any::<u128>(),
        timestamp in 0..=i64::from(u32::MAX),
        body in ".{0,200}",
    ) {
        let (secret, id) = (Secret::from_bytes(&key).unwrap(), Uuid::from_u128(id));
        let theirs = standardwebhooks::Webhook::new(&secret.to_text()).unwrap();
        let expected = theirs.sign(&id.to_string(), timestamp, body.as_bytes()).unwrap();
        let signer = Signer::new(&[secret.into()], &config(&[Scheme::V1])).unwrap();
        let ours = signer.live(Instant::now()).unwrap().sign(id, timestamp, body.as_bytes());
        prop_assert_eq!(ours, expected);
    }

    #[test]
    fn asymmetric_signature_verifies_for_its_message_and_for_no_other(
        seed in any::<[u8; 32]>(),
        timestamp in 0..=i64::from(u32::MAX),
        body in ".{0,200}",
    ) {
        let pair = KeyPair::from_bytes(&seed).unwrap();
        let signer = Signer::new(&[pair.clone().into()], &config(&[Scheme::V1a])).unwrap();
        let live = signer.live(Instant::now()).unwrap();
        let ours = live.sign(Uuid::nil(), timestamp, body.as_bytes());
        let bytes = STANDARD.decode(ours.strip_prefix("v1a,").unwrap()).unwrap();
        let public_key = pair.public_key();
        let theirs = UnparsedPublicKey::new(&ED25519, public_key.as_bytes());
        let verifies = |id: &str, timestamp: i64, body: &str| {
            theirs.verify(format!("{id}.{timestamp}.{body}").as_bytes(), &bytes).is_ok()
        };
        let nil = Uuid::nil().to_string();
        prop_assert!(verifies(&nil, timestamp, &body));
        prop_assert!(!verifies(&nil, timestamp + 1, &body));
        let tampered = format!("{body} ");
        prop_assert!(!verifies(&nil, timestamp, &tampered));
        prop_assert!(!verifies(&Uuid::max().to_string(), timestamp, &body));
    }
}
