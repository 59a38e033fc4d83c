//! What a schema names, and what of a value that is.
//!
//! Branches (`allOf`, `anyOf`, `oneOf`, `if`) are taken together: a member stays if any of them names it.
//! Which of them holds is for the validation to say.

use std::ptr;

use serde_json::{Map, Value};

/// What is said about a value without saying anything about its shape.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$id",
    "$schema",
    "$defs",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// Keeps what `schema` names of these properties, and says what it does not.
pub(crate) fn keep(schema: &Value, properties: Map<String, Value>) -> (Value, Vec<String>) {
    let mut keeper = Keeper { root: schema, dropped: Vec::new() };
    // At the root a schema that says nothing names nothing.
    let mut shape = Shape::default();
    keeper.gather(schema, &mut shape);
    shape.anything = false;
    let kept = keeper.keep_object(&shape, properties, "");
    (kept, keeper.dropped)
}

/// What several schemas say together about one value.
#[derive(Debug, Default)]
struct Shape<'a> {
    properties: Vec<(&'a str, &'a Value)>,
    /// For members that are not named, where any may stand.
    others: Vec<&'a Value>,
    items: Vec<&'a Value>,
    /// One of them says nothing about the value.
    anything: bool,
    /// What has been gathered; a schema that refers to itself ends there.
    seen: Vec<&'a Value>,
}

struct Keeper<'a> {
    root: &'a Value,
    dropped: Vec<String>,
}

impl<'a> Keeper<'a> {
    fn keep_value(&mut self, schemas: &[&'a Value], value: Value, path: &str) -> Value {
        if !value.is_object() && !value.is_array() {
            return value;
        }
        let mut shape = Shape::default();
        for schema in schemas {
            self.gather(schema, &mut shape);
        }
        match value {
            value if shape.anything => value,
            Value::Object(members) => self.keep_object(&shape, members, path),
            Value::Array(items) => {
                let keep = |(place, item): (usize, Value)| {
                    self.keep_value(&shape.items, item, &format!("{path}/{place}"))
                };
                Value::Array(items.into_iter().enumerate().map(keep).collect())
            }
            value => value,
        }
    }

    fn keep_object(&mut self, shape: &Shape<'a>, members: Map<String, Value>, path: &str) -> Value {
        let mut kept = Map::new();
        for (name, value) in members {
            let named = shape.properties.iter().filter(|(property, _)| *property == name);
            let mut schemas: Vec<_> = named.map(|(_, schema)| *schema).collect();
            if schemas.is_empty() {
                schemas.clone_from(&shape.others);
            }
            let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            if schemas.is_empty() {
                self.dropped.push(path);
            } else {
                let value = self.keep_value(&schemas, value, &path);
                kept.insert(name, value);
            }
        }
        Value::Object(kept)
    }

    fn gather(&self, schema: &'a Value, shape: &mut Shape<'a>) {
        if shape.seen.iter().any(|seen| ptr::eq(*seen, schema)) {
            return;
        }
        shape.seen.push(schema);
        let Value::Object(keywords) = schema else {
            shape.anything |= *schema == Value::Bool(true);
            return;
        };
        if keywords.keys().all(|keyword| ANNOTATIONS.contains(&keyword.as_str())) {
            shape.anything = true;
            return;
        }
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "properties" => {
                    let members = value.as_object().into_iter().flatten();
                    shape.properties.extend(members.map(|(name, schema)| (name.as_str(), schema)));
                }
                "additionalProperties" | "unevaluatedProperties"
                    if *value != Value::Bool(false) =>
                {
                    shape.others.push(value);
                }
                // Which names are meant is left to the validation.
                "patternProperties" => {
                    shape.others.extend(value.as_object().into_iter().flat_map(Map::values));
                }
                "items" | "additionalItems" if !value.is_array() => shape.items.push(value),
                "items" | "prefixItems" => {
                    shape.items.extend(value.as_array().into_iter().flatten());
                }
                "allOf" | "anyOf" | "oneOf" => {
                    for branch in value.as_array().into_iter().flatten() {
                        self.gather(branch, shape);
                    }
                }
                "if" | "then" | "else" => self.gather(value, shape),
                "$ref" => {
                    if let Some(target) = value.as_str().and_then(|target| self.resolve(target)) {
                        self.gather(target, shape);
                    }
                }
                _ => {}
            }
        }
    }

    fn resolve(&self, target: &str) -> Option<&'a Value> {
        let pointer = target.strip_prefix('#')?;
        self.root.pointer(&percent_decoded(pointer))
    }
}

/// Undoes the escapes of a URI fragment; those of the pointer are undone by whoever follows it.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|digits| str::from_utf8(digits).ok());
        let decoded = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(schema: &Value, properties: Value) -> Value {
        let Value::Object(properties) = properties else { panic!("not an object") };
        keep(schema, properties).0
    }

    #[test]
    fn only_what_is_named_is_kept_at_every_depth() {
        let schema = json!({
            "properties": {
                "view": {"$ref": "#/$defs/View%201"},
                "tags": {"type": "array", "items": {"type": "object", "properties": {"id": {}}}},
                "map": {"type": "object", "additionalProperties": {"properties": {"n": {}}}},
                "any": true,
                "bare": {"type": "object"},
            },
            "$defs": {"View 1": {"properties": {"name": {"type": "string"}}}},
        });
        let properties = json!({
            "view": {"name": "a", "user": "b"},
            "tags": [{"id": 1, "text": "c"}, 2],
            "map": {"k": {"n": 1, "m": 2}},
            "any": {"x": {"y": 1}},
            "bare": {"x": 1},
            "other": 1,
        });
        let expected = json!({
            "view": {"name": "a"}, "tags": [{"id": 1}, 2], "map": {"k": {"n": 1}},
            "any": {"x": {"y": 1}}, "bare": {},
        });
        assert_eq!(kept(&schema, properties), expected);
    }

    #[test]
    fn branches_are_taken_together() {
        let schema = json!({
            "oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}],
            "allOf": [{"properties": {"c": {"anyOf": [{"type": "null"}, {"properties": {"d": {}}}]}}}],
        });
        let properties = json!({"a": 1, "b": 2, "c": {"d": 3, "e": 4}, "f": 5});
        assert_eq!(kept(&schema, properties), json!({"a": 1, "b": 2, "c": {"d": 3}}));
    }

    #[test]
    fn schema_that_says_nothing_names_nothing() {
        for schema in [json!({}), json!(true), json!({"title": "x", "type": "object"})] {
            assert_eq!(kept(&schema, json!({"a": 1})), json!({}), "{schema}");
        }
    }

    #[test]
    fn schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#", "properties": {"next": {"$ref": "#"}, "n": {}}});
        let nested = json!({"n": 1, "next": {"n": 2, "x": 3, "next": {"y": 1}}});
        assert_eq!(kept(&schema, nested), json!({"n": 1, "next": {"n": 2, "next": {}}}));
        let doubling = json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}], "properties": {"n": {}}});
        assert_eq!(kept(&doubling, json!({"n": 1, "m": 1})), json!({"n": 1}));
    }
}
