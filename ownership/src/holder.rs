//! The task that holds: renews the lease, learns what it owns, and tells the rest of the worker.
//!
//! It has a connection of its own, so that no amount of work can delay a hold.
//! What it learns goes out through a watch channel; what has been drained comes back through another.
//!
//! It refuses to guess: a hold that was not answered in time is no hold, and [`Holdings::trusted_until`] runs out.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Error, Result,
    shard::{Holdings, ShardId},
    store,
};

/// How long a worker on a session of its own may go without a good hold before it starts nothing more.
///
/// Others declare it dead 1.5 s after its last hold at the earliest, so the two never start work at once.
const TRUST: Duration = Duration::from_secs(1);

/// A shorter lease leaves no time for a hold on a busy machine.
const LEASE_MIN: Duration = Duration::from_secs(1);

/// A longer lease leaves the shards of a dead worker alone for too long.
const LEASE_MAX: Duration = Duration::from_mins(10);

/// How a transaction begins behind a pooler in transaction mode that knows nothing of prepared statements.
///
/// The driver prepares under names that another client may have used on the same server session, and binds in a step
/// of its own. So each transaction begins with none of them, and prepares what it needs; use it with
/// `statement_cache_capacity(0)`.
pub const BEGIN_POOLED: &str = "begin; deallocate all";

/// How the worker reaches the database.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Session {
    /// Sessions of its own: a dead worker is known by its session within two seconds.
    #[default]
    Direct,
    /// Through a pooler in transaction mode: a dead worker is known when its lease is over.
    Pooled,
}

/// How a worker holds.
#[derive(Clone, Debug)]
pub struct Options {
    /// The groups it works for.
    pub groups: Vec<String>,
    /// What people see in the list of workers.
    pub host: String,
    /// How it reaches the database.
    pub session: Session,
    /// How long the database believes in it; what is not between 1 s and 10 min is taken for the nearer of the two.
    pub lease: Duration,
}

impl Options {
    /// Returns the defaults, a lease of ten seconds on a session of its own, for `groups`.
    #[must_use]
    pub fn new(groups: Vec<String>) -> Self {
        let (session, lease) = (Session::Direct, Duration::from_secs(10));
        Self { groups, host: String::new(), session, lease }
    }

    fn every(&self) -> Duration {
        match self.session {
            Session::Direct => Duration::from_millis(500).min(self.lease / 4),
            Session::Pooled => self.lease / 4,
        }
    }

    /// A hold is given up when it takes so long that its answer would be worth nothing.
    fn timeout(&self) -> Duration {
        match self.session {
            Session::Direct => TRUST,
            Session::Pooled => self.lease / 2,
        }
    }

    /// How long an answer is believed, counted from the start of its call.
    fn trust(&self) -> Duration {
        match self.session {
            Session::Direct => TRUST.min(self.lease / 2),
            // The rest is the margin for a call that took effect early and was answered late.
            Session::Pooled => self.lease * 3 / 4,
        }
    }
}

/// A shard that has been drained, to be given back under the term it was held.
pub type Release = (ShardId, i64);

/// The running task, as the rest of the worker sees it.
#[derive(Debug)]
pub struct Held {
    /// What is held; changes with every hold.
    pub holdings: watch::Receiver<Arc<Holdings>>,
    /// Gives shards back.
    pub release: mpsc::UnboundedSender<Release>,
    /// Ends when the worker has left in peace, or was told to stop trying.
    pub task: tokio::task::JoinHandle<()>,
}

/// The task that holds.
#[derive(Debug)]
pub struct Holder {
    connect: PgConnectOptions,
    options: Options,
    conn: Option<PgConnection>,
    worker_id: Uuid,
    joining: bool,
    epoch: u64,
    started_at: Option<chrono::DateTime<chrono::Utc>>,
    read_at: Option<chrono::DateTime<chrono::Utc>>,
    /// Of the present connection, once it has answered.
    session_pid: Option<i32>,
    released: Vec<Release>,
}

impl Holder {
    /// Holds once, and goes on in a task of its own.
    ///
    /// When `drain` is cancelled the worker takes nothing more, and leaves when everything is given back; when `stop`
    /// is cancelled it stops at once, and the others wait for its lease.
    ///
    /// # Errors
    ///
    /// The first hold was not answered, or the schema is missing.
    pub async fn spawn(
        connect: PgConnectOptions,
        options: Options,
        drain: CancellationToken,
        stop: CancellationToken,
    ) -> Result<Held> {
        let options = Options { lease: options.lease.clamp(LEASE_MIN, LEASE_MAX), ..options };
        let connect = match options.session {
            Session::Direct => connect,
            // A pooler in transaction mode knows no prepared statement of ours.
            Session::Pooled => connect.statement_cache_capacity(0),
        };
        let mut holder = Self {
            connect,
            options,
            conn: None,
            worker_id: Uuid::new_v4(),
            joining: true,
            epoch: 0,
            started_at: None,
            read_at: None,
            session_pid: None,
            released: Vec::new(),
        };
        let first = holder.hold(false).await?;
        let (sender, holdings) = watch::channel(Arc::new(first));
        let (release, releases) = mpsc::unbounded_channel();
        let task = tokio::spawn(holder.run(sender, releases, drain, stop));
        Ok(Held { holdings, release, task })
    }

