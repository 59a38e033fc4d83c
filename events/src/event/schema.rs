//! The JSON Schema of a notification view, put together as the view is.

use std::{borrow::Cow, collections::BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{layer::Layer, scope};

/// Where `$ref` points.
const DEFINITIONS: &str = "$defs";

/// A layer, as far as a schema is concerned.
#[derive(Clone, Copy, Debug)]
pub struct LayerSchema {
    name: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

impl LayerSchema {
    /// Returns the schema of the layer `L`.
    pub const fn of<L: Layer>() -> Self {
        Self { name: L::NAME, schema: L::json_schema }
    }
}

/// Returns the JSON Schema (draft 2020-12) of the notification view of `E`.
///
/// It is the schema of what is written, with each of `layers` inside the one before and without `layer_fields`, the
/// fields that hold them.
pub fn schema<E: JsonSchema>(title: &str, layer_fields: &[&str], layers: &[LayerSchema]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();

    let mut root = E::json_schema(&mut generator);
    for field in layer_fields {
        remove_property(&mut root, field);
    }
    let nested = layers.iter().rev().fold(None, |inner: Option<(&str, Schema)>, layer| {
        let mut schema = (layer.schema)(&mut generator);
        if let Some((name, inner)) = inner {
            insert_property(&mut schema, name, inner);
        }
        Some((layer.name, schema))
    });
    if let Some((name, schema)) = nested {
        insert_property(&mut root, name, schema);
    }

    let meta_schema = generator.settings().meta_schema.clone();
    root.insert("$schema".to_owned(), json!(meta_schema));
    root.insert("title".to_owned(), json!(title));
    let mut root = root.to_value();
    let definitions = used(&root, generator.take_definitions(true));
    if let Some(object) = root.as_object_mut().filter(|_| !definitions.is_empty()) {
        object.insert(DEFINITIONS.to_owned(), Value::Object(definitions));
    }
    root
}

fn insert_property(schema: &mut Schema, name: &str, property: Schema) {
    let object = schema.ensure_object();
    if let Value::Object(properties) = object.entry("properties").or_insert_with(|| json!({})) {
        properties.insert(name.to_owned(), property.to_value());
    }
    if let Value::Array(required) = object.entry("required").or_insert_with(|| json!([])) {
        required.push(json!(name));
    }
}

fn remove_property(schema: &mut Schema, name: &str) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.remove(name);
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|required| required != name);
    }
}

/// Returns those of `definitions` that `root` refers to, directly or not.
///
/// The layers were defined for the flat struct, where they no longer stand.
fn used(root: &Value, mut definitions: Map<String, Value>) -> Map<String, Value> {
    let mut names = BTreeSet::new();
    let mut open = vec![root];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(object) => open.extend(object.values()),
            Value::String(text) => {
                let name = text.strip_prefix("#/$defs/").map(decode_pointer);
                if let Some((name, definition)) =
                    name.and_then(|name| definitions.get_key_value(&name))
                    && names.insert(name.clone())
                {
                    open.push(definition);
                }
            }
            _ => {}
        }
    }
    definitions.retain(|name, _| names.contains(name));
    definitions
}

/// Undoes the escapes of a JSON pointer in a URI fragment.
fn decode_pointer(name: &str) -> String {
    let name = scope::percent_decode(name).unwrap_or(Cow::Borrowed(name));
    name.replace("~1", "/").replace("~0", "~")
}
