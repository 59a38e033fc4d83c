//! The queries of this crate, one function each.

pub(crate) mod report;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use tidings::delivery::{Delivery, RegisteredEvent};
use tidings_ownership::{ShardId, shard::Pair};
use uuid::Uuid;

use crate::{
    Result,
    error::Error,
    settlement::{Read, Settlement},
};

/// Where to go on reading a lane: after this key, or from the beginning.
pub(crate) type Key = (DateTime<Utc>, i64);

/// One lane to be read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) holding: i32,
    pub(crate) lane: i32,
    pub(crate) limit: i32,
    pub(crate) after: Option<Key>,
}

/// One call: what to settle and what to read, under which terms.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) worker_id: Uuid,
    pub(crate) holdings: Vec<(ShardId, i64)>,
    /// Each with the index of its holding, from one.
    pub(crate) settlements: Vec<(i32, Settlement)>,
    pub(crate) readings: Vec<Reading>,
    pub(crate) bytes_max: i32,
    pub(crate) log: &'static str,
    pub(crate) durable: bool,
}

/// A row that was read.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) read: Read,
    /// It waits behind the head of its key, and was put aside.
    pub(crate) parked: bool,
    /// It is the last that fitted into the answer.
    pub(crate) cut: bool,
    /// What is to be delivered, or why there is nothing.
    pub(crate) delivery: std::result::Result<Delivery, Nothing>,
}

/// Why a row has nothing to deliver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Nothing {
    /// The event is gone, or the row is parked.
    Gone,
    /// It is for a sink, and has no telemetry view that may leave.
    Withheld,
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Worked {
    pub(crate) rows: Vec<Row>,
    pub(crate) pair: Option<Pair>,
    pub(crate) summary: Summary,
}

/// What a call says about itself.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Summary {
    pub(crate) horizon: i64,
    /// Deliveries whose term is gone; nothing was done.
    pub(crate) lost: Vec<i64>,
    /// Deliveries whose row is gone or has moved.
    pub(crate) missing: Vec<i64>,
    /// Deliveries whose row somebody else has locked; to be tried again.
    pub(crate) locked: Vec<i64>,
    /// Attempts that could not be logged.
    pub(crate) unlogged: i64,
    /// The holdings that are still ours, by index.
    pub(crate) owned: Vec<i32>,
}

