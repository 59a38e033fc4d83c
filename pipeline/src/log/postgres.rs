//! A log in Postgres, for which there is no other server to run.
//!
//! Offsets of a partition are handed out under the lock of its row, which is held to the commit: so the order of
//! offsets is the order of commits, and whoever goes on from an offset misses nothing.
//! Partitions are shared by [`tidings_ownership`]; what a member commits is matched by the term under which it has
//! adopted a partition, so that nobody writes who has lost it.
//!
//! It relies on the schema of `tidings migrate`, and on [`keep`](Postgres::keep) being run by some process: days of the
//! log are made ahead and dropped there.

mod batch;
mod member;
mod reader;
mod seat;
mod session;
mod share;
mod store;
mod text;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, postgres::PgConnectOptions};
use tidings_ownership::Session;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{batch::Batch, seat::Seat, session::Sessions};
pub use self::{member::PostgresMember, reader::PostgresReader, store::Kept};
use super::{Bounds, Log, Start};
use crate::{Error, Result, record::Output, telemetry, topic::Spec};

/// How often days are made ahead and dropped.
const KEEP_EVERY: Duration = Duration::from_mins(1);

/// How long the database believes in a member.
const LEASE: Duration = Duration::from_secs(10);

/// A log in Postgres; clones are the same log.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    sessions: Sessions,
    connect: PgConnectOptions,
    options: Options,
    /// Told when something is written to a topic in this process.
    written: Mutex<HashMap<String, watch::Sender<()>>>,
}

/// How a log in Postgres is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// What stands before the names of topics and groups, and tells installations in one database apart.
    pub prefix: String,
    /// What people see in the list of workers.
    pub host: String,
    /// How the database is reached.
    pub session: Session,
    /// How long the database believes in a member that is not heard of; from 1 s to 10 min.
    pub lease: Duration,
}

impl Default for Options {
    /// No prefix, sessions of its own, and a lease of ten seconds.
    fn default() -> Self {
        let (prefix, host) = (String::new(), String::new());
        Self { prefix, host, session: Session::Direct, lease: LEASE }
    }
}

impl Postgres {
    /// Returns the log of a database.
    ///
    /// Work is done on the connections of `pool`; each member has a connection of its own besides, made by `connect`,
    /// by which it holds its partitions. Nothing is connected yet.
    #[must_use]
    pub fn new(pool: PgPool, connect: PgConnectOptions, options: Options) -> Self {
        let sessions = Sessions::new(pool, options.session);
        Self { shared: Arc::new(Shared { sessions, connect, options, written: Mutex::default() }) }
    }

