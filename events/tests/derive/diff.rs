//! What has changed between two values of a struct.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tidings::{Changes, Diff, Event, Layer};

/// What can be compared, and neither written nor printed.
#[derive(Clone, PartialEq)]
struct Sealed(u64);

#[derive(Clone, Diff)]
struct Job {
    #[diff(skip)]
    id: u64,
    #[diff(sensitive)]
    name: String,
    #[diff(sensitive, object = "strategy_json")]
    strategy: Sealed,
    #[diff(value)]
    r#type: char,
    #[diff(value)]
    schedule: Option<String>,
    #[diff(entries, object = "environment_variable")]
    environment: BTreeMap<String, Sealed>,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "update")]
struct Update {
    #[telemetry]
    changes: Changes,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:updated", version = 1, layers(Update))]
struct JobUpdated {
    update: Update,
}

fn job() -> Job {
    Job {
        id: 1,
        name: "canary".into(),
        strategy: Sealed(1),
        r#type: 'a',
        schedule: Some("canary".into()),
        environment: [("canary".to_owned(), Sealed(1))].into(),
    }
}

#[test]
fn nothing_that_changed_is_no_list() {
    assert_eq!(job().diff(&job()), None);
    let other = Job { id: 2, ..job() };
    assert_ne!(other.id, job().id);
    assert_eq!(job().diff(&other), None, "the id is skipped");
}

#[test]
fn field_is_told_as_its_mark_says() {
    let new = Job {
        id: 2,
        name: "canary 2".into(),
        strategy: Sealed(2),
        r#type: 'b',
        schedule: None,
        environment: [("canary 2".to_owned(), Sealed(1))].into(),
    };
    let event = JobUpdated { update: Update { changes: job().diff(&new).unwrap() } };
    let notification: Value = serde_json::from_str(&event.notification().unwrap()).unwrap();
    assert_eq!(
        notification,
        json!({"update": {"changes": [
            {"type": "UPDATED", "changed_object": "name"},
            {"type": "UPDATED", "changed_object": "strategy_json"},
            {"type": "UPDATED", "changed_object": "type", "old_value": "a", "new_value": "b"},
            {"type": "DELETED", "changed_object": "schedule", "old_value": "canary"},
            {"type": "CREATED", "changed_object": "environment_variable"},
            {"type": "DELETED", "changed_object": "environment_variable"},
        ]}})
    );
    let telemetry = serde_json::to_string(&event.telemetry()).unwrap();
    assert!(!telemetry.contains("canary"), "{telemetry}");
    assert_eq!(telemetry.matches("changed_object").count(), 6, "{telemetry}");
}

#[test]
fn schema_asks_for_at_least_one_change() {
    let schema = JobUpdated::describe().schema;
    assert_eq!(
        schema["properties"]["update"]["properties"]["changes"],
        json!({"$ref": "#/$defs/Changes"})
    );
    assert_eq!(
        schema["$defs"],
        json!({
            "Changes": {
                "type": "array",
                "description": "The changes of one update.",
                "items": {"$ref": "#/$defs/Change"},
                "minItems": 1,
            },
            "Change": {
                "type": "object",
                "description": "What has happened to one object.",
                "properties": {
                    "type": {"$ref": "#/$defs/ChangeType"},
                    "changed_object": {
                        "type": "string",
                        "description": "What has changed, a column or a kind of thing.",
                    },
                    "old_value": {
                        "description": "What it was; absent where it is sensitive or was not there.",
                    },
                    "new_value": {
                        "description": "What it is now; absent where it is sensitive or is gone.",
                    },
                },
                "required": ["type", "changed_object"],
            },
            "ChangeType": {
                "description": "In which way an object has changed.",
                "oneOf": [
                    {"type": "string", "const": "CREATED", "description": "It was not there before."},
                    {"type": "string", "const": "UPDATED", "description": "It is another one."},
                    {"type": "string", "const": "DELETED", "description": "It is not there any more."},
                ],
            },
        })
    );
}
