//! An AsyncAPI 3.0 document: what subscribers are sent.
//!
//! AsyncAPI's own schema language is that of JSON Schema draft 07, so the little that is said otherwise there is
//! translated: definitions become components, tuples become `items`, and nothing stands beside a `$ref`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    digest,
    reference::{DEFINITIONS, definitions, map, name},
};
use crate::catalogue::snapshot::{Entry, Snapshot};

/// Returns the document.
pub(super) fn document(snapshot: &Snapshot, title: &str) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    schemas.insert("webhook.headers".to_owned(), headers());

    let mut by_type: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in snapshot.iter().filter(|entry| entry.is_notification()) {
        by_type.entry(&entry.id.event_type).or_default().push(entry);
        let key = key(entry);
        add_schemas(&mut schemas, entry, &key, snapshot.is_retired(&entry.id));
        messages.insert(key.clone(), message(entry, &key));
    }
    for (event_type, entries) in by_type {
        let channel = event_type.replace(':', ".");
        let keys: Vec<_> = entries.iter().map(|entry| key(entry)).collect();
        let operation = operation(event_type, &channel, &keys);
        operations.insert(format!("send.{channel}"), operation);
        channels.insert(channel, self::channel(event_type, &entries, &keys));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            // Documents of the same types have the same version.
            "version": digest(snapshot),
            "description": "The events that subscribers are sent as webhooks, by Standard Webhooks.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    })
}

/// Returns the name of a type's components; colons are not allowed there.
fn key(entry: &Entry) -> String {
    format!("{}.v{}", entry.id.event_type.replace(':', "."), entry.id.version)
}

/// Where a subscriber is, the subscriber says, so the address is not known here.
fn channel(event_type: &str, entries: &[&Entry], keys: &[String]) -> Value {
    let messages: Map<_, _> = keys
        .iter()
        .map(|key| (key.clone(), json!({"$ref": format!("#/components/messages/{key}")})))
        .collect();
    let newest = entries.last().map(|entry| entry.documentation.as_str()).unwrap_or_default();
    let mut channel = json!({"address": null, "title": event_type, "messages": messages});
    describe(&mut channel, newest);
    channel
}

fn operation(event_type: &str, channel: &str, keys: &[String]) -> Value {
    let messages: Vec<_> = keys
        .iter()
        .map(|key| json!({"$ref": format!("#/channels/{channel}/messages/{key}")}))
        .collect();
    json!({
        "action": "send",
        "title": event_type,
        "summary": format!("Tells subscribers of `{event_type}`."),
        "channel": {"$ref": format!("#/channels/{channel}")},
        "messages": messages,
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    })
}

fn message(entry: &Entry, key: &str) -> Value {
    let event_type = &entry.id.event_type;
    let mut message = json!({
        "name": event_type,
        "title": format!("{event_type} version {}", entry.id.version),
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/webhook.headers"},
        "payload": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "const": event_type},
                "timestamp": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When it happened.",
                },
                "data": {"$ref": format!("#/components/schemas/{key}")},
            },
            "required": ["type", "timestamp", "data"],
        },
    });
    describe(&mut message, &entry.documentation);
    message
}

fn describe(object: &mut Value, documentation: &str) {
    if let Some(object) = object.as_object_mut().filter(|_| !documentation.is_empty()) {
        object.insert("description".to_owned(), json!(documentation));
    }
}

fn headers() -> Value {
    json!({
        "type": "object",
        "properties": {
            "webhook-id": {
                "type": "string",
                "format": "uuid",
                "description": "The event's id, the same on every attempt.",
            },
            "webhook-timestamp": {
                "type": "string",
                "pattern": "^[0-9]+$",
                "description": "When this attempt was signed, in seconds since 1970.",
            },
            "webhook-signature": {
                "type": "string",
                "description": "The signatures of id, timestamp and body, with spaces between.",
            },
        },
        "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    })
}

/// Adds the schema of a type and, beside it, its definitions, each under a name of its own.
fn add_schemas(schemas: &mut Map<String, Value>, entry: &Entry, key: &str, retired: bool) {
    let definitions = definitions(&entry.schema);
    let mut names: BTreeMap<&str, String> = BTreeMap::from([("#", key.to_owned())]);
    for reference in definitions.keys() {
        let plain: String = name(reference)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' })
            .collect();
        let wanted = format!("{key}.{plain}");
        let taken = |name: &String| names.values().any(|taken| taken == name);
        let free = (2..).map(|number| format!("{wanted}.{number}"));
        let name = std::iter::once(wanted.clone()).chain(free).find(|name| !taken(name));
        names.insert(reference, name.unwrap_or(wanted));
    }
    for (reference, definition) in &definitions {
        schemas.insert(names[reference.as_str()].clone(), translated(definition, &names));
    }
    let mut schema = translated(&entry.schema, &names);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), json!(entry.id.event_type));
        if retired {
            object.insert("deprecated".to_owned(), json!(true));
        }
    }
    schemas.insert(key.to_owned(), schema);
}

/// Returns a schema in the words of draft 07, with its references turned to the components.
fn translated(schema: &Value, names: &BTreeMap<&str, String>) -> Value {
    map(schema, &|object| {
        for keyword in ["$schema", "$id", "$anchor", "$comment"].iter().chain(&DEFINITIONS) {
            object.remove(*keyword);
        }
        if let Some(first) = object.remove("prefixItems")
            && let Some(rest) = object.insert("items".to_owned(), first)
        {
            object.insert("additionalItems".to_owned(), rest);
        }
        // Draft 07 cannot say it of several schemas together; without it, more is allowed.
        object.remove("unevaluatedProperties");
        object.remove("unevaluatedItems");
        if let Some(Value::String(reference)) = object.remove("$ref") {
            let target = match names.get(reference.as_str()) {
                Some(name) => json!({"$ref": format!("#/components/schemas/{name}")}),
                None => json!(true),
            };
            refer(object, target);
        }
    })
}

/// Puts a reference back: alone, because what stands beside it does not count, or among what has to hold together.
fn refer(object: &mut Map<String, Value>, target: Value) {
    match (object.is_empty(), target) {
        (true, Value::Object(reference)) => *object = reference,
        (_, Value::Object(reference)) => {
            if let Value::Array(all) = object.entry("allOf").or_insert_with(|| json!([])) {
                all.push(Value::Object(reference));
            }
        }
        _ => {}
    }
}
