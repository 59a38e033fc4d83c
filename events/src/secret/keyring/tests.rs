use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;

const OWNER: &[u8] = b"subscriber 7";

/// `value` for `subscriber 7` under thirty-two sevens, in version 1.
const STORED: &str = "AUuwb44fvsgUsYsdTD6qfOxBAH4EvwqYRTsG7HV95uHVmDigYMPiYMbbYay0f//3ehc=";

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

#[test]
fn what_is_sealed_opens_for_its_owner_only() {
    let keyring = Keyring::generate(&mut rng(1));
    let sealed = keyring.seal(&mut rng(2), b"value", OWNER);
    assert_eq!(*keyring.open(&sealed, OWNER).unwrap(), b"value");
    for other in [&b""[..], b"subscriber 8", b"subscriber 70", b"subscriber "] {
        let error = keyring.open(&sealed, other).unwrap_err();
        assert_eq!(error, KeyringError::Tampered { id: keyring.current() });
    }
}

#[test]
fn stored_form_is_version_key_id_nonce_and_ciphertext() {
    let keyring = Keyring::parse(&STANDARD.encode([7; 32])).unwrap();
    let sealed = keyring.seal(&mut rng(2), b"value", OWNER);
    assert_eq!(sealed.len(), 1 + 4 + 24 + 5 + 16);
    assert_eq!(sealed[0], 1);
    assert_eq!(sealed[1..5], Sha256::digest([7; 32])[..4]);
    assert_eq!(KeyId::of_sealed(&sealed), Some(keyring.current()));
    assert!(!sealed.windows(5).any(|window| window == b"value"));
}

#[test]
fn form_that_was_stored_once_opens_for_ever() {
    let keyring = Keyring::parse(&STANDARD.encode([7; 32])).unwrap();
    let sealed = STANDARD.decode(STORED).unwrap();
    assert_eq!(*keyring.open(&sealed, OWNER).unwrap(), b"value");
}

#[test]
fn two_seals_of_one_value_differ() {
    let keyring = Keyring::generate(&mut rng(1));
    let rng = &mut rng(2);
    assert_ne!(keyring.seal(rng, b"value", OWNER), keyring.seal(rng, b"value", OWNER));
}

#[test]
fn key_is_changed_by_putting_a_new_one_in_front() {
    let (old, new) = (Keyring::generate(&mut rng(1)), Keyring::generate(&mut rng(2)));
    let sealed = old.seal(&mut rng(3), b"value", OWNER);
    let both = Keyring::parse(&format!("{},{}", *new.to_text(), *old.to_text())).unwrap();
    assert_eq!(*both.open(&sealed, OWNER).unwrap(), b"value");
    assert_ne!(KeyId::of_sealed(&sealed), Some(both.current()));

    let again = both.seal(&mut rng(4), b"value", OWNER);
    assert_eq!(KeyId::of_sealed(&again), Some(new.current()));
    assert_eq!(*new.open(&again, OWNER).unwrap(), b"value");
    let error = old.open(&again, OWNER).unwrap_err();
    assert_eq!(error, KeyringError::UnknownKey { id: new.current() });
    assert!(error.to_string().contains(&new.current().to_string()), "{error}");
}

#[test]
fn text_form_is_read_with_and_without_key_ids() {
    let keyring = Keyring::generate(&mut rng(1));
    let sealed = keyring.seal(&mut rng(2), b"value", OWNER);
    let text = keyring.to_text();
    let (id, key) = text.split_once(':').unwrap();
    for text in [
        text.to_string(),
        key.to_owned(),
        format!(" {key}\n"),
        format!("{}: {key},", id.to_uppercase()),
    ] {
        let read = Keyring::parse(&text).unwrap();
        assert_eq!(*read.open(&sealed, OWNER).unwrap(), b"value");
    }
}

#[test]
fn text_that_is_no_key_ring_is_an_error_that_names_the_place_and_quotes_nothing() {
    let key = STANDARD.encode([7; 32]);
    let id = Keyring::parse(&key).unwrap().current();
    let table = [
        (String::new(), KeyringError::NoKey),
        (" , ,".to_owned(), KeyringError::NoKey),
        ("hunter2hunter2".to_owned(), KeyringError::BadKey { number: 1 }),
        (STANDARD.encode([7; 31]), KeyringError::BadKey { number: 1 }),
        (STANDARD.encode([7; 33]), KeyringError::BadKey { number: 1 }),
        (format!("{key},hunter2"), KeyringError::BadKey { number: 2 }),
        (format!("{id}:"), KeyringError::BadKey { number: 1 }),
        (format!("00000000:{key}"), KeyringError::OtherId { number: 1, id }),
        (format!("{key},{id}:{key}"), KeyringError::Twice { id }),
    ];
    for (text, expected) in table {
        let error = Keyring::parse(&text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("hunter2") && !error.to_string().contains(&key));
    }
}

#[test]
fn value_of_an_unknown_form_is_told_from_a_changed_one() {
    let keyring = Keyring::generate(&mut rng(1));
    let mut sealed = keyring.seal(&mut rng(2), b"value", OWNER);
    for length in 0..HEADER_BYTES + NONCE_BYTES {
        assert_eq!(keyring.open(&sealed[..length], OWNER), Err(KeyringError::UnknownForm));
    }
    let cut = keyring.open(&sealed[..sealed.len() - 1], OWNER);
    assert_eq!(cut, Err(KeyringError::Tampered { id: keyring.current() }));
    sealed[0] = 2;
    assert_eq!(keyring.open(&sealed, OWNER), Err(KeyringError::UnknownForm));
}

#[test]
fn debug_shows_key_ids_only() {
    let keyring = Keyring::parse(&STANDARD.encode([7; 32])).unwrap();
    assert_eq!(format!("{keyring:?}"), format!("Keyring[{}]", keyring.current()));
    assert_eq!(keyring.current().to_string().len(), 8);
}

proptest! {
    #[test]
    fn no_changed_bit_goes_unseen(
        seed in any::<u64>(),
        value in proptest::collection::vec(any::<u8>(), 0..100),
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let rng = &mut rng(seed);
        let keyring = Keyring::generate(rng);
        let mut sealed = keyring.seal(rng, &value, OWNER);
        prop_assert_eq!(&*keyring.open(&sealed, OWNER).unwrap(), &value);
        let place = place.index(sealed.len());
        sealed[place] ^= 1 << bit;
        let expected_form = match keyring.open(&sealed, OWNER) {
            Err(KeyringError::UnknownForm) => place == 0,
            Err(KeyringError::UnknownKey { .. }) => (1..HEADER_BYTES).contains(&place),
            Err(KeyringError::Tampered { .. }) => place >= HEADER_BYTES,
            _ => false,
        };
        prop_assert!(expected_form, "byte {}", place);
    }

    #[test]
    fn any_bytes_and_any_text_get_a_verdict(sealed in proptest::collection::vec(any::<u8>(), 0..80), text in ".{0,100}") {
        prop_assert!(Keyring::generate(&mut rng(1)).open(&sealed, OWNER).is_err());
        let _never_panics = Keyring::parse(&text);
    }
}
