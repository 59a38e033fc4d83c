//! Plans of file sinks.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool, types::Json};

use crate::{
    Error, Result,
    sink::files::{
        Codec,
        plan::{Plan, PlannedFile},
    },
};

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
    /// Whether there are tombstones that who asked does not know; nothing was stored then.
    #[serde(default)]
    pub(crate) stale: bool,
}

/// A plan, and of which partition.
#[derive(Clone, Debug)]
pub(crate) struct PlanOf {
    pub(crate) topic_id: String,
    pub(crate) partition: i32,
    pub(crate) plan: Plan,
}

/// Which plans of a sink.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which<'a> {
    pub(crate) sink: &'a str,
    /// Of this life of the topic; all of them where it is not set.
    pub(crate) topic_id: Option<&'a str>,
    /// Of this partition.
    pub(crate) partition: Option<i32>,
}

/// A file that is to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) name: String,
    pub(crate) topic_id: String,
    pub(crate) partition: i32,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) codec: Codec,
    pub(crate) dt: NaiveDate,
    /// What has taken its place, if anything has and its plan is done.
    pub(crate) file: Option<PlannedFile>,
}

/// How many plans are read at once.
const PAGE: i32 = 200;

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
///
/// `tombstone` is the last one that was known when its events were judged.
pub(crate) async fn store_plan(
    pool: &PgPool,
    owner: Owner<'_>,
    plan: &Plan,
    tombstone: i64,
) -> Result<Found> {
    let Owner { sink, topic_id, partition } = owner;
    let plan = Json(plan) as Json<&Plan>;
    sqlx::query_file_scalar!(
        "src/queries/store_plan.sql",
        sink,
        topic_id,
        partition,
        plan as _,
        tombstone
    )
    .fetch_one(pool)
    .await
    .map(|Json(found)| found)
    .map_err(Error::unanswered("store a plan of files"))
}

/// Returns the plans after one, in the order in which they were stored; none after the last page.
pub(crate) async fn read_plans(pool: &PgPool, which: Which<'_>, after: i64) -> Result<Vec<PlanOf>> {
    let Which { sink, topic_id, partition } = which;
    let rows =
        sqlx::query_file!("src/queries/read_plans.sql", sink, topic_id, partition, after, PAGE)
            .fetch_all(pool)
            .await
            .map_err(Error::unanswered("read the plans of files"))?;
    let rows = rows.into_iter().map(|row| {
        let Json(plan) = row.plan;
        PlanOf { topic_id: row.topic_id, partition: row.partition, plan }
    });
    Ok(rows.collect())
}

/// Puts a file with other bytes in the place of one of this generation, or nothing; returns whether it is still of it.
pub(crate) async fn amend_file(
    pool: &PgPool,
    (plan_id, dt): (i64, NaiveDate),
    generation: i32,
    file: Option<&PlannedFile>,
) -> Result<bool> {
    let file = file.map(Json) as Option<Json<&PlannedFile>>;
    sqlx::query_file_scalar!("src/queries/amend_file.sql", plan_id, dt, generation, file as _)
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("amend a file of a plan"))
}

/// Returns the files of a sink that are to be deleted.
pub(crate) async fn read_stale_files(pool: &PgPool, sink: &str) -> Result<Vec<Stale>> {
    let rows = sqlx::query_file!("src/queries/read_stale_files.sql", sink)
        .fetch_all(pool)
        .await
        .map_err(Error::unanswered("look for files that are to be deleted"))?;
    Ok(rows
        .into_iter()
        .map(|row| Stale {
            name: row.name,
            topic_id: row.topic_id,
            partition: row.partition,
            first: row.first_offset,
            last: row.last_offset,
            // The table has no other words.
            codec: row.codec.parse().unwrap_or_default(),
            dt: row.dt,
            file: row.file.map(|Json(file)| file),
        })
        .collect())
}

/// Notes that a file is deleted.
pub(crate) async fn forget_stale_file(pool: &PgPool, sink: &str, name: &str) -> Result<()> {
    sqlx::query_file!("src/queries/forget_stale_file.sql", sink, name)
        .execute(pool)
        .await
        .map(drop)
        .map_err(Error::unanswered("note that a file is deleted"))
}

/// Waits until nobody else writes files of a sink anew, and keeps others out to the end of the transaction.
pub(crate) async fn lock_files(conn: &mut PgConnection, sink: &str) -> Result<()> {
    sqlx::query_file!("src/queries/lock_files.sql", sink)
        .execute(conn)
        .await
        .map(drop)
        .map_err(Error::unanswered("lock the files of a sink"))
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
