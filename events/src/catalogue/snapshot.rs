//! A catalogue as data: what is exported, compared, and kept in a file as a baseline.
//!
//! The types of a program and the types of a database make the same snapshot, so whatever reads one works on both.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use tidings_analytics::wire::Call;

use super::{
    Catalogue, EventType,
    compare::{self, Difference},
    export::{self, Format},
};
use crate::name;

/// What a baseline file says first; another number is another form.
const FORMAT: u16 = 1;

/// An event type's name and version.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TypeVersion {
    /// The colon path.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the schema, from 1.
    pub version: i16,
}

/// An event type as data: what is stored of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its name and version.
    #[serde(flatten)]
    pub id: TypeVersion,
    /// Who may see events of this type, as [`Audience`](crate::event::Audience) writes it.
    pub audience: Vec<String>,
    /// The keys of the scope, from the general to the particular.
    pub scopes: Vec<String>,
    /// The lowest level at which the telemetry view is collected.
    pub level: String,
    /// What an event of the type is to analytics; left out where it is `track`.
    #[serde(default = "track", skip_serializing_if = "is_track")]
    pub call: String,
    /// What the type is for.
    pub documentation: String,
    /// The JSON Schema of the notification view.
    pub schema: Value,
}

/// The types of a program or of a database, as data.
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::Serialize;
/// use tidings::{Event, catalogue, catalogue::export::Format};
///
/// /// A customer has placed an order.
/// #[derive(Event, Serialize, JsonSchema)]
/// #[event(name = "order:placed", version = 1)]
/// struct OrderPlaced { order: u64 }
///
/// let snapshot = catalogue![OrderPlaced]?.snapshot();
/// assert!(snapshot.export(Format::TypeScript, "Shop").contains("export interface OrderPlacedV1"));
/// # Ok::<_, tidings::catalogue::CatalogueError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    entries: BTreeMap<TypeVersion, Entry>,
    retired: Vec<TypeVersion>,
}

/// A baseline as it lies in its file.
#[derive(Deserialize, Serialize)]
struct Document {
    format: u16,
    types: Vec<Entry>,
    retired: Vec<TypeVersion>,
}

/// A baseline that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is not JSON, or not of this form.
    #[error(
        "the baseline is not one that `tidings catalogue check --update` has written; write it again"
    )]
    Unreadable(#[source] serde_json::Error),
    /// It was written by a later version.
    #[error(
        "the baseline has the format {0}, and this version reads {FORMAT}; use the version that wrote it"
    )]
    Format(u16),
}

impl Snapshot {
    /// Returns the snapshot of these types; of two with one name and version the later stays.
    pub(crate) fn of(
        entries: impl IntoIterator<Item = Entry>,
        retired: impl IntoIterator<Item = TypeVersion>,
    ) -> Self {
        let entries = entries.into_iter().map(|mut entry| {
            entry.schema = sorted(entry.schema);
            (entry.id.clone(), entry)
        });
        let mut retired: Vec<_> = retired.into_iter().collect();
        retired.sort();
        retired.dedup();
        Self { entries: entries.collect(), retired }
    }

    /// Reads a snapshot out of the text of a baseline.
    ///
    /// # Errors
    ///
    /// Text that [`Snapshot::to_json`] has not written, or a later version of it.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        let document: Document = serde_json::from_str(text).map_err(SnapshotError::Unreadable)?;
        if document.format != FORMAT {
            return Err(SnapshotError::Format(document.format));
        }
        Ok(Self::of(document.types, document.retired))
    }

    /// Returns the text of a baseline: sorted, a value on each line, so that a change of a type is a small difference.
    pub fn to_json(&self) -> String {
        let document = Document {
            format: FORMAT,
            types: self.iter().cloned().collect(),
            retired: self.retired.clone(),
        };
        let value = serde_json::to_value(document).map(sorted).unwrap_or_default();
        format!("{value:#}\n")
    }

    /// Returns the snapshot without the types of Tidings' own, those whose names begin with `tidings:`.
    #[must_use]
    pub fn without_reserved(mut self) -> Self {
        self.entries.retain(|id, _| !name::is_reserved(&id.event_type));
        self.retired.retain(|id| !name::is_reserved(&id.event_type));
        self
    }

    /// Returns all types, by name and version.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.values()
    }

    /// Returns the type of that name and version.
    pub fn get(&self, event_type: &str, version: i16) -> Option<&Entry> {
        self.entries.get(&TypeVersion::new(event_type, version))
    }

    /// Returns whether there are no types.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns which types are retired, by name and version; they need not be among the others.
    pub fn retired(&self) -> &[TypeVersion] {
        &self.retired
    }

    /// Returns whether a type is retired.
    pub fn is_retired(&self, id: &TypeVersion) -> bool {
        self.retired.binary_search(id).is_ok()
    }

    /// Returns what is different in `newer`, as its consumers see it; breaking differences say so.
    ///
    /// The [module](super::compare) says which are.
    pub fn compare(&self, newer: &Self) -> Vec<Difference> {
        compare::snapshots(self, newer)
    }

    /// Returns the types as a document in `format`, under `title`.
    ///
    /// Same types, same text, whatever the order in which they were declared.
    pub fn export(&self, format: Format, title: &str) -> String {
        export::export(self, format, title)
    }
}

