//! What has failed: listed, shown, and sent again.

use std::ops::ControlFlow;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{Place, walk};
use crate::{
    Failed, Log, Output, Record, Result, Stage,
    log::{Bounds, Start},
    topic,
};

/// Which of what has failed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Only what stopped there.
    pub stage: Option<Stage>,
    /// Only what has a reason with this code.
    pub code: Option<String>,
    /// Only what this sink has rejected.
    pub sink: Option<String>,
    /// Only what came by this channel.
    pub channel: Option<String>,
    /// Only what failed then or later.
    pub since: Option<DateTime<Utc>>,
}

/// Something that has failed, and where it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its place in `telemetry.failed`, by which it is shown and replayed.
    pub place: Place,
    /// When it failed.
    pub failed_at: DateTime<Utc>,
    /// What it is.
    pub failed: Failed,
}

/// What can not be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreplayable {
    /// It has passed the steps; only the sink has rejected it.
    #[error(
        "a sink has rejected it, and dedup would take it for a duplicate; correct the sink, and send it again with `tidings telemetry resend`"
    )]
    OfSink,
}

impl Filter {
    fn takes(&self, item: &Item) -> bool {
        let Failed { stage, sink, provenance, reasons, .. } = &item.failed;
        self.stage.is_none_or(|wanted| wanted == *stage)
            && self.sink.as_ref().is_none_or(|wanted| sink.as_ref() == Some(wanted))
            && self.channel.as_ref().is_none_or(|wanted| provenance.channel == *wanted)
            && self
                .code
                .as_ref()
                .is_none_or(|wanted| reasons.iter().any(|reason| reason.code == wanted.as_str()))
    }
}

impl Item {
    fn read(record: &Record) -> Option<Self> {
        let place = Place { partition: record.partition, offset: record.offset };
        Some(Self { place, failed_at: record.appended_at, failed: Failed::read(record)? })
    }

    /// Returns the raw record that sends it again, corrected if `bytes` are given; `partition` is one of the raw log.
    ///
    /// It keeps who sent it, when, and by which message id; an event keeps its own id, so that nothing is there twice.
    ///
    /// # Errors
    ///
    /// It is not for the steps.
    pub fn replay(&self, bytes: Option<Bytes>, partition: i32) -> Result<Output, Unreplayable> {
        let Failed { provenance, stage, index, .. } = &self.failed;
        if *stage == Stage::Sink {
            return Err(Unreplayable::OfSink);
        }
        let bytes = bytes.unwrap_or_else(|| self.failed.bytes.clone());
        let value = match (index, provenance.format) {
            (None, _) => bytes,
            (Some(_), crate::provenance::Format::Sunbird) => wrapped(
                &format!(
                    "{{\"id\":\"tidings.replay\",\"ver\":\"3.0\",\"ets\":{},\"events\":[",
                    provenance.syncts
                ),
                &bytes,
            ),
            (Some(_), crate::provenance::Format::Posthog) => wrapped("{\"batch\":[", &bytes),
        };
        let mut headers = provenance.headers();
        headers.push("replayed", self.place.to_string());
        Ok(Output { topic: topic::RAW.into(), partition, key: None, headers, value })
    }
}

fn wrapped(before: &str, event: &[u8]) -> Bytes {
    [before.as_bytes(), event, b"]}"].concat().into()
}

/// Returns what has failed, the latest first, at most `limit`.
///
/// # Errors
///
/// The log does not answer.
pub async fn list<L: Log>(log: &L, filter: &Filter, limit: usize) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for bounds in log.bounds(topic::FAILED).await? {
        items.extend(of_partition(log, filter, (bounds, limit)).await?);
    }
    items.sort_by_key(|item| (std::cmp::Reverse(item.failed_at), item.place));
    items.truncate(limit);
    Ok(items)
}

async fn of_partition<L: Log>(
    log: &L,
    filter: &Filter,
    (bounds, limit): (Bounds, usize),
) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    walk::backwards(log, topic::FAILED, bounds, |record| {
        if filter.since.is_some_and(|since| record.appended_at < since) || items.len() >= limit {
            return ControlFlow::Break(());
        }
        items.extend(Item::read(&record).filter(|item| filter.takes(item)));
        ControlFlow::Continue(())
    })
    .await?;
    Ok(items)
}

/// Returns what has failed at a place, if it is still kept.
///
/// # Errors
///
/// There is no such partition, or the log does not answer.
pub async fn get<L: Log>(log: &L, place: Place) -> Result<Option<Item>> {
    let mut found = None;
    let start = (place.partition, Start::Offset(place.offset));
    walk::forwards(log, topic::FAILED, start, |record| {
        if record.offset == place.offset {
            found = Item::read(&record);
        }
        ControlFlow::Break(())
    })
    .await?;
    Ok(found)
}
