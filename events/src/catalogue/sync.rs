//! What an application declares, made known to the database.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{
    Catalogue, Entry, TypeVersion,
    compare::{self, Difference},
};
use crate::{Error, Result, store::catalogue as store};

/// What a sync has done, and what it has found.
///
/// Written out it is a line for each of them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Synced {
    /// What is different in the database now, by name and version.
    pub changes: Vec<Change>,
    /// What the database knows and the catalogue does not, retired types and Tidings' own left out.
    ///
    /// It stays as it is: another application may declare it, or an older version of this one.
    pub missing: Vec<TypeVersion>,
    /// What the catalogue declares and a person has retired; registering it is refused until a person restores it.
    pub withheld: Vec<TypeVersion>,
}

/// What a sync has done about one event type.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The type.
    #[serde(flatten)]
    pub id: TypeVersion,
    /// What has been done.
    pub change: Changed,
    /// What is different in a type that has changed, as its consumers see it; documentation is not.
    pub differences: Vec<Difference>,
}

/// What has been done about an event type.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Changed {
    /// The database did not know it.
    Added,
    /// The database knew it with other data: audience, scope, level, schema or documentation.
    Changed,
    /// The catalogue retires it.
    Retired,
    /// A catalogue had retired it, and this one declares it.
    Restored,
}

impl Changed {
    /// Returns the word that is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Retired => "retired",
            Self::Restored => "restored",
        }
    }
}

impl Synced {
    /// Returns what breaks consumers: a type was changed that should have had a new version.
    pub fn breaking(&self) -> impl Iterator<Item = &Difference> {
        let differences = self.changes.iter().flat_map(|change| &change.differences);
        differences.filter(|difference| difference.breaking)
    }
}

impl fmt::Display for Synced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{} {}", change.change.as_str(), change.id)?;
        }
        for difference in self.breaking() {
            writeln!(f, "breaks consumers without a new version: {difference}")?;
        }
        for id in &self.missing {
            writeln!(f, "known to the database and not declared: {id}")?;
        }
        for id in &self.withheld {
            writeln!(f, "declared, and retired with `tidings catalogue retire`: {id}")?;
        }
        Ok(())
    }
}

impl Catalogue {
    /// Makes the types known to the database, in one call, and answers what that has changed.
    ///
    /// Call it when the application starts, before it registers events.
    /// It adds and updates, retires what [`Catalogue::retire`] says and restores what such a declaration had retired;
    /// it removes nothing, so that an older version of the application can run beside a newer one.
    /// Called again it changes nothing.
    /// Subscriptions by pattern reach a new type from the commit on.
    ///
    /// A schema that breaks consumers without a new version is updated like any other, because the events will be
    /// like that; [`Synced::breaking`] says what broke, and
    /// [`testing::assert_compatible`](crate::testing::assert_compatible) says it before that.
    ///
    /// # Errors
    ///
    /// A database that does not answer, or has no schema yet.
    pub async fn sync(&self, conn: &mut PgConnection) -> Result<Synced> {
        let types: Value = self.iter().map(Entry::from).map(|entry| declaration(&entry)).collect();
        let retired = json!(self.retired().collect::<Vec<_>>());
        let rows = store::sync(conn, &types.to_string(), &retired.to_string()).await?;
        let mut synced = Synced::default();
        for row in rows {
            self.note(&mut synced, row)?;
        }
        synced.changes.sort_by(|one, other| (&one.id, one.change).cmp(&(&other.id, other.change)));
        synced.missing.sort();
        synced.withheld.sort();
        Ok(synced)
    }

    /// Puts one row of the answer where it belongs.
    fn note(&self, synced: &mut Synced, row: store::ChangeRow) -> Result<()> {
        let id = TypeVersion::new(row.event_type, row.version);
        let change = match row.change.as_str() {
            "missing" => {
                synced.missing.push(id);
                return Ok(());
            }
            "withheld" => {
                synced.withheld.push(id);
                return Ok(());
            }
            "added" => Changed::Added,
            "changed" => Changed::Changed,
            "retired" => Changed::Retired,
            "restored" => Changed::Restored,
            _ => return Err(corrupt("change", &id)),
        };
        let differences = match row.previous {
            None => Vec::new(),
            Some(previous) => {
                let previous: Entry =
                    serde_json::from_str(&previous).map_err(|_| corrupt("previous", &id))?;
                let declared = self.snapshot();
                let declared = declared.get(&id.event_type, id.version);
                declared.map(|entry| compare::entries(&previous, entry)).unwrap_or_default()
            }
        };
        synced.changes.push(Change { id, change, differences });
        Ok(())
    }
}

fn corrupt(column: &'static str, id: &TypeVersion) -> Error {
    Error::Corrupt { table: "sync_catalogue_v3", column, row: id.to_string() }
}

fn declaration(entry: &Entry) -> Value {
    json!({
        "type": entry.id.event_type,
        "version": entry.id.version,
        "audience": entry.audience,
        "scopes": entry.scopes,
        "level": entry.level,
        "call": entry.call,
        "schema": entry.schema,
        "documentation": entry.documentation,
    })
}
