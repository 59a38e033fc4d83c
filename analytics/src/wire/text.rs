//! The two kinds of text that every service restricts: ids, and names of events.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::Error;

/// The most characters of an id or of a name: what PostHog takes, and more than Segment's plans show.
const CHARS_MAX: usize = 200;

/// What clients send by mistake where nobody is known. PostHog refuses them, because they would make one person of
/// thousands; the comparison ignores case.
const PLACEHOLDERS: [&str; 20] = [
    "0",
    "00000000-0000-0000-0000-000000000000",
    "[object object]",
    "anonymous",
    "anonymous-user",
    "backend",
    "distinct_id",
    "distinctid",
    "email",
    "false",
    "guest",
    "id",
    "nan",
    "none",
    "not_authenticated",
    "null",
    "system",
    "true",
    "undefined",
    "user",
];

/// Who or what a message is about: 1 to 200 characters, not blank, and no placeholder such as `null` or `anonymous`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Returns `text` as an id.
    ///
    /// # Errors
    ///
    /// It is blank, longer than 200 characters, or a placeholder.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let core = text.trim();
        if core.is_empty() {
            return Err(Error::BlankId);
        }
        let characters = text.chars().count();
        if characters > CHARS_MAX {
            return Err(Error::LongId { characters });
        }
        let placeholder = PLACEHOLDERS.iter().find(|word| core.eq_ignore_ascii_case(word));
        placeholder.map_or(Ok(Self(text)), |word| Err(Error::PlaceholderId { word }))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What an event, a page or a screen is called: 1 to 200 characters, not blank.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

impl Name {
    /// Returns `text` as a name.
    ///
    /// # Errors
    ///
    /// It is blank or longer than 200 characters.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let characters = text.chars().count();
        if text.trim().is_empty() || characters > CHARS_MAX {
            return Err(Error::Name { characters });
        }
        Ok(Self(text))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_refused_where_a_service_would_lose_it() {
        let long = "é".repeat(201);
        let table: &[(&str, &str)] = &[
            ("", "an id is blank: leave it out where nobody is known"),
            (" \t", "an id is blank: leave it out where nobody is known"),
            (&long, "an id has 201 characters: send at most 200, a hash of it for example"),
            (
                "NULL",
                "`null` stands for nobody in particular: leave the id out where nobody is known",
            ),
            (
                " [object Object]",
                "`[object object]` stands for nobody in particular: leave the id out where nobody is known",
            ),
        ];
        for (text, reason) in table {
            assert_eq!(Id::new(*text).unwrap_err().to_string(), *reason);
        }
        for word in PLACEHOLDERS {
            assert!(Id::new(word).is_err() && Id::new(word.to_uppercase()).is_err(), "{word}");
        }
        for text in ["u", "users", "2026-01:3q2-7wAB", &"é".repeat(200)] {
            assert_eq!(Id::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn id_is_checked_when_it_is_read() {
        assert_eq!(serde_json::from_str::<Id>(r#""ada""#).unwrap(), Id::new("ada").unwrap());
        assert!(serde_json::from_str::<Id>(r#""guest""#).is_err());
    }

    #[test]
    fn name_has_1_to_200_characters() {
        for text in ["", "  ", &"n".repeat(201)] {
            assert!(Name::new(text).is_err(), "{text}");
        }
        for text in ["order:placed", "null", &"é".repeat(200)] {
            assert_eq!(Name::new(text).unwrap().as_str(), text);
        }
    }
}
