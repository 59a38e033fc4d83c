//! The searchable table: each unique event is one row in Postgres, under the id that the pipeline gave it.
//!
//! The table is divided by the day on which the relay took the event, and a row has the event's id as its key: a try
//! that comes again finds it there. So each event is in the table once, whatever was aborted, until its day is dropped.
//!
//! An event that the database cannot hold goes to the topic of failed events; the others go on.
//! A database that does not answer is waited for, however long.

mod row;
mod search;
pub(crate) mod words;
mod writer;

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    drive,
    hooks::Hooks,
    metrics::Metrics,
    resend::{self, Resent},
};
use crate::{Log, Result, store::event::keep_events, telemetry};

pub use self::search::{Found, Query, search};

/// How often days are looked for that have become too old.
const KEEP_EVERY: Duration = Duration::from_mins(15);

/// How long events are kept, unless it is said otherwise.
const KEPT: Duration = Duration::from_hours(24 * 30);

/// What the sink is called, and how long it keeps events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The name of the sink.
    pub name: String,
    /// How long an event is kept after the end of its day; 30 days by default.
    pub kept: Duration,
}

/// A sink to the table.
#[derive(Debug)]
pub struct Sink {
    writer: Arc<writer::Writer>,
    kept: Duration,
}

impl Options {
    /// Returns those of a sink of this name that keeps events for 30 days.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), kept: KEPT }
    }
}

impl Sink {
    /// Returns a sink that has not talked to the database yet. It borrows up to four connections.
    #[must_use]
    pub fn new(options: Options, pool: PgPool) -> Self {
        let Options { name, kept } = options;
        let writer = writer::Writer { name, pool, metrics: Arc::default() };
        Self { writer: Arc::new(writer), kept }
    }

    /// Returns what it has done so far.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.writer.metrics)
    }

    /// Reads unique events as the group `sink.<name>` and stores them, until `shutdown`; drops days that are too old.
    ///
    /// Several processes may run the same sink and share the partitions.
    ///
    /// # Errors
    ///
    /// What the log says and does not pass by itself.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves events behind that are stored and not committed; the next one finds them there.
    pub async fn run<L: Log>(
        &self,
        log: &L,
        hooks: Arc<dyn Hooks>,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        let (writer, kept) = (Arc::clone(&self.writer), self.kept);
        let keeping = async move { keep(&writer.pool, &writer.name, kept).await };
        let _keeper = AbortOnDropHandle::new(tokio::spawn(keeping));
        drive::run(log, Arc::clone(&self.writer), hooks, shutdown).await
    }

    /// Sends events of the log that the sink has taken before again; see [`resend`].
    ///
    /// # Errors
    ///
    /// What the log or the database says.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has sent a part, which is there when it is called again.
    pub async fn resend<L: Log>(
        &self,
        log: &L,
        job: &resend::Job<'_>,
        progress: impl FnMut(&Resent) + Send,
    ) -> Result<Resent> {
        resend::send(log, &*self.writer, job, progress).await
    }
}

async fn keep(pool: &PgPool, name: &str, kept: Duration) {
    loop {
        // One call drops one day.
        loop {
            match keep_events(pool, kept).await {
                Ok(true) => telemetry::table_day_dropped(name),
                Ok(false) => break,
                Err(error) => {
                    telemetry::table_not_kept(name, &error);
                    break;
                }
            }
        }
        tokio::time::sleep(KEEP_EVERY).await;
    }
}
