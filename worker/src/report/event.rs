//! A report as the events by which it is registered.

use serde_json::{Value as Json, json};
use tidings::analytics::{
    report::{DESCRIBED, ROLLED_UP, Report},
    wire::{Error, Message},
};

/// An event of a report, ready to be registered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// The type.
    pub(crate) name: &'static str,
    /// What subscribers see.
    pub(crate) payload: String,
    /// What sinks see: the properties of the message, whole.
    pub(crate) telemetry: String,
    /// Who the message is about, and what it is apart from its properties.
    pub(crate) headers: String,
}

/// Returns the events of `report`, without what is the organization's where `with_group` is not set.
///
/// A sink makes the message of them that the report has: under its id and its name, with its properties as they are.
pub(super) fn events(report: &Report, with_group: bool) -> Result<Vec<Event>, Error> {
    let rolled_up = report.webhook().get("data").cloned().unwrap_or_default();
    let mut described = rolled_up.clone();
    if let Some(data) = described.as_object_mut() {
        data.remove("statistics");
        data.remove("counter_reset");
    }
    let mut events = Vec::new();
    if with_group {
        events.push(event(DESCRIBED, &described, &report.group()?));
    }
    if let Some(track) = report.track()? {
        events.push(event(ROLLED_UP, &rolled_up, &track));
    }
    Ok(events)
}

fn event(name: &'static str, payload: &Json, message: &Message) -> Event {
    let telemetry =
        json!({"event_properties": message.properties(), "derived_properties": {}}).to_string();
    let headers = json!({
        "analytics": message.identity(),
        "report": {"id": message.id(), "name": message.name().as_str(), "app": message.app()},
    });
    Event { name, payload: payload.to_string(), telemetry, headers: headers.to_string() }
}
