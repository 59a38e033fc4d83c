//! The telemetry view of an event.
//!
//! It has two trees of the same shape: what is told as it is, and what was computed from what is not told.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::anonymous::Anonymous;

/// What analytics see of an event.
///
/// It has exactly two fields, and only anonymous values get in: the keys stand in the program's text, and every value's
/// type implements [`Anonymous`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct TelemetryData {
    event_properties: Map<String, Json>,
    derived_properties: Map<String, Json>,
}

impl TelemetryData {
    /// Returns the view that tells nothing but that the event has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the property `name`, told as it is, at the nesting `path`.
    ///
    /// A value that leaves itself out (a hash without a key) changes nothing.
    /// A name that is set twice keeps the last value.
    pub fn property<A: Anonymous + ?Sized>(
        &mut self,
        path: &[&'static str],
        name: &'static str,
        value: &A,
    ) -> &mut Self {
        set(&mut self.event_properties, path, name, value);
        self
    }

    /// Sets the property `name`, computed from what is not told, at the nesting `path`.
    ///
    /// The rules are those of [`TelemetryData::property`].
    pub fn derived<A: Anonymous + ?Sized>(
        &mut self,
        path: &[&'static str],
        name: &'static str,
        value: &A,
    ) -> &mut Self {
        set(&mut self.derived_properties, path, name, value);
        self
    }

    /// Returns what is told as it is.
    pub const fn event_properties(&self) -> &Map<String, Json> {
        &self.event_properties
    }

    /// Returns what was computed from what is not told.
    pub const fn derived_properties(&self) -> &Map<String, Json> {
        &self.derived_properties
    }
}

/// Sets `name` in the object at `path`, making the objects on the way.
fn set<A: Anonymous + ?Sized>(
    tree: &mut Map<String, Json>,
    path: &[&'static str],
    name: &'static str,
    value: &A,
) {
    let Some(value) = value.to_value() else { return };
    let mut object = tree;
    for step in path {
        let member = object.entry(*step).or_insert(Json::Null);
        if !member.is_object() {
            *member = Json::Object(Map::new());
        }
        let Json::Object(next) = member else { return };
        object = next;
    }
    object.insert(name.to_owned(), value.into_json());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Count, Hashed};

    #[test]
    fn both_trees_are_nested_by_the_path() {
        let mut data = TelemetryData::new();
        data.property(&["project", "job"], "draft", &true)
            .derived(&["project", "job"], "steps_count", &Count::of(&["a", "b"]))
            .property(&["project"], "age_days", &3_u32)
            .property(&[], "attempt", &1_u32);

        let expected = json!({
            "event_properties": {"attempt": 1, "project": {"age_days": 3, "job": {"draft": true}}},
            "derived_properties": {"project": {"job": {"steps_count": 2}}},
        });
        assert_eq!(serde_json::to_value(&data).unwrap(), expected);
    }

    #[test]
    fn empty_view_has_both_fields() {
        let expected = json!({"event_properties": {}, "derived_properties": {}});
        assert_eq!(serde_json::to_value(TelemetryData::new()).unwrap(), expected);
    }

    #[test]
    fn name_that_is_set_twice_keeps_the_last_value() {
        let mut data = TelemetryData::new();
        data.property(&[], "job", &1_u32).property(&["job"], "draft", &true);
        assert_eq!(Json::Object(data.event_properties().clone()), json!({"job": {"draft": true}}));
    }

    #[test]
    fn hash_without_a_key_leaves_no_trace() {
        let mut data = TelemetryData::new();
        data.derived(&["project"], "name_hashed", &Hashed::new("canary"));
        assert_eq!(data, TelemetryData::new());
    }
}
