//! What a message tells, as one JSON object.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::error::Error;
use crate::{TelemetryData, Value};

/// The properties of a call, or its traits.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Properties(Map<String, Json>);

/// What is added to the telemetry view of every event, once, when it is encoded: where it comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    app: Map<String, Json>,
    system: Map<String, Json>,
}

/// The telemetry view as it is stored.
#[derive(Deserialize)]
struct View {
    #[serde(default)]
    event_properties: Map<String, Json>,
    #[serde(default)]
    derived_properties: Map<String, Json>,
}

impl Context {
    /// Returns the context that tells nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what an operator has written into a configuration. Nothing of any event belongs in here.
    pub const fn of_configuration(app: Map<String, Json>, system: Map<String, Json>) -> Self {
        Self { app, system }
    }

    /// Sets a property of the application, its version for example.
    #[must_use]
    pub fn app(mut self, name: &'static str, value: Value) -> Self {
        self.app.insert(name.to_owned(), value.into_json());
        self
    }

    /// Sets a property of the system that the application runs on, `host_os` for example.
    #[must_use]
    pub fn system(mut self, name: &'static str, value: Value) -> Self {
        self.system.insert(name.to_owned(), value.into_json());
        self
    }
}

impl Properties {
    /// Returns no properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the properties of an event: its two trees, its type as `event_properties.type` whatever stood there
    /// before, and the properties of the application and the system.
    pub fn of_telemetry(event_type: &str, telemetry: &TelemetryData, context: &Context) -> Self {
        let view = View {
            event_properties: telemetry.event_properties().clone(),
            derived_properties: telemetry.derived_properties().clone(),
        };
        Self::of_view(event_type, view, context)
    }

    /// Returns the properties of an event whose telemetry view is read from the JSON in which it is stored.
    ///
    /// # Errors
    ///
    /// It is no object of two objects.
    pub fn of_stored(event_type: &str, telemetry: &str, context: &Context) -> Result<Self, Error> {
        let view = serde_json::from_str(telemetry).map_err(|_| Error::NotAnObject)?;
        Ok(Self::of_view(event_type, view, context))
    }

    fn of_view(event_type: &str, view: View, context: &Context) -> Self {
        let View { mut event_properties, derived_properties } = view;
        event_properties.insert("type".to_owned(), Json::from(event_type));
        let members = [
            ("event_properties", event_properties),
            ("derived_properties", derived_properties),
            ("app_properties", context.app.clone()),
            ("system_properties", context.system.clone()),
        ];
        Self(members.into_iter().map(|(key, map)| (key.to_owned(), Json::Object(map))).collect())
    }

    /// Returns the object.
    pub const fn as_map(&self) -> &Map<String, Json> {
        &self.0
    }

    /// Returns how many properties there are, those of nested objects included.
    pub fn count(&self) -> usize {
        count(&self.0)
    }
}

fn count(map: &Map<String, Json>) -> usize {
    let nested = map.values().filter_map(Json::as_object).map(count);
    map.len() + nested.sum::<usize>()
}

impl From<Map<String, Json>> for Properties {
    fn from(map: Map<String, Json>) -> Self {
        Self(map)
    }
}

impl TryFrom<Json> for Properties {
    type Error = Error;

    fn try_from(json: Json) -> Result<Self, Error> {
        match json {
            Json::Object(map) => Ok(Self(map)),
            _ => Err(Error::NotAnObject),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn view_is_told_with_its_type_and_with_where_it_comes_from() {
        let mut data = TelemetryData::new();
        data.property(&["order"], "express", &true).derived(&["order"], "items_count", &2_u32);
        let context = Context::new()
            .app("version", Value::name("1.2.0"))
            .system("host_os", Value::name("linux"));
        let expected = json!({
            "event_properties": {"order": {"express": true}, "type": "order:placed"},
            "derived_properties": {"order": {"items_count": 2}},
            "app_properties": {"version": "1.2.0"},
            "system_properties": {"host_os": "linux"},
        });
        let built = Properties::of_telemetry("order:placed", &data, &context);
        assert_eq!(serde_json::to_value(&built).unwrap(), expected);
        assert_eq!(built.count(), 11);

        let stored = serde_json::to_string(&data).unwrap();
        assert_eq!(Properties::of_stored("order:placed", &stored, &context).unwrap(), built);
    }

    #[test]
    fn type_of_the_event_takes_the_place_of_what_a_client_says_it_is() {
        let stored = r#"{"event_properties": {"type": "order:paid"}}"#;
        let built = Properties::of_stored("order:placed", stored, &Context::new()).unwrap();
        assert_eq!(built.as_map()["event_properties"], json!({"type": "order:placed"}));
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        for json in [json!([]), json!(null), json!("text"), json!(1)] {
            assert_eq!(Properties::try_from(json.clone()), Err(Error::NotAnObject));
            let stored = json!({"event_properties": json}).to_string();
            let read = Properties::of_stored("order:placed", &stored, &Context::new());
            assert_eq!(read, Err(Error::NotAnObject), "{stored}");
        }
    }
}