/// Settles and fetches.
#[expect(clippy::too_many_lines, reason = "one call with many columns")]
pub(crate) async fn work(conn: &mut PgConnection, work: &Work) -> Result<Worked> {
    fn column<T>(work: &Work, of: impl Fn(&Settlement) -> T) -> Vec<T> {
        work.settlements.iter().map(|(_, settlement)| of(settlement)).collect()
    }
    let groups: Vec<String> = work.holdings.iter().map(|(id, _)| id.group.to_string()).collect();
    let shards: Vec<i16> = work.holdings.iter().map(|(id, _)| id.shard).collect();
    let terms: Vec<i64> = work.holdings.iter().map(|(_, term)| *term).collect();
    let s_holding: Vec<i32> = work.settlements.iter().map(|(holding, _)| *holding).collect();
    let s_lane = column(work, |s| s.read.lane);
    let s_due = column(work, |s| s.read.due_at);
    let s_id = column(work, |s| s.read.delivery_id);
    let s_outcome = column(work, |s| s.action.as_str().to_owned());
    let s_event = column(work, |s| s.read.event_id);
    let s_subscription = column(work, |s| s.read.subscription_id);
    let s_attempt = column(work, |s| s.read.failed.saturating_add(1));
    let s_key = column(work, |s| s.read.key_hash);
    let s_delay = column(work, Settlement::delay_ms);
    let s_status = column(work, |s| s.status);
    let s_elapsed = column(work, |s| s.elapsed_ms);
    let s_error = column(work, |s| s.error.clone());
    let s_reason = column(work, |s| s.reason().map(str::to_owned));
    let r_holding: Vec<i32> = work.readings.iter().map(|r| r.holding).collect();
    let r_lane: Vec<i32> = work.readings.iter().map(|r| r.lane).collect();
    let r_limit: Vec<i32> = work.readings.iter().map(|r| r.limit).collect();
    let r_due: Vec<Option<DateTime<Utc>>> =
        work.readings.iter().map(|r| r.after.map(|(due, _)| due)).collect();
    let r_id: Vec<i64> = work.readings.iter().map(|r| r.after.map_or(0, |(_, id)| id)).collect();
    let rows = sqlx::query_file!(
        "src/queries/work.sql",
        work.worker_id,
        &groups,
        &shards,
        &terms,
        &s_holding,
        &s_lane,
        &s_due,
        &s_id,
        &s_outcome,
        &s_event,
        &s_subscription as &[Option<i32>],
        &s_attempt,
        &s_key as &[Option<i32>],
        &s_delay as &[Option<i64>],
        &s_status as &[Option<i16>],
        &s_elapsed as &[Option<i32>],
        &s_error as &[Option<String>],
        &s_reason as &[Option<String>],
        &r_holding,
        &r_lane,
        &r_limit,
        &r_due as &[Option<DateTime<Utc>>],
        &r_id,
        work.bytes_max,
        work.log,
        work.durable,
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("settle and fetch deliveries"))?;

    let mut worked =
        Worked { rows: Vec::with_capacity(rows.len()), pair: None, summary: Summary::default() };
    // Ages are told by the server's clock alone; its reading is in the last row.
    let now = rows.last().and_then(|row| row.first_due_at);
    for row in rows {
        let Some(lane) = row.lane else {
            worked.pair =
                row.due_at.zip(row.delivery_id).map(|(read_at, xid)| Pair { read_at, xid });
            let summary = row.payload.unwrap_or_default();
            worked.summary = serde_json::from_str(&summary)
                .map_err(|_| Error::Corrupt { what: "the summary of a work call" })?;
            continue;
        };
        let corrupt = || Error::Corrupt { what: "a row of a work call" };
        let first_due_at = row.first_due_at.ok_or_else(corrupt)?;
        let read = Read {
            lane,
            due_at: row.due_at.ok_or_else(corrupt)?,
            delivery_id: row.delivery_id.ok_or_else(corrupt)?,
            event_id: row.event_id.ok_or_else(corrupt)?,
            subscription_id: row.subscription_id,
            key_hash: row.key_hash,
            failed: row.attempt.ok_or_else(corrupt)?,
            age: now.and_then(|now| (now - first_due_at).to_std().ok()).unwrap_or_default(),
        };
        let delivery = match (row.r#type, row.payload) {
            (None, _) => Err(Nothing::Gone),
            (Some(_), None) => Err(Nothing::Withheld),
            (Some(event_type), Some(payload)) => Ok(Delivery {
                delivery_id: read.delivery_id,
                subscriber_id: lane,
                subscription_id: read.subscription_id,
                attempt: u16::try_from(read.failed).unwrap_or(0).saturating_add(1),
                first_due_at,
                call: row.call.and_then(|call| call.parse().ok()),
                event: RegisteredEvent {
                    event_id: read.event_id,
                    event_type,
                    version: row.version.unwrap_or(1),
                    tenant: row.tenant.unwrap_or_default(),
                    scope: row.scope.unwrap_or_default(),
                    ordering_key: row.ordering_key,
                    occurred_at: row.occurred_at.unwrap_or(first_due_at),
                    payload,
                    headers: row.headers,
                },
            }),
        };
        worked.rows.push(Row {
            read,
            parked: row.parked.unwrap_or(false),
            cut: row.cut.unwrap_or(false),
            delivery,
        });
    }
    Ok(worked)
}

/// A lane that has pending rows.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) lane: i32,
    pub(crate) shard: ShardId,
    /// When its first row is due, from now; `None` if all are parked.
    pub(crate) due_in_ms: Option<i64>,
}

/// Scans for lanes with pending rows, after lane `after`, at most `limit` of them.
pub(crate) async fn scan(conn: &mut PgConnection, after: i32, limit: i32) -> Result<Vec<Pending>> {
    let rows = sqlx::query_file!("src/queries/scan.sql", after, limit)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("scan for lanes with pending deliveries"))?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let shard = ShardId { group: row.group_name?.into(), shard: row.shard? };
            Some(Pending { lane: row.lane, shard, due_in_ms: row.due_in_ms })
        })
        .collect())
}

/// Notes that a delivery is about to be alone in flight; answers how often its worker has died then, this time
/// included, or `None` if the row or the term is gone.
pub(crate) async fn careful(
    conn: &mut PgConnection,
    worker_id: Uuid,
    (shard, term): (&ShardId, i64),
    read: &Read,
) -> Result<Option<i16>> {
    sqlx::query_file_scalar!(
        "src/queries/careful.sql",
        worker_id,
        &*shard.group,
        shard.shard,
        term,
        read.lane,
        read.due_at,
        read.delivery_id,
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("note a careful attempt"))
}

/// Writes the next chunk of a large fan-out; answers its lanes, or `None` if there is nothing left to expand.
pub(crate) async fn expand(
    conn: &mut PgConnection,
    worker_id: Uuid,
    (shard, term): (&ShardId, i64),
    event_id: Uuid,
    chunk: i32,
) -> Result<Option<Vec<i32>>> {
    sqlx::query_file_scalar!(
        "src/queries/expand.sql",
        worker_id,
        shard.shard,
        term,
        event_id,
        chunk
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("expand a fan-out"))
}

/// Makes every parked head of `lanes` due; answers how many there were.
pub(crate) async fn unpark(conn: &mut PgConnection, lanes: &[i32]) -> Result<i32> {
    sqlx::query_file_scalar!("src/queries/unpark.sql", lanes)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("make parked heads due"))
}
