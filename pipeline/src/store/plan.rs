//! Plans of file sinks.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::{PgPool, types::Json};

use crate::{Error, Result, sink::files::plan::Plan};

/// Whose plans: a sink's, of one partition of one life of a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) sink: &'a str,
    pub(crate) topic_id: &'a str,
    pub(crate) partition: i32,
}

/// What there is of plans.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    /// The plan that begins at the offset.
    pub(crate) plan: Option<Plan>,
    /// Where the next plan has to begin, if there is any plan.
    pub(crate) next: Option<i64>,
}

/// Returns the id of a topic, which gets one if it has none.
pub(crate) async fn name_topic(pool: &PgPool, name: &str) -> Result<String> {
    sqlx::query_file_scalar!("src/queries/name_topic.sql", name)
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("look the topic's id up"))
}

/// Returns the plan that begins at an offset.
pub(crate) async fn read_plan(pool: &PgPool, owner: Owner<'_>, first: i64) -> Result<Found> {
    let Owner { sink, topic_id, partition } = owner;
    sqlx::query_file_scalar!("src/queries/read_plan.sql", sink, topic_id, partition, first)
        .fetch_one(pool)
        .await
        .map(|Json(found)| found)
        .map_err(Error::unanswered("look for a plan of files"))
}

/// Stores a plan, unless there is one that begins at the same offset; returns the one that is there now.
pub(crate) async fn store_plan(pool: &PgPool, owner: Owner<'_>, plan: &Plan) -> Result<Found> {
    let Owner { sink, topic_id, partition } = owner;
    let plan = Json(plan) as Json<&Plan>;
    sqlx::query_file_scalar!("src/queries/store_plan.sql", sink, topic_id, partition, plan as _)
        .fetch_one(pool)
        .await
        .map(|Json(found)| found)
        .map_err(Error::unanswered("store a plan of files"))
}

/// Writes down that a file of a plan is other bytes; returns whether the plan was still open for it.
pub(crate) async fn amend_plan(
    pool: &PgPool,
    plan_id: i64,
    dt: NaiveDate,
    bytes: i64,
    sha256: &[u8],
) -> Result<bool> {
    sqlx::query_file_scalar!("src/queries/amend_plan.sql", plan_id, dt, bytes, sha256)
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("amend a plan of files"))
}

/// Writes down that all files of a plan are up; returns whether there is such a plan.
pub(crate) async fn finish_plan(pool: &PgPool, plan_id: i64) -> Result<bool> {
    sqlx::query_file_scalar!("src/queries/finish_plan.sql", plan_id)
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("finish a plan of files"))
}

/// Reads the database's clock.
pub(crate) async fn now(pool: &PgPool) -> Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("read the database's clock"))
}
