//! Every event type of an application, in one place.
//!
//! A catalogue is made once, at start, with [`catalogue!`](crate::catalogue!), and synced into the database, so that
//! the stock binaries and callers in SQL know the application's types.
//! As a [`Snapshot`] it is data: [`export`]ed as documents, and [`compare`]d with an older one.

pub mod compare;
pub mod export;
mod snapshot;
mod stored;
mod sync;

use std::collections::{BTreeMap, BTreeSet, btree_map};

use serde::Serialize;
use serde_json::Value;
use tidings_analytics::{Level, wire::Call};

pub use self::{
    snapshot::{Entry, Snapshot, SnapshotError, TypeVersion},
    stored::{StoredType, restore, retire},
    sync::{Change, Changed, Synced},
};
use crate::{event::Audience, name::Name};

/// An event type, as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventType {
    /// The colon path.
    pub name: Name,
    /// The version of the schema, from 1.
    pub version: i16,
    /// Who may see events of this type; never empty.
    pub audience: BTreeSet<Audience>,
    /// The lowest level at which the telemetry view is collected; never [`Level::Off`].
    pub level: Level,
    /// What an event of the type is to analytics.
    pub call: Call,
    /// The keys of the scope, from the general to the particular.
    pub scopes: Vec<String>,
    /// The names of the layers, from the outermost to the innermost.
    pub layers: Vec<String>,
    /// The JSON Schema (draft 2020-12) of the notification view.
    pub schema: Value,
    /// Whether there is a telemetry view.
    pub telemetry: bool,
    /// What the type is for: the doc comment of the struct.
    pub documentation: String,
    /// The field that is the ordering key, if there is one.
    pub ordering_key: Option<String>,
    /// The path of the Rust type, for error messages.
    #[serde(skip)]
    pub rust_type: &'static str,
}

/// The event types of an application, by name and version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    types: BTreeMap<(Name, i16), EventType>,
    retired: BTreeSet<TypeVersion>,
}

impl Catalogue {
    /// Returns a catalogue without types.
    pub const fn new() -> Self {
        Self { types: BTreeMap::new(), retired: BTreeSet::new() }
    }

    /// Returns a catalogue of `types` and of all types in `others`.
    ///
    /// # Errors
    ///
    /// Those of [`Catalogue::merge`].
    pub fn collect(
        types: impl IntoIterator<Item = EventType>,
        others: impl IntoIterator<Item = Self>,
    ) -> Result<Self, CatalogueError> {
        let mut catalogue = Self::new();
        types.into_iter().try_for_each(|event_type| catalogue.insert(event_type))?;
        others.into_iter().try_for_each(|other| catalogue.merge(other))?;
        Ok(catalogue)
    }

    /// Adds `event_type`; a type that is there already changes nothing.
    ///
    /// # Errors
    ///
    /// Another type of the same name and version, a type that is retired here, or a name that begins with `tidings:`.
    pub fn insert(&mut self, event_type: EventType) -> Result<(), CatalogueError> {
        let (name, rust_type) = (event_type.name.clone(), event_type.rust_type);
        if name.is_reserved() {
            return Err(CatalogueError::Reserved { rust_type, name });
        }
        let id = TypeVersion::new(name.as_str(), event_type.version);
        if self.retired.contains(&id) {
            return Err(CatalogueError::Retired { id });
        }
        match self.types.entry((name.clone(), event_type.version)) {
            btree_map::Entry::Vacant(entry) => {
                entry.insert(event_type);
                Ok(())
            }
            btree_map::Entry::Occupied(entry) if *entry.get() == event_type => Ok(()),
            btree_map::Entry::Occupied(entry) => Err(CatalogueError::Duplicate {
                one: entry.get().rust_type,
                other: rust_type,
                name,
                version: event_type.version,
            }),
        }
    }

    /// Adds all types of `other`, and what it retires.
    ///
    /// # Errors
    ///
    /// Those of [`Catalogue::insert`] and [`Catalogue::retire`]; types before the one at fault have been added.
    pub fn merge(&mut self, other: Self) -> Result<(), CatalogueError> {
        other.types.into_values().try_for_each(|event_type| self.insert(event_type))?;
        other.retired.into_iter().try_for_each(|id| self.retire_id(id))
    }

