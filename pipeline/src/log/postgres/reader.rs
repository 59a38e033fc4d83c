//! A reader of one partition, without a group.

use chrono::{DateTime, Utc};

use super::{
    session::Sessions,
    store::{self, Cursors, Opened},
};
use crate::{
    Result,
    log::{Limits, Reader},
    record::Record,
};

/// A reader of a log in Postgres.
#[derive(Debug)]
pub struct PostgresReader {
    sessions: Sessions,
    topic_id: i32,
    partition: i32,
    next: i64,
    end: i64,
    /// Of the last record.
    time: Option<DateTime<Utc>>,
}

impl PostgresReader {
    pub(super) fn new(sessions: Sessions, partition: i32, opened: Opened) -> Self {
        let Opened { topic_id, begins_at: next, ends_at: end } = opened;
        Self { sessions, topic_id, partition, next, end, time: None }
    }
}

impl Reader for PostgresReader {
    async fn next(&mut self, limits: Limits) -> Result<Option<Vec<Record>>> {
        let Some(left) = self.end.checked_sub(self.next).filter(|left| *left > 0) else {
            return Ok(None);
        };
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let limits = Limits { records: limits.records.min(left), ..limits };
        let cursors = Cursors {
            partitions: vec![self.partition],
            offsets: vec![self.next],
            times: vec![self.time],
        };
        let mut records = store::fetch(&self.sessions, self.topic_id, &cursors, limits).await?;
        // What was there may have been dropped meanwhile, and what comes behind it is not ours.
        records.retain(|record| record.offset < self.end);
        let Some(last) = records.last() else {
            self.next = self.end;
            return Ok(None);
        };
        (self.next, self.time) = (last.offset + 1, Some(last.appended_at));
        Ok(Some(records))
    }
}
