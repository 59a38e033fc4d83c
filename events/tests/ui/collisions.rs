//! Views are composed, and nothing in them covers anything else.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, Layer};

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project", id = id)]
struct Project {
    id: u32,
    job: u32,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "job", id = id)]
struct Job {
    id: u32,
    #[telemetry(count)]
    steps: Vec<String>,
}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "steps_count")]
struct StepsCount {}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "pipeline-run")]
struct PipelineRun {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "project:job:failed", version = 1, layers(Project, Job))]
struct LayerCoversField {
    project: Project,
    job: Job,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:failed", version = 1, layers(Job, StepsCount))]
struct LayerCoversTelemetry {
    job: Job,
    count: StepsCount,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:stopped", version = 1, layers(Job))]
struct FieldCoversLayer {
    stopped: Job,
    #[serde(rename = "job")]
    number: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:started", version = 1, layers(Job), scope(started, job))]
struct ScopeKeyTwice {
    started: Job,
    #[serde(skip)]
    job: u32,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "job:started", version = 1, scope(Region))]
#[expect(non_snake_case)]
struct ScopeKeyInCapitals {
    Region: u32,
}

fn main() {}
