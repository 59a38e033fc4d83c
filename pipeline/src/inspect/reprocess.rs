//! Through the steps once more: raw batches are written again, and dedup keeps what is there from being there twice.

use std::{ops::ControlFlow, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::walk;
use crate::{Log, Output, Result, log::Start, topic};

/// How many records are written at once.
const GROUP: usize = 500;

/// From when to when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// The moment after the last one.
    pub until: DateTime<Utc>,
}

/// A range that cannot be gone through without duplicates.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the keys of {from} are not known any more, {days} days is how far they reach; what was there would be there twice. Choose a later time, or accept duplicates"
)]
pub struct OutOfWindow {
    /// The first moment.
    pub from: DateTime<Utc>,
    /// How far the keys reach back.
    pub days: u64,
}

impl Range {
    /// Checks that the keys of dedup reach back far enough at `now`.
    ///
    /// # Errors
    ///
    /// They do not.
    pub fn check(&self, window: Duration, now: DateTime<Utc>) -> Result<(), OutOfWindow> {
        let reach = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
        if now.signed_duration_since(self.from) > reach {
            return Err(OutOfWindow { from: self.from, days: window.as_secs() / 86_400 });
        }
        Ok(())
    }
}

/// Writes the raw batches of a range to the raw log again; returns how many.
///
/// They keep who sent them and when. `progress` is told how many were written.
///
/// # Errors
///
/// The log does not answer: a part may have been written, and doing it again is harmless within the window.
pub async fn reprocess<L: Log>(
    log: &L,
    range: Range,
    mut progress: impl FnMut(u64) + Send,
) -> Result<u64> {
    let mut written = 0;
    for partition in 0..log.partitions(topic::RAW).await? {
        let mut batches = Vec::new();
        walk::forwards(log, topic::RAW, (partition, Start::Time(range.from)), |record| {
            if record.appended_at >= range.until {
                return ControlFlow::Break(());
            }
            // What was written by a run like this one is not gone through again and again.
            if record.headers.get("reprocessed").is_none() {
                let source = format!("{}/{}", record.partition, record.offset);
                let mut headers = record.headers;
                if headers.get("syncts").is_none() {
                    headers.push("syncts", record.appended_at.timestamp_millis().to_string());
                }
                headers.push("reprocessed", source);
                let (key, value) = (record.key, record.value);
                batches.push(Output { topic: topic::RAW.into(), partition, key, headers, value });
            }
            ControlFlow::Continue(())
        })
        .await?;
        for group in batches.chunks(GROUP) {
            log.append(group.to_vec()).await?;
            written += group.len() as u64;
            progress(group.len() as u64);
        }
    }
    Ok(written)
}
