//! Exports of a catalogue are what they say they are, for the tools that their readers use.
//!
//! Node and npm have to be installed: the official AsyncAPI parser, a JSON Schema validator and the TypeScript
//! compiler run on what is exported of the types in [`types`].

mod node;
mod types;

use std::fmt::Write as _;

use serde_json::{Value, json};
use tidings::{
    Catalogue, Event, catalogue,
    catalogue::{
        Entry,
        export::{Format, sample},
    },
};

use self::types::*;

/// A type, contents that it has, and contents that it has not.
#[derive(Debug)]
struct Case {
    entry: Entry,
    good: Vec<Value>,
    bad: Vec<Value>,
}

fn catalogue() -> Catalogue {
    catalogue![OrderPlaced, v2::OrderPlaced, OrderPaid, TreeGrown, ShelfMoved, ShelfMovedBack]
        .unwrap()
}

/// Returns the case of an event type and events of it.
fn case<E: Event>(events: &[E]) -> Case {
    let entry = Entry::from(&E::describe());
    let made = sample(&entry).unwrap_or_else(|| panic!("no sample of {}", entry.id));
    let written = events.iter().map(|event| {
        let text = event.notification().unwrap();
        serde_json::from_str(&text).unwrap()
    });
    let good: Vec<Value> = written.chain([made]).collect();
    let bad = good.iter().flat_map(|value| spoil(value, &entry.schema)).collect();
    Case { entry, good, bad }
}

/// Returns the content without each of its required fields, and with something else in each of its fields.
fn spoil(value: &Value, schema: &Value) -> Vec<Value> {
    let fields = value.as_object().unwrap();
    let required = schema["required"].as_array().unwrap();
    let without = required.iter().map(|name| {
        let mut value = value.clone();
        value.as_object_mut().unwrap().remove(name.as_str().unwrap()).unwrap();
        value
    });
    let instead = fields.keys().filter(|name| name.as_str() != ANYTHING).map(|name| {
        let mut value = value.clone();
        value[name] = json!([[["wrong"]]]);
        value
    });
    without.chain(instead).collect()
}

fn cases() -> Vec<Case> {
    vec![
        case(&OrderPlaced::all()),
        case(&v2::OrderPlaced::all()),
        case(&OrderPaid::all()),
        case(&[TreeGrown::example()]),
        case(&[ShelfMoved { shelf: 1 }]),
        case(&[ShelfMovedBack { shelf: 2 }]),
    ]
}

#[test]
fn json_schema_and_asyncapi_allow_every_event_and_nothing_else() {
    let catalogue = catalogue();
    let document =
        |format| -> Value { serde_json::from_str(&catalogue.export(format, "Shop")).unwrap() };
    let cases: Vec<_> = cases()
        .iter()
        .map(|case| {
            let key = format!("{}.v{}", case.entry.id.event_type, case.entry.id.version);
            assert!(case.bad.len() > 1, "{case:?}");
            json!({"key": key, "good": case.good, "bad": case.bad})
        })
        .collect();
    let input = json!({
        "schema": document(Format::JsonSchema),
        "asyncapi": document(Format::AsyncApi),
        "cases": cases,
    });
    assert_eq!(node::run("check.mjs", &input.to_string()), "");
}

#[test]
fn typescript_compiles_and_allows_every_event_and_nothing_else() {
    let mut program =
        String::from("import type { EventData, EventType, WebhookEvent } from \"./events\";\n");
    for case in cases() {
        let event_type = &case.entry.id.event_type;
        let body = |data: &Value| json!({"type": event_type, "timestamp": "", "data": data});
        for value in &case.good {
            writeln!(program, "use({});", body(value)).unwrap();
        }
        // Another version of the type may allow it.
        for value in case.bad.iter().filter(|_| event_type != "order:placed") {
            writeln!(program, "// @ts-expect-error\nuse({});", body(value)).unwrap();
        }
    }
    program.push_str(
        r#"
declare function use(event: WebhookEvent): void;
declare function see<T>(value: T): void;

export function handle(event: WebhookEvent): number {
  switch (event.type) {
    case "order:placed":
      return "order" in event.data ? event.data.order : event.data.number;
    case "order:paid":
      see<EventData<"order:paid">>(event.data);
      // @ts-expect-error: another type's content
      see<EventData<"tree:grown">>(event.data);
      return event.data.method.kind === "card" ? event.data.method.last_four.length : 0;
    case "tree:grown":
      return event.data.root.children[0]?.children.length ?? 0;
    case "shelf:moved":
    case "shelf:moved-back":
      return event.data.shelf;
  }
  // Every type has been named.
  const none: never = event;
  return none;
}

// @ts-expect-error: no such type
export const type: EventType = "order:lost";
"#,
    );
    let events = catalogue().export(Format::TypeScript, "Shop");
    node::compile(&[("events.ts", &events), ("program.ts", &program)]);
}

#[test]
fn typescript_of_nothing_compiles() {
    let events = Catalogue::new().export(Format::TypeScript, "Nothing");
    let program = "import type { WebhookEvent } from \"./events\";\nexport const none: WebhookEvent[] = [];\n";
    node::compile(&[("events.ts", &events), ("program.ts", program)]);
}

#[test]
fn mistake_in_typescript_is_found() {
    let said = node::errors(&[("program.ts", "export const one: string = 1;\n")]);
    assert!(said.contains("TS2322"), "{said}");
}
