//! The event types that the database knows.

use sqlx::PgConnection;

use crate::{Error, Result, catalogue::StoredType};

/// What a sync has done about one type.
#[derive(Debug)]
pub(crate) struct ChangeRow {
    pub(crate) event_type: String,
    pub(crate) version: i16,
    pub(crate) change: String,
}

pub(crate) async fn sync(conn: &mut PgConnection, types: &str) -> Result<Vec<ChangeRow>> {
    sqlx::query_file_as!(ChangeRow, "src/queries/sync.sql", types)
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
