//! A worker: what an application starts beside itself, or the binary as a process of its own.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tidings::{
    analytics::report::{self, Reading},
    deliverer::Deliverer,
    secret::Keyring,
};
use tidings_ownership::{Holder, Holdings, Options, Session, is_of_shared_session};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Result, health, listener,
    log::AttemptLog,
    maintenance::{self, Retention},
    pump::{Pump, Shared, State},
    roster::Roster,
    scanner,
    session::{Database, Link},
    system,
    telemetry::{Counters, Counts},
};

/// How long a worker that is told to stop waits for what is in flight.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// The entry to this crate.
#[derive(Clone, Copy, Debug)]
pub struct Worker;

impl Worker {
    /// Returns a builder for a worker on the database of `pool`.
    ///
    /// The worker takes two connections of its own with the pool's options, one more per pump, and borrows from the
    /// pool now and then, or behind a pooler from two more of its own; it holds none while a delivery is under way.
    pub fn builder(pool: PgPool) -> Builder {
        Builder {
            pool,
            deliverers: Vec::new(),
            keyring: None,
            session: Session::Direct,
            lease: Duration::from_secs(10),
            log: AttemptLog::All,
            durable: false,
            pumps: 2,
            host: String::new(),
            retention: Retention::default(),
            drain_max: DRAIN_MAX,
            health: health::Rules::default(),
        }
    }
}

/// What a worker is made of.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pool: PgPool,
    deliverers: Vec<Arc<dyn Deliverer>>,
    keyring: Option<Keyring>,
    session: Session,
    lease: Duration,
    log: AttemptLog,
    durable: bool,
    pumps: usize,
    host: String,
    retention: Retention,
    drain_max: Duration,
    health: health::Rules,
}

impl Builder {
    /// Adds a deliverer; the worker then serves subscribers of its kind.
    pub fn deliverer(mut self, deliverer: impl Deliverer) -> Self {
        self.deliverers.push(Arc::new(deliverer));
        self
    }

    /// Sets the keys that open the subscribers' secrets.
    pub fn keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Says how the database is reached: [`Session::Pooled`] behind a pooler in transaction mode.
    pub fn session(mut self, session: Session) -> Self {
        self.session = session;
        self
    }

