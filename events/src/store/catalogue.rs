//! The event types that the database knows.

use sqlx::PgConnection;

use crate::{
    Error, Result,
    catalogue::{Entry, StoredType, TypeVersion},
};

/// What a sync has done about one type, or has found.
#[derive(Debug)]
pub(crate) struct ChangeRow {
    pub(crate) event_type: String,
    pub(crate) version: i16,
    pub(crate) change: String,
    pub(crate) previous: Option<String>,
}

/// A type with its schema.
#[derive(Debug)]
pub(crate) struct SchemaRow {
    pub(crate) event_type: String,
    pub(crate) version: i16,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) level: String,
    pub(crate) call: String,
    pub(crate) documentation: String,
    pub(crate) schema: String,
    pub(crate) retired: bool,
}

impl SchemaRow {
    pub(crate) fn id(&self) -> TypeVersion {
        TypeVersion::new(&self.event_type, self.version)
    }
}

impl TryFrom<SchemaRow> for Entry {
    type Error = Error;

    fn try_from(row: SchemaRow) -> Result<Self> {
        let id = row.id();
        let schema = serde_json::from_str(&row.schema).map_err(|_| Error::Corrupt {
            table: "event_type",
            column: "schema",
            row: id.to_string(),
        })?;
        Ok(Self {
            id,
            audience: row.audience,
            scopes: row.scopes,
            level: row.level,
            call: row.call,
            documentation: row.documentation,
            schema,
        })
    }
}

pub(crate) async fn sync(
    conn: &mut PgConnection,
    types: &str,
    retired: &str,
) -> Result<Vec<ChangeRow>> {
    sqlx::query_file_as!(ChangeRow, "src/queries/sync.sql", types, retired)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("sync the catalogue"))
}

pub(crate) async fn types(conn: &mut PgConnection) -> Result<Vec<StoredType>> {
    sqlx::query_file_as!(StoredType, "src/queries/list_types.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the event types"))
}

pub(crate) async fn schemas(conn: &mut PgConnection) -> Result<Vec<SchemaRow>> {
    sqlx::query_file_as!(SchemaRow, "src/queries/read_schemas.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the event types"))
}

pub(crate) async fn retire(
    conn: &mut PgConnection,
    event_type: &str,
    version: Option<i16>,
) -> Result<Vec<i16>> {
    sqlx::query_file_scalar!("src/queries/retire_type.sql", event_type, version)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("retire an event type"))
}

pub(crate) async fn restore(
    conn: &mut PgConnection,
    event_type: &str,
    version: Option<i16>,
) -> Result<Vec<i16>> {
    sqlx::query_file_scalar!("src/queries/restore_type.sql", event_type, version)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("restore an event type"))
}
