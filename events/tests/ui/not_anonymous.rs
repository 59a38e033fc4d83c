//! Text does not leak into telemetry: it does not compile.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Anonymous, Event, Layer, TelemetryData};

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project")]
struct Project {
    #[telemetry]
    name: String,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:renamed", version = 1)]
struct ProjectRenamed<'a> {
    #[telemetry]
    names: Vec<String>,
    #[telemetry]
    borrowed: &'a str,
    #[telemetry(with = str::to_uppercase)]
    computed: String,
    #[telemetry(count)]
    counted: String,
    #[telemetry(bucket)]
    measured: String,
}

#[derive(Anonymous)]
enum Reason {
    Other(String),
}

#[derive(Anonymous)]
struct Customer {
    email: Option<String>,
}

fn by_hand(name: &str) -> TelemetryData {
    let mut data = TelemetryData::new();
    data.property(&[], "name", name);
    data
}

fn main() {}
