//! One JSON Schema for all types.

use serde_json::{Map, Value, json};

use super::reference::{encode, map, redirect};
use crate::catalogue::snapshot::{Entry, Snapshot};

/// Returns a schema with one definition for each type and version, `order:placed.v1` for example.
///
/// The document by itself allows whatever a subscriber may be sent: the notification view of any type.
pub(super) fn document(snapshot: &Snapshot, title: &str) -> Value {
    let mut definitions = Map::new();
    let mut any = Vec::new();
    for entry in snapshot.iter() {
        let key = key(entry);
        if entry.is_notification() {
            any.push(json!({"$ref": format!("#/$defs/{}", encode(&key))}));
        }
        let schema = definition(entry, &key, snapshot.is_retired(&entry.id));
        definitions.insert(key, schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": "The notification view of each event type and version.",
        "$defs": definitions,
        "anyOf": if any.is_empty() { json!([false]) } else { json!(any) },
    })
}

fn key(entry: &Entry) -> String {
    format!("{}.v{}", entry.id.event_type, entry.id.version)
}

/// Returns the schema of a type with its references turned to where it is in the document.
fn definition(entry: &Entry, key: &str, retired: bool) -> Value {
    let base = format!("#/$defs/{}", encode(key));
    let mut schema = map(&entry.schema, &|object| {
        redirect(object, |reference| match reference.strip_prefix('#') {
            Some(pointer) => format!("{base}{pointer}"),
            None => reference.to_owned(),
        });
    });
    let Value::Object(object) = &mut schema else { return schema };
    // Only the document's own counts; an id would be another base for its references.
    object.remove("$schema");
    object.remove("$id");
    object.insert("title".to_owned(), json!(entry.id.event_type));
    if !entry.documentation.is_empty() {
        object.insert("description".to_owned(), json!(entry.documentation));
    }
    if retired {
        object.insert("deprecated".to_owned(), json!(true));
    }
    schema
}
