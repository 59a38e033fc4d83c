//! Neither keys nor names of the telemetry view are made at run time.

use tidings::analytics::Value;
use tidings::{Anonymous, TelemetryData};

struct Name(String);

impl Anonymous for Name {
    fn to_value(&self) -> Option<Value> {
        Some(Value::name(&self.0))
    }
}

fn key(data: &mut TelemetryData, user: String) {
    data.property(&[], &user, &true);
}

fn main() {}
