//! A log that is only written to, as a trait object: for whoever has records and does not care which log takes them.
//!
//! Every [`Log`] is one, so `Box::new(log)` or `Arc::new(log)` is all that it takes.

use std::fmt;

use futures_util::{FutureExt, future::BoxFuture};

use super::Log;
use crate::{Result, record::Output};

/// Takes records, outside of any group.
///
/// ```
/// # use std::sync::Arc;
/// use tidings_pipeline::log::{Appender, Memory};
///
/// let appender: Arc<dyn Appender> = Arc::new(Memory::new());
/// ```
pub trait Appender: fmt::Debug + Send + Sync {
    /// Writes records; returns their offsets when they are durable.
    ///
    /// # Errors
    ///
    /// As [`Log::append`]: a part of the records may be there, and whoever repeats the call may write them twice.
    fn append(&self, records: Vec<Output>) -> BoxFuture<'_, Result<Vec<i64>>>;

    /// Returns how many partitions a topic has.
    ///
    /// # Errors
    ///
    /// There is no such topic, or the log does not answer.
    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<i32>>;
}

impl<L: Log> Appender for L {
    fn append(&self, records: Vec<Output>) -> BoxFuture<'_, Result<Vec<i64>>> {
        Log::append(self, records).boxed()
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<i32>> {
        Log::partitions(self, topic).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{Headers, log::Memory, topic};

    #[tokio::test]
    async fn records_of_an_appender_are_in_its_log() {
        let log = Memory::new();
        log.prepare(&topic::Layout::default().specs()).await.unwrap();
        let appender: Arc<dyn Appender> = Arc::new(log.clone());
        assert_eq!(appender.partitions(topic::RAW).await.unwrap(), 16);
        let (key, headers, value) = (None, Headers::new(), Bytes::from_static(b"{}"));
        let output = Output { topic: topic::RAW.into(), partition: 3, key, headers, value };
        assert_eq!(appender.append(vec![output.clone(), output]).await.unwrap(), [0, 1]);
        assert_eq!(log.records(topic::RAW).len(), 2);
    }
}
