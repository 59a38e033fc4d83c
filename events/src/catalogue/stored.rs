//! The event types that a database knows, and retiring them by hand.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{Catalogue, Snapshot, TypeVersion};
use crate::{Error, Result, name, store::catalogue as store, subscription};

/// An event type, as the database knows it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StoredType {
    /// The colon path.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the schema.
    pub version: i16,
    /// Who may see events of this type.
    pub audience: Vec<String>,
    /// The keys of the scope, from the general to the particular: a subscription may be limited to the first, to the
    /// first two, and so on.
    pub scopes: Vec<String>,
    /// The lowest level at which the telemetry view is collected.
    pub level: String,
    /// What an event of the type is to analytics.
    pub call: String,
    /// What the type is for.
    pub documentation: String,
    /// When it was declared first.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// Since when it is refused.
    pub retired_at: Option<DateTime<Utc>>,
}

impl StoredType {
    /// Returns whether subscribers can be told of events of this type: it is for them, and not retired.
    pub fn is_subscribable(&self) -> bool {
        self.retired_at.is_none() && self.audience.iter().any(|audience| audience == "notification")
    }

    /// Returns whether it is one of our own, `tidings:…`, which tell of subscribers and deliveries.
    pub fn is_reserved(&self) -> bool {
        name::is_reserved(&self.event_type)
    }
}

impl Catalogue {
    /// Returns the event types that the database knows, by name and version, retired ones and our own included.
    ///
    /// # Errors
    ///
    /// A database that does not answer, or has no schema yet.
    pub async fn stored(conn: &mut PgConnection) -> Result<Vec<StoredType>> {
        let mut types = store::types(conn).await?;
        // Databases sort by their own rules.
        types.sort_by(|one, other| {
            (&one.event_type, one.version).cmp(&(&other.event_type, other.version))
        });
        Ok(types)
    }

    /// Returns what can be subscribed to, our own included, with the scopes that a subscription may be limited to.
    ///
    /// # Errors
    ///
    /// A database that does not answer, or has no schema yet.
    pub async fn subscribable(conn: &mut PgConnection) -> Result<Vec<StoredType>> {
        let mut types = Self::stored(conn).await?;
        types.retain(StoredType::is_subscribable);
        Ok(types)
    }
}

impl Snapshot {
    /// Reads the types that the database knows, Tidings' own included.
    ///
    /// # Errors
    ///
    /// A database that does not answer, or has no schema yet.
    pub async fn load(conn: &mut PgConnection) -> Result<Self> {
        let rows = store::schemas(conn).await?;
        let retired: Vec<_> =
            rows.iter().filter(|row| row.retired).map(store::SchemaRow::id).collect();
        let entries: Vec<_> = rows.into_iter().map(TryFrom::try_from).collect::<Result<_>>()?;
        Ok(Self::of(entries, retired))
    }
}

/// Retires a version of a type, or all of them: registering it is an error from now on, and says so.
///
/// What was registered is delivered, and subscriptions stay.
/// Only [`restore`] undoes it: an application that syncs a catalogue with the type in it does not.
/// Returns the versions that were not retired like that before.
///
/// # Errors
///
/// A type or version that the database does not know, one of Tidings' own, or a database that does not answer.
pub async fn retire(
    conn: &mut PgConnection,
    event_type: &str,
    version: Option<i16>,
) -> Result<Vec<TypeVersion>> {
    check(conn, event_type, version).await?;
    let versions = store::retire(conn, event_type, version).await?;
    Ok(versions.into_iter().map(|version| TypeVersion::new(event_type, version)).collect())
}

/// Ends the retirement of a version of a type, or of all of them, whoever retired it.
///
/// Returns the versions that were retired.
///
/// # Errors
///
/// Those of [`retire`].
pub async fn restore(
    conn: &mut PgConnection,
    event_type: &str,
    version: Option<i16>,
) -> Result<Vec<TypeVersion>> {
    check(conn, event_type, version).await?;
    let versions = store::restore(conn, event_type, version).await?;
    Ok(versions.into_iter().map(|version| TypeVersion::new(event_type, version)).collect())
}

async fn check(conn: &mut PgConnection, event_type: &str, version: Option<i16>) -> Result<()> {
    if name::is_reserved(event_type) {
        return Err(Error::ReservedType { event_type: event_type.to_owned() });
    }
    let types = store::types(conn).await?;
    let versions: Vec<_> = types
        .iter()
        .filter(|known| known.event_type == event_type)
        .map(|known| known.version)
        .collect();
    match version {
        _ if versions.is_empty() => {
            let names = types.iter().map(|known| known.event_type.as_str());
            let known = subscription::closest(event_type, names);
            Err(Error::NoSuchType { event_type: event_type.to_owned(), known })
        }
        Some(version) if !versions.contains(&version) => {
            let known = versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(Error::NoSuchVersion { event_type: event_type.to_owned(), version, known })
        }
        _ => Ok(()),
    }
}
