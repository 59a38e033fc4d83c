//! What `#[telemetry(..)]` can say.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, Layer};

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project")]
struct Project {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Unknown {
    #[telemetry(redacted)]
    customer: String,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Nothing {
    #[telemetry()]
    customer: String,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct TwoInOne {
    #[telemetry(count, bucket)]
    lines: Vec<String>,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Twice {
    #[telemetry(count)]
    #[telemetry(count)]
    lines: Vec<String>,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Descending {
    #[telemetry(bucket(100, 10))]
    total: u64,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct NameOnly {
    #[telemetry(derived = "total")]
    total: u64,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, layers(Project))]
struct OnLayer {
    #[telemetry]
    project: Project,
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, audience(notification))]
struct OutsideAudience {
    #[telemetry]
    total: u64,
}

fn main() {}
