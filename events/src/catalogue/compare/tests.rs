use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::*;
use crate::catalogue::{export::sample, snapshot::TypeVersion, snapshot::tests::entry};

fn snapshot(schema: Value) -> Snapshot {
    Snapshot::of([entry("order:placed", 1, schema)], [])
}

/// Returns what is different, as kinds with their places.
fn differences(old: &Value, new: &Value) -> Vec<(String, Kind)> {
    let found = snapshot(old.clone()).compare(&snapshot(new.clone()));
    found.into_iter().map(|difference| (difference.path, difference.kind)).collect()
}

fn breaks(old: &Value, new: &Value) -> bool {
    snapshot(old.clone()).compare(&snapshot(new.clone())).iter().any(|found| found.breaking)
}

fn field(schema: &Value) -> Value {
    json!({"type": "object", "properties": {"a": schema}, "required": ["a"]})
}

/// A schema, its successor, and what is told of the two.
type Row = (Value, Value, Vec<(&'static str, Kind)>);

/// Checks what is told of a required field whose schema has changed.
fn check(table: Vec<Row>) {
    for (old, new, expected) in table {
        let expected: Vec<_> =
            expected.into_iter().map(|(path, kind)| (path.to_owned(), kind)).collect();
        assert_eq!(differences(&field(&old), &field(&new)), expected, "{old} to {new}");
    }
}

fn text() -> Value {
    json!({"type": "string"})
}

/// Returns an alternative that `kind` tells apart.
fn tagged(tag: &str, more: &Value) -> Value {
    json!({"type": "object", "properties": {"kind": {"const": tag}, "x": more}, "required": ["kind", "x"]})
}

#[test]
fn change_of_a_value_is_told_with_its_place() {
    use Kind as K;
    check(vec![
        (text(), json!({"type": "integer"}), vec![("$.a", K::TypeChanged)]),
        (text(), json!({"type": ["string", "null"]}), vec![("$.a", K::TypeChanged)]),
        (
            text(),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            vec![("$.a", K::TypeChanged)],
        ),
        (json!({"type": ["string", "null"]}), text(), vec![("$.a", K::TypeNarrowed)]),
        (json!({"type": "integer"}), json!({"type": "number"}), vec![("$.a", K::TypeChanged)]),
        (json!({"type": "number"}), json!({"type": "integer"}), vec![("$.a", K::TypeNarrowed)]),
        (text(), json!({}), vec![("$.a", K::TypeChanged)]),
        (json!({}), text(), vec![]),
        (text(), json!({"type": "string", "description": "x", "default": "y"}), vec![]),
        (
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["a", "c"]}),
            vec![("$.a", K::ValueAdded), ("$.a", K::ValueRemoved)],
        ),
        (json!({"enum": ["a"]}), json!({"oneOf": [{"const": "a", "type": "string"}]}), vec![]),
        (
            json!({"oneOf": [{"const": "a", "type": "string"}]}),
            json!({"oneOf": [{"const": "a", "type": "string"}, {"const": "b", "type": "string"}]}),
            vec![("$.a", K::ValueAdded)],
        ),
        (json!({"enum": ["a"]}), text(), vec![("$.a", K::RuleLoosened)]),
        (
            json!({"type": "integer", "minimum": 0}),
            json!({"type": "integer", "minimum": 1}),
            vec![("$.a", K::RuleTightened)],
        ),
        (
            json!({"type": "integer", "minimum": 0}),
            json!({"type": "integer"}),
            vec![("$.a", K::RuleLoosened)],
        ),
        (
            json!({"type": "string", "maxLength": 5}),
            json!({"type": "string", "maxLength": 6}),
            vec![("$.a", K::RuleLoosened)],
        ),
        (json!({"type": "array", "minItems": 0}), json!({"type": "array"}), vec![]),
        (
            json!({"type": "integer", "format": "uint32"}),
            json!({"type": "integer", "format": "uint64"}),
            vec![("$.a", K::RuleLoosened)],
        ),
        (
            json!({"type": "integer", "format": "uint32"}),
            json!({"type": "integer", "format": "uint8"}),
            vec![("$.a", K::RuleTightened)],
        ),
        (
            json!({"type": "string", "format": "uuid"}),
            json!({"type": "string", "format": "date"}),
            vec![("$.a", K::RuleLoosened)],
        ),
    ]);
}

