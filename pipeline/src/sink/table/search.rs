//! Looking events up in the table.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgPool;

use crate::{
    Result,
    store::event::{EventRow, search_events},
};

/// What is looked for. What is not set lets everything through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Words of the event, all of which it has: of its kind, environment, producer, object and `edata`, in any case.
    pub text: String,
    /// Its kind.
    pub eid: Option<String>,
    /// Its id.
    pub mid: Option<String>,
    /// Its device.
    pub device: Option<String>,
    /// The channel that it names.
    pub channel: Option<String>,
    /// It happened then or later.
    pub since: Option<DateTime<Utc>>,
    /// It comes after the one that happened then and has this document id: the last of the page before.
    pub after: Option<(DateTime<Utc>, String)>,
    /// How many at most; 50 by default.
    pub limit: u32,
}

/// An event of the table.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Its document id.
    pub document_id: String,
    /// When it happened, as its device says.
    pub ets: DateTime<Utc>,
    /// When a relay took it.
    pub syncts: DateTime<Utc>,
    /// Its kind.
    pub eid: Option<String>,
    /// Its id.
    pub mid: Option<String>,
    /// Its device.
    pub device: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// The channel that it names.
    pub channel: Option<String>,
    /// What has produced it.
    pub pdata_id: Option<String>,
    /// In which environment.
    pub env: Option<String>,
    /// The event as it came out of the pipeline.
    pub event: Box<RawValue>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            text: String::new(),
            eid: None,
            mid: None,
            device: None,
            channel: None,
            since: None,
            after: None,
            limit: 50,
        }
    }
}

/// Returns the events of the table that fit, the latest first.
///
/// # Errors
///
/// The database does not answer, or its schema is too old.
pub async fn search(pool: &PgPool, query: &Query) -> Result<Vec<Found>> {
    Ok(search_events(pool, query).await?.into_iter().map(Found::of).collect())
}

impl Found {
    fn of(row: EventRow) -> Self {
        let EventRow {
            document_id,
            ets,
            syncts,
            eid,
            mid,
            device,
            actor,
            channel,
            pdata_id,
            env,
            event,
        } = row;
        // It was stored as JSON.
        let event = RawValue::from_string(event).unwrap_or_default();
        Self { document_id, ets, syncts, eid, mid, device, actor, channel, pdata_id, env, event }
    }
}
