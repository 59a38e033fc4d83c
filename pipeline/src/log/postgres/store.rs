//! The queries of the log, one function each, and each a transaction of its own.
//!
//! Recipe: write `queries/<verb>.sql`, whose first line names the query and its purpose; add the function here; run
//! `make sqlx`.

use std::{borrow::Cow, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgDatabaseError, types::PgInterval};

use super::{
    batch::Batch,
    session::{Link, Sessions},
    text,
};
use crate::{
    Error, Result,
    log::{Bounds, Limits, Start},
    record::Record,
    topic::Spec,
};

/// A group of a topic.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) topic_id: i32,
    /// The group of shards by which its members share the partitions.
    pub(super) shards: String,
}

/// Where a member goes on in a partition that it has adopted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adopted {
    pub(super) partition: i32,
    pub(super) term: i64,
    pub(super) commits: i64,
    pub(super) committed: Option<i64>,
    pub(super) first: i64,
}

/// Positions that move in one commit, by partition, and what they are matched by.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    pub(super) partitions: Vec<i32>,
    pub(super) terms: Vec<i64>,
    pub(super) commits: Vec<i64>,
    pub(super) offsets: Vec<Option<i64>>,
}

/// Where partitions are read on; in the order in which they are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursors {
    pub(super) partitions: Vec<i32>,
    pub(super) offsets: Vec<i64>,
    /// Of the last record that was read.
    pub(super) times: Vec<Option<DateTime<Utc>>>,
}

/// What a reader reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) topic_id: i32,
    pub(super) begins_at: i64,
    pub(super) ends_at: i64,
}

/// What was done now and then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kept {
    /// Days that were dropped.
    pub dropped: i64,
    /// Records that were deleted.
    pub deleted: i64,
}

#[derive(Debug)]
struct Row {
    partition: i32,
    record_offset: i64,
    appended_at: DateTime<Utc>,
    key: Option<String>,
    headers: String,
    value: Vec<u8>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    /// It has taken effect, by this call or one before.
    Committed,
    /// Somebody else has adopted a partition.
    Fenced,
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        Self {
            partition: row.partition,
            offset: row.record_offset,
            appended_at: row.appended_at,
            key: row.key.map(text::read_key),
            headers: text::read_headers(&row.headers),
            value: row.value.into(),
        }
    }
}

/// Writes records; answers the first offset in each partition.
pub(super) async fn append(sessions: &Sessions, batch: &Batch<'_>) -> Result<Vec<i64>> {
    const DOING: &str = "append to the log";
    let append = |mut link: Link| async move {
        let firsts = sqlx::query_file_scalar!(
            "src/log/postgres/queries/append.sql",
            &batch.topics,
            &batch.partitions,
            &batch.counts,
            &batch.places,
            &batch.ranks,
            &batch.keys as &[Option<Cow<'_, str>>],
            &batch.headers as &[Cow<'_, str>],
            &batch.values as &[&[u8]],
        );
        let firsts = firsts.fetch_one(link.conn()).await.map_err(unwritten(DOING, batch.prefix))?;
        Ok((link, firsts))
    };
    sessions.call(DOING, append).await
}

/// Makes topics; answers how many partitions each has, by its name.
pub(super) async fn prepare(
    sessions: &Sessions,
    prefix: &str,
    topics: &[Spec],
) -> Result<Vec<(String, i32)>> {
    const DOING: &str = "make the topics of the log";
    let names: Vec<String> = topics.iter().map(|spec| format!("{prefix}{}", spec.name)).collect();
    let partitions: Vec<i32> = topics.iter().map(|spec| spec.partitions).collect();
    let retentions: Vec<PgInterval> = topics.iter().map(|spec| interval(spec.retention)).collect();
    let prepare = |mut link: Link| async move {
        let rows = sqlx::query_file!(
            "src/log/postgres/queries/prepare.sql",
            &names,
            &partitions,
            &retentions
        );
        let rows = rows.fetch_all(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, rows.into_iter().map(|row| (row.name, row.partitions)).collect()))
    };
    sessions.call(DOING, prepare).await
}

/// Registers a group with a topic, if there is one.
pub(super) async fn join(sessions: &Sessions, group: &str, topic: &str) -> Result<Option<Joined>> {
    const DOING: &str = "join a group of the log";
    let join = |mut link: Link| async move {
        let joined =
            sqlx::query_file_as!(Joined, "src/log/postgres/queries/join.sql", group, topic);
        let joined = joined.fetch_optional(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, joined))
    };
    sessions.call(DOING, join).await
}