#[test]
fn change_inside_a_list_a_map_or_a_union_is_told_with_its_place() {
    use Kind as K;
    let null = json!({"type": "null"});
    check(vec![
        (
            json!({"type": "array", "items": text()}),
            json!({"type": "array", "items": {"type": "null"}}),
            vec![("$.a[]", K::TypeChanged)],
        ),
        (
            json!({"type": "array", "prefixItems": [text(), text()]}),
            json!({"type": "array", "prefixItems": [text(), {"type": "null"}]}),
            vec![("$.a[1]", K::TypeChanged)],
        ),
        (
            json!({"type": "object", "additionalProperties": text()}),
            json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
            vec![("$.a.*", K::TypeChanged)],
        ),
        (
            json!({"type": "object", "additionalProperties": text()}),
            json!({"type": "object"}),
            vec![("$.a.*", K::TypeChanged)],
        ),
        (
            json!({"type": "object", "patternProperties": {"^x": text()}}),
            json!({"type": "object", "patternProperties": {"^x": text(), "^y": text()}}),
            vec![("$.a.*", K::RuleLoosened)],
        ),
        (
            json!({"oneOf": [tagged("card", &text()), tagged("cash", &text())]}),
            json!({"oneOf": [tagged("card", &null), tagged("cash", &text())]}),
            vec![("$.a.x", K::TypeChanged)],
        ),
        (
            json!({"oneOf": [tagged("card", &text()), tagged("cash", &text())]}),
            json!({"oneOf": [tagged("card", &text()), tagged("cash", &text()), tagged("gift", &text())]}),
            vec![("$.a", K::AlternativeAdded)],
        ),
        (
            json!({"oneOf": [tagged("card", &text()), tagged("cash", &text())]}),
            json!({"oneOf": [tagged("card", &text())]}),
            vec![],
        ),
        (
            json!({"allOf": [tagged("card", &text()), {"properties": {"y": text()}}]}),
            json!({"allOf": [tagged("card", &text())]}),
            vec![("$.a.y", K::FieldRemoved)],
        ),
    ]);
}

#[test]
fn fields_come_and_go() {
    let object = |properties: Value, required: Value, others: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": others});
    let (a, ab) = (json!({"a": {}}), json!({"a": {}, "b": {}}));
    for (old, new, path, kind) in [
        ((&a, json!([]), true), (&ab, json!([]), true), "$.b", Kind::FieldAdded),
        ((&a, json!([]), false), (&ab, json!([]), false), "$.b", Kind::FieldUnexpected),
        ((&ab, json!([]), true), (&a, json!([]), true), "$.b", Kind::FieldRemoved),
        ((&a, json!(["a"]), true), (&a, json!([]), true), "$.a", Kind::FieldMadeOptional),
        ((&a, json!([]), true), (&a, json!(["a"]), true), "$.a", Kind::FieldMadeRequired),
        ((&a, json!([]), false), (&a, json!([]), true), "$", Kind::RuleLoosened),
    ] {
        let [old, new] = [old, new].map(|(properties, required, others)| {
            object(properties.clone(), required, json!(others))
        });
        assert_eq!(differences(&old, &new), [(path.to_owned(), kind)], "{old} to {new}");
    }
}

