use super::*;

const URL: &str = "https://example.com/hook";

fn check(new: &NewSubscriber) -> Result<(), String> {
    new.check(&Policy::default()).map_err(|error| error.to_string())
}

#[test]
fn names_are_letters_digits_and_a_few_signs() {
    let long = "x".repeat(101);
    for (name, good) in [
        ("a", true),
        ("Billing.v2_eu-west", true),
        ("7even", true),
        (&long[1..], true),
        ("", false),
        ("7", false),
        ("42", false),
        (".hidden", false),
        ("-x", false),
        ("two words", false),
        ("größe", false),
        ("a\0", false),
        (&long, false),
    ] {
        assert_eq!(check(&NewSubscriber::webhook(name, URL)).is_ok(), good, "{name}");
    }
}

#[test]
fn what_is_wrong_is_said_before_any_sql_is_sent() {
    let webhook = || NewSubscriber::webhook("billing", URL);
    let other = |config| NewSubscriber::new("billing", "memory", config);
    let nul = || "a\0b".to_owned();
    for (new, expected) in [
        (NewSubscriber { tenant: "t".repeat(256), ..webhook() }, "the tenant has 256 bytes"),
        (NewSubscriber { tenant: nul(), ..webhook() }, "the tenant contains the character U+0000"),
        (NewSubscriber::webhook("billing", "https://127.0.0.1/"), "the address 127.0.0.1"),
        (NewSubscriber::webhook("billing", "no url"), "the URL contains white space"),
        (other(json!([1])), "the configuration of a subscriber is a JSON object"),
        (other(json!({"a": [{"b\0": 1}]})), "the configuration contains the character U+0000"),
        (other(json!({"a": "x".repeat(CONFIG_BYTES_MAX)})), "configuration is 65544 bytes"),
        (NewSubscriber { retry: Some(json!(3)), ..webhook() }, "the retry ladder of a subscriber"),
        (NewSubscriber { in_flight_max: Some(0), ..webhook() }, "in_flight_max is 0"),
        (NewSubscriber { in_flight_max: Some(100_001), ..webhook() }, "in_flight_max is 100001"),
        (NewSubscriber { rate_per_s: Some(0.0), ..webhook() }, "rate_per_s is 0"),
        (NewSubscriber { rate_per_s: Some(f64::NAN), ..webhook() }, "rate_per_s is NaN"),
        (NewSubscriber { rate_per_s: Some(f64::INFINITY), ..webhook() }, "rate_per_s is inf"),
    ] {
        let error = check(&new).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let good = NewSubscriber {
        in_flight_max: Some(100_000),
        rate_per_s: Some(0.1),
        retry: Some(json!({"attempts_max": 3})),
        ..webhook()
    };
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&other(json!({"any": "thing"}))), Ok(()));
}

#[test]
fn secrets_are_shown_where_they_are_handed_over_and_nowhere_else() {
    let secret = Secret::from_bytes(&[7; 24]).unwrap();
    let text = secret.to_text();
    let added = Added { subscriber_id: 7, secret: Some(text.clone()) };
    let written = serde_json::to_value(&added).unwrap();
    assert_eq!(written, json!({"subscriber_id": 7, "secret": text.as_str()}));
    assert_eq!(format!("{added:?}"), r#"Added { subscriber_id: 7, secret: Some("…") }"#);
    let none = Added { subscriber_id: 7, secret: None };
    assert_eq!(serde_json::to_value(&none).unwrap(), json!({"subscriber_id": 7, "secret": null}));

    let url = format!("{URL}/s3cr3t");
    let new = NewSubscriber { secret: Some(secret), ..NewSubscriber::webhook("billing", url) };
    let debug = format!("{new:?}");
    assert!(!debug.contains("s3cr3t") && !debug.contains(text.as_str()), "{debug}");
}