/// Writes down the terms under which partitions are held; answers those that nobody has adopted under a later one.
pub(super) async fn adopt(
    sessions: &Sessions,
    group: &str,
    topic_id: i32,
    claims: &[(i32, i64)],
) -> Result<Vec<Adopted>> {
    const DOING: &str = "adopt partitions of the log";
    let (partitions, terms): (Vec<i32>, Vec<i64>) = claims.iter().copied().unzip();
    let adopt = |mut link: Link| async move {
        let adopted = sqlx::query_file_as!(
            Adopted,
            "src/log/postgres/queries/adopt.sql",
            group,
            topic_id,
            &partitions,
            &terms
        );
        let adopted = adopted.fetch_all(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, adopted))
    };
    sessions.call(DOING, adopt).await
}

/// Writes records and moves positions, or neither. A call that is repeated takes effect once.
pub(super) async fn commit(
    sessions: &Sessions,
    (group, topic_id): (&str, i32),
    moves: &Moves,
    batch: &Batch<'_>,
) -> Result<Status> {
    const DOING: &str = "commit to the log";
    let commit = |mut link: Link| async move {
        let status = sqlx::query_file_scalar!(
            "src/log/postgres/queries/commit.sql",
            group,
            topic_id,
            &moves.partitions,
            &moves.terms,
            &moves.commits,
            &moves.offsets as &[Option<i64>],
            &batch.topics,
            &batch.partitions,
            &batch.counts,
            &batch.places,
            &batch.ranks,
            &batch.keys as &[Option<Cow<'_, str>>],
            &batch.headers as &[Cow<'_, str>],
            &batch.values as &[&[u8]],
        );
        let status = status.fetch_one(link.conn()).await.map_err(unwritten(DOING, batch.prefix))?;
        let is_fenced = status == "fenced";
        Ok((link, if is_fenced { Status::Fenced } else { Status::Committed }))
    };
    sessions.call(DOING, commit).await
}

/// Reads on.
pub(super) async fn fetch(
    sessions: &Sessions,
    topic_id: i32,
    cursors: &Cursors,
    limits: Limits,
) -> Result<Vec<Record>> {
    const DOING: &str = "fetch from the log";
    let fetch = |mut link: Link| async move {
        let rows = sqlx::query_file_as!(
            Row,
            "src/log/postgres/queries/fetch.sql",
            topic_id,
            &cursors.partitions,
            &cursors.offsets,
            &cursors.times as &[Option<DateTime<Utc>>],
            i64::try_from(limits.records).unwrap_or(i64::MAX),
            i64::try_from(limits.bytes).unwrap_or(i64::MAX),
        );
        let rows = rows.fetch_all(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, rows.into_iter().map(Record::from).collect()))
    };
    sessions.call(DOING, fetch).await
}

/// Fixes where a reader begins and ends; nothing if there is no such partition.
pub(super) async fn open(
    sessions: &Sessions,
    topic: &str,
    partition: i32,
    start: Start,
) -> Result<Option<Opened>> {
    const DOING: &str = "open a reader of the log";
    let (offset, time) = match start {
        Start::Beginning => (None, None),
        Start::Offset(offset) => (Some(offset), None),
        Start::Time(time) => (None, Some(time)),
    };
    let open = |mut link: Link| async move {
        let opened = sqlx::query_file_as!(
            Opened,
            "src/log/postgres/queries/open.sql",
            topic,
            partition,
            offset,
            time
        );
        let opened = opened.fetch_optional(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, opened))
    };
    sessions.call(DOING, open).await
}

