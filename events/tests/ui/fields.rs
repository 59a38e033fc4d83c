//! Attributes name fields that are there.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, Layer};

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project", id = id)]
struct Project {
    id: u32,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project", id = uuid)]
struct UnknownId {
    id: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, scope(projekt))]
struct UnknownScope {
    project: u32,
    order: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, scope(order, order))]
struct ScopeTwice {
    order: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, scope(a, b, c, d, e, f, g, h, i))]
struct ScopeTooDeep {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, ordering_key = customer)]
struct UnknownOrderingKey {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, layers(Project))]
struct LayerWithoutField {
    project: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, layers(Project))]
struct LayerWithTwoFields {
    from: Project,
    to: Project,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, layers(Project, Project))]
struct LayerTwice {
    project: Project,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, layers(Project))]
struct LayerRenamed {
    #[serde(rename = "in")]
    project: Project,
}

fn main() {}
