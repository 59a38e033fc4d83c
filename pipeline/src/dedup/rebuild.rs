//! Keys come back from the log to whoever takes a partition over.

use chrono::{DateTime, TimeDelta, Utc};

use super::Dedup;
use crate::{
    Log, Result,
    log::{Limits, Reader, Start},
    telemetry, topic,
};

/// How much is read at once of what was written.
const READING: Limits = Limits { records: 1000, bytes: 16 * 1024 * 1024 };

impl Dedup {
    /// Begins to hold a partition, with the keys of its window as `telemetry.seen` has them; `now` says where it begins.
    ///
    /// Whoever wrote them last has committed or aborted: the log says so before it hands a partition on.
    ///
    /// # Errors
    ///
    /// The log does not answer. The partition is held with a part of its keys: forget it, or begin again.
    pub async fn rebuild<L: Log>(
        &mut self,
        log: &L,
        partition: i32,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.gain(partition);
        let window = TimeDelta::from_std(self.window).unwrap_or(TimeDelta::MAX);
        let from = now.checked_sub_signed(window).unwrap_or(DateTime::UNIX_EPOCH);
        let mut reader = log.reader(topic::SEEN, partition, Start::Time(from)).await?;
        while let Some(records) = reader.next(READING).await? {
            for record in records {
                let times = (record.appended_at, now);
                if let Err(error) = self.restore(partition, &record.value, times) {
                    telemetry::unreadable_keys(partition, record.offset, error);
                }
            }
        }
        Ok(())
    }
}
