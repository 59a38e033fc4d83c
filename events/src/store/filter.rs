//! Filters, which the database reads.

use serde_json::Value;
use sqlx::PgConnection;

use crate::{Error, Result, filter::Condition};

pub(crate) async fn check(conn: &mut PgConnection, filter: &Value) -> Result<Option<String>> {
    sqlx::query_scalar!("select tidings.check_filter($1)", filter)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("check the filter"))
}

pub(crate) async fn explain(
    conn: &mut PgConnection,
    filter: &Value,
    payload: &Value,
) -> Result<Vec<Condition>> {
    sqlx::query_file_as!(Condition, "src/queries/explain_filter.sql", filter, payload)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("explain the filter"))
}
