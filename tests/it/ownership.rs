//! Who works on what, against a real Postgres: workers come, go, die and come back, and every shard has one owner.

mod hold;
mod holder;
mod rule;
mod standstill;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sqlx::PgPool;
use tidings_ownership::{Held, Holder, Holdings, Options, Session, ShardId};
use tidings_tests::{SOON, eventually, signal::watched};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The group that the workers share, with as many shards as the migrations give it.
const GROUP: &str = "webhook";
const SHARDS: usize = 64;

/// A worker without work: what it is to give up has drained at once.
struct Worker {
    holdings: watch::Receiver<Arc<Holdings>>,
    drain: CancellationToken,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What the rows say of a shard: its worker and its term.
type Owners = BTreeMap<i16, (Option<Uuid>, i64)>;

impl Worker {
    /// Joins on a session of its own, with a lease of ten seconds.
    async fn join(url: &str) -> Self {
        Self::join_with(url, Options::new(vec![GROUP.to_owned()])).await
    }

    /// Joins through a pooler.
    async fn join_pooled(url: &str, lease: Duration) -> Self {
        let options = Options::new(vec![GROUP.to_owned()]);
        Self::join_with(url, Options { session: Session::Pooled, lease, ..options }).await
    }

    async fn join_with(url: &str, options: Options) -> Self {
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        let held = Holder::spawn(url.parse().unwrap(), options, drain.clone(), stop.clone());
        let Held { holdings, release, task } = held.await.unwrap();
        let mut seen = holdings.clone();
        tokio::spawn(async move {
            let mut released: HashSet<(ShardId, i64)> = HashSet::new();
            seen.mark_changed();
            while seen.changed().await.is_ok() {
                let holdings = Arc::clone(&seen.borrow_and_update());
                for (shard, state) in &holdings.shards {
                    if state.give_up && released.insert((shard.clone(), state.term)) {
                        drop(release.send((shard.clone(), state.term)));
                    }
                }
            }
        });
        Self { holdings, drain, stop, task }
    }

    /// Returns what it held last.
    fn holdings(&self) -> Arc<Holdings> {
        Arc::clone(&self.holdings.borrow())
    }

    fn id(&self) -> Uuid {
        self.holdings().worker_id
    }

    /// Returns the shards that it owns, with their terms.
    fn terms(&self) -> BTreeMap<i16, i64> {
        let holdings = self.holdings();
        holdings.shards.iter().map(|(id, state)| (id.shard, state.term)).collect()
    }

    /// Waits until it has so many shards, and none of them is to be given up.
    async fn has(&self, count: usize, within: Duration) {
        watched(self.holdings.clone(), within, "the worker has its share", |holdings| {
            holdings.shards.len() == count && holdings.shards.values().all(|state| !state.give_up)
        })
        .await;
    }

    /// Waits until it has held so many times more.
    async fn holds(&self, count: usize) {
        let mut holdings = self.holdings.clone();
        holdings.mark_unchanged();
        for _ in 0..count {
            tokio::time::timeout(SOON, holdings.changed()).await.unwrap().unwrap();
        }
    }

    /// Is gone from one moment to the next, and its session with it.
    async fn die(&mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Reads whose the shards of the group are.
async fn owners(pool: &PgPool) -> Owners {
    let query = "select shard, worker_id, term from tidings.shard where group_name = $1";
    let rows: Vec<(i16, Option<Uuid>, i64)> =
        sqlx::query_as(query).bind(GROUP).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(shard, worker, term)| (shard, (worker, term))).collect()
}

/// Waits until the worker owns every shard of the group, and returns their terms.
async fn owned_by(pool: &PgPool, worker: Uuid, within: Duration) -> BTreeMap<i16, i64> {
    eventually(within, "one worker owns every shard", async || {
        let owners = owners(pool).await;
        let mine = |(owner, _): &(Option<Uuid>, i64)| *owner == Some(worker);
        owners.values().all(mine).then(|| owners.into_iter().map(|(s, (_, t))| (s, t)).collect())
    })
    .await
}

/// Reads the ids of all workers that have a row.
async fn workers(pool: &PgPool) -> Vec<Uuid> {
    let query = "select worker_id from tidings.worker order by joined_at";
    sqlx::query_scalar(query).fetch_all(pool).await.unwrap()
}