    /// Retires a type: the next sync makes registering it an error, from whatever program it comes.
    ///
    /// That a type is no longer declared does not retire it, because an older version of the application may still
    /// run beside this one.
    /// Declared again, in a later version, it is registered again.
    ///
    /// # Errors
    ///
    /// A type that is declared here.
    ///
    /// # Examples
    ///
    /// ```
    /// use tidings::{Catalogue, name::Name};
    ///
    /// let mut catalogue = Catalogue::new();
    /// catalogue.retire(&Name::from_static("order:voided"), 1)?;
    /// # Ok::<_, tidings::catalogue::CatalogueError>(())
    /// ```
    pub fn retire(&mut self, name: &Name, version: i16) -> Result<(), CatalogueError> {
        if name.is_reserved() {
            return Err(CatalogueError::Reserved { rust_type: "retire", name: name.clone() });
        }
        self.retire_id(TypeVersion::new(name.as_str(), version))
    }

    fn retire_id(&mut self, id: TypeVersion) -> Result<(), CatalogueError> {
        let is_same = |event_type: &EventType| {
            event_type.name.as_str() == id.event_type && event_type.version == id.version
        };
        if self.types.values().any(is_same) {
            return Err(CatalogueError::Retired { id });
        }
        self.retired.insert(id);
        Ok(())
    }

    /// Returns which types are retired, by name and version.
    pub fn retired(&self) -> impl ExactSizeIterator<Item = &TypeVersion> {
        self.retired.iter()
    }

    /// Returns the type of that name and version.
    pub fn get(&self, name: &Name, version: i16) -> Option<&EventType> {
        self.types.get(&(name.clone(), version))
    }

    /// Returns the type of that name with the highest version.
    pub fn latest(&self, name: &Name) -> Option<&EventType> {
        self.types
            .range((name.clone(), i16::MIN)..=(name.clone(), i16::MAX))
            .next_back()
            .map(|(_, found)| found)
    }

    /// Returns all types, by name and version.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &EventType> {
        self.types.values()
    }

    /// Returns how many types there are.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}

impl<'a> IntoIterator for &'a Catalogue {
    type Item = &'a EventType;
    type IntoIter = std::collections::btree_map::Values<'a, (Name, i16), EventType>;

    fn into_iter(self) -> Self::IntoIter {
        self.types.values()
    }
}

/// A catalogue that cannot be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Two types have one name and version.
    #[error(
        "`{one}` and `{other}` are both `{name}` version {version}: \
         give the one that has changed a higher version, or another name"
    )]
    Duplicate {
        /// The path of one Rust type.
        one: &'static str,
        /// The path of the other.
        other: &'static str,
        /// Their name.
        name: Name,
        /// Their version.
        version: i16,
    },
    /// A name is one of Tidings' own.
    #[error(
        "`{rust_type}` is `{name}`, and names that begin with `tidings:` are Tidings' own; begin with a word of yours"
    )]
    Reserved {
        /// The path of the Rust type.
        rust_type: &'static str,
        /// Its name.
        name: Name,
    },
    /// A type is declared and retired at once.
    #[error("{id} is both declared and retired: take one of them away")]
    Retired {
        /// The type.
        id: TypeVersion,
    },
}

