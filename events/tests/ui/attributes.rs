//! What `#[event(..)]` and `#[layer(..)]` can say.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, Layer};

#[derive(Event, Serialize, JsonSchema)]
struct NothingSaid {}

#[derive(Event, Serialize, JsonSchema)]
#[event(version = 1)]
struct NoName {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed")]
struct NoVersion {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 0)]
struct VersionZero {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, topic = "orders")]
struct UnknownAttribute {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, version = 2)]
struct VersionTwice {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, level = "off")]
struct LevelOff {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, level = "Basic")]
struct UnknownLevel {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, audience(public))]
struct UnknownAudience {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, audience())]
struct NoAudience {}

#[derive(Layer, Serialize, JsonSchema)]
struct NoLayerName {}

#[derive(Layer, Serialize, JsonSchema)]
#[layer(name = "project", scope = uuid)]
struct UnknownLayerAttribute {}

fn main() {}
