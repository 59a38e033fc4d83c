//! References of a schema that becomes part of a larger document.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value};

/// Where a schema keeps its definitions.
pub(super) const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Keywords whose values are data, in which a `$ref` is none.
const DATA: &[&str] = &["const", "default", "enum", "examples"];

/// Keywords whose values are maps from names of the application's own to schemas.
const NAMED: &[&str] =
    &["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// Returns the definitions of a schema, by their name in a reference: `#/$defs/Line`.
pub(super) fn definitions(schema: &Value) -> BTreeMap<String, &Value> {
    let of_keyword = |keyword: &'static str| {
        let definitions = schema.get(keyword).and_then(Value::as_object);
        definitions
            .into_iter()
            .flatten()
            .map(move |(name, definition)| (format!("#/{keyword}/{}", encode(name)), definition))
    };
    DEFINITIONS.into_iter().flat_map(of_keyword).collect()
}

/// Returns the definition's own name, the end of its reference.
pub(super) fn name(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// Returns a copy of `schema` with every object changed by `change`, inner ones first; values that are data and names
/// of the application's own are left alone.
pub(super) fn map(schema: &Value, change: &impl Fn(&mut Map<String, Value>)) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(|item| map(item, change)).collect(),
        Value::Object(object) => {
            let fields = object.iter().map(|(keyword, value)| {
                let value = match value {
                    Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                        let named = named.iter();
                        Value::Object(
                            named.map(|(name, part)| (name.clone(), map(part, change))).collect(),
                        )
                    }
                    value if DATA.contains(&keyword.as_str()) => value.clone(),
                    value => map(value, change),
                };
                (keyword.clone(), value)
            });
            let mut object = fields.collect();
            change(&mut object);
            Value::Object(object)
        }
        scalar => scalar.clone(),
    }
}

/// Sends the reference of an object elsewhere, if it has one.
pub(super) fn redirect(object: &mut Map<String, Value>, to: impl FnOnce(&str) -> String) {
    if let Some(Value::String(reference)) = object.get_mut("$ref") {
        *reference = to(reference);
    }
}

/// Returns a name as a part of a JSON pointer in a URI fragment.
pub(super) fn encode(name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@!$'()*,;".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    encoded
}
