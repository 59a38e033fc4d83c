//! Who it was, without saying who.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::{anonymous::Anonymous, hash::HashKeys, value::Value};

/// A value of which only a keyed hash leaves, the same for the same value.
///
/// The hash is HMAC-SHA256 of the value as it is displayed, cut to 16 bytes, and written as
/// `<key id>:<base64url>` under the keys that [`HashKeys::install`] has made those of the process.
/// **Without a key it is left out**: an installation that has no secret tells nothing rather than a hash that anyone
/// could undo.
///
/// The value itself is neither printed by `Debug` nor serialised; serialising gives the hash, or null without a key.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hashed<T>(T);

impl<T: fmt::Display> Hashed<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Returns `<key id>:<base64url>`, or `None` where no key is installed.
    pub fn hash(&self) -> Option<String> {
        HashKeys::installed()?.hash(&self.0)
    }
}

impl<T> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(..)")
    }
}

impl<T: fmt::Display> Anonymous for Hashed<T> {
    fn to_value(&self) -> Option<Value> {
        self.hash().map(Value::text)
    }
}

impl<T: fmt::Display> Serialize for Hashed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hash().serialize(serializer)
    }
}

impl<T> JsonSchema for Hashed<T> {
    fn schema_name() -> Cow<'static, str> {
        "Hashed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "null"],
            "description": "A keyed hash, `<key id>:<base64url>`; null where no key is installed.",
        })
    }
}
