//! Events in PostHog's form, as e-Samwad's client sends them: Sunbird's members lie among the properties.

use super::{flags::Coercion, path::Path, walk::Findings};
use crate::value::{Object, Value};

/// The members that are an event's own, wherever they lie.
const MEMBERS: [&str; 11] =
    ["eid", "mid", "ets", "ts", "ver", "actor", "context", "object", "edata", "eData", "tags"];

/// Turns an event of PostHog's form into one of the specification's; another stays as it is.
///
/// `uuid` becomes `mid`, `timestamp` becomes `ets`, `distinct_id` the actor's id, where those are missing; properties that
/// are no members of an event stay where they are.
pub(super) fn turn(event: &mut Value<'_>, findings: &mut Findings) {
    if properties(event).is_none() {
        return;
    }
    let Some(event) = event.as_object_mut() else { return };
    let Some(Value::Object(mut properties)) = event.remove("properties") else { return };
    for name in MEMBERS {
        if let Some(value) = properties.remove(name)
            && value != Value::Null
        {
            event.set(name, value);
        }
    }
    if !properties.is_empty() {
        event.set("properties", properties);
    }
    for (name, from) in [("mid", "uuid"), ("ets", "timestamp")] {
        if event.get(name).is_none_or(|value| *value == Value::Null)
            && let Some(value) = event.remove(from)
        {
            event.set(name, value);
        }
    }
    let distinct =
        event.get("distinct_id").filter(|id| matches!(id, Value::Text(_) | Value::Number(_)));
    if let Some(id) = distinct.cloned() {
        match event.get_mut("actor") {
            Some(Value::Object(actor)) if actor.get("id").is_none() => actor.set("id", id),
            Some(_) => {}
            None => {
                let actor: Object<'_> = [("id", id), ("type", "User".into())].into_iter().collect();
                event.set("actor", actor);
            }
        }
    }
    findings.coerced(&Path::Root, Coercion::Posthog);
}

/// Returns the id of an event of PostHog's form.
pub(super) fn mid<'v>(event: &'v Value<'_>) -> Option<&'v Value<'v>> {
    let properties = properties(event)?;
    let found = [properties.get("mid"), event.get("mid"), event.get("uuid")];
    found.into_iter().flatten().find(|value| **value != Value::Null)
}

/// Returns the properties of an event of PostHog's form.
fn properties<'v, 'a>(event: &'v Value<'a>) -> Option<&'v Object<'a>> {
    let properties = event.get("properties")?.as_object()?;
    (event.get("eid").is_none() && properties.get("eid").is_some()).then_some(properties)
}
