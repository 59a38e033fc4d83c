//! What an application declares, made known to the database.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Catalogue, EventType};
use crate::{Error, Result, store::catalogue as store};

/// What a sync has done about one event type.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The colon path.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version.
    pub version: i16,
    /// What has been done.
    pub change: Changed,
}

/// What has been done about an event type.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// The database did not know it.
    Added,
    /// The database knew it with other data: audience, scope, level, schema or documentation.
    Changed,
}

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
    /// What the type is for.
    pub documentation: String,
    /// When it was declared first.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    /// Since when it is refused.
    pub retired_at: Option<DateTime<Utc>>,
}

impl Catalogue {
    /// Makes the types known to the database, in one call, and answers what that has changed.
    ///
    /// Call it when the application starts, before it registers events.
    /// It adds and updates, and never removes, so that an older version of the application can run beside a newer
    /// one; called again it changes nothing.
    /// Subscriptions by pattern reach a new type from the commit on.
    ///
    /// # Errors
    ///
    /// A database that does not answer, or has no schema yet.
    pub async fn sync(&self, conn: &mut PgConnection) -> Result<Vec<Change>> {
        let types: Value = self.iter().map(declaration).collect();
        let rows = store::sync(conn, &types.to_string()).await?;
        rows.into_iter().map(Change::try_from).collect()
    }

    /// Returns the event types that the database knows, by name and version; what can be subscribed to.
    ///
    /// # Errors
    ///
    /// A database that does not answer, or has no schema yet.
    pub async fn stored(conn: &mut PgConnection) -> Result<Vec<StoredType>> {
        store::types(conn).await
    }
}

impl TryFrom<store::ChangeRow> for Change {
    type Error = Error;

    fn try_from(row: store::ChangeRow) -> Result<Self> {
        let change = match row.change.as_str() {
            "added" => Changed::Added,
            "changed" => Changed::Changed,
            _ => {
                let row = format!("{} version {}", row.event_type, row.version);
                return Err(Error::Corrupt { table: "sync_catalogue_v1", column: "change", row });
            }
        };
        Ok(Self { event_type: row.event_type, version: row.version, change })
    }
}

fn declaration(event_type: &EventType) -> Value {
    json!({
        "type": event_type.name,
        "version": event_type.version,
        "audience": event_type.audience,
        "scopes": event_type.scopes,
        "level": event_type.level,
        "schema": event_type.schema,
        "documentation": event_type.documentation,
    })
}