    async fn run(
        mut self,
        sender: watch::Sender<Arc<Holdings>>,
        mut releases: mpsc::UnboundedReceiver<Release>,
        drain: CancellationToken,
        stop: CancellationToken,
    ) {
        let mut next = Instant::now() + self.options.every();
        let mut failures = 0_u32;
        loop {
            let draining = drain.is_cancelled();
            tokio::select! {
                () = stop.cancelled() => return,
                () = drain.cancelled(), if !draining => {}
                () = tokio::time::sleep_until(next) => {}
                release = releases.recv() => match release {
                    Some(release) => {
                        self.released.push(release);
                        while let Ok(release) = releases.try_recv() {
                            self.released.push(release);
                        }
                    }
                    // Nobody is left who could give anything back.
                    None => return,
                },
            }
            let began = Instant::now();
            // As the database was told, not as it may be when the answer comes.
            let draining = drain.is_cancelled();
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.hold(draining) => outcome,
            };
            match outcome {
                Ok(holdings) => {
                    failures = 0;
                    let left = draining && holdings.shards.is_empty();
                    sender.send_replace(Arc::new(holdings));
                    if left {
                        return;
                    }
                    next = began + self.options.every();
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(worker.id = %self.worker_id, failures, error = %chain(&error), "hold failed");
                    next =
                        Instant::now() + Duration::from_millis(100 * u64::from(failures.min(10)));
                }
            }
        }
    }

    /// Holds once, and keeps what it learns about itself.
    async fn hold(&mut self, draining: bool) -> Result<Holdings> {
        let began = Instant::now();
        let asked = self.ask(draining).await;
        if self.notice_pooler(&asked) {
            // The row says that the worker can be judged by its session: no trust of the longer kind before it does not.
            return Box::pin(self.hold(draining)).await;
        }
        let answer = asked?;
        if !answer.alive {
            // Declared dead: it owns nothing, and comes back as somebody else.
            tracing::warn!(worker.id = %self.worker_id, "declared dead by another worker; joining anew");
            self.worker_id = Uuid::new_v4();
            self.joining = true;
            self.epoch += 1;
            self.released.clear();
            return Box::pin(self.hold(draining)).await;
        }
        self.joining = false;
        self.released.clear();
        self.notice_restarts(&answer);
        Ok(Holdings {
            worker_id: self.worker_id,
            epoch: self.epoch,
            session: self.options.session,
            trusted_until: began + self.options.trust(),
            pair: answer.pair,
            horizon: answer.horizon,
            shards: answer
                .shards
                .into_iter()
                .map(|(group, shard, state)| (ShardId { group: group.into(), shard }, state))
                .collect::<BTreeMap<_, _>>(),
        })
    }

    /// Asks the database. A failure drops the connection, so that the next hold begins on a fresh one.
    async fn ask(&mut self, draining: bool) -> Result<store::Answer> {
        let timeout = self.options.timeout();
        let mut conn = self.conn.take();
        let answer = tokio::time::timeout(timeout, async {
            if conn.is_none() {
                self.session_pid = None;
                conn = Some(PgConnection::connect_with(&self.connect).await?);
            }
            match conn.as_mut() {
                Some(conn) => self.call(conn, draining).await,
                None => Err(sqlx::Error::PoolClosed.into()),
            }
        })
        .await
        .unwrap_or(Err(Error::TimedOut { within_ms: timeout.as_millis() }))?;
        self.conn = conn;
        Ok(answer)
    }

    async fn call(&self, conn: &mut PgConnection, draining: bool) -> Result<store::Answer> {
        let hold = store::Hold {
            worker_id: self.worker_id,
            joining: self.joining,
            host: &self.options.host,
            pooled: self.options.session == Session::Pooled,
            draining,
            lease_ms: i32::try_from(self.options.lease.as_millis()).unwrap_or(i32::MAX),
            groups: &self.options.groups,
            release_groups: self.released.iter().map(|(id, _)| id.group.to_string()).collect(),
            release_shards: self.released.iter().map(|(id, _)| id.shard).collect(),
            release_terms: self.released.iter().map(|(_, term)| *term).collect(),
        };
        match self.options.session {
            Session::Direct => store::hold(conn, hold).await,
            Session::Pooled => {
                let mut tx = conn.begin_with(BEGIN_POOLED).await?;
                let answer = store::hold(&mut tx, hold).await?;
                tx.commit().await?;
                Ok(answer)
            }
        }
    }

    /// A restart undoes settlements, a failover or a clock set back moves due times: all that is known of rows goes.
    fn notice_restarts(&mut self, answer: &store::Answer) {
        let restarted = self.started_at.is_some_and(|before| before != answer.started_at);
        let set_back = self.read_at.is_some_and(|before| answer.pair.read_at < before);
        if restarted || set_back {
            tracing::warn!(worker.id = %self.worker_id, restarted, set_back, "database restarted or its clock was set back; reading all lanes anew");
            self.epoch += 1;
        }
        self.started_at = Some(answer.started_at);
        self.read_at = Some(answer.pair.read_at);
    }

    /// One connection, and another server's session each time, or one that others have left their statements in: there
    /// is a pooler that nobody told us of. Behind it, a session says nothing about its worker.
    fn notice_pooler(&mut self, asked: &Result<store::Answer>) -> bool {
        if self.options.session == Session::Pooled {
            return false;
        }
        let shared = match asked {
            Ok(answer) => {
                let before = self.session_pid.replace(answer.session_pid);
                before.is_some_and(|before| before != answer.session_pid)
            }
            Err(error) => error.is_of_shared_session(),
        };
        if shared {
            tracing::warn!(worker.id = %self.worker_id, "the session is shared with others: there is a pooler in transaction mode; working as behind one from now on; tell the worker so");
            self.options.session = Session::Pooled;
            self.connect = self.connect.clone().statement_cache_capacity(0);
            self.conn = None;
        }
        shared
    }
}

/// Joins an error and its sources into one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
