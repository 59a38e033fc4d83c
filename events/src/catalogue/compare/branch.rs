//! A schema taken apart: the alternatives that it allows, each of one JSON type and without references.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeSet};

use serde_json::{Map, Value, json};

/// More alternatives than that are compared as they are written.
const ALTERNATIVES_MAX: usize = 256;

/// Says nothing about which values are allowed.
const ANNOTATIONS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

const OBJECT: &[&str] = &[
    "additionalProperties",
    "dependentRequired",
    "dependentSchemas",
    "maxProperties",
    "minProperties",
    "patternProperties",
    "properties",
    "propertyNames",
    "required",
];
const ARRAY: &[&str] = &[
    "contains",
    "items",
    "maxContains",
    "maxItems",
    "minContains",
    "minItems",
    "prefixItems",
    "unevaluatedItems",
    "uniqueItems",
];
const TEXT: &[&str] = &[
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "format",
    "maxLength",
    "minLength",
    "pattern",
];
const NUMBER: &[&str] =
    &["exclusiveMaximum", "exclusiveMinimum", "format", "maximum", "minimum", "multipleOf"];

/// Bounds from below and from above.
pub(super) const LOWER: &[&str] =
    &["exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"];
pub(super) const UPPER: &[&str] =
    &["exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"];

/// One alternative: the keywords that hold together.
pub(super) type Branch = Map<String, Value>;

/// Returns the alternatives of `schema`, a part of `root`: none where nothing is allowed.
pub(super) fn branches(schema: &Value, root: &Value) -> Vec<Branch> {
    let mut found: Vec<Branch> = Vec::new();
    for branch in expand(schema, root, &mut Vec::new()).into_iter().flat_map(by_type) {
        if !found.contains(&branch) {
            found.push(branch);
        }
    }
    fold_values(found)
}

/// Returns the JSON type of an alternative, or `None` where it may be any.
pub(super) fn json_type(branch: &Branch) -> Option<&str> {
    branch.get("type").and_then(Value::as_str)
}

/// Returns the tag of an alternative: a required field that has one value only, or the only field with null.
pub(super) fn tag(branch: &Branch) -> Option<(&str, &Value)> {
    let required = branch.get("required")?.as_array()?;
    let fields = branch.get("properties")?.as_object()?;
    let of_value = fields.iter().find_map(|(name, schema)| {
        let value = match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => value,
            (None, Some(values)) if values.len() == 1 => values.first()?,
            _ => return None,
        };
        required.iter().any(|field| field == name).then_some((name.as_str(), value))
    });
    let only = || {
        let only = fields.keys().next().filter(|_| fields.len() == 1)?;
        required.iter().any(|field| field == only).then_some((only.as_str(), &Value::Null))
    };
    of_value.or_else(only)
}

/// Returns what `pointer`, a `$ref`, points to in `root`.
pub(in crate::catalogue) fn resolve<'a>(pointer: &str, root: &'a Value) -> Option<&'a Value> {
    let pointer = pointer.strip_prefix('#')?;
    root.pointer(&crate::scope::percent_decode(pointer).unwrap_or(Cow::Borrowed(pointer)))
}

fn expand(schema: &Value, root: &Value, open: &mut Vec<String>) -> Vec<Branch> {
    let Value::Object(schema) = schema else {
        return if schema == &Value::Bool(false) { Vec::new() } else { vec![Branch::new()] };
    };
    let mut base = Branch::new();
    let mut parts: Vec<Vec<Branch>> = Vec::new();
    for (keyword, value) in schema {
        match (keyword.as_str(), value) {
            ("$ref", Value::String(pointer)) => {
                if open.contains(pointer) {
                    // A union that contains itself has no alternative more by that.
                    parts.push(Vec::new());
                } else if let Some(target) = resolve(pointer, root) {
                    open.push(pointer.clone());
                    parts.push(expand(target, root, open));
                    open.pop();
                } else {
                    base.insert(keyword.clone(), value.clone());
                }
            }
            ("allOf", Value::Array(all)) => {
                parts.extend(all.iter().map(|part| expand(part, root, open)));
            }
            ("anyOf" | "oneOf", Value::Array(any)) => {
                parts.push(any.iter().flat_map(|part| expand(part, root, open)).collect());
            }
            ("const", value) => {
                base.insert("enum".to_owned(), json!([value]));
            }
            // What a flattened struct says in place of the other.
            ("unevaluatedProperties", value) => {
                base.insert("additionalProperties".to_owned(), value.clone());
            }
            (name, value) if !ANNOTATIONS.contains(&name) && !name.starts_with("x-") => {
                base.insert(keyword.clone(), value.clone());
            }
            _ => {}
        }
    }
    if parts.iter().map(Vec::len).product::<usize>() > ALTERNATIVES_MAX {
        base.insert("anyOf".to_owned(), Value::Object(schema.clone()));
        return vec![base];
    }
    parts.iter().fold(vec![base], |all, part| {
        let both =
            |one: &Branch| part.iter().filter_map(|other| both(one, other)).collect::<Vec<_>>();
        all.iter().flat_map(both).collect()
    })
}