    /// Tells members in this process that something was written to topics by other means, so that they look at once.
    pub fn wake<'a>(&self, topics: impl IntoIterator<Item = &'a str>) {
        let written = self.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = None;
        for topic in topics {
            // Outputs of one topic come one after the other.
            if last.replace(topic) == Some(topic) {
                continue;
            }
            if let Some(members) = written.get(topic) {
                members.send_replace(());
            }
        }
    }

    /// Makes days of the log ahead, and drops what nobody needs any more, again and again until `shutdown`.
    ///
    /// Any number of processes may do so; one of them does the work. A relay does it too.
    ///
    /// # Cancel safety
    ///
    /// What is being done is done or not, as a whole.
    pub async fn keep(&self, shutdown: CancellationToken) {
        loop {
            let mut again = false;
            match self.keep_once().await {
                Ok(kept) => {
                    telemetry::kept(kept.dropped, kept.deleted);
                    // One call does a part of what there may be to do.
                    again = kept.dropped > 0 || kept.deleted > 0;
                }
                Err(error) => telemetry::unkept(&error),
            }
            let pause = if again { Duration::ZERO } else { KEEP_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Does a part of what [`keep`](Self::keep) does.
    ///
    /// # Errors
    ///
    /// The database does not answer.
    pub async fn keep_once(&self) -> Result<Kept> {
        store::keep(&self.shared.sessions).await
    }

    /// Takes a group out that is gone for good, so that nothing is kept for it any more; whether there was one.
    ///
    /// # Errors
    ///
    /// The group has members, or the database does not answer.
    pub async fn forget_group(&self, group: &str) -> Result<bool> {
        store::forget_group(&self.shared.sessions, &self.name(group)).await
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.shared.options.prefix)
    }

    fn written(&self, topic: &str) -> watch::Receiver<()> {
        let mut written = self.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.entry(topic.to_owned()).or_default().subscribe()
    }
}

impl Log for Postgres {
    type Member = PostgresMember;
    type Reader = PostgresReader;

    async fn id(&self) -> Result<String> {
        Ok(format!("postgres/{}", self.shared.options.prefix))
    }

    async fn prepare(&self, topics: &[Spec]) -> Result<()> {
        let Shared { sessions, options, .. } = &*self.shared;
        let found = store::prepare(sessions, &options.prefix, topics).await?;
        for spec in topics {
            let name = self.name(&spec.name);
            let partitions = found.iter().find(|(found, _)| *found == name).map(|(_, n)| *n);
            if let Some(found) = partitions.filter(|found| *found != spec.partitions) {
                let (topic, wanted) = (spec.name.clone().into_owned(), spec.partitions);
                return Err(Error::Repartitioned { topic, found, wanted });
            }
        }
        self.keep_once().await?;
        Ok(())
    }

    async fn partitions(&self, topic: &str) -> Result<i32> {
        let partitions = self.committed("", topic).await?.len();
        Ok(i32::try_from(partitions).unwrap_or(i32::MAX))
    }

    async fn append(&self, records: Vec<Output>) -> Result<Vec<i64>> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let Shared { sessions, options, .. } = &*self.shared;
        let batch = Batch::new(&options.prefix, &records);
        let firsts = match store::append(sessions, &batch).await {
            Err(error) if store::is_of_missing_day(&error) => {
                self.keep_once().await?;
                store::append(sessions, &batch).await
            }
            appended => appended,
        };
        let offsets = batch.offsets(&firsts?);
        self.wake(records.iter().map(|record| &*record.topic));
        Ok(offsets)
    }

    async fn join(&self, group: &str, topic: &str) -> Result<PostgresMember> {
        let Shared { sessions, connect, options, .. } = &*self.shared;
        let joined = store::join(sessions, &self.name(group), &self.name(topic)).await?;
        let joined = joined.ok_or_else(|| missing(topic, 0))?;
        let holding = tidings_ownership::Options {
            groups: vec![joined.shards.clone()],
            host: options.host.clone(),
            session: sessions.session(),
            lease: options.lease,
        };
        let seat = Seat::take(connect.clone(), holding).await?;
        let names = (group.to_owned(), topic.to_owned());
        Ok(PostgresMember::new(self.clone(), names, joined, seat))
    }

    async fn reader(&self, topic: &str, partition: i32, start: Start) -> Result<PostgresReader> {
        let sessions = &self.shared.sessions;
        let opened = store::open(sessions, &self.name(topic), partition, start).await?;
        let opened = opened.ok_or_else(|| missing(topic, partition))?;
        Ok(PostgresReader::new(sessions.clone(), partition, opened))
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>> {
        let bounds = store::list_bounds(&self.shared.sessions, &self.name(topic)).await?;
        if bounds.is_empty() { Err(missing(topic, 0)) } else { Ok(bounds) }
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>> {
        let (group, name) = (self.name(group), self.name(topic));
        let offsets = store::list_offsets(&self.shared.sessions, &group, &name).await?;
        if offsets.is_empty() { Err(missing(topic, 0)) } else { Ok(offsets) }
    }

    async fn members(&self, group: &str, topic: &str) -> Result<usize> {
        let (group, name) = (self.name(group), self.name(topic));
        store::count_members(&self.shared.sessions, &group, &name).await
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stands in how to connect.
        formatter
            .debug_struct("Postgres")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

fn missing(topic: &str, partition: i32) -> Error {
    Error::NoSuchPartition { topic: topic.to_owned(), partition }
}
