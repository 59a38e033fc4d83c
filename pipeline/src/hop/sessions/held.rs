//! The sessions of one partition, and what is stored of them.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};

use crate::{
    Headers, Output, Record,
    session::{Checkpoint, Closed, Sessions, Settings},
    topic,
    value::Value,
};

/// After so many records a checkpoint is written anew.
const RECORDS: u64 = 100_000;

/// And after so much of the log's time, with the next record.
const AGE: TimeDelta = TimeDelta::seconds(30);

/// Where a rebuild begins, as it is written to `telemetry.sessions`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Stored {
    /// The offset of the first record to read again.
    pub(super) offset: i64,
    /// The time that the log had come to there, in milliseconds since 1970.
    pub(super) watermark: i64,
    /// Times that no record has told, each with the offset of the record before which it was told.
    pub(super) times: Vec<(i64, i64)>,
}

/// The sessions of one partition.
#[derive(Debug)]
pub(super) struct Held {
    sessions: Sessions,
    /// What is read next.
    next: i64,
    /// What is read next by whoever takes over now.
    committed: i64,
    times: Vec<(i64, i64)>,
    /// When the checkpoint was written, by the log's clock, and how many records ago.
    stored: Option<(DateTime<Utc>, u64)>,
    /// When something came last.
    heard_at: Instant,
    /// Whether it knows of records that were not committed.
    pub(super) is_stale: bool,
}

impl Held {
    /// Returns a partition that is to be read again from a checkpoint, or one without sessions.
    pub(super) fn new(settings: Settings, stored: Option<Stored>, next: i64) -> Self {
        let checkpoint = stored
            .as_ref()
            .map(|stored| Checkpoint { offset: Some(stored.offset), watermark: stored.watermark });
        let (next, times) = stored.map_or((next, Vec::new()), |it| (it.offset, it.times));
        let sessions = Sessions::new(settings, checkpoint);
        let heard_at = Instant::now();
        Self { sessions, next, committed: next, times, stored: None, heard_at, is_stale: false }
    }

    /// Takes a record again whose summaries were committed.
    pub(super) fn retake(&mut self, record: &Record, closed: &mut Vec<Closed>) {
        self.retell(record.offset, closed);
        self.observe(record, closed);
        closed.clear();
    }

    /// Says that it is as it was when `committed` was reached.
    pub(super) fn rebuilt(&mut self, committed: i64) {
        self.retell(committed, &mut Vec::new());
        (self.next, self.committed) = (committed, committed);
    }

    /// Tells the times again that were told before the record at `offset`.
    fn retell(&mut self, offset: i64, closed: &mut Vec<Closed>) {
        let told = self.times.iter().filter(|(before, _)| (self.next..=offset).contains(before));
        for (_, time) in told {
            self.sessions.advance(*time, closed);
        }
    }

    /// Takes the next record, and adds the summaries of sessions that are over.
    pub(super) fn take(&mut self, record: &Record, closed: &mut Vec<Closed>) {
        self.heard_at = Instant::now();
        self.stored = self.stored.map(|(at, records)| (at, records + 1));
        self.observe(record, closed);
    }

    fn observe(&mut self, record: &Record, closed: &mut Vec<Closed>) {
        let next = std::mem::replace(&mut self.next, record.offset + 1);
        // What somebody else has written there is no part of any session.
        let Ok(event) = Value::parse(&record.value) else { return };
        if let Some(syncts) = event.get("syncts").and_then(Value::as_i64) {
            // A record that is as late says as much, where it is the next one.
            self.times.retain(|(before, time)| *before != next || *time > syncts);
        }
        self.sessions.observe(&event, record.offset, closed);
    }

    /// Returns whether nothing has come for so long, and sessions are open.
    pub(super) fn is_quiet(&self, quiet: Duration) -> bool {
        !self.sessions.is_empty() && self.heard_at.elapsed() >= quiet
    }

    /// Tells a time that is no record's, if a session is over by it; returns whether one is.
    pub(super) fn tell(&mut self, time: i64, closed: &mut Vec<Closed>) -> bool {
        if !self.sessions.is_due(time) {
            return false;
        }
        self.times.retain(|(before, _)| *before != self.next);
        self.times.push((self.next, time));
        self.sessions.advance(time, closed);
        true
    }

    /// Returns the checkpoint, if it is time to write it.
    pub(super) fn checkpoint_due(&mut self, partition: i32, now: DateTime<Utc>) -> Option<Output> {
        let is_due = self
            .stored
            .is_none_or(|(at, records)| records >= RECORDS || now.signed_duration_since(at) >= AGE);
        is_due.then(|| self.checkpoint(partition, now))
    }

    /// Returns the checkpoint.
    pub(super) fn checkpoint(&mut self, partition: i32, now: DateTime<Utc>) -> Output {
        let Checkpoint { offset, watermark } = self.sessions.checkpoint();
        let offset = offset.unwrap_or(self.next);
        self.times.retain(|(before, _)| *before > offset);
        self.stored = Some((now, 0));
        let stored = Stored { offset, watermark, times: self.times.clone() };
        Output {
            topic: topic::SESSIONS.into(),
            partition,
            key: None,
            headers: Headers::new(),
            // Numbers can always be written.
            value: serde_json::to_vec(&stored).map(Bytes::from).unwrap_or_default(),
        }
    }

    /// Takes the place of what is stale; for how long nothing has come stays as it is.
    pub(super) fn replace(&mut self, rebuilt: Self) {
        *self = Self { heard_at: self.heard_at, ..rebuilt };
    }

    /// Keeps what it has come to.
    pub(super) const fn committed(&mut self) {
        self.committed = self.next;
    }

    /// Returns what is read next by whoever takes over now.
    pub(super) const fn position(&self) -> i64 {
        self.committed
    }

    /// Returns what is read next.
    pub(super) const fn next(&self) -> i64 {
        self.next
    }

    /// Returns how many sessions are open.
    pub(super) fn open(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoint_is_written_as_it_will_always_be_read() {
        let mut held = Held::new(Settings::default(), None, 7);
        let now = DateTime::UNIX_EPOCH;
        let first = held.checkpoint_due(3, now).unwrap();
        assert_eq!((&*first.topic, first.partition), (topic::SESSIONS, 3));
        let text = r#"{"offset":7,"watermark":-9223372036854775808,"times":[]}"#;
        assert_eq!(first.value, text);
        assert_eq!(held.checkpoint_due(3, now + TimeDelta::seconds(29)), None);
        assert!(held.checkpoint_due(3, now + TimeDelta::seconds(30)).is_some());
        let stored = Stored { offset: 5, watermark: 8, times: vec![(6, 9)] };
        let text = r#"{"offset":5,"watermark":8,"times":[[6,9]]}"#;
        assert_eq!(serde_json::to_string(&stored).unwrap(), text);
        assert_eq!(serde_json::from_str::<Stored>(text).unwrap(), stored);
    }
}
