//! The keys by which rows are looked up.

use std::borrow::Cow;

use serde::Deserialize;
use uuid::Uuid;

use crate::value::Value;

/// The longest key that is looked for: no id is longer, and what is longer would go to the database for nothing.
const KEY_BYTES_MAX: usize = 512;

/// The type of a key column.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// `text` or `varchar`.
    #[default]
    Text,
    /// `uuid`; other texts have no row.
    Uuid,
    /// `bigint`; what is no whole number has no row.
    Bigint,
}

/// The keys of one event, by look-up; none where a look-up is not about the event.
#[derive(Clone, Debug, Default)]
pub struct Keys<'a>(pub(super) Vec<Option<Cow<'a, str>>>);

impl<'a> Keys<'a> {
    /// Returns, for each look-up, the key in `plain` where these and `redacted` have the same one, or else that of these.
    pub(crate) fn or_same(self, redacted: &Self, plain: &Self) -> Self {
        let pick = |(index, own): (usize, Option<Cow<'a, str>>)| {
            if own.is_some() && own.as_deref() == redacted.get(index) {
                plain.0.get(index).cloned().flatten()
            } else {
                own
            }
        };
        Self(self.0.into_iter().enumerate().map(pick).collect())
    }

    /// Returns the key for a look-up.
    pub(crate) fn get(&self, lookup: usize) -> Option<&str> {
        self.0.get(lookup)?.as_deref()
    }
}

impl KeyType {
    /// Reads a key, in the form in which the database gives it back.
    pub(super) fn read<'a>(self, value: &Value<'a>) -> Option<Cow<'a, str>> {
        match (self, value) {
            (Self::Text, Value::Text(text)) => Self::fits(text).then(|| text.clone()),
            (Self::Uuid, Value::Text(text)) => {
                Some(Cow::Owned(Uuid::try_parse(text).ok()?.to_string()))
            }
            (Self::Bigint, Value::Text(text)) => {
                Some(Cow::Owned(text.parse::<i64>().ok()?.to_string()))
            }
            (Self::Text | Self::Bigint, Value::Number(number)) => {
                Some(Cow::Owned(number.as_i64()?.to_string()))
            }
            _ => None,
        }
    }

    /// Returns whether Postgres can compare it: it knows no zero byte in a text.
    fn fits(text: &str) -> bool {
        !text.is_empty() && text.len() <= KEY_BYTES_MAX && !text.contains('\0')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_in_the_form_of_its_column() {
        use KeyType::{Bigint, Text, Uuid};
        let uuid = "0190D5E4-8B7A-7000-8000-000000000001";
        let cases = [
            (Text, Value::from("a"), Some("a".to_owned())),
            (Text, Value::from(7_i64), Some("7".to_owned())),
            (Text, Value::from(""), None),
            (Text, Value::from("a\0b"), None),
            (Text, Value::from("x".repeat(513)), None),
            (Text, Value::from(true), None),
            (Uuid, Value::from(uuid), Some(uuid.to_lowercase())),
            (Uuid, Value::from("a"), None),
            (Bigint, Value::from("007"), Some("7".to_owned())),
            (Bigint, Value::from("1.5"), None),
            (Bigint, Value::from(7_i64), Some("7".to_owned())),
        ];
        for (key_type, value, expected) in cases {
            assert_eq!(key_type.read(&value).map(Cow::into_owned), expected, "{value:?}");
        }
    }
}
