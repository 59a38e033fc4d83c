//! Keys come back from the log to whoever takes partitions over.

use std::pin::pin;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Dedup;
use crate::{
    Log, Result,
    log::{Limits, Reader, Start},
    telemetry, topic,
};

/// How much is read at once of what was written.
const READING: Limits = Limits { records: 1000, bytes: 16 * 1024 * 1024 };

/// How many partitions are opened ahead of the one that is read: each has questions to ask first, and memory for what it
/// fetches.
const AHEAD: usize = 4;

impl Dedup {
    /// Begins to hold partitions, with the keys of their windows as `telemetry.seen` has them; `now` says where these
    /// begin.
    ///
    /// Whoever wrote them last has committed or aborted: the log says so before it hands a partition on.
    ///
    /// # Errors
    ///
    /// The log does not answer. The partitions are held with a part of their keys: forget them, or begin again.
    pub async fn rebuild<L: Log>(
        &mut self,
        log: &L,
        partitions: &[i32],
        now: DateTime<Utc>,
    ) -> Result<()> {
        let window = TimeDelta::from_std(self.window).unwrap_or(TimeDelta::MAX);
        let from = now.checked_sub_signed(window).unwrap_or(DateTime::UNIX_EPOCH);
        for partition in partitions {
            self.gain(*partition);
        }
        let partitions = partitions.to_vec();
        let opened = partitions.into_iter().map(|partition| open(log, partition, from));
        let mut opened = pin!(stream::iter(opened).buffered(AHEAD));
        while let Some((partition, mut reader)) = opened.try_next().await? {
            while let Some(records) = reader.next(READING).await? {
                for record in records {
                    let times = (record.appended_at, now);
                    if let Err(error) = self.restore(partition, &record.value, times) {
                        telemetry::unreadable_keys(partition, record.offset, error);
                    }
                }
            }
        }
        Ok(())
    }
}

async fn open<L: Log>(log: &L, partition: i32, from: DateTime<Utc>) -> Result<(i32, L::Reader)> {
    Ok((partition, log.reader(topic::SEEN, partition, Start::Time(from)).await?))
}
