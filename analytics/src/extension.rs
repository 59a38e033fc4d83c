//! What kind of file it is, instead of what it is called.

use std::{borrow::Cow, fmt, path::Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::{anonymous::Anonymous, value::Value};

/// The longest extension that is told; `ipynb`, `parquet` and `properties` pass, and a sentence does not.
const BYTES_MAX: usize = 10;

/// What every other file is.
const OTHER: &str = "other";

/// The extension of a file name in lower case, `ipynb` for example.
///
/// Told is what looks like an extension: up to ten ASCII letters and digits, at least one of them a letter.
/// Every other file, also one without an extension, is `other`.
/// A word that a person puts behind the last dot passes if it has that shape.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Extension(Cow<'static, str>);

impl Extension {
    /// Reads the extension of the last component of `path`.
    pub fn of<P: AsRef<Path> + ?Sized>(path: &P) -> Self {
        let extension = path.as_ref().extension().and_then(|extension| extension.to_str());
        match extension {
            Some(extension) if is_told(extension) => Self(extension.to_ascii_lowercase().into()),
            _ => Self(OTHER.into()),
        }
    }

    /// Returns the extension without its dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Anonymous for Extension {
    fn to_value(&self) -> Option<Value> {
        Some(Value::text(self.as_str().to_owned()))
    }
}

impl Serialize for Extension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Extension {
    fn schema_name() -> Cow<'static, str> {
        "Extension".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The extension of a file name, or `other`.",
            "pattern": "^[a-z0-9]{1,10}$",
        })
    }
}

/// Whether `extension` has the shape of one. Digits alone may be a telephone number.
fn is_told(extension: &str) -> bool {
    extension.len() <= BYTES_MAX
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && extension.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn extension_is_told_and_the_name_is_not() {
        let cases = [
            ("secret plan.PDF", "pdf"),
            ("/home/ada/notes.tar.gz", "gz"),
            ("video.7z", "7z"),
            ("Makefile", "other"),
            (".bashrc", "other"),
            ("trailing.", "other"),
            ("", "other"),
            ("dear.john and mary", "other"),
            ("call.0612345678", "other"),
            ("long.abcdefghijk", "other"),
            ("umlaut.jürgen", "other"),
            ("folder.d/file", "other"),
            (r"C:\folder.d\file", "other"),
        ];
        for (name, expected) in cases {
            assert_eq!(Extension::of(name).as_str(), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_name_gives_a_short_word_in_lower_case(name: String) {
            let extension = Extension::of(&name);
            prop_assert!((1..=BYTES_MAX).contains(&extension.as_str().len()));
            prop_assert!(extension.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()));
        }
    }
}