/// Returns where the partitions of a topic begin and end; nothing if there is no such topic.
pub(super) async fn list_bounds(sessions: &Sessions, topic: &str) -> Result<Vec<Bounds>> {
    const DOING: &str = "look where the log begins and ends";
    let list = |mut link: Link| async move {
        let bounds =
            sqlx::query_file_as!(Bounds, "src/log/postgres/queries/list_bounds.sql", topic);
        let bounds = bounds.fetch_all(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, bounds))
    };
    sessions.call(DOING, list).await
}

/// Returns where a group goes on in each partition of a topic; nothing if there is no such topic.
pub(super) async fn list_offsets(
    sessions: &Sessions,
    group: &str,
    topic: &str,
) -> Result<Vec<Option<i64>>> {
    const DOING: &str = "look where a group of the log has stopped";
    let list = |mut link: Link| async move {
        let offsets =
            sqlx::query_file_scalar!("src/log/postgres/queries/list_offsets.sql", group, topic);
        let offsets = offsets.fetch_all(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, offsets))
    };
    sessions.call(DOING, list).await
}

/// Returns how many members a group has.
pub(super) async fn count_members(sessions: &Sessions, group: &str, topic: &str) -> Result<usize> {
    const DOING: &str = "count the members of a group of the log";
    let count = |mut link: Link| async move {
        let members =
            sqlx::query_file_scalar!("src/log/postgres/queries/count_members.sql", group, topic);
        let members = members.fetch_one(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, usize::try_from(members).unwrap_or_default()))
    };
    sessions.call(DOING, count).await
}

/// Takes a group out; whether there was one.
pub(super) async fn forget_group(sessions: &Sessions, group: &str) -> Result<bool> {
    const DOING: &str = "forget a group of the log";
    let forget = |mut link: Link| async move {
        let forgotten =
            sqlx::query_file_scalar!("src/log/postgres/queries/forget_group.sql", group);
        let forgotten = forgotten.fetch_one(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, forgotten))
    };
    sessions.call(DOING, forget).await
}

/// Makes days ahead, and takes away what nobody needs any more.
pub(super) async fn keep(sessions: &Sessions) -> Result<Kept> {
    const DOING: &str = "tidy up the log";
    let keep = |mut link: Link| async move {
        let kept = sqlx::query_file_as!(Kept, "src/log/postgres/queries/keep.sql");
        let kept = kept.fetch_one(link.conn()).await.map_err(Error::unanswered(DOING))?;
        Ok((link, kept))
    };
    sessions.call(DOING, keep).await
}

/// Returns whether nothing was written because there is no partition for today.
pub(super) fn is_of_missing_day(error: &Error) -> bool {
    let Error::Unanswered { source: sqlx::Error::Database(error), .. } = error else {
        return false;
    };
    // check_violation
    error.code().as_deref() == Some("23514") && error.table() == Some("log_record")
}

/// Says which partition there is none of, if that is why nothing was written.
fn unwritten(doing: &'static str, prefix: &str) -> impl Fn(sqlx::Error) -> Error {
    move |source| {
        let detail = match &source {
            sqlx::Error::Database(error) if error.code().as_deref() == Some("TD030") => {
                error.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::detail)
            }
            _ => None,
        };
        let missing = detail.and_then(|detail| {
            let (topic, partition) = detail.rsplit_once('/')?;
            let topic = topic.strip_prefix(prefix).unwrap_or(topic).to_owned();
            let partition = partition.parse().ok()?;
            Some(Error::NoSuchPartition { topic, partition })
        });
        missing.unwrap_or(Error::Unanswered { doing, source })
    }
}

fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
