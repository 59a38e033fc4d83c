//! What an update has changed, as a list that subscribers can read.
//!
//! Each change says what has happened to which object: `{"type": "UPDATED", "changed_object": "schedule", "old_value":
//! "0 * * * *", "new_value": "0 0 * * *"}`.
//! What is sensitive is told without its value, and this is a matter of types: [`Builder::sensitive`] and
//! [`Builder::entries`] ask of a value that it can be compared, and of nothing that could write it down.
//!
//! A list is never empty: where nothing has changed there is none, and so no event.
//!
//! In the telemetry view stands what was changed, and never a value.
//!
//! # Examples
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use schemars::JsonSchema;
//! use serde::Serialize;
//! use tidings::{Diff, Event, Layer, change::Changes};
//!
//! /// A job, as the application keeps it.
//! #[derive(Clone, Diff)]
//! struct JobRow {
//!     #[diff(skip)]
//!     id: u32,
//!     #[diff(sensitive)]
//!     name: String,
//!     #[diff(value)]
//!     schedule: Option<String>,
//!     #[diff(entries, object = "environment_variable")]
//!     environment: BTreeMap<String, String>,
//! }
//!
//! #[derive(Layer, Serialize, JsonSchema)]
//! #[layer(name = "update")]
//! struct Update {
//!     #[telemetry]
//!     changes: Changes,
//! }
//!
//! /// A job is another one now.
//! #[derive(Event, Serialize, JsonSchema)]
//! #[event(name = "job:updated", version = 1, layers(Update))]
//! struct JobUpdated { update: Update }
//!
//! let old = JobRow { id: 7, name: "Plan".into(), schedule: None, environment: BTreeMap::new() };
//! assert!(old.diff(&old.clone()).is_none(), "nothing has changed, so there is nothing to register");
//!
//! let new = JobRow {
//!     name: "Secret plan".into(),
//!     schedule: Some("0 * * * *".into()),
//!     environment: [("TOKEN".to_owned(), "s3cret".to_owned())].into(),
//!     ..old.clone()
//! };
//! let changes = old.diff(&new).ok_or("something has changed")?;
//! let event = JobUpdated { update: Update { changes } };
//! assert_eq!(
//!     serde_json::from_str::<serde_json::Value>(&event.notification()?)?,
//!     serde_json::json!({"update": {"changes": [
//!         {"type": "UPDATED", "changed_object": "name"},
//!         {"type": "CREATED", "changed_object": "schedule", "new_value": "0 * * * *"},
//!         {"type": "CREATED", "changed_object": "environment_variable"},
//!     ]}}),
//! );
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod list;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use self::list::Shown;
pub use self::list::{Change, ChangeType, Changes};

/// A value that can say how another one differs from it.
///
/// It is implemented by `#[derive(Diff)]` on a struct with named fields, each of which says what is told of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be compared field by field",
    label = "no `Diff`",
    note = "write `#[derive(Diff)]` on it, and `#[diff(value)]`, `#[diff(sensitive)]`, `#[diff(entries)]` or \
            `#[diff(skip)]` on each field"
)]
pub trait Diff {
    /// Returns what is different in `new`, in the order of the fields, or `None` where nothing is.
    fn diff(&self, new: &Self) -> Option<Changes>;
}

/// A list of changes while it is being made.
#[derive(Clone, Debug, Default)]
#[must_use = "a list is made by `build`"]
pub struct Builder {
    changes: Vec<Change>,
}

impl Changes {
    /// Returns the builder of a list, for what is not one struct: several rows, or only some of their fields.
    ///
    /// # Examples
    ///
    /// ```
    /// use tidings::change::Changes;
    ///
    /// let (old, new) = (("Plan", 10), ("Secret plan", 20));
    /// let changes = Changes::builder()
    ///     .sensitive("name", old.0, new.0)
    ///     .value("max_retained_runs", &old.1, &new.1)
    ///     .build();
    /// assert_eq!(changes.map_or(0, |changes| changes.len()), 2);
    /// ```
    pub const fn builder() -> Builder {
        Builder { changes: Vec::new() }
    }
}

impl Builder {
    /// Adds a change of `object` with both values, if they differ.
    ///
    /// A value that is null in JSON, such as `None`, is not there: the object is then created or deleted, and not
    /// updated, and its change has one value.
    /// A value that cannot be JSON is an error when the event is built.
    pub fn value<T>(self, object: &'static str, old: &T, new: &T) -> Self
    where
        T: PartialEq + Serialize + ?Sized,
    {
        if old == new {
            return self;
        }
        let (old, new) = (Shown::of(old), Shown::of(new));
        let change_type = match (&old, &new) {
            (None, Some(_)) => ChangeType::Created,
            (Some(_), None) => ChangeType::Deleted,
            _ => ChangeType::Updated,
        };
        self.with(Change::new(change_type, object).between(old, new))
    }

    /// Adds a change of `object` without its values, if they differ.
    pub fn sensitive<T>(self, object: &'static str, old: &T, new: &T) -> Self
    where
        T: PartialEq + ?Sized,
    {
        if old == new { self } else { self.with(Change::new(ChangeType::Updated, object)) }
    }

    /// Adds a change of `object` for each entry that was created, updated or deleted, with neither its key nor its
    /// value.
    ///
    /// They stand in the order of their types, so that the order says nothing of the keys.
    /// It takes maps, and lists of pairs; of two entries with one key the last counts.
    pub fn entries<'a, K, V>(
        mut self,
        object: &'static str,
        old: impl IntoIterator<Item = (&'a K, &'a V)>,
        new: impl IntoIterator<Item = (&'a K, &'a V)>,
    ) -> Self
    where
        K: Ord + ?Sized + 'a,
        V: PartialEq + ?Sized + 'a,
    {
        let old: BTreeMap<&K, &V> = old.into_iter().collect();
        let new: BTreeMap<&K, &V> = new.into_iter().collect();
        let created = new.keys().filter(|key| !old.contains_key(*key)).count();
        let deleted = old.keys().filter(|key| !new.contains_key(*key)).count();
        let is_updated = |(key, value): (&&K, &&V)| new.get(*key).is_some_and(|new| new != value);
        let updated = old.iter().filter(|entry| is_updated(*entry)).count();
        for (change_type, count) in [
            (ChangeType::Created, created),
            (ChangeType::Updated, updated),
            (ChangeType::Deleted, deleted),
        ] {
            self.changes.extend((0..count).map(|_| Change::new(change_type, object)));
        }
        self
    }

    /// Returns the list, or `None` where nothing has changed.
    #[must_use]
    pub fn build(self) -> Option<Changes> {
        Changes::new(self.changes)
    }

    fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}
