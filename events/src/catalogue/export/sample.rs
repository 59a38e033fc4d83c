//! A value that a schema allows, made up.

use serde_json::{Map, Number, Value, json};

use crate::catalogue::compare::resolve;

/// Texts of the formats that there is something to say about.
const TEXTS: &[(&str, &str)] = &[
    ("date", "2026-01-02"),
    ("date-time", "2026-01-02T03:04:05Z"),
    ("duration", "PT5M"),
    ("email", "ada@example.com"),
    ("hostname", "example.com"),
    ("ip", "192.0.2.1"),
    ("ipv4", "192.0.2.1"),
    ("ipv6", "2001:db8::1"),
    ("partial-date-time", "2026-01-02T03:04:05"),
    ("time", "03:04:05Z"),
    ("uri", "https://example.com/"),
    ("uuid", "0190a8c0-0000-7000-8000-000000000000"),
];

/// Returns a value that `schema` allows: every field, one item of each list, the first of several alternatives.
///
/// Where a type contains itself, the inner one is left out; `None` where nothing is allowed or that cannot be done.
pub(super) fn of(schema: &Value) -> Option<Value> {
    value(schema, schema, &mut Vec::new())
}

fn value(schema: &Value, root: &Value, open: &mut Vec<String>) -> Option<Value> {
    let schema = match schema {
        Value::Bool(true) => return Some(Value::Null),
        Value::Object(schema) => schema,
        _ => return None,
    };
    if let Some(value) = given(schema) {
        return Some(value);
    }
    let mut made = Vec::new();
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
        if open.iter().any(|inside| inside == pointer) {
            return None;
        }
        open.push(pointer.to_owned());
        let value = resolve(pointer, root).and_then(|target| value(target, root, open));
        open.pop();
        made.push(value?);
    }
    for part in list(schema, "allOf") {
        made.push(value(part, root, open)?);
    }
    for keyword in ["anyOf", "oneOf"] {
        let parts = list(schema, keyword);
        if !parts.is_empty() {
            made.push(parts.iter().find_map(|part| value(part, root, open))?);
        }
    }
    if schema.contains_key("type") || schema.contains_key("properties") {
        made.push(of_type(schema, root, open)?);
    }
    Some(made.into_iter().reduce(together).unwrap_or(Value::Null))
}

/// Returns the value that the schema itself names.
fn given(schema: &Map<String, Value>) -> Option<Value> {
    let first = |keyword| list(schema, keyword).first();
    schema.get("const").or_else(|| first("examples")).or_else(|| first("enum")).cloned()
}

fn of_type(schema: &Map<String, Value>, root: &Value, open: &mut Vec<String>) -> Option<Value> {
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name.as_str()],
        _ => vec!["object"],
    };
    types.into_iter().find_map(|name| match name {
        "object" => object(schema, root, open),
        "array" => array(schema, root, open),
        "string" => Some(text(schema)),
        "integer" | "number" => Some(number(schema, name == "integer")),
        "boolean" => Some(json!(true)),
        _ => Some(Value::Null),
    })
}

fn object(schema: &Map<String, Value>, root: &Value, open: &mut Vec<String>) -> Option<Value> {
    let mut object = Map::new();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let is_required = list(schema, "required").iter().any(|required| required == name);
        match value(field, root, open) {
            Some(value) => drop(object.insert(name.clone(), value)),
            None if is_required => return None,
            None => {}
        }
    }
    // A map has an entry, so that the form of its values can be seen.
    if let Some(of_map) = schema.get("additionalProperties").filter(|other| other.is_object())
        && let Some(value) = value(of_map, root, open)
    {
        object.insert("key".to_owned(), value);
    }
    Some(Value::Object(object))
}

fn array(schema: &Map<String, Value>, root: &Value, open: &mut Vec<String>) -> Option<Value> {
    let mut items = Vec::new();
    for part in list(schema, "prefixItems") {
        items.push(value(part, root, open)?);
    }
    let count = |keyword| schema.get(keyword).and_then(Value::as_u64);
    let wanted = count("minItems").unwrap_or(1).max(1).min(count("maxItems").unwrap_or(u64::MAX));
    let of_items = schema.get("items").filter(|items| **items != Value::Bool(false));
    while (items.len() as u64) < wanted {
        match of_items.and_then(|of_items| value(of_items, root, open)) {
            Some(item) => items.push(item),
            None if count("minItems").unwrap_or(0) > items.len() as u64 => return None,
            None => break,
        }
    }
    Some(Value::Array(items))
}

fn text(schema: &Map<String, Value>) -> Value {
    let length = |keyword| schema.get(keyword).and_then(Value::as_u64);
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let known = TEXTS.iter().find(|(name, _)| *name == format).map(|(_, text)| (*text).to_owned());
    let mut text = known.unwrap_or_else(|| "text".to_owned());
    while (text.len() as u64) < length("minLength").unwrap_or(0) {
        text.push('t');
    }
    if let Some(max) = length("maxLength").and_then(|max| usize::try_from(max).ok()) {
        text.truncate(max);
    }
    Value::String(text)
}

fn number(schema: &Map<String, Value>, is_integer: bool) -> Value {
    let bound = |keyword| schema.get(keyword).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(1.0);
    let lower = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|lower| lower + step));
    let upper = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|upper| upper - step));
    let wanted = lower.unwrap_or(1.0).max(1.0).min(upper.unwrap_or(f64::MAX));
    let stepped = (wanted / step).ceil() * step;
    let fits = upper.is_none_or(|upper| stepped <= upper);
    let number = if fits { stepped } else { wanted };
    if is_integer {
        // What is cut off is beyond what a sample has to show.
        #[expect(clippy::cast_possible_truncation, reason = "a sample, within the bounds above")]
        return json!(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Returns what two parts of one value are together.
fn together(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Object(mut one), Value::Object(other)) => {
            for (name, value) in other {
                let value = match one.remove(&name) {
                    Some(present) => together(present, value),
                    None => value,
                };
                one.insert(name, value);
            }
            Value::Object(one)
        }
        (Value::Null, other) => other,
        (one, _) => one,
    }
}

fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    schema.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
