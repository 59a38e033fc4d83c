//! Files in an object store or a folder: each unique event in one of them, by the day on which the relay took it.
//!
//! What lies in which file is planned in Postgres before the first byte goes up, files are put only where nothing is,
//! and the position is committed when all of them are there.
//!
//! A partition holds, while its files are open, [`Roll::days`] × about 5 MiB of memory at most, and the rest on disk; while
//! one is uploaded, all of it.

mod codec;
mod decode;
mod erase;
mod event;
mod filing;
mod http;
mod manifest;
mod open;
pub(crate) mod plan;
mod replace;
mod resend;
mod roll;
mod session;
mod spool;
mod table;
mod target;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub(crate) use self::target::is_transient;
pub use self::{
    codec::{BadCodec, Codec, GZIP_LEVEL, ZSTD_LEVEL},
    erase::Erased,
    resend::{Refused, Resent},
    roll::Roll,
    target::{Conditional, Retry, Store},
};
use self::{filing::Filing, session::Session};
use super::hooks::Hooks;
use crate::{
    Error, Log, Result,
    hop::Retreat,
    ledger::Sunk,
    metrics::{Group, Histogram},
    store, telemetry, topic,
};

/// What a sink of files is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name, which makes its group `sink.<name>`, and by which its plans are found.
    pub name: String,
    /// How events become files.
    pub codec: Codec,
    /// When files are closed and go up.
    pub roll: Roll,
    /// The folder for open files that are larger than 1 MiB; made when it is needed.
    pub spool: PathBuf,
    /// How long open files may take to go up when the sink is stopped; what is not up then is read again.
    pub closing_max: Duration,
}

/// What a sink of files has done since it was made. Counters only grow.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Records taken from the log, again after an interruption.
    pub taken: AtomicU64,
    /// Records whose position has been committed.
    pub committed: AtomicU64,
    /// Events in files, those counted whose position is committed.
    pub stored: AtomicU64,
    /// Events that were in files already, of commits that had not taken effect.
    pub already_there: AtomicU64,
    /// Records that were no events, and are in `telemetry.failed`.
    pub rejected: AtomicU64,
    /// Events that may not be in files.
    pub filtered: AtomicU64,
    /// Bytes of the values of records taken.
    pub bytes_in: AtomicU64,
    /// Bytes of files put.
    pub bytes_out: AtomicU64,
    /// Files put.
    pub files: AtomicU64,
    /// Files that were there already, the same.
    pub files_found: AtomicU64,
    /// Files that were closed to go up.
    pub rolled: AtomicU64,
    /// Files that are open now.
    pub open: AtomicU64,
    /// Times that it began again.
    pub interruptions: AtomicU64,
    /// What its group does.
    pub(crate) group: Arc<Group>,
    /// How long it takes to file what was closed.
    pub(crate) flush: Histogram,
}

/// A sink of files.
#[derive(Debug)]
pub struct Sink {
    options: Options,
    store: Store,
    pool: PgPool,
    folder: Arc<Path>,
    metrics: Arc<Metrics>,
}

impl Options {
    /// Returns options with defaults: lines by Zstandard, rolled by [`Roll::default`].
    #[must_use]
    pub fn new(name: impl Into<String>, spool: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            codec: Codec::default(),
            roll: Roll::default(),
            spool: spool.into(),
            closing_max: Duration::from_secs(20),
        }
    }
}

impl Metrics {
    fn commit(&self, records: u64, days: &[Sunk]) {
        self.committed.fetch_add(records, Ordering::Relaxed);
        for day in days {
            self.stored.fetch_add(day.stored, Ordering::Relaxed);
            self.already_there.fetch_add(day.already_there, Ordering::Relaxed);
            self.rejected.fetch_add(day.rejected, Ordering::Relaxed);
            self.filtered.fetch_add(day.filtered, Ordering::Relaxed);
        }
    }
}

impl Sink {
    /// Returns a sink that writes to `store` and keeps its plans in the database of `pool`.
    #[must_use]
    pub fn new(options: Options, store: Store, pool: PgPool) -> Self {
        let folder = options.spool.clone().into();
        Self { options, store, pool, folder, metrics: Arc::default() }
    }

    /// Returns the counters.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Returns the name of its group.
    #[must_use]
    pub fn group(&self) -> String {
        format!("sink.{}", self.options.name)
    }

    /// Takes unique events of `log` and puts them into files until `shutdown`, when open files go up too.
    ///
    /// What `hooks` do not permit any more when files are closed is not in them. The ledger is the sink's own matter.
    ///
    /// Begins again by itself after what may pass, such as a store that does not answer.
    ///
    /// # Errors
    ///
    /// What a person has to look at: a file with other content, a topic that was made anew, a store that refuses us.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time, which is what a crash is: whoever comes next finishes what was planned.
    pub async fn run<L: Log>(
        &self,
        log: &L,
        hooks: Arc<dyn Hooks>,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        let (mut conditional, mut retreat) = (None, Retreat::default());
        while !shutdown.is_cancelled() {
            let before = self.metrics.committed.load(Ordering::Relaxed);
            let once = self.once(log, (&mut conditional, &hooks), shutdown);
            let Err(error) = once.await else { continue };
            self.metrics.interruptions.fetch_add(1, Ordering::Relaxed);
            self.metrics.group.restarted();
            let committed = self.metrics.committed.load(Ordering::Relaxed) - before;
            retreat.after(&self.group(), error, committed, shutdown).await?;
        }
        Ok(())
    }

    /// Joins the group and works until shutdown, or until something goes wrong.
    async fn once<L: Log>(
        &self,
        log: &L,
        (known, hooks): (&mut Option<Conditional>, &Arc<dyn Hooks>),
        shutdown: &CancellationToken,
    ) -> Result<()> {
        let conditional = match *known {
            Some(conditional) => conditional,
            None => *known.insert(self.probe().await?),
        };
        let topic_id = store::plan::name_topic(&self.pool, topic::UNIQUE).await?;
        let member = log.join(&self.group(), topic::UNIQUE).await?;
        let (topic_id, hooks) = (topic_id.into(), Arc::clone(hooks));
        let filing = Filing { sink: self, topic_id, conditional, hooks };
        Session::new(self, member, filing).work(shutdown).await
    }

    /// Returns the error of files whose events are to be judged anew.
    fn rejudged(&self) -> Error {
        Error::Rejudged { sink: self.options.name.clone() }
    }

    async fn probe(&self) -> Result<Conditional> {
        let conditional = self.store.probe().await?;
        if conditional == Conditional::No {
            telemetry::conditional_put_missing(&self.options.name, self.store.name());
        }
        Ok(conditional)
    }
}
