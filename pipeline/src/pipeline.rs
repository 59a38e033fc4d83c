//! A pipeline: its hops, its ledger and its sinks, as tasks of one process.
//!
//! Any number of processes may run the same one; they share the partitions.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Log, Result,
    gate::Gate,
    hop::{
        self, Station,
        refine::{Gear, Refine},
        sessions::{self, Summarize},
        unbundle::Unbundle,
    },
    lag, ledger,
    log::Limits,
    lookup::Loader,
    metrics::Metrics,
    session,
    steps::Steps,
    store,
    topic::{self, Layout},
};

/// How much goes into one transaction of a hop, unless it is said otherwise.
///
/// Large enough that the two round trips of a commit do not count, and small enough to be done again.
const LIMITS: Limits = Limits { records: 20_000, bytes: 8 * 1024 * 1024 };

/// Memory for the keys of dedup, unless it is said otherwise: about 50 million.
const KEYS_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A task of the pipeline, which ends after the shutdown.
type Task<L> = Box<dyn FnOnce(L, CancellationToken) -> BoxFuture<'static, Result<()>> + Send>;

/// A pipeline that is being set up.
#[must_use]
pub struct Builder<L> {
    log: L,
    pool: PgPool,
    gate: Gate,
    layout: Layout,
    steps: Arc<Steps>,
    keys_bytes_max: usize,
    limits: Limits,
    members: usize,
    clock: fn() -> DateTime<Utc>,
    sessions: Option<session::Settings>,
    sinks: Vec<(String, Task<L>)>,
    metrics: Arc<Metrics>,
    /// Whether it is measured how far groups are behind.
    measures: bool,
}

/// A running pipeline.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<Result<()>>,
    shutdown: CancellationToken,
}

impl<L: Log> Builder<L> {
    /// Returns a builder of a pipeline on this log, with what is done to events that are let through, whose ledger is
    /// added up in this database.
    pub fn new(log: L, pool: PgPool, steps: Steps) -> Self {
        Self {
            log,
            gate: Gate::new(pool.clone()),
            pool,
            layout: Layout::default(),
            steps: Arc::new(steps),
            keys_bytes_max: KEYS_BYTES_MAX,
            limits: LIMITS,
            members: 1,
            clock: now,
            sessions: None,
            sinks: Vec::new(),
            metrics: Arc::default(),
            measures: false,
        }
    }

    /// Sets how the topics are laid out.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets how much memory the keys of dedup may take in each member of `refine`, in bytes; 1 GiB by default.
    ///
    /// When it is full the oldest keys go, which the log says.
    pub fn keys_bytes_max(mut self, bytes: usize) -> Self {
        self.keys_bytes_max = bytes;
        self
    }

    /// Sets how much goes into one transaction of a hop; 20,000 records and 8 MiB by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many members of each hop this process has; at least one, and one by default.
    ///
    /// A member has a thread's worth of work; more than there are partitions have nothing to do.
    pub fn members(mut self, members: usize) -> Self {
        self.members = members.max(1);
        self
    }

    /// Sets the clock that says where the window of dedup begins when keys are read back in.
    pub fn clock(mut self, clock: fn() -> DateTime<Utc>) -> Self {
        self.clock = clock;
        self
    }

    /// Counts what the pipeline does, and measures how far its groups are behind, every 30 seconds.
    ///
    /// What a sink counts is added by whoever makes it: [`Metrics::add_sink`].
    pub fn metrics(mut self, metrics: Arc<Metrics>) -> Self {
        (self.metrics, self.measures) = (metrics, true);
        self
    }

    /// Returns what may be kept and may leave, for the sinks of this process.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Sets whether sessions are summarised, and how; not, by default.
    pub fn sessions(mut self, settings: Option<session::Settings>) -> Self {
        self.sessions = settings;
        self
    }

