//! JSON as a tree that borrows from the text it was read from.
//!
//! Members keep their order; of two with one name the last one counts, as everywhere else, and the others are gone, so
//! that what a rule has removed cannot come back from under it.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::Number;

/// From how many members on duplicates are looked for by hashing: a text of a stranger must not cost the square of its
/// length.
const HASHED_FROM: usize = 24;

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Object<'a>),
}

/// The members of an object, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Value<'a> {
    /// Reads a text; its depth is bounded (128).
    ///
    /// # Errors
    ///
    /// It is no JSON, or no UTF-8.
    pub fn parse(text: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    /// Returns the members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// Returns the members, if it is an object.
    #[must_use]
    pub fn as_object_mut(&mut self) -> Option<&mut Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// Returns the items, if it is an array.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// Returns the text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// Returns the number as a float, if it is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().and_then(Number::as_f64)
    }

    /// Returns the number, if it is a whole one that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// Returns a member, if it is an object that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// Returns what lies at a path of names, through objects alone.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// Returns what lies at a path of names, through objects alone.
    #[must_use]
    pub fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |value, name| value.as_object_mut()?.get_mut(name))
    }

    /// Returns the word for what it is: `null`, `boolean`, `number`, `string`, `array` or `object`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Returns the same tree, with its texts borrowed from this one.
    #[must_use]
    pub fn lend(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::List(list) => Value::List(list.iter().map(Self::lend).collect()),
            Self::Object(object) => Value::Object(object.lend()),
        }
    }

    /// Returns it with texts of its own, so that it outlives what it was read from.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::List(list) => Value::List(list.into_iter().map(Self::into_owned).collect()),
            Self::Object(object) => Value::Object(object.into_owned()),
        }
    }

    /// Writes it as JSON, without spaces.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        // Every value can be written, and a buffer takes everything.
        drop(serde_json::to_writer(buffer, self));
    }

    /// Returns it as JSON, without spaces.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(1024);
        self.write(&mut buffer);
        buffer
    }
}

impl<'a> Object<'a> {
    /// Returns an object without members.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Returns a member.
    #[must_use]
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value<'a>> {
        self.0.iter_mut().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// Sets a member, in its place if it is there, or else at the end.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) {
        let (name, value) = (name.into(), value.into());
        match self.get_mut(&name) {
            Some(place) => *place = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Value<'a>> {
        let index = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.remove(index).1)
    }

    /// Returns the members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Returns the members in their order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value<'a>)> {
        self.0.iter_mut().map(|(name, value)| (&**name, value))
    }

    /// Keeps the members for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value<'a>) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    /// Returns the members in their order, by index.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        &self.0
    }

    /// Returns the same members, with their texts borrowed from these.
    #[must_use]
    pub fn lend(&self) -> Object<'_> {
        Object(self.0.iter().map(|(name, value)| (Cow::Borrowed(&**name), value.lend())).collect())
    }

    /// Returns the members with texts of their own.
    #[must_use]
    pub fn into_owned(self) -> Object<'static> {
        let own = |(name, value): (Cow<'_, str>, Value<'_>)| {
            (Cow::Owned(name.into_owned()), value.into_owned())
        };
        Object(self.0.into_iter().map(own).collect())
    }

    /// Returns how many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Value<'a>>> FromIterator<(N, V)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(members: I) -> Self {
        let mut object = Self::new();
        for (name, value) in members {
            object.set(name, value);
        }
        object
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> From<Object<'a>> for Value<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Self>> for Value<'_> {
    fn from(list: Vec<Self>) -> Self {
        Self::List(list)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value<'de>, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("no finite number"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        // Where each name stands, once there are many.
        let mut places: HashMap<Cow<'de, str>, usize> = HashMap::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, Value<'de>>()? {
            let place = if members.len() < HASHED_FROM {
                members.iter().position(|(found, _)| *found == name)
            } else {
                if places.is_empty() {
                    places.extend(
                        members.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)),
                    );
                }
                places.get(&name).copied()
            };
            if let Some(place) = place {
                members[place].1 = value;
            } else {
                if !places.is_empty() {
                    places.insert(name.clone(), members.len());
                }
                members.push((name, value));
            }
        }
        Ok(Value::Object(Object(members)))
    }
}

/// The name of a member, borrowed where it has no escapes.
pub(crate) struct Name<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for item in list {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name.as_ref(), value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_two_members_with_one_name_the_last_counts_and_the_first_is_gone() {
        let value =
            Value::parse(br#"{"a":1,"\u0061":2,"b":{"c":[null,true,-1,1.5e3,"x\n"]}}"#).unwrap();
        assert_eq!(value.to_bytes(), br#"{"a":2,"b":{"c":[null,true,-1,1500.0,"x\n"]}}"#);
        let many: Vec<_> = (0..100).map(|n| format!("\"k{}\":{n}", n % 50)).collect();
        let text = format!("{{{}}}", many.join(","));
        let value = Value::parse(text.as_bytes()).unwrap();
        assert_eq!(value.as_object().unwrap().len(), 50);
        assert_eq!(value.get("k7").and_then(Value::as_i64), Some(57));
    }

    #[test]
    fn members_are_set_and_removed() {
        let mut value = Value::parse(br#"{"a":{"b":1},"c":2}"#).unwrap();
        value.at_mut(&["a"]).unwrap().as_object_mut().unwrap().set("d", "e");
        value.as_object_mut().unwrap().set("c", 3_i64);
        assert_eq!(value.to_bytes(), br#"{"a":{"b":1,"d":"e"},"c":3}"#);
        assert_eq!(value.as_object_mut().unwrap().remove("c"), Some(3_i64.into()));
        assert_eq!(value.at(&["a", "b"]).and_then(Value::as_i64), Some(1));
    }

    #[test]
    fn tree_is_lent_and_owned_as_it_is() {
        let text = br#"{"a":[null,true,{"b":"c\n"}],"d":1.5}"#.to_vec();
        let value = Value::parse(&text).unwrap();
        assert_eq!(value.lend(), value);
        let owned = value.clone().into_owned();
        assert_eq!(owned, value);
        drop(text);
        assert_eq!(owned.to_bytes(), br#"{"a":[null,true,{"b":"c\n"}],"d":1.5}"#);
    }

    #[test]
    fn depth_is_bounded() {
        assert!(Value::parse(&b"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn tree_is_that_of_serde_json(text in "[\\[\\]{}:,\"a-c0-9.e\\\\ntrue-]{0,40}") {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
            let ours = Value::parse(text.as_bytes()).ok();
            prop_assert_eq!(ours.is_some(), theirs.is_some());
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                let again: serde_json::Value = serde_json::from_slice(&ours.to_bytes()).unwrap();
                prop_assert_eq!(again, theirs);
            }
        }
    }
}
