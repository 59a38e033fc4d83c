//! The list itself: what is written, and what may leave for analytics.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer, ser::Error};
use serde_json::Value as Json;
use tidings_analytics::{Anonymous, Value};

/// The changes of one update; at least one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Changes(Vec<Change>);

/// What has happened to one object.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    r#type: ChangeType,
    /// What has changed, a column or a kind of thing.
    changed_object: &'static str,
    /// What it was; absent where it is sensitive or was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Json>")]
    old_value: Option<Shown>,
    /// What it is now; absent where it is sensitive or is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Json>")]
    new_value: Option<Shown>,
}

/// In which way an object has changed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeType {
    /// It was not there before.
    Created,
    /// It is another one.
    Updated,
    /// It is not there any more.
    Deleted,
}

/// A value as JSON, or why it is none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown(Result<Json, String>);

impl Changes {
    /// Returns the list, unless it is empty.
    pub(super) fn new(changes: Vec<Change>) -> Option<Self> {
        (!changes.is_empty()).then_some(Self(changes))
    }

    /// Returns how many changes there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a list is never empty")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the changes, in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, Change> {
        self.0.iter()
    }
}

impl Change {
    /// Returns a change without values.
    pub(super) const fn new(r#type: ChangeType, changed_object: &'static str) -> Self {
        Self { r#type, changed_object, old_value: None, new_value: None }
    }

    /// Returns the change with its values.
    pub(super) fn between(self, old_value: Option<Shown>, new_value: Option<Shown>) -> Self {
        Self { old_value, new_value, ..self }
    }

    /// Returns in which way the object has changed.
    pub const fn change_type(&self) -> ChangeType {
        self.r#type
    }

    /// Returns what has changed.
    pub const fn changed_object(&self) -> &'static str {
        self.changed_object
    }

    /// Returns what it was, unless it is sensitive, was not there, or cannot be JSON.
    pub fn old_value(&self) -> Option<&Json> {
        self.old_value.as_ref()?.0.as_ref().ok()
    }

    /// Returns what it is now, unless it is sensitive, is gone, or cannot be JSON.
    pub fn new_value(&self) -> Option<&Json> {
        self.new_value.as_ref()?.0.as_ref().ok()
    }
}

impl ChangeType {
    /// Returns the word that is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
        }
    }
}

impl Shown {
    /// Returns `value` as JSON, or `None` where that is null.
    pub(super) fn of<T: Serialize + ?Sized>(value: &T) -> Option<Self> {
        match serde_json::to_value(value) {
            Ok(Json::Null) => None,
            Ok(value) => Some(Self(Ok(value))),
            Err(error) => Some(Self(Err(error.to_string()))),
        }
    }
}

impl<'a> IntoIterator for &'a Changes {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl JsonSchema for Changes {
    fn schema_name() -> Cow<'static, str> {
        "Changes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "description": "The changes of one update.",
            "items": generator.subschema_for::<Change>(),
            "minItems": 1,
        })
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(value) => value.serialize(serializer),
            Err(message) => Err(S::Error::custom(message)),
        }
    }
}

impl Anonymous for Changes {
    /// Returns the list without values.
    fn to_value(&self) -> Option<Value> {
        Some(Value::list(self.iter().map(Anonymous::to_value)))
    }
}

impl Anonymous for Change {
    /// Returns the type and the object.
    fn to_value(&self) -> Option<Value> {
        let object = Value::name(self.changed_object);
        Some(Value::object([("type", self.r#type.to_value()), ("changed_object", Some(object))]))
    }
}

impl Anonymous for ChangeType {
    fn to_value(&self) -> Option<Value> {
        Some(Value::name(self.as_str()))
    }
}