impl Catalogue {
    /// Returns the catalogue as data.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.iter().map(Entry::from), self.retired().cloned())
    }

    /// Returns the catalogue as a document in `format`, under `title`; see [`Snapshot::export`].
    pub fn export(&self, format: Format, title: &str) -> String {
        self.snapshot().export(format, title)
    }
}

impl Entry {
    /// Returns whether subscribers get events of this type.
    pub fn is_notification(&self) -> bool {
        self.audience.iter().any(|audience| audience == "notification")
    }

    /// Returns whether browsers and devices may send events of this type to a relay.
    pub fn is_for_clients(&self) -> bool {
        self.audience.iter().any(|audience| audience == "client")
    }
}

impl From<&EventType> for Entry {
    fn from(event_type: &EventType) -> Self {
        Self {
            id: TypeVersion::new(event_type.name.as_str(), event_type.version),
            audience: event_type.audience.iter().map(ToString::to_string).collect(),
            scopes: event_type.scopes.clone(),
            level: event_type.level.to_string(),
            call: event_type.call.as_str().to_owned(),
            documentation: event_type.documentation.clone(),
            schema: event_type.schema.clone(),
        }
    }
}

impl TypeVersion {
    pub(crate) fn new(event_type: impl Into<String>, version: i16) -> Self {
        Self { event_type: event_type.into(), version }
    }
}

impl fmt::Display for TypeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` version {}", self.event_type, self.version)
    }
}

fn track() -> String {
    Call::Track.as_str().to_owned()
}

fn is_track(call: &str) -> bool {
    call == Call::Track.as_str()
}

/// Returns `value` with the fields of every object in the order of their names, whatever order a map keeps.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(fields.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// Returns an entry for subscribers.
    pub(crate) fn entry(event_type: &str, version: i16, schema: Value) -> Entry {
        Entry {
            id: TypeVersion::new(event_type, version),
            audience: vec!["notification".to_owned()],
            scopes: Vec::new(),
            level: "basic".to_owned(),
            call: track(),
            documentation: String::new(),
            schema,
        }
    }

    #[test]
    fn baseline_is_read_as_it_was_written_and_ends_with_a_new_line() {
        let snapshot = Snapshot::of(
            [entry("order:placed", 2, json!({"b": 1, "a": {"d": 1.50, "c": [true, null]}}))],
            [TypeVersion::new("order:voided", 1)],
        );
        let text = snapshot.to_json();
        assert_eq!(Snapshot::from_json(&text).unwrap(), snapshot);
        assert!(text.ends_with("}\n"), "{text}");
        assert!(text.contains("\"type\": \"order:placed\",\n      \"version\": 2\n"), "{text}");
    }

    #[test]
    fn file_that_is_no_baseline_is_said_so() {
        for (text, expected) in [
            ("", "the baseline is not one that"),
            ("[]", "the baseline is not one that"),
            (r#"{"format": 1, "types": [{}], "retired": []}"#, "the baseline is not one that"),
            (r#"{"format": 9, "types": [], "retired": []}"#, "the baseline has the format 9"),
        ] {
            let error = Snapshot::from_json(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn own_types_are_left_out_by_name() {
        let snapshot = Snapshot::of(
            ["tidings:subscriber:disabled", "tidings-shop:opened"]
                .map(|name| entry(name, 1, json!({}))),
            [TypeVersion::new("tidings:delivery:exhausted", 1)],
        )
        .without_reserved();
        let names: Vec<_> = snapshot.iter().map(|entry| entry.id.event_type.as_str()).collect();
        assert_eq!(names, ["tidings-shop:opened"]);
        assert_eq!(snapshot.retired(), []);
    }
}
