//! Views are composed of plain structs.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Anonymous, Event, Layer};

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
enum Enum {
    One,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Tuple(u32);

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project")]
struct Unit;

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Generic<T> {
    value: T,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project")]
struct Borrowing<'a> {
    name: &'a str,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
#[serde(tag = "type")]
struct Tagged {}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project")]
#[serde(transparent)]
struct Transparent {
    id: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Flattened {
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, String>,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OtherSchema {
    #[schemars(rename = "number")]
    order: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OneNameTwice {
    order: u32,
    #[serde(rename = "order")]
    number: u32,
}

#[derive(Anonymous)]
struct Nothing;

fn main() {}
