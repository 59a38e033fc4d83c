//! Redaction, as the rules that people write.

use std::sync::Arc;

use proptest::prelude::*;
use tidings_analytics::{HashKey, HashKeys};

use super::*;
use crate::lookup::{Entry, Lookups};

fn keys() -> Arc<HashKeys> {
    Arc::new(HashKeys::new(HashKey::new("k1", vec![7; 32]).unwrap()))
}

fn redactor(toml: &str) -> Redactor {
    Redactor::compile(&toml::from_str(toml).unwrap(), &Lookups::default(), Some(keys())).unwrap()
}

fn redacted(redactor: &Redactor, event: &str) -> Result<String, Reason> {
    let mut event = Value::parse(event.as_bytes()).unwrap();
    let before = event.clone();
    let (keys, snapshot) = (Keys::default(), Snapshot::default());
    let facts = Facts { channel: "", keys: &keys, snapshot: &snapshot };
    let changed = redactor.apply(&mut event, facts)?;
    assert_eq!(changed, event != before);
    Ok(String::from_utf8(event.to_bytes()).unwrap())
}

fn rule(path: &str, action: &str) -> Redactor {
    redactor(&format!("[[rule]]\npath = '{path}'\naction = '{action}'"))
}

#[test]
fn each_action_does_what_it_says_and_leaves_nothing_where_nothing_is() {
    let hash = keys().hash(&"ada").unwrap();
    let cases = [
        ("$.a", "drop", r#"{"a":{"b":1},"c":2}"#, r#"{"c":2}"#.to_owned()),
        ("$.a[0]", "drop", r#"{"a":[1,2]}"#, r#"{"a":[2]}"#.to_owned()),
        (
            "$.a[*]",
            "mask",
            r#"{"a":["x",7,true,[1],{"y":2},null,""]}"#,
            r#"{"a":["***",0,false,[],{},null,""]}"#.to_owned(),
        ),
        ("$.a", "hash", r#"{"a":"ada"}"#, format!(r#"{{"a":"{hash}"}}"#)),
        (
            "$.a",
            "hash",
            r#"{"a":["ada",["ada"],null,""]}"#,
            format!(r#"{{"a":["{hash}",["{hash}"],null,""]}}"#),
        ),
        (
            "$.u",
            "strip-query",
            r#"{"u":"https://a.org/p?x=1"}"#,
            r#"{"u":"https://a.org/p"}"#.to_owned(),
        ),
        ("$.u", "strip-query", r#"{"u":"/p"}"#, r#"{"u":"/p"}"#.to_owned()),
        ("$.x", "hash", r#"{"a":1}"#, r#"{"a":1}"#.to_owned()),
    ];
    for (path, action, event, expected) in cases {
        assert_eq!(redacted(&rule(path, action), event).unwrap(), expected, "{path} {action}");
    }
    let number = redacted(&rule("$.a", "hash"), r#"{"a":7}"#).unwrap();
    assert_eq!(number, redacted(&rule("$.a", "hash"), r#"{"a":"7"}"#).unwrap());
}

#[test]
fn what_a_rule_cannot_be_applied_to_fails_and_does_not_go_on() {
    let cases = [
        ("$.a", "hash", r#"{"a":{"name":"ada"}}"#, "redact_type"),
        ("$.a", "hash", r#"{"a":true}"#, "redact_type"),
        ("$.a", "strip-query", r#"{"a":7}"#, "redact_type"),
        ("$.a.b", "drop", r#"{"a":"{\"b\":\"ada\"}"}"#, "redact_blocked"),
        ("$.a[*].b", "mask", r#"{"a":["ada"]}"#, "redact_blocked"),
    ];
    for (path, action, event, code) in cases {
        let reason = redacted(&rule(path, action), event).unwrap_err();
        assert_eq!((&*reason.path, &*reason.code), (path, code), "{event}");
        assert!(!reason.message.contains("ada"), "{}", reason.message);
    }
}

#[test]
fn without_a_key_what_has_to_be_hashed_fails() {
    let keyless = rule("$.a", "hash").with_keys(None);
    assert_eq!(redacted(&keyless, r#"{"a":"ada"}"#).unwrap_err().code, "redact_no_key");
    assert_eq!(redacted(&keyless, r#"{"b":"ada"}"#).unwrap(), r#"{"b":"ada"}"#);
}

#[test]
fn hash_is_under_the_current_key_after_a_rotation() {
    let rotated = HashKeys::clone(&keys()).rotate(HashKey::new("k2", vec![8; 32]).unwrap());
    let redactor = rule("$.a", "hash").with_keys(Some(Arc::new(rotated.clone())));
    let text = redacted(&redactor, r#"{"a":"ada"}"#).unwrap();
    assert_eq!(text, format!(r#"{{"a":"{}"}}"#, rotated.hashes(&"ada")[0]));
}

#[test]
fn rule_for_a_channel_concerns_an_event_whose_channel_is_not_known() {
    let redactor =
        redactor("[[rule]]\npath='$.a'\naction='drop'\nwhen={channel=['c'],eid=['START']}");
    let cases = [
        (r#"{"eid":"START","context":{"channel":"c"},"a":1}"#, true),
        (r#"{"eid":"start","a":1}"#, true),
        (r#"{"a":1}"#, true),
        (r#"{"eid":"END","context":{"channel":"c"},"a":1}"#, false),
        (r#"{"eid":"START","context":{"channel":"d"},"a":1}"#, false),
    ];
    for (event, gone) in cases {
        let text = redacted(&redactor, event).unwrap();
        assert_eq!(!text.contains(r#""a""#), gone, "{event}");
    }
}

#[test]
fn digit_page_telemetry_keeps_no_query_city_browser_or_user() {
    let event = r#"{"eid":"START","actor":{"id":"9f1c-uuid","type":"User"},"edata":{"type":"page","url":"https://city.org/citizen?mobile=99","userAgent":"Mozilla","cityId":"pb.amritsar","platform":"web"}}"#;
    let text = redacted(&redactor("[[rule]]\npreset = 'digit'"), event).unwrap();
    let hash = keys().hash(&"9f1c-uuid").unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"eid":"START","actor":{{"id":"{hash}","type":"User"}},"edata":{{"type":"page","url":"https://city.org/citizen","platform":"web"}}}}"#
        )
    );
}

#[test]
fn registration_answers_are_emptied_where_the_original_failed_open() {
    let redactor = redactor("[[rule]]\npreset = 'registration-answers'");
    let cases = [
        (
            r#"{"eid":"ASSESS","edata":{"item":{"type":"Registration"},"resvalues":[{"1":"ada"}]}}"#,
            true,
        ),
        (
            r#"{"eid":"ASSESS","edata":{"item":{"type":" registration"},"resvalues":[{"1":"ada"}]}}"#,
            true,
        ),
        (r#"{"eid":"ASSESS","edata":{"item":{"id":"q"},"resvalues":[{"1":"ada"}]}}"#, true),
        (r#"{"eid":"ASSESS","edata":{"item":{"type":""},"resvalues":"ada"}}"#, true),
        (r#"{"eid":"RESPONSE","edata":{"target":{"id":"q"},"values":[{"1":"ada"}]}}"#, true),
        (r#"{"eid":"response","edata":{"values":["ada"]}}"#, true),
        (r#"{"edata":{"values":["ada"]}}"#, true),
        (r#"{"eid":"ASSESS","edata":{"item":{"type":"mcq"},"resvalues":[{"1":"ada"}]}}"#, false),
        (r#"{"eid":"INTERACT","edata":{"values":["ada"]}}"#, false),
    ];
    for (event, emptied) in cases {
        let text = redacted(&redactor, event).unwrap();
        assert_eq!(!text.contains("ada"), emptied, "{event}");
    }
}

#[test]
fn question_that_the_table_does_not_know_is_emptied_whatever_the_event_says() {
    let entry: Entry = toml::from_str("preset = 'question'\ntable = 'question'").unwrap();
    let lookups = Lookups::compile(&[entry]).unwrap();
    let settings = "[[rule]]\npreset = 'registration-answers'\nquestions = 'question'";
    let redactor = Redactor::compile(&toml::from_str(settings).unwrap(), &lookups, None).unwrap();
    let snapshot = Snapshot::of(&[
        ("known", r#"{"questiontype":"mcq"}"#),
        ("private", r#"{"questiontype":"Registration"}"#),
        ("untyped", r#"{"questiontype":null}"#),
    ]);
    let cases = [("known", false), ("private", true), ("untyped", true), ("absent", true)];
    for (question, emptied) in cases {
        let text = format!(
            r#"{{"eid":"ASSESS","edata":{{"item":{{"id":"{question}","type":"mcq"}},"resvalues":["ada"]}}}}"#
        );
        let mut event = Value::parse(text.as_bytes()).unwrap();
        let keys = lookups.keys(&event, "");
        let facts = Facts { channel: "", keys: &keys, snapshot: &snapshot };
        assert_eq!(redactor.apply(&mut event, facts), Ok(emptied), "{question}");
    }
}

#[test]
fn rule_for_what_enrichment_adds_waits_for_it() {
    let redactor = rule("$.metadata.sender", "hash");
    let event = r#"{"metadata":{"sender":"lovelace"}}"#;
    assert_eq!(redacted(&redactor, event).unwrap(), event);
    let (mut event, keys) = (Value::parse(event.as_bytes()).unwrap(), Keys::default());
    let facts = Facts { channel: "", keys: &keys, snapshot: &Snapshot::default() };
    assert_eq!(redactor.apply_added(&mut event, facts), Ok(true));
    assert!(!event.to_bytes().windows(8).any(|part| part == b"lovelace"));
}

#[test]
fn mistake_is_named_with_its_place_and_what_to_write() {
    let cases = [
        ("[[rule]]", "redact.rule[1]: write either a preset"),
        ("[[rule]]\npreset='digit'\npath='$.a'", "redact.rule[1]: write either a preset"),
        ("[[rule]]\npath='a'\naction='drop'", "redact.rule[1].path: `a` is no path"),
        ("[[rule]]\npath='$.mid'\naction='hash'", "redact.rule[1].path: `mid` is what"),
        (
            "[[rule]]\npreset='registration-answers'\nquestions='q'",
            "redact.rule[1].questions: there is no look-up `q`",
        ),
        ("[[rule]]\npreset='digit'\nquestions='q'", "redact.rule[1].questions: only the preset"),
    ];
    for (toml, expected) in cases {
        let settings = toml::from_str(toml).unwrap();
        let error = Redactor::compile(&settings, &Lookups::default(), None).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

/// JSON with the secret in any place and form: texts, duplicates of members, lists within lists.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("\"SECRET\"".to_owned()),
        Just("\"https://a.org/p?q=SECRET\"".to_owned()),
        Just("\"\"".to_owned()),
        Just("null".to_owned()),
        Just("7".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((prop_oneof!["a", "b", "\\\\u0061"], inner), 0..4).prop_map(
                |members| {
                    let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }
            ),
        ]
    })
}

/// Returns whether the secret stands under a path; `*` is every child, and names look into lists.
fn tells(value: &Value<'_>, names: &[&str]) -> bool {
    match (names.split_first(), value) {
        (Some((&"*", rest)), Value::List(list)) => list.iter().any(|item| tells(item, rest)),
        (Some((&"*", rest)), Value::Object(object)) => {
            object.iter().any(|(_, member)| tells(member, rest))
        }
        (Some((name, rest)), Value::Object(object)) => {
            object.get(name).is_some_and(|member| tells(member, rest))
        }
        (Some(_), Value::List(list)) => list.iter().any(|item| tells(item, names)),
        (Some(_), _) => false,
        (None, _) => String::from_utf8(value.to_bytes()).unwrap().contains("SECRET"),
    }
}

proptest! {
    #[test]
    fn secret_under_the_path_is_gone_or_the_event_fails(
        text in json(),
        action in prop_oneof![Just("drop"), Just("mask"), Just("hash"), Just("strip-query")],
        twice in any::<bool>(),
    ) {
        let member = format!("{{\"a\":{text}}}");
        let text = if twice { format!("{{\"x\":1,\"a\":{text},\"a\":{text}}}") } else { member };
        for names in [&["a"][..], &["a", "b"], &["a", "*"], &["a", "*", "b"]] {
            let path = format!("$.{}", names.join("."));
            let redactor = rule(&path, action);
            let first = redacted(&redactor, &text);
            prop_assert_eq!(&first, &redacted(&redactor, &text));
            let Ok(done) = first else { continue };
            let value = Value::parse(done.as_bytes()).unwrap();
            // What is no query is not for `strip-query` to take out.
            let plain = action == "strip-query" && done.contains("\"SECRET\"");
            prop_assert!(plain || !tells(&value, names), "{} {}: {}", path, action, done);
        }
    }
}