    /// Adds a sink, which is given the log and runs until the token is cancelled.
    pub fn sink<F>(
        mut self,
        name: impl Into<String>,
        run: impl FnOnce(L, CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let task: Task<L> = Box::new(move |log, shutdown| Box::pin(run(log, shutdown)));
        self.sinks.push((name.into(), task));
        self
    }

    /// Makes the topics, or checks them, and starts the tasks on the runtime of the caller.
    ///
    /// They end after `shutdown`, or when one of them cannot go on; see [`Running::finished`].
    ///
    /// # Errors
    ///
    /// Topics that are there with another number of partitions, look-ups in tables that are not there, or a log or a
    /// database that does not answer.
    pub async fn start(self, shutdown: CancellationToken) -> Result<Running> {
        let mut specs = self.layout.specs();
        specs.extend(self.layout.routed(self.steps.router().destinations()));
        specs.extend(self.sessions.is_some().then(|| self.layout.sessions()));
        self.log.prepare(&specs).await?;
        Loader::new(Arc::clone(self.steps.lookups())).check(&self.pool).await?;
        let shutdown = shutdown.child_token();
        let mut tasks = JoinSet::new();
        for member in 0..self.members {
            self.spawn_unbundle(&mut tasks, &shutdown);
            self.spawn_refine(&mut tasks, &shutdown, member);
            if let Some(settings) = &self.sessions {
                self.spawn_sessions(settings, &mut tasks, &shutdown);
            }
        }
        if self.measures {
            self.spawn_watch(&mut tasks, &shutdown);
        }
        let (log, pool, ended) = (self.log.clone(), self.pool.clone(), shutdown.clone());
        let (age, meter) = (self.layout.retention, Arc::clone(&self.metrics.ledger));
        tasks.spawn(async move { ledger::project::run(&log, &pool, &meter, &ended).await });
        let (pool, ended) = (self.pool, shutdown.clone());
        tasks.spawn(async move {
            ledger::project::prune(&pool, age, &ended).await;
            Ok(())
        });
        for (_, sink) in self.sinks {
            tasks.spawn(sink(self.log.clone(), shutdown.clone()));
        }
        Ok(Running { tasks, shutdown })
    }

    fn spawn_unbundle(&self, tasks: &mut JoinSet<Result<()>>, shutdown: &CancellationToken) {
        let (log, ended, partitions) = (self.log.clone(), shutdown.clone(), self.layout.partitions);
        let (metrics, limits) = (Arc::clone(&self.metrics), self.limits);
        let meter = Arc::clone(&metrics.unbundle);
        let station = Station { group: "unbundle", topic: topic::RAW, limits, meter };
        tasks.spawn(async move {
            let fresh = || Unbundle::new(partitions).counted(Arc::clone(&metrics));
            hop::run(&log, station, fresh, &ended).await
        });
    }

    fn spawn_watch(&self, tasks: &mut JoinSet<Result<()>>, shutdown: &CancellationToken) {
        let (log, metrics) = (self.log.clone(), Arc::clone(&self.metrics));
        let (clock, ended) = (self.clock, shutdown.clone());
        tasks.spawn(async move {
            lag::watch(&log, &metrics, clock, &ended).await;
            Ok(())
        });
    }

    fn spawn_refine(
        &self,
        tasks: &mut JoinSet<Result<()>>,
        shutdown: &CancellationToken,
        member: usize,
    ) {
        let (log, ended, steps) = (self.log.clone(), shutdown.clone(), Arc::clone(&self.steps));
        let (window, bytes): (Duration, _) = (self.layout.window, self.keys_bytes_max);
        let (clock, gate) = (self.clock, self.gate.clone());
        let (metrics, limits) = (Arc::clone(&self.metrics), self.limits);
        let meter = Arc::clone(&metrics.refine);
        let station = Station { group: "refine", topic: topic::EVENTS, limits, meter };
        tasks.spawn(async move {
            let fresh = || {
                let gear = Gear::new(Arc::clone(&steps), Some((gate.clone(), ended.clone())));
                let refine = Refine::new(log.clone(), gear, (window, bytes), clock);
                refine.counted(Arc::clone(&metrics), member)
            };
            hop::run(&log, station, fresh, &ended).await
        });
    }

    fn spawn_sessions(
        &self,
        settings: &session::Settings,
        tasks: &mut JoinSet<Result<()>>,
        shutdown: &CancellationToken,
    ) {
        let (log, ended, settings) = (self.log.clone(), shutdown.clone(), settings.clone());
        let (steps, gate) = (Arc::clone(&self.steps), self.gate.clone());
        let (limits, meter) = (self.limits, self.metrics.sessions());
        let station = Station { group: sessions::GROUP, topic: topic::UNIQUE, limits, meter };
        tasks.spawn(async move {
            let fresh = || {
                let asked = gate.pool().clone();
                let clock: sessions::Clock = Arc::new(move || {
                    let asked = asked.clone();
                    Box::pin(async move { store::plan::now(&asked).await })
                });
                let step = (Arc::clone(&steps), settings.clone());
                Summarize::new(log.clone(), step, clock, Some(gate.clone()))
            };
            hop::run(&log, station, fresh, &ended).await
        });
    }
}

impl Running {
    /// Waits until the tasks have ended.
    ///
    /// # Errors
    ///
    /// Why a task could not go on; the others were told to end, and what is committed is.
    ///
    /// # Cancel safety
    ///
    /// The tasks are stopped where they are: nothing is lost, and what was not committed is done again.
    pub async fn finished(mut self) -> Result<()> {
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            // A task that has panicked is no task that has ended well.
            let ended = ended.unwrap_or_else(|error| Err(crate::Error::Panicked { source: error }));
            if ended.is_err() {
                self.shutdown.cancel();
                first = first.and(ended);
            }
        }
        first
    }
}

impl<L> std::fmt::Debug for Builder<L> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Builder").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// The clock of this machine: where the window begins is no matter of seconds.
#[expect(clippy::disallowed_methods, reason = "the default of a clock that is passed in")]
fn now() -> DateTime<Utc> {
    Utc::now()
}
