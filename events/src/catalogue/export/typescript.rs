//! TypeScript types of what subscribers are sent.
//!
//! A type and version is an interface of its notification view, `OrderPlacedV1`, and one of the webhook that carries
//! it, `OrderPlacedV1Event`; definitions in its schema follow under its name.
//! The union of the webhooks is told apart by `type`.
//! What front ends may send to a relay is a map by name, `ClientEvents`, for the browser client.

mod identifier;
mod shape;

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use self::{
    identifier::{Identifiers, pascal, type_names},
    shape::Shape,
};
use super::reference::{definitions, name};
use crate::catalogue::snapshot::{Entry, Snapshot};

const UNION: &str = "WebhookEvent";
const TYPES: &str = "EventType";
const DATA: &str = "EventData";
const CLIENT: &str = "ClientEvents";

/// Returns the module.
pub(super) fn write(snapshot: &Snapshot, title: &str) -> String {
    let mut text = String::from(
        "// Written by `tidings catalogue export --format typescript`. Do not edit.\n",
    );
    comment(&mut text, "", title, false);
    text.push_str("export {};\n");

    // Names of types come first, so that those of their definitions never move them.
    let mut identifiers = Identifiers::new(&[UNION, TYPES, DATA, CLIENT]);
    let bases = type_names(snapshot.iter().map(|entry| entry.id.event_type.as_str()));
    let named: Vec<_> = snapshot
        .iter()
        .map(|entry| {
            let base = &bases[entry.id.event_type.as_str()];
            (entry, identifiers.take(&format!("{base}V{}", entry.id.version)))
        })
        .collect();
    let named: Vec<_> = named
        .into_iter()
        .map(|(entry, name)| {
            let event = identifiers.take(&format!("{name}Event"));
            (entry, name, event)
        })
        .collect();

    let (mut events, mut client) = (Vec::new(), BTreeMap::new());
    for (entry, name, event) in &named {
        let retired = snapshot.is_retired(&entry.id);
        data(&mut text, entry, (name, retired), &mut identifiers);
        if entry.is_notification() {
            webhook(&mut text, entry, (name, event, retired));
            events.push(event.as_str());
        }
        if entry.is_for_clients() && !retired {
            // Versions ascend, and a relay takes the last where none is named.
            client.insert(entry.id.event_type.as_str(), name.as_str());
        }
    }
    union(&mut text, &events);
    sent(&mut text, &client);
    text
}

/// Writes the interface of a notification view, and the types that it is made of.
fn data(text: &mut String, entry: &Entry, of: (&str, bool), identifiers: &mut Identifiers) {
    let (name, retired) = of;
    let definitions = definitions(&entry.schema);
    let mut names = BTreeMap::from([("#".to_owned(), name.to_owned())]);
    for reference in definitions.keys() {
        let wanted = format!("{name}{}", pascal(self::name(reference)));
        names.insert(reference.clone(), identifiers.take(&wanted));
    }
    let shape = Shape::new(&names);
    let title = format!("{}\n\nThe content of {}.", entry.documentation.trim(), entry.id);
    declare(text, name, &entry.schema, (title.trim(), retired), &shape);
    for (reference, definition) in &definitions {
        let described = definition.get("description").and_then(Value::as_str).unwrap_or_default();
        declare(text, &names[reference], definition, (described, false), &shape);
    }
}

fn declare(text: &mut String, name: &str, schema: &Value, said: (&str, bool), shape: &Shape<'_>) {
    text.push('\n');
    comment(text, "", said.0, said.1);
    // Writing to a string cannot fail, here and below.
    match shape.body(schema) {
        Some(body) => writeln!(text, "export interface {name} {body}").ok(),
        None => writeln!(text, "export type {name} = {};", shape.of(schema, "")).ok(),
    };
}

fn webhook(text: &mut String, entry: &Entry, names: (&str, &str, bool)) {
    let (data, event, retired) = names;
    text.push('\n');
    comment(text, "", &format!("The body of a webhook of {}.", entry.id), retired);
    let event_type = Value::from(entry.id.event_type.as_str());
    writeln!(text, "export interface {event} {{").ok();
    writeln!(text, "  type: {event_type};").ok();
    comment(text, "  ", "When it happened, in RFC 3339.", false);
    writeln!(text, "  timestamp: string;\n  data: {data};\n}}").ok();
}

fn union(text: &mut String, events: &[&str]) {
    text.push('\n');
    let said = "The body of any webhook, told apart by `type`.\n\n\
                A body does not say its version: where a type has several, its `data` is one of theirs.";
    comment(text, "", said, false);
    if events.is_empty() {
        writeln!(text, "export type {UNION} = never;").ok();
    } else {
        writeln!(text, "export type {UNION} =\n  | {};", events.join("\n  | ")).ok();
    }
    text.push('\n');
    comment(text, "", "The name of any type.", false);
    writeln!(text, "export type {TYPES} = {UNION}[\"type\"];\n").ok();
    comment(text, "", "The content of the events of a type.", false);
    writeln!(
        text,
        "export type {DATA}<T extends {TYPES}> = Extract<{UNION}, {{ type: T }}>[\"data\"];"
    )
    .ok();
}

/// Writes the map of what front ends may send.
fn sent(text: &mut String, client: &BTreeMap<&str, &str>) {
    text.push('\n');
    let said = "What front ends may send, by name: the events of `new Tidings<ClientEvents>()`.";
    comment(text, "", said, false);
    if client.is_empty() {
        writeln!(text, "export type {CLIENT} = Record<never, never>;").ok();
        return;
    }
    writeln!(text, "export interface {CLIENT} {{").ok();
    for (event_type, data) in client {
        writeln!(text, "  {}: {data};", Value::from(*event_type)).ok();
    }
    writeln!(text, "}}").ok();
}

/// Writes a doc comment, nothing where there is nothing to say.
fn comment(text: &mut String, indent: &str, said: &str, deprecated: bool) {
    let said = said.trim().replace("*/", "*\\/");
    let lines: Vec<_> = said
        .lines()
        .chain(deprecated.then_some("@deprecated Events of this type are no longer registered."))
        .collect();
    match lines.as_slice() {
        [] => {}
        [one] => drop(writeln!(text, "{indent}/** {one} */")),
        many => {
            writeln!(text, "{indent}/**").ok();
            for line in many {
                writeln!(text, "{}", format!("{indent} * {line}").trim_end()).ok();
            }
            writeln!(text, "{indent} */").ok();
        }
    }
}