    /// Sets how long the database believes in a worker that is not heard of, 1 s to 10 min; the default is 10 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_secs(1), Duration::from_mins(10));
        self
    }

    /// Says which attempts are written down; the default is all.
    pub fn attempt_log(mut self, log: AttemptLog) -> Self {
        self.log = log;
        self
    }

    /// Makes settlements survive a crash of the server; without, a few may be undone and their deliveries repeated.
    pub fn durable_settlements(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets how many pumps share the worker's shards, 1 to 16; the default is 2. A lane belongs to one.
    pub fn pumps(mut self, pumps: usize) -> Self {
        self.pumps = pumps.clamp(1, 16);
        self
    }

    /// Sets the name that people see in the list of workers.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets how long events, attempts and dead letters are kept.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Says what is done about destinations that are not well; by default they are slowed down, held up and at last
    /// disabled.
    pub fn health(mut self, rules: health::Rules) -> Self {
        self.health = rules;
        self
    }

    /// Sets how long a worker that is told to stop waits for what is in flight; the default is 30 s.
    pub fn drain_max(mut self, drain_max: Duration) -> Self {
        self.drain_max = drain_max;
        self
    }

    /// Starts the worker. It works until `shutdown` is cancelled, then drains.
    ///
    /// # Errors
    ///
    /// No deliverer, or two of one kind; a database that does not answer; a schema that is missing.
    pub async fn spawn(self, shutdown: CancellationToken) -> Result<Running> {
        let roster = Roster::new(self.deliverers.clone())?;
        let database = Database::new(self.pool.clone(), self.session);
        let mut groups = announce(&database, &roster).await;
        if matches!(&groups, Err(Error::Unanswered { source, .. }) if is_of_shared_session(source))
        {
            // A pooler that nobody told us of.
            database.follow(Session::Pooled);
            groups = announce(&database, &roster).await;
        }
        let mut groups = groups?;
        groups.extend([system::GROUP.to_owned(), maintenance::GROUP.to_owned()]);
        let options = Options {
            host: self.host.clone(),
            session: database.session(),
            lease: self.lease,
            ..Options::new(groups)
        };
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        let connect = (*self.pool.connect_options()).clone();
        let held = Holder::spawn(connect, options, drain.clone(), stop.clone()).await?;
        database.follow(held.holdings.borrow().session);
        let counters = Arc::new(Counters::default());
        let shared = Shared {
            database,
            roster,
            keyring: self.keyring.clone(),
            log: self.log,
            durable: self.durable,
            careful: Arc::new(Semaphore::new(1)),
            counters: Arc::clone(&counters),
            health: self.health,
            pumps: self.pumps,
        };
        let tasks = self.start(&Arc::new(shared), &held, &stop);
        let (holdings, drain_max) = (held.holdings.clone(), self.drain_max);
        let ending = tokio::spawn(async move {
            shutdown.cancelled().await;
            drain.cancel();
            let holder = held.task;
            let deadline = Instant::now() + drain_max;
            let in_peace = tokio::time::timeout_at(deadline, holder).await.is_ok();
            stop.cancel();
            for task in tasks {
                drop(task.await);
            }
            in_peace
        });
        Ok(Running { holdings, counters, ending })
    }

    fn start(
        &self,
        shared: &Arc<Shared>,
        held: &tidings_ownership::Held,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let mut tasks = Vec::new();
        let mut senders = Vec::new();
        for index in 0..self.pumps {
            let (sender, messages) = mpsc::unbounded_channel();
            senders.push(sender.clone());
            let pump = Pump {
                index,
                shared: Arc::clone(shared),
                holdings: held.holdings.clone(),
                release: held.release.clone(),
                messages,
                sender,
                stop: stop.clone(),
                link: Some(Link::new(shared.database.clone())),
                state: State::default(),
            };
            tasks.push(tokio::spawn(pump.run()));
        }
        let (database, holdings) = (shared.database.clone(), held.holdings.clone());
        let sweep = Arc::new(Notify::new());
        tasks.push(tokio::spawn(scanner::run(
            database.clone(),
            holdings.clone(),
            senders,
            Arc::clone(&sweep),
            stop.clone(),
        )));
        tasks.push(tokio::spawn(maintenance::run(
            database,
            holdings,
            self.retention,
            stop.clone(),
        )));
        if shared.database.session() == Session::Direct {
            let connect = (*self.pool.connect_options()).clone();
            tasks.push(tokio::spawn(listener::run(connect, sweep, stop.clone())));
        }
        tasks
    }
}

/// Makes the shards of the kinds that the worker serves, and returns the kinds.
async fn announce(database: &Database, roster: &Roster) -> Result<Vec<String>> {
    let doing = "announce the kinds of subscriber";
    let mut groups = Vec::new();
    let mut tx = database.begin().await.map_err(Error::unanswered(doing))?;
    for (kind, shards) in roster.kinds() {
        sqlx::query("select tidings.make_group($1, $2)")
            .bind(kind)
            .bind(i32::from(shards))
            .execute(&mut *tx)
            .await
            .map_err(Error::unanswered(doing))?;
        groups.push(kind.to_owned());
    }
    tx.commit().await.map_err(Error::unanswered(doing))?;
    Ok(groups)
}

/// A worker at work.
#[derive(Debug)]
pub struct Running {
    holdings: watch::Receiver<Arc<Holdings>>,
    counters: Arc<Counters>,
    ending: JoinHandle<bool>,
}

impl Running {
    /// Returns what it has done since it started.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// Returns what it has done as a collector of reports: the statistics `deliveries_delivered`, `deliveries_retried`,
    /// `deliveries_filtered` and `deliveries_buried`.
    #[must_use]
    pub fn collector(&self) -> Reading {
        let counters = Arc::clone(&self.counters);
        report::statistics("worker", move || std::future::ready(Ok(counters.read())))
    }

    /// Returns what it holds; it changes with every hold.
    #[must_use]
    pub fn holdings(&self) -> watch::Receiver<Arc<Holdings>> {
        self.holdings.clone()
    }

    /// Waits until it has stopped, after its shutdown was asked for; answers whether everything had been drained.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; the worker goes on draining.
    pub async fn finished(&mut self) -> bool {
        (&mut self.ending).await.unwrap_or(false)
    }
}