#[test]
fn recursive_types_are_compared_once() {
    let tree = |leaf: &str| {
        json!({
            "$ref": "#/$defs/Node",
            "$defs": {"Node": {
                "type": "object",
                "properties": {
                    "leaf": {"type": leaf},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
                    "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                },
            }},
        })
    };
    assert_eq!(differences(&tree("string"), &tree("string")), []);
    assert_eq!(
        differences(&tree("string"), &tree("boolean")),
        [("$.leaf".to_owned(), Kind::TypeChanged)]
    );
    // A definition by another name is the same definition.
    let renamed = tree("string").to_string().replace("Node", "Knoten");
    assert_eq!(differences(&tree("string"), &serde_json::from_str(&renamed).unwrap()), []);
    let endless = json!({"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}});
    assert_eq!(differences(&endless, &endless), []);
}

#[test]
fn declaration_is_compared_beside_the_schema() {
    let base = || entry("order:placed", 1, json!({}));
    let change = |change: &dyn Fn(&mut Entry)| {
        let mut new = base();
        change(&mut new);
        let found = entries(&base(), &new);
        found.iter().map(|found| (found.kind, found.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(change(&|new| new.documentation = "Other words.".to_owned()), []);
    assert_eq!(
        change(&|new| new.audience = vec!["telemetry".to_owned()]),
        [
            (
                Kind::AudienceNarrowed,
                "`order:placed` version 1: no longer for the audience `notification`".to_owned()
            ),
            (
                Kind::AudienceWidened,
                "`order:placed` version 1: for the audience `telemetry` as well".to_owned()
            ),
        ]
    );
    assert_eq!(
        change(&|new| new.scopes = vec!["shop".to_owned()]),
        [(
            Kind::ScopesExtended,
            "`order:placed` version 1: scope changed from none to `shop`".to_owned()
        )]
    );
    let mut scoped = base();
    scoped.scopes = vec!["shop".to_owned()];
    assert_eq!(entries(&scoped, &base())[0].kind, Kind::ScopesChanged);
    assert_eq!(change(&|new| new.level = "full".to_owned())[0].0, Kind::LevelChanged);
    assert_eq!(change(&|new| new.call = "page".to_owned())[0].0, Kind::CallChanged);
}

#[test]
fn type_that_has_gone_breaks_unless_it_was_retired() {
    let id = TypeVersion::new("order:placed", 1);
    let old = snapshot(json!({}));
    let kinds = |new: Snapshot| {
        old.compare(&new).into_iter().map(|found| (found.kind, found.breaking)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(Snapshot::default()), [(Kind::TypeRemoved, true)]);
    assert_eq!(kinds(Snapshot::of([], [id.clone()])), [(Kind::TypeRetired, false)]);
    let versions = [1, 2].map(|version| entry("order:placed", version, json!({})));
    assert_eq!(kinds(Snapshot::of(versions, [])), [(Kind::TypeAdded, false)]);
    let retired = Snapshot::of([entry("order:placed", 1, json!({}))], [id]);
    assert_eq!(kinds(retired.clone()), [(Kind::TypeRetired, false)]);
    assert_eq!(retired.compare(&retired), []);
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        select(vec!["string", "integer", "number", "boolean", "null"])
            .prop_map(|name| json!({"type": name})),
        vec(select(vec!["a", "b", "c"]), 1..3).prop_map(|values| json!({"enum": values})),
        (0..9_i64).prop_map(|least| json!({"type": "integer", "minimum": least})),
        Just(json!({"$ref": "#/$defs/Named"})),
        Just(json!(true)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            inner
                .clone()
                .prop_map(|values| json!({"type": "object", "additionalProperties": values})),
            vec(inner.clone(), 1..3).prop_map(|any| json!({"anyOf": any})),
            vec((inner, any::<bool>()), 0..4).prop_map(|fields| object(&fields)),
        ]
    })
}

fn object(fields: &[(Value, bool)]) -> Value {
    let names = ["a", "b", "c", "d"];
    let required: Vec<_> = names
        .iter()
        .zip(fields)
        .filter(|(_, (_, required))| *required)
        .map(|(name, _)| *name)
        .collect();
    let properties: Map<_, _> = names
        .iter()
        .zip(fields)
        .map(|(name, (schema, _))| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// Returns a notification view with these fields, and a definition that contains itself.
fn roots() -> impl Strategy<Value = Value> {
    (vec((schemas(), any::<bool>()), 0..4), schemas()).prop_map(|(fields, named)| {
        let mut root = object(&fields);
        let named = json!({"type": "object", "properties": {"inner": named}});
        root["$defs"] = json!({"Named": named});
        root
    })
}

proptest! {
    #[test]
    fn same_schema_has_no_differences(root in roots()) {
        prop_assert_eq!(differences(&root, &root), []);
    }

    #[test]
    fn field_more_is_compatible_and_field_less_is_not(root in roots(), added in schemas(), required: bool) {
        let mut more = root.clone();
        more["properties"]["z"] = added;
        if required {
            let names = more["required"].as_array().unwrap().iter().cloned().chain([json!("z")]);
            more["required"] = names.collect();
        }
        prop_assert_eq!(differences(&root, &more), [("$.z".to_owned(), Kind::FieldAdded)]);
        prop_assert_eq!(differences(&more, &root), [("$.z".to_owned(), Kind::FieldRemoved)]);
    }

    #[test]
    fn alternative_less_is_compatible(root in roots(), one in schemas(), other in schemas()) {
        let with = |schema: Value| {
            let mut root = root.clone();
            root["properties"]["z"] = schema;
            root
        };
        let (both, single) = (with(json!({"anyOf": [one, other]})), with(one.clone()));
        prop_assert!(!breaks(&both, &single), "{:?}", differences(&both, &single));
    }

    #[test]
    fn null_where_none_was_allowed_breaks(root in roots(), schema in schemas()) {
        let with = |schema: Value| {
            let mut root = root.clone();
            root["properties"]["z"] = schema;
            root
        };
        let nullable = json!({"anyOf": [schema, {"type": "null"}]});
        let allowed_null = branch::branches(&schema, &root).iter().any(|branch| {
            branch.is_empty() || branch::json_type(branch) == Some("null")
        });
        prop_assert_eq!(breaks(&with(schema), &with(nullable)), !allowed_null);
    }

    #[test]
    fn sample_can_be_made_of_every_view(root in roots()) {
        prop_assert!(sample(&entry("order:placed", 1, root)).is_some());
    }
}
