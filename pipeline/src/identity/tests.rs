use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn tree(text: &str) -> Value<'_> {
    Value::parse(text.as_bytes()).unwrap()
}

fn fingerprint(text: &str) -> Fingerprint {
    Fingerprint::of(&tree(text), &mut Scratch::default())
}

fn canonical(text: &str) -> String {
    let mut scratch = Scratch::default();
    Fingerprint::of(&tree(text), &mut scratch);
    String::from_utf8(scratch.text).unwrap()
}

#[test]
fn identity_stays_as_it_is_for_ever() {
    let event = r#"{"eid":"LOG","mid":"LOG:1","ets":1586000000000,"context":{"did":"d1","channel":"in.ekstep"}}"#;
    let fingerprint = fingerprint(event);
    let key = Key::new("LOG:1", "d1");
    let expected = [
        "218b5c7a40c503463f0b84a9e2270be0",
        "2aa81059c85eb90ce27758d0a9cf91943c39648233e74bd9d4a9bc8ad3c922f0",
        "2aa81059c85eb90ce27758d0a9cf9194",
        "34e45e33d8e3b22a5deeaf5022e9769b133b0496",
    ];
    let found = [
        hex(&key.0),
        hex(&fingerprint.0),
        fingerprint.short(),
        document_id("LOG:1", "d1", &fingerprint),
    ];
    assert_eq!(found, expected);
    assert_eq!(["", "d1", "é", "d2"].map(|device| partition(device, 16)), [4, 6, 3, 12]);
}

#[test]
fn partition_is_one_of_those_that_there_are() {
    for partitions in [1, 2, 3, 7, 256, i32::MAX] {
        for device in ["", "a", "b", "c", "d"] {
            assert!((0..partitions).contains(&partition(device, partitions)));
        }
    }
    assert_eq!(partition("a", 0), 0);
}

#[test]
fn two_texts_are_not_confused_with_two_others() {
    assert_ne!(Key::new("a", "bc"), Key::new("ab", "c"));
    assert_ne!(Key::new("", "abc"), Key::new("abc", ""));
    let content = fingerprint("{}");
    assert_ne!(document_id("a", "bc", &content), document_id("ab", "c", &content));
    assert_ne!(document_id("a", "b", &content), document_id("a", "b", &fingerprint("[]")));
}

