//! Lists of changes, made by hand; what the derive makes is in `events/tests/derive/diff.rs`.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tidings_analytics::Anonymous;

use super::*;

fn json_of(builder: Builder) -> Json {
    serde_json::to_value(builder.build()).unwrap()
}

#[test]
fn value_is_told_as_it_was_and_as_it_is() {
    let none = None::<&str>;
    let cases = [
        (
            Changes::builder().value("runs", &10, &20),
            json!([{"type": "UPDATED", "changed_object": "runs", "old_value": 10, "new_value": 20}]),
        ),
        (
            Changes::builder().value("schedule", &none, &Some("daily")),
            json!([{"type": "CREATED", "changed_object": "schedule", "new_value": "daily"}]),
        ),
        (
            Changes::builder().value("schedule", &Some("daily"), &none),
            json!([{"type": "DELETED", "changed_object": "schedule", "old_value": "daily"}]),
        ),
        (Changes::builder().value("schedule", &none, &none), Json::Null),
        (Changes::builder().value("runs", &10, &10), Json::Null),
        (Changes::builder(), Json::Null),
    ];
    for (builder, expected) in cases {
        assert_eq!(json_of(builder), expected);
    }
}

#[test]
fn sensitive_object_is_told_without_its_values() {
    // The type of the field says by itself that it can be compared and no more: it does not compile with `value`.
    #[derive(PartialEq)]
    struct Password(&'static str);

    let builder = Changes::builder()
        .sensitive("password", &Password("old"), &Password("new"))
        .sensitive("name", "same", "same")
        .sensitive("parameters", &[1, 2][..], &[1][..]);
    assert_eq!(
        json_of(builder),
        json!([
            {"type": "UPDATED", "changed_object": "password"},
            {"type": "UPDATED", "changed_object": "parameters"},
        ])
    );
}

#[test]
fn entry_is_told_without_its_key_and_value() {
    let old = HashMap::from([("A", 1), ("B", 2), ("C", 3)]);
    let new = HashMap::from([("B", 2), ("C", 4), ("D", 5)]);
    assert_eq!(
        json_of(Changes::builder().entries("environment_variable", &old, &new)),
        json!([
            {"type": "CREATED", "changed_object": "environment_variable"},
            {"type": "UPDATED", "changed_object": "environment_variable"},
            {"type": "DELETED", "changed_object": "environment_variable"},
        ])
    );
}

#[test]
fn telemetry_tells_what_was_changed_and_no_value() {
    let changes = Changes::builder().value("schedule", "canary", "canary 2").build();
    let value = changes.unwrap().to_value().unwrap();
    assert_eq!(value.into_json(), json!([{"type": "UPDATED", "changed_object": "schedule"}]));
}

#[test]
fn value_that_cannot_be_json_is_an_error_when_the_event_is_built() {
    let (old, new) = (BTreeMap::from([((1, 2), 3)]), BTreeMap::new());
    let changes = Changes::builder().value("pairs", &old, &new).build().unwrap();
    assert_eq!(serde_json::to_value(&changes).unwrap_err().to_string(), "key must be a string");
    let change = changes.iter().next().unwrap();
    assert_eq!((change.old_value(), change.new_value()), (None, Some(&json!({}))));
}

#[test]
fn word_of_a_type_is_the_one_that_is_written() {
    for change_type in [ChangeType::Created, ChangeType::Updated, ChangeType::Deleted] {
        assert_eq!(serde_json::to_value(change_type).unwrap(), change_type.as_str());
    }
}

proptest! {
    #[test]
    fn as_many_entries_are_told_as_differ(
        old: BTreeMap<u8, bool>,
        new: BTreeMap<u8, bool>,
    ) {
        let differing = (0..=u8::MAX).filter(|key| old.get(key) != new.get(key)).count();
        let changes = Changes::builder().entries("variable", &old, &new).build();
        prop_assert_eq!(changes.as_ref().map_or(0, Changes::len), differing);
        prop_assert_eq!(changes.is_none(), old == new);
    }
}
