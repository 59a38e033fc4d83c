//! What is a key, what is not, and what it is called.

use proptest::prelude::*;

use super::*;

#[test]
fn secret_and_public_key_are_read_with_the_space_of_a_paste() {
    let secret = Key::parse(" whsec_YSBzZWNyZXQgb2YgdGhlIHJlYWRtZTogMzIgYnl0ZXM=\n").unwrap();
    assert_eq!((secret.version(), secret.fingerprint().to_string()), ("v1", "478b359b".to_owned()));
    let public = Key::parse("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\t").unwrap();
    // SHA-256 of the context and the public key of RFC 8032, test 1, by another program.
    assert_eq!(
        (public.version(), public.fingerprint().to_string()),
        ("v1a", "de9aa43f".to_owned())
    );
}

#[test]
fn text_that_is_no_key_is_refused_with_the_reason_and_without_being_quoted() {
    let text = |prefix: &str, bytes: usize| format!("{prefix}{}", STANDARD.encode(vec![7; bytes]));
    let table = [
        (String::new(), KeyError::Prefix),
        ("hunter2 hunter2".to_owned(), KeyError::Prefix),
        (text("WHSEC_", 32), KeyError::Prefix),
        (text("whsk_", 32), KeyError::Private),
        (text("whsk_", 64), KeyError::Private),
        ("whsec_not base64!".to_owned(), KeyError::Base64),
        ("whsec_YSBzZWNyZXQgb2YgdGhlIHJlYWRtZTogMzIgYnl0ZXM".to_owned(), KeyError::Base64),
        ("whpk_11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned(), KeyError::Base64),
        ("whsec_".to_owned(), KeyError::SecretLength { bytes: 0 }),
        (text("whsec_", 23), KeyError::SecretLength { bytes: 23 }),
        (text("whsec_", 76), KeyError::SecretLength { bytes: 76 }),
        (text("whpk_", 31), KeyError::PublicLength { bytes: 31 }),
        (text("whpk_", 64), KeyError::PublicLength { bytes: 64 }),
    ];
    for (text, expected) in table {
        let error = Key::parse(&text).unwrap_err();
        assert_eq!(error, expected, "{text:?}");
        assert!(text.len() < 8 || !error.to_string().contains(text.trim()), "{error}");
    }
}

#[test]
fn lengths_of_the_specification_and_of_svix_are_taken() {
    for bytes in [24, 32, 64, 75] {
        assert!(Key::secret(&vec![0; bytes]).is_ok(), "{bytes}");
    }
}

#[test]
fn debug_shows_the_fingerprint_alone() {
    let key = Key::secret(b"a secret of the readme: 32 bytes").unwrap();
    assert_eq!(format!("{key:?} {:#?}", [&key]), "Key(v1, 478b359b) [\n    Key(v1, 478b359b),\n]");
}

proptest! {
    #[test]
    fn any_text_gets_a_verdict(text in ".{0,120}", prefix in "(whsec_|whpk_|whsk_)?") {
        let _never_panics = Key::parse(&format!("{prefix}{text}"));
    }

    #[test]
    fn fingerprint_is_the_same_for_the_same_key_alone(
        one in proptest::collection::vec(any::<u8>(), 24..=75),
        other in proptest::collection::vec(any::<u8>(), 24..=75),
    ) {
        let name = |bytes: &[u8]| Key::secret(bytes).unwrap().fingerprint();
        prop_assert_eq!(name(&one), name(&one));
        prop_assert!(one == other || name(&one) != name(&other));
    }
}
