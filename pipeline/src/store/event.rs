//! The searchable table of events.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;

use super::interval;
use crate::{
    Error, Result,
    sink::table::{Query, words},
};

/// Events as the table takes them, side by side; those of one place belong together.
#[derive(Debug, Default)]
pub(crate) struct Events<'a> {
    pub(crate) days: Vec<NaiveDate>,
    pub(crate) document_ids: Vec<&'a str>,
    pub(crate) ets: Vec<DateTime<Utc>>,
    pub(crate) syncts: Vec<DateTime<Utc>>,
    /// `eid`, `mid`, `device`, `actor`, `channel`, `pdata_id` and `env`.
    pub(crate) texts: [Vec<Option<&'a str>>; 7],
    /// The words of each, with a space between.
    pub(crate) words: Vec<&'a str>,
    pub(crate) bodies: Vec<&'a str>,
}

/// An event of the table.
#[derive(Debug)]
pub(crate) struct EventRow {
    pub(crate) document_id: String,
    pub(crate) ets: DateTime<Utc>,
    pub(crate) syncts: DateTime<Utc>,
    pub(crate) eid: Option<String>,
    pub(crate) mid: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) pdata_id: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) event: String,
}

/// Stores what is not there; returns the places, from zero, of what was.
pub(crate) async fn store_events(pool: &PgPool, events: &Events<'_>) -> Result<Vec<i32>> {
    let [eids, mids, devices, actors, channels, pdata_ids, envs] = &events.texts;
    sqlx::query_file_scalar!(
        "src/queries/store_events.sql",
        &events.days as _,
        &events.document_ids as _,
        &events.ets as _,
        &events.syncts as _,
        eids as _,
        mids as _,
        devices as _,
        actors as _,
        channels as _,
        pdata_ids as _,
        envs as _,
        &events.words as _,
        &events.bodies as _,
    )
    .fetch_one(pool)
    .await
    .map_err(Error::unanswered("store events in the table"))
}

pub(crate) async fn search_events(pool: &PgPool, query: &Query) -> Result<Vec<EventRow>> {
    let words: Vec<_> = words::of(&query.text).collect();
    let (after_ets, after_id) = query.after.clone().unzip();
    let column =
        |text: &Option<String>| text.as_deref().map(|text| words::column(text).into_owned());
    let (eid, mid) = (column(&query.eid), column(&query.mid));
    let (device, channel) = (column(&query.device), column(&query.channel));
    sqlx::query_file_as!(
        EventRow,
        "src/queries/search_events.sql",
        &words,
        eid.as_deref(),
        mid.as_deref(),
        device.as_deref(),
        channel.as_deref(),
        query.since,
        after_ets,
        after_id,
        i32::try_from(query.limit).unwrap_or(i32::MAX),
    )
    .fetch_all(pool)
    .await
    .map_err(Error::unanswered("search the table of events"))
}

/// Drops one day that is older; returns whether there was one.
pub(crate) async fn keep_events(pool: &PgPool, kept: Duration) -> Result<bool> {
    sqlx::query_file_scalar!("src/queries/keep_events.sql", interval(kept))
        .fetch_one(pool)
        .await
        .map_err(Error::unanswered("drop old days of the table of events"))
}
