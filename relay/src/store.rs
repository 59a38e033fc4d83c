//! The queries of this crate, one function each.
//!
//! Recipe: write `queries/<verb>.sql`, whose first line names the query and its purpose; add the function here; run
//! `make sqlx`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, postgres::types::PgInterval};

use crate::{
    Error, Result,
    channel::Channel,
    gather::{Entry, Record},
    key::Key,
    raw_log,
};

/// What changes when the relay has to read its catalogue and keys again, and the time.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) fingerprint: String,
    pub(crate) level: String,
    pub(crate) clock: DateTime<Utc>,
}

/// An event type as it is stored.
#[derive(Debug)]
pub(crate) struct TypeRow {
    pub(crate) event_type: String,
    pub(crate) version: i16,
    pub(crate) audience: Vec<String>,
    pub(crate) level: String,
    pub(crate) call: String,
    pub(crate) schema: String,
}

/// A channel with the hashes of its keys.
#[derive(Debug)]
pub(crate) struct ChannelRow {
    pub(crate) channel_id: i32,
    pub(crate) name: String,
    pub(crate) profile: String,
    pub(crate) events_per_minute: Option<i32>,
    pub(crate) keys: Vec<Vec<u8>>,
}

/// What was done now and then.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) forgotten: i64,
    pub(crate) dropped: i64,
}

pub(crate) async fn watch(conn: &mut PgConnection) -> Result<Watch> {
    sqlx::query_file_as!(Watch, "src/queries/watch.sql")
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("look for changes of the catalogue and the keys"))
}

pub(crate) async fn read_types(conn: &mut PgConnection) -> Result<Vec<TypeRow>> {
    sqlx::query_file_as!(TypeRow, "src/queries/read_types.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the event types"))
}

pub(crate) async fn read_keys(conn: &mut PgConnection) -> Result<Vec<ChannelRow>> {
    sqlx::query_file_as!(ChannelRow, "src/queries/read_keys.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the channels and their keys"))
}

/// Appends records; the answer is as long as `records`, with nothing for a request that was seen before.
pub(crate) async fn accept(
    conn: &mut PgConnection,
    topic: &str,
    turn: i64,
    records: &[&Record],
) -> Result<Vec<Option<i64>>> {
    let requests: Vec<&[u8]> = records.iter().map(|record| record.sha256.as_slice()).collect();
    let keys: Vec<Option<&str>> = records.iter().map(|record| record.key.as_deref()).collect();
    let headers: Vec<String> =
        records.iter().map(|record| raw_log::json(&record.headers)).collect();
    let values: Vec<&[u8]> = records.iter().map(|record| &*record.value).collect();
    sqlx::query_file_scalar!(
        "src/queries/accept.sql",
        topic,
        turn,
        &requests as &[&[u8]],
        &keys as &[Option<&str>],
        &headers,
        &values as &[&[u8]],
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("append to the raw log"))
}

/// Registers events; the answer is as long as `entries`, in the form of `tidings.register_v1`.
pub(crate) async fn register_each(
    conn: &mut PgConnection,
    entries: &[&Entry],
) -> Result<Vec<String>> {
    let types: Vec<&str> = entries.iter().map(|entry| &*entry.event_type).collect();
    let versions: Vec<i16> = entries.iter().map(|entry| entry.version).collect();
    let payloads: Vec<&str> = entries.iter().map(|entry| entry.payload.as_str()).collect();
    let telemetries: Vec<&str> = entries.iter().map(|entry| entry.telemetry.as_str()).collect();
    let headers: Vec<Option<&str>> = entries.iter().map(|entry| entry.headers.as_deref()).collect();
    let keys: Vec<Option<&str>> =
        entries.iter().map(|entry| entry.idempotency_key.as_deref()).collect();
    let times: Vec<Option<DateTime<Utc>>> = entries.iter().map(|entry| entry.occurred_at).collect();
    sqlx::query_file_scalar!(
        "src/queries/register_each.sql",
        &types as &[&str],
        &versions,
        &payloads as &[&str],
        &telemetries as &[&str],
        &headers as &[Option<&str>],
        &keys as &[Option<&str>],
        &times as &[Option<DateTime<Utc>>],
    )
    .fetch_all(conn)
    .await
    .map_err(Error::unanswered("register the events"))
}

pub(crate) async fn keep(
    conn: &mut PgConnection,
    requests: Duration,
    log: Duration,
) -> Result<Kept> {
    sqlx::query_file_as!(Kept, "src/queries/keep.sql", interval(requests), interval(log))
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("tidy up after the relay"))
}

pub(crate) async fn set_channel(
    conn: &mut PgConnection,
    name: &str,
    profile: Option<&str>,
    events_per_minute: Option<i32>,
) -> Result<i32> {
    sqlx::query_file_scalar!("src/queries/set_channel.sql", name, profile, events_per_minute)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("set the channel"))
}

pub(crate) async fn list_channels(conn: &mut PgConnection) -> Result<Vec<Channel>> {
    sqlx::query_file_as!(Channel, "src/queries/list_channels.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("list the channels"))
}

pub(crate) async fn add_key(
    conn: &mut PgConnection,
    channel: &str,
    sha256: &[u8],
    hint: &str,
) -> Result<i32> {
    sqlx::query_file_scalar!("src/queries/add_key.sql", channel, sha256, hint)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("add the key"))
}

pub(crate) async fn list_keys(conn: &mut PgConnection) -> Result<Vec<Key>> {
    sqlx::query_file_as!(Key, "src/queries/list_keys.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("list the keys"))
}

pub(crate) async fn revoke_key(conn: &mut PgConnection, key_id: i32) -> Result<bool> {
    sqlx::query_file_scalar!("src/queries/revoke_key.sql", key_id)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("revoke the key"))
}

fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
