//! What an anonymous value looks like once it is on its way out.
//!
//! A [`Value`] can only be made from numbers, booleans, names that stand in the program's text, and other values.
//! There is no way to turn a `String` into one from outside this crate, which is why an implementation of
//! [`Anonymous`](crate::Anonymous) that is written by hand cannot leak text either.

use serde::Serialize;
use serde_json::{Map, Number};

/// A piece of JSON that is known to be anonymous.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Value(serde_json::Value);

impl Value {
    /// Returns the value of something that is known to be absent.
    pub const fn null() -> Self {
        Self(serde_json::Value::Null)
    }

    /// Returns a name out of the program's own text, a variant of an enum for example.
    ///
    /// Text that is made at run time has no place here: it is [`Hashed`](crate::Hashed), counted, or left out.
    pub fn name(name: &'static str) -> Self {
        Self(serde_json::Value::from(name))
    }

    /// Returns a floating-point number, or null for infinity and for what is not a number.
    pub fn float(number: f64) -> Self {
        Self(Number::from_f64(number).map_or(serde_json::Value::Null, serde_json::Value::Number))
    }

    /// Returns a list, with null in the place of each item that is left out, so that its length stays true.
    pub fn list(items: impl IntoIterator<Item = Option<Self>>) -> Self {
        let items = items.into_iter().map(|item| item.unwrap_or_else(Self::null).0);
        Self(serde_json::Value::Array(items.collect()))
    }

    /// Returns an object without the members that are left out.
    ///
    /// The keys are names out of the program's own text; of two members with one key, the later stays.
    pub fn object(members: impl IntoIterator<Item = (&'static str, Option<Self>)>) -> Self {
        Self::entries(members.into_iter().filter_map(|(key, value)| Some((key.into(), value?))))
    }

    /// Returns text that this crate has made sure is anonymous.
    pub(crate) fn text(text: String) -> Self {
        Self(serde_json::Value::String(text))
    }

    /// Returns an object whose keys this crate has made sure are anonymous.
    pub(crate) fn entries(entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        let entries: Map<_, _> = entries.into_iter().map(|(key, value)| (key, value.0)).collect();
        Self(serde_json::Value::Object(entries))
    }

    /// Returns the value as the key of an object; lists, objects and null cannot be one.
    pub(crate) fn into_key(self) -> Option<String> {
        match self.0 {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    /// Returns the JSON, which is anonymous no longer by type but still by content.
    pub fn into_json(self) -> serde_json::Value {
        self.0
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(serde_json::Value::Bool(flag))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(serde_json::Value::from(number))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self(serde_json::Value::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_keeps_its_place_in_a_list_and_has_none_in_an_object() {
        let list = Value::list([Some(Value::from(1_u64)), None, Some(Value::from(true))]);
        assert_eq!(list.into_json(), serde_json::json!([1, null, true]));

        let object = Value::object([("kept", Some(Value::name("red"))), ("left_out", None)]);
        assert_eq!(object.into_json(), serde_json::json!({"kept": "red"}));
    }

    #[test]
    fn number_that_json_cannot_hold_is_null() {
        assert_eq!(Value::float(f64::NAN), Value::null());
        assert_eq!(Value::float(f64::INFINITY), Value::null());
        assert_eq!(Value::float(0.5).into_json(), serde_json::json!(0.5));
    }
}
