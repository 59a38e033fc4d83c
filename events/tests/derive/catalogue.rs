//! What the catalogue knows of a type.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tidings::{Catalogue, Event, Layer, catalogue, catalogue::CatalogueError, name::Name};

use crate::shop::JobFailed;

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "shop", id = id)]
#[serde(deny_unknown_fields)]
struct Shop {
    /// The number above the door.
    id: u32,
    city: Option<String>,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "order", id = id)]
struct Order {
    id: u64,
    lines: Vec<Line>,
}

#[derive(Serialize, JsonSchema)]
struct Line {
    article: String,
    #[schemars(range(min = 1))]
    quantity: u32,
}

/// A customer has paid.
///
///     indented
#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "shop:order:paid",
    version = 3,
    scope(shop, order),
    layers(Shop, Order),
    ordering_key = customer
)]
struct OrderPaid<'a> {
    shop: &'a Shop,
    order: Order,
    /// In cents.
    amount: u64,
    gift: Option<Line>,
    customer: u32,
}

#[test]
fn type_is_described_as_it_is_declared() {
    let event_type = OrderPaid::describe();
    assert_eq!(event_type.name.as_str(), "shop:order:paid");
    assert_eq!(event_type.version, 3);
    assert_eq!(event_type.scopes, ["shop", "order"]);
    assert_eq!(event_type.layers, ["shop", "order"]);
    assert_eq!(event_type.documentation, "A customer has paid.\n\n    indented");
    assert_eq!(event_type.ordering_key.as_deref(), Some("customer"));
    assert!(event_type.rust_type.starts_with("derive::catalogue::OrderPaid"));
    assert_eq!(JobFailed::describe().ordering_key.as_deref(), Some("job"));
}

#[test]
fn schema_is_that_of_the_nested_view() {
    let line = json!({"$ref": "#/$defs/Line"});
    assert_eq!(
        OrderPaid::describe().schema,
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "shop:order:paid",
            "description": "A customer has paid.\n\n    indented",
            "type": "object",
            "properties": {
                "shop": {
                    "type": "object",
                    "properties": {
                        "id": {
                            "type": "integer",
                            "format": "uint32",
                            "minimum": 0,
                            "description": "The number above the door.",
                        },
                        "city": {"type": ["string", "null"]},
                        "order": {
                            "type": "object",
                            "properties": {
                                "id": {"type": "integer", "format": "uint64", "minimum": 0},
                                "lines": {"type": "array", "items": line},
                            },
                            "required": ["id", "lines"],
                        },
                    },
                    "additionalProperties": false,
                    "required": ["id", "city", "order"],
                },
                "amount": {
                    "type": "integer",
                    "format": "uint64",
                    "minimum": 0,
                    "description": "In cents.",
                },
                "gift": {"anyOf": [line, {"type": "null"}]},
                "customer": {"type": "integer", "format": "uint32", "minimum": 0},
            },
            "required": ["amount", "gift", "customer", "shop"],
            "$defs": {
                "Line": {
                    "type": "object",
                    "properties": {
                        "article": {"type": "string"},
                        "quantity": {"type": "integer", "format": "uint32", "minimum": 1},
                    },
                    "required": ["article", "quantity"],
                },
            },
        })
    );
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "tidings:subscriber:disabled", version = 1, reserved)]
struct SubscriberDisabled {
    subscriber_id: i32,
}

/// Claims what [`JobFailed`] already is.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:job:failed", version = 2)]
struct JobHasFailed {
    job: u64,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "subscriber:added", version = 1)]
struct SubscriberAdded {
    subscriber: i32,
}

fn own() -> Result<Catalogue, CatalogueError> {
    catalogue![SubscriberAdded]
}

#[test]
fn event_of_our_own_is_in_no_application_s_catalogue() {
    let error = catalogue![SubscriberDisabled].unwrap_err().to_string();
    assert!(error.contains("names that begin with `tidings:` are Tidings' own"), "{error}");
    let catalogue = catalogue![; own().unwrap()].unwrap();
    assert!(catalogue.get(&SubscriberDisabled::describe().name, 1).is_none());
}

#[test]
fn catalogue_collects_types_and_other_catalogues() {
    let catalogue = catalogue![JobFailed, OrderPaid<'_>, OrderPaid<'_>; own().unwrap()].unwrap();
    let names: Vec<_> =
        (&catalogue).into_iter().map(|event_type| event_type.name.as_str()).collect();
    assert_eq!(names, ["project:job:failed", "shop:order:paid", "subscriber:added"]);
    assert!(catalogue.latest(&Name::from_static("shop:order:paid")).is_some());
    assert!(catalogue![].unwrap().is_empty());
    assert_eq!(catalogue![; own().unwrap(), own().unwrap(),].unwrap().len(), 1);
}

#[test]
fn catalogue_refuses_two_types_of_one_name_and_version() {
    assert_eq!(
        catalogue![JobFailed, JobHasFailed].unwrap_err().to_string(),
        "`derive::shop::JobFailed` and `derive::catalogue::JobHasFailed` are both `project:job:failed` version 2: \
         give the one that has changed a higher version, or another name"
    );
}
