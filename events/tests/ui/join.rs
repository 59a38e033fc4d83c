//! What a layer that joins another one may not do.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, Layer};

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = uuid)]
struct Job {
    uuid: u32,
    #[telemetry(count)]
    steps: Vec<String>,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job")]
struct SameField {
    #[serde(flatten)]
    job: Job,
    uuid: u64,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job")]
struct SameProperty {
    #[serde(flatten)]
    job: Job,
    #[telemetry]
    steps_count: u32,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job")]
struct Marked {
    #[serde(flatten)]
    #[telemetry]
    job: Job,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job")]
struct NoLayer {
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, String>,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "run")]
struct WithoutId {
    number: u32,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "run", id = run)]
struct IdOfNothing {
    #[serde(flatten)]
    run: WithoutId,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "steps_count")]
struct Inner {}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job")]
struct Joined {
    #[serde(flatten)]
    job: Job,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:counted", version = 1, layers(Joined, Inner))]
struct Covered {
    job: Joined,
    inner: Inner,
}

fn main() {}
