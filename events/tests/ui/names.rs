//! Names are checked at compile time.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::Event;

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:place", version = 1)]
struct PresentTense {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "Order:placed", version = 1)]
struct UpperCase {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "placed", version = 1)]
struct OnePart {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order::placed", version = 1)]
struct EmptyPart {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "tidings:order:placed", version = 1)]
struct Reserved {}

fn main() {}
