//! Where raw telemetry is written: to the database, or to any other log of the pipeline.
//!
//! The database knows a request that is sent again, and does not write it again.
//! Elsewhere it is written again, and the pipeline keeps its events from being there twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tidings_pipeline::{Headers, Output, log::Appender, topic};
use tokio::sync::OnceCell;

use crate::{
    gate::Room,
    gather::{Gatherer, Record, Row},
    metrics::Metrics,
    refusal::Refusal,
    telemetry,
};

/// How long a relay is not ready after a record was not taken.
const FAILING: Duration = Duration::from_secs(5);

/// Where raw telemetry is written.
#[derive(Debug)]
pub(crate) enum RawLog {
    Database(Gatherer<Record>),
    Elsewhere(Elsewhere),
}

/// A log of the pipeline that is not in the relay's database.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    appender: Arc<dyn Appender>,
    metrics: Arc<Metrics>,
    timeout: Duration,
    partitions: OnceCell<i32>,
    turn: AtomicI64,
    /// Whether the last record was not taken.
    failing: AtomicBool,
    /// When that was, in milliseconds since `begun`.
    failed_at: AtomicU64,
    begun: Instant,
}

impl RawLog {
    /// Writes a record, and answers when it is durable; whether it was new.
    ///
    /// # Errors
    ///
    /// 503 where the log does not answer in time: the record may be there all the same.
    pub(crate) async fn write(&self, record: Record, room: &Arc<Room>) -> Result<bool, Refusal> {
        match self {
            Self::Database(gatherer) => {
                let offsets = gatherer.write(vec![record], room).await?;
                Ok(offsets.into_iter().any(|offset| offset.is_some()))
            }
            Self::Elsewhere(elsewhere) => elsewhere.write(record).await.map(|()| true),
        }
    }

    /// Returns whether a log outside of the database has not taken the last record, some seconds ago at most.
    ///
    /// After that it is worth a try: nobody would learn that it is back if nothing was sent to it any more.
    pub(crate) fn is_failing(&self) -> bool {
        match self {
            Self::Database(_) => false,
            Self::Elsewhere(elsewhere) => elsewhere.is_failing(),
        }
    }
}

impl Elsewhere {
    pub(crate) fn new(
        appender: Arc<dyn Appender>,
        metrics: Arc<Metrics>,
        timeout: Duration,
    ) -> Self {
        let (partitions, turn) = (OnceCell::new(), AtomicI64::new(0));
        let (failing, failed_at) = (AtomicBool::new(false), AtomicU64::new(0));
        let begun = Instant::now();
        Self { appender, metrics, timeout, partitions, turn, failing, failed_at, begun }
    }

    fn is_failing(&self) -> bool {
        let failed_at = Duration::from_millis(self.failed_at.load(Ordering::Relaxed));
        self.failing.load(Ordering::Relaxed)
            && self.begun.elapsed().saturating_sub(failed_at) < FAILING
    }

    async fn write(&self, record: Record) -> Result<(), Refusal> {
        let begun = Instant::now();
        let appended = tokio::time::timeout(self.timeout, self.append(record)).await;
        let problem = match appended {
            Ok(Ok(())) => {
                self.metrics.committed(Record::WRITER, 1, begun.elapsed());
                if self.failing.swap(false, Ordering::Relaxed) {
                    telemetry::log_is_back();
                }
                return Ok(());
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        self.metrics.uncommitted(Record::WRITER);
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.failed_at.store(elapsed, Ordering::Relaxed);
        // Said once, and not for each of thousands of requests.
        if !self.failing.swap(true, Ordering::Relaxed) {
            telemetry::log_is_away(problem.as_ref());
        }
        Err(Refusal::busy("unavailable", "the log does not answer; send it again later"))
    }

    async fn append(&self, record: Record) -> tidings_pipeline::Result<()> {
        let ask = || self.appender.partitions(topic::RAW);
        let partitions = i64::from(*self.partitions.get_or_try_init(ask).await?).max(1);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).rem_euclid(partitions);
        let output = output(record, i32::try_from(turn).unwrap_or_default());
        self.appender.append(vec![output]).await?;
        Ok(())
    }
}

/// Returns a record as other logs take it.
pub(crate) fn output(record: Record, partition: i32) -> Output {
    Output {
        topic: topic::RAW.into(),
        partition,
        key: record.key.map(Into::into),
        headers: record.headers,
        value: record.value,
    }
}

/// Writes headers as the database keeps them.
pub(crate) fn json(headers: &Headers) -> String {
    let member = |(name, value): (&str, &str)| {
        let number = if name == "syncts" { value.parse::<i64>().ok() } else { None };
        (name.to_owned(), number.map_or_else(|| value.into(), serde_json::Value::from))
    };
    serde_json::Value::Object(headers.iter().map(member).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_kept_as_they_always_were() {
        let headers = Headers::new().with("format", "sunbird").with("syncts", "17").with("x", "17");
        assert_eq!(json(&headers), r#"{"format":"sunbird","syncts":17,"x":"17"}"#);
    }
}