/// Returns the alternative that both alternatives allow, or `None` where there is none.
fn both(one: &Branch, other: &Branch) -> Option<Branch> {
    let mut joined = one.clone();
    for (keyword, value) in other {
        let Some(present) = joined.get(keyword).filter(|present| *present != value) else {
            joined.insert(keyword.clone(), value.clone());
            continue;
        };
        let value = join(keyword, present, value)?;
        joined.insert(keyword.clone(), value);
    }
    Some(joined)
}

/// Returns what the two values of a keyword mean together.
fn join(keyword: &str, one: &Value, other: &Value) -> Option<Value> {
    Some(match (keyword, one, other) {
        ("type", one, other) => {
            let (one, other) = (types(one), types(other));
            let common: BTreeSet<&str> = one
                .iter()
                .flat_map(|one| other.iter().filter_map(|other| narrower(one, other)))
                .collect();
            if common.is_empty() {
                return None;
            }
            json!(common)
        }
        ("enum", Value::Array(one), Value::Array(other)) => {
            let common: Vec<_> = one.iter().filter(|value| other.contains(value)).collect();
            if common.is_empty() {
                return None;
            }
            json!(common)
        }
        ("required", Value::Array(one), Value::Array(other)) => {
            let names: BTreeSet<_> = one.iter().chain(other).filter_map(Value::as_str).collect();
            json!(names)
        }
        ("properties" | "patternProperties", Value::Object(one), Value::Object(other)) => {
            let mut all = one.clone();
            for (name, schema) in other {
                let schema = match all.get(name).filter(|present| *present != schema) {
                    Some(present) => json!({"allOf": [present, schema]}),
                    None => schema.clone(),
                };
                all.insert(name.clone(), schema);
            }
            Value::Object(all)
        }
        ("additionalProperties" | "items", one, other) => json!({"allOf": [one, other]}),
        (name, one, other) if LOWER.contains(&name) => pick(one, other, Ordering::Greater),
        (name, one, other) if UPPER.contains(&name) => pick(one, other, Ordering::Less),
        // Two patterns, say: what stands here is only ever compared as a whole.
        (_, one, other) => json!([one, other]),
    })
}

fn pick(one: &Value, other: &Value, wanted: Ordering) -> Value {
    let order = one.as_f64().partial_cmp(&other.as_f64());
    if order == Some(wanted) { one.clone() } else { other.clone() }
}

fn narrower<'a>(one: &'a str, other: &'a str) -> Option<&'a str> {
    match (one, other) {
        ("integer", "number") | ("number", "integer") => Some("integer"),
        _ => (one == other).then_some(one),
    }
}

fn types(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// Returns the alternative once for each JSON type that it allows, with the keywords that are about that type.
fn by_type(branch: Branch) -> Vec<Branch> {
    let values = branch.get("enum").and_then(Value::as_array);
    let types: BTreeSet<String> = match (branch.get("type"), values) {
        (Some(types), _) => self::types(types).into_iter().map(str::to_owned).collect(),
        (None, Some(values)) => values.iter().map(|value| type_of(value).to_owned()).collect(),
        (None, None) => return vec![branch],
    };
    types
        .iter()
        .filter_map(|name| {
            let mut of_type = branch.clone();
            of_type.retain(|keyword, _| is_about(keyword, name));
            of_type.insert("type".to_owned(), json!(name));
            if let Some(values) = values {
                let fits = |value: &&Value| narrower(type_of(value), name) == Some(type_of(value));
                let values: Vec<_> = values.iter().filter(fits).collect();
                if values.is_empty() {
                    return None;
                }
                of_type.insert("enum".to_owned(), json!(values));
            }
            if name == "null" {
                of_type.remove("enum");
            }
            Some(of_type)
        })
        .collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_about(keyword: &str, json_type: &str) -> bool {
    let groups = [(OBJECT, "object"), (ARRAY, "array"), (TEXT, "string"), (NUMBER, "number")];
    let mut about = groups.iter().filter(|(keywords, _)| keywords.contains(&keyword)).peekable();
    about.peek().is_none() || about.any(|(_, name)| narrower(json_type, name).is_some())
}

/// Makes one alternative of those that are values of one type, as enums with described values are written.
fn fold_values(branches: Vec<Branch>) -> Vec<Branch> {
    let mut folded: Vec<Branch> = Vec::new();
    for branch in branches {
        let is_values = |branch: &Branch| {
            branch.contains_key("enum") && branch.keys().all(|key| key == "enum" || key == "type")
        };
        let twin = folded.iter_mut().find(|other| {
            is_values(other) && is_values(&branch) && json_type(other) == json_type(&branch)
        });
        match (twin.and_then(|twin| twin.get_mut("enum")), branch.get("enum")) {
            (Some(Value::Array(all)), Some(Value::Array(more))) => {
                let new: Vec<_> =
                    more.iter().filter(|value| !all.contains(value)).cloned().collect();
                all.extend(new);
            }
            _ => folded.push(branch),
        }
    }
    folded
}
