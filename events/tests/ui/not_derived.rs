//! A trait that is missing is named, with the attribute that brings it.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, Layer, catalogue};

#[derive(Serialize, JsonSchema)]
struct Project {
    id: u32,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job")]
struct Job {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:created", version = 1, layers(Project))]
struct ProjectCreated {
    project: Project,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:created", version = 1, layers(Job), scope(job))]
struct JobCreated {
    job: Job,
}

#[derive(Event)]
#[event(name = "order:placed", version = 1)]
struct OrderPlaced {}

fn main() {
    let _ = catalogue![Project];
}