/// Makes a [`Catalogue`] of event types, and of other catalogues after a semicolon.
///
/// # Errors
///
/// Two types of one name and version, or a name that is not the application's to give, as a [`CatalogueError`].
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::Serialize;
/// use tidings::{Catalogue, Event, catalogue, catalogue::CatalogueError, name::Name};
///
/// #[derive(Event, Serialize, JsonSchema)]
/// #[event(name = "order:placed", version = 1)]
/// struct OrderPlaced { total_cents: u64 }
///
/// #[derive(Event, Serialize, JsonSchema)]
/// #[event(name = "invoice:paid", version = 1)]
/// struct InvoicePaid { invoice: u64 }
///
/// fn billing() -> Result<Catalogue, CatalogueError> {
///     catalogue![InvoicePaid]
/// }
///
/// let catalogue = catalogue![OrderPlaced; billing()?]?;
/// assert_eq!(catalogue.len(), 2);
/// assert!(catalogue.get(&Name::from_static("invoice:paid"), 1).is_some());
/// # Ok::<_, CatalogueError>(())
/// ```
#[macro_export]
macro_rules! catalogue {
    ($($event:ty),* $(,)? $(; $($other:expr),* $(,)?)?) => {{
        let types = [$(<$event as $crate::event::Event>::describe()),*];
        let others = [$($($other),*)?];
        $crate::catalogue::Catalogue::collect(types, others)
    }};
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event_type(name: &'static str, version: i16, rust_type: &'static str) -> EventType {
        EventType {
            name: Name::from_static(name),
            version,
            audience: BTreeSet::from([Audience::Notification]),
            level: Level::Basic,
            call: Call::Track,
            scopes: Vec::new(),
            layers: Vec::new(),
            schema: json!({}),
            telemetry: false,
            documentation: String::new(),
            ordering_key: None,
            rust_type,
        }
    }

    fn catalogue(types: impl IntoIterator<Item = EventType>) -> Catalogue {
        Catalogue::collect(types, []).unwrap()
    }

    #[test]
    fn two_types_of_one_name_and_version_are_refused() {
        let mut catalogue = catalogue([event_type("order:placed", 1, "shop::Placed")]);
        let error =
            catalogue.insert(event_type("order:placed", 1, "shop::v2::Placed")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`shop::Placed` and `shop::v2::Placed` are both `order:placed` version 1: \
             give the one that has changed a higher version, or another name"
        );
    }

    #[test]
    fn name_of_our_own_is_refused() {
        let reserved = event_type("tidings:subscriber:disabled", 1, "shop::Disabled");
        let error = Catalogue::collect([reserved], []).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`shop::Disabled` is `tidings:subscriber:disabled`, and names that begin with `tidings:` are Tidings' own; \
             begin with a word of yours"
        );
        let reserved = Name::from_static("tidings:subscriber:disabled");
        assert!(Catalogue::new().retire(&reserved, 1).is_err());
    }

    #[test]
    fn type_is_declared_or_retired_and_not_both() {
        let (name, placed) =
            (Name::from_static("order:placed"), event_type("order:placed", 1, "shop::Placed"));
        let mut declared = catalogue([placed.clone()]);
        let error = declared.retire(&name, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`order:placed` version 1 is both declared and retired: take one of them away"
        );
        declared.retire(&name, 2).unwrap();
        let mut retiring = Catalogue::new();
        retiring.retire(&name, 1).unwrap();
        assert_eq!(retiring.insert(placed), Err(error.clone()));
        assert_eq!(declared.merge(retiring), Err(error));
        assert_eq!(declared.retired().len(), 1);
    }

    #[test]
    fn same_type_twice_is_the_same_type() {
        let mut catalogue = catalogue([event_type("order:placed", 1, "shop::Placed")]);
        catalogue.merge(catalogue.clone()).unwrap();
        assert_eq!(catalogue.len(), 1);
    }

    #[test]
    fn types_are_found_by_name_and_version() {
        let catalogue = catalogue([
            event_type("order:placed", 2, "shop::v2::Placed"),
            event_type("order:placed", 1, "shop::Placed"),
            event_type("order:paid", 7, "shop::Paid"),
        ]);
        let placed = Name::from_static("order:placed");
        assert_eq!(catalogue.get(&placed, 1).unwrap().rust_type, "shop::Placed");
        assert_eq!(catalogue.latest(&placed).unwrap().version, 2);
        assert_eq!(catalogue.get(&placed, 3), None);
        assert_eq!(catalogue.latest(&Name::from_static("order:sent")), None);
        let order: Vec<_> =
            catalogue.iter().map(|found| (found.name.as_str(), found.version)).collect();
        assert_eq!(order, [("order:paid", 7), ("order:placed", 1), ("order:placed", 2)]);
    }
}