#[test]
fn content_is_written_in_one_way() {
    for (text, expected) in [
        (r#"{ "b" : 1, "a" : [ true, null ] }"#, r#"{"a":[true,null],"b":1}"#),
        (
            r#"{"a":1.586E12,"b":1.0,"c":-0.0,"d":1.5,"e":1e300}"#,
            r#"{"a":1586000000000,"b":1,"c":0,"d":1.5,"e":1e+300}"#,
        ),
        (r#"{"\u00e9":"\u0041\/\n"}"#, "{\"é\":\"A/\\n\"}"),
        (
            r#"{"syncts":1,"flags":{},"metadata":2,"@timestamp":"x","a":{"syncts":1,"flags":2}}"#,
            r#"{"a":{"flags":2,"syncts":1}}"#,
        ),
        (
            r#"{"z":{"b":{"d":1,"c":2},"a":3},"y":[{"b":1,"a":2}]}"#,
            r#"{"y":[{"a":2,"b":1}],"z":{"a":3,"b":{"c":2,"d":1}}}"#,
        ),
        ("[2,1]", "[2,1]"),
    ] {
        assert_eq!(canonical(text), expected);
        assert_eq!(canonical(expected), expected);
    }
}

#[test]
fn device_is_that_of_the_context_then_the_actor_then_the_content() {
    let content = |text| fingerprint(text).short();
    for (text, expected) in [
        (r#"{"context":{"did":"d"},"actor":{"id":"a"}}"#, "d".to_owned()),
        (r#"{"context":{"did":""},"actor":{"id":"a"}}"#, "a".to_owned()),
        (r#"{"context":{"did":null},"actor":{"id":7}}"#, "7".to_owned()),
        (r#"{"context":[{"did":"x"}],"actor":{"id":1.50}}"#, "1.5".to_owned()),
        (r#"{"context":{"did":"d"},"context":{},"actor":{"id":"a"}}"#, "a".to_owned()),
        (r#"{"did":"x","actor":"a"}"#, content(r#"{"actor":"a","did":"x"}"#)),
        (r#"{"context":{"\u0064id":"\u0064é"}}"#, "dé".to_owned()),
        (r#"{"distinct_id":"u"}"#, content(r#"{"distinct_id":"u"}"#)),
        (r#"{"distinct_id":"u","properties":{"eid":"LOG"}}"#, "u".to_owned()),
        (
            r#"{"distinct_id":"u","properties":{"eid":"LOG","actor":{"id":"a"}},"context":{"did":"d"}}"#,
            "d".to_owned(),
        ),
        (
            r#"{"eid":"LOG","actor":{"id":"b"},"properties":{"eid":"LOG","actor":{"id":"a"}}}"#,
            "b".to_owned(),
        ),
        (
            r#"{"properties":{"eid":"LOG","properties":{"context":{"did":"x"}},"actor":{"id":"a"}}}"#,
            "a".to_owned(),
        ),
    ] {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let mut scratch = Scratch::default();
        assert_eq!(device(&tree(text), &mut scratch), expected, "{text}");
        assert_eq!(device_of_text(raw, &mut scratch).unwrap(), expected, "{text}");
    }
}

#[test]
fn device_that_cannot_be_a_key_is_its_hash() {
    let mut scratch = Scratch::default();
    for long in ["x".repeat(257), "é".repeat(129), "a\\u0000b".to_owned()] {
        let text = format!(r#"{{"context":{{"did":"{long}"}}}}"#);
        let found = device(&tree(&text), &mut scratch);
        assert_eq!(found.len(), 32, "{found}");
        assert_ne!(found, fingerprint(&text).short());
    }
    let text = format!(r#"{{"context":{{"did":"{}"}}}}"#, "x".repeat(256));
    assert_eq!(device(&tree(&text), &mut scratch), "x".repeat(256));
}

#[test]
fn event_without_a_device_that_nests_too_deeply_cannot_be_read() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    let raw: &RawValue = serde_json::from_str(&deep).unwrap();
    assert!(device_of_text(raw, &mut Scratch::default()).is_err());
}

/// JSON with the names that count, in all sorts of places.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let name = prop::sample::select(vec![
        "context",
        "actor",
        "did",
        "id",
        "eid",
        "properties",
        "distinct_id",
        "syncts",
        "a",
        "é",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[a-c\"\\\\é\u{0}]{0,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

/// Writes the members of every object the other way round, with spaces.
fn turned(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => {
            format!("[ {} ]", items.iter().map(turned).collect::<Vec<_>>().join(" , "))
        }
        serde_json::Value::Object(members) => {
            let members = members.iter().rev();
            let member = |(name, value): (&String, &_)| {
                format!("{} : {}", serde_json::Value::from(name.as_str()), turned(value))
            };
            format!("{{ {} }}", members.map(member).collect::<Vec<_>>().join(" , "))
        }
        leaf => leaf.to_string(),
    }
}

proptest! {
    #[test]
    fn order_of_members_does_not_matter(json in json()) {
        prop_assert_eq!(fingerprint(&json.to_string()), fingerprint(&turned(&json)));
    }

    #[test]
    fn device_of_the_text_is_that_of_the_tree(json in json()) {
        let text = json.to_string();
        let raw: &RawValue = serde_json::from_str(&text).unwrap();
        let mut scratch = Scratch::default();
        let of_tree = device(&tree(&text), &mut scratch);
        prop_assert_eq!(device_of_text(raw, &mut scratch).unwrap(), of_tree);
    }
}
