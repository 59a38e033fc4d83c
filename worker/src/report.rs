//! Reports: at each interval, what an installation has done and what it has, told through the outbox.
//!
//! Every process of an application starts a [`Reporter`]. One of them leads: it owns the one shard of a group of its own,
//! asks all collectors, and writes the next baseline and the events of the report with one statement. The others write
//! down what they have counted in memory, so that the leader can add it up, also when they have ended.
//!
//! ```text
//! processes ──counters, every minute──▶ reporter_process ─┐
//! leader ──collectors, at each interval───────────────────┼─▶ Report ─▶ baseline and events, in one statement
//! reporter ──baseline─────────────────────────────────────┘
//! ```
//!
//! A report that was missed, because nobody was there, is made by the next leader, with a longer window: never two.
//! What is to be reported is decided by [`tidings::analytics::report`]; here is whatever touches a database or a clock.

mod event;
mod installation;
mod leader;
mod status;

use std::time::Duration;

use sqlx::PgPool;
use tidings::analytics::report::{Collector, Collectors, Environment, Report, Schedule};
use tidings_ownership::{Holder, Options, Session, ShardId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::event::Event;
pub use self::installation::Installation;
use self::leader::Process;
pub use self::status::{Status, list, request};
use crate::{Result, session::Database, store::report as store};

/// How often a report is made where nobody says otherwise.
pub const INTERVAL: Duration = Duration::from_hours(1);

/// How long a process that is not heard of goes on leading.
const LEASE: Duration = Duration::from_mins(1);

/// How often a process writes down its counters, and the leader looks whether a report is due.
const LOOK: Duration = Duration::from_mins(1);

/// How long a reporter that is told to stop takes to give the lead back.
const LEAVE_MAX: Duration = Duration::from_secs(10);

/// The entry to this module.
#[derive(Clone, Copy, Debug)]
pub struct Reporter;

impl Reporter {
    /// Returns a builder for the reporter of `environment`, on the database of `pool`.
    ///
    /// The name of the application is the name of the reporter: its processes share one baseline and report together.
    /// It takes up to three connections of its own with the pool's options, and works through a pooler as it is.
    pub fn builder(pool: PgPool, environment: Environment) -> Builder {
        Builder {
            pool,
            environment,
            collectors: Vec::new(),
            interval: INTERVAL,
            unchanged_every: None,
            look: LOOK,
            lease: LEASE,
            host: String::new(),
        }
    }
}

/// What a reporter is made of.
#[must_use]
pub struct Builder {
    pool: PgPool,
    environment: Environment,
    collectors: Vec<Box<dyn Collector>>,
    interval: Duration,
    unchanged_every: Option<Duration>,
    look: Duration,
    lease: Duration,
    host: String,
}

impl Builder {
    /// Adds a collector of statistics and traits.
    pub fn collector(mut self, collector: impl Collector + 'static) -> Self {
        self.collectors.push(Box::new(collector));
        self
    }

    /// Sets how often a report is made, a minute to 31 days; the default is an hour.
    ///
    /// At which point of it follows from the id of the environment, so that many of them do not report at once.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Tells the traits of the organization only when one of them has changed, and at least this often; by default they
    /// are told at each interval.
    pub fn unchanged_every(mut self, at_least_every: Duration) -> Self {
        self.unchanged_every = Some(at_least_every);
        self
    }

    /// Sets how often each process writes down its counters and the leader looks whether a report is due, 10 ms to 10 min;
    /// the default is a minute. What a process has counted since is lost when it is killed.
    pub fn look_every(mut self, look: Duration) -> Self {
        self.look = look.clamp(Duration::from_millis(10), Duration::from_mins(10));
        self
    }

    /// Sets how long a leader that is not heard of goes on leading, 1 s to 10 min; the default is a minute.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the name that people see in the list of workers.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Starts the reporter. It works until `shutdown` is cancelled, then writes down what it has counted and gives the
    /// lead back.
    ///
    /// # Errors
    ///
    /// Collectors that clash or an interval that is no rhythm; a database that does not answer; a schema that is missing.
    pub async fn spawn(self, shutdown: CancellationToken) -> Result<Running> {
        let (pool, lease, host) = (self.pool.clone(), self.lease, self.host.clone());
        let process = self.process()?;
        store::join(&process.database, &process.name, process.environment.id(), process.interval())
            .await?;
        let group = store::group(&process.name);
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        let options =
            Options { host, session: Session::Pooled, lease, ..Options::new(vec![group.clone()]) };
        let connect = (*pool.connect_options()).clone();
        let held = Holder::spawn(connect, options, drain.clone(), stop.clone()).await?;
        let shard = ShardId { group: group.into(), shard: 0 };
        let holdings = held.holdings.clone();
        let task = tokio::spawn(async move {
            process.run(&shard, holdings.clone(), &shutdown).await;
            drain.cancel();
            if let Some(term) = holdings.borrow().term(&shard) {
                drop(held.release.send((shard.clone(), term)));
            }
            let left = tokio::time::timeout(LEAVE_MAX, held.task).await.is_ok();
            stop.cancel();
            left
        });
        Ok(Running { task })
    }

    /// Returns the report that would be made now; nothing is changed, and nothing is sent.
    ///
    /// Collectors that count in the memory of a process tell what they have in this one.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn`].
    pub async fn preview(self) -> Result<Report> {
        self.process()?.preview().await
    }

    fn process(self) -> Result<Process> {
        let schedule = Schedule::new(self.environment.id(), self.interval)?;
        let collectors = Collectors::new(self.collectors)?;
        Ok(Process {
            database: Database::new(self.pool, Session::Pooled),
            name: self.environment.app().name,
            environment: self.environment,
            schedule,
            collectors,
            boot_id: Uuid::from_u128(rand::random()),
            look: self.look,
            unchanged_every: self.unchanged_every,
        })
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("environment", &self.environment)
            .field("collectors", &self.collectors.len())
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// A reporter at work.
#[derive(Debug)]
pub struct Running {
    task: JoinHandle<bool>,
}

impl Running {
    /// Waits until it has stopped, after its shutdown was asked for; answers whether it had given the lead back.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; the reporter goes on leaving.
    pub async fn finished(&mut self) -> bool {
        (&mut self.task).await.unwrap_or(false)
    }
}
