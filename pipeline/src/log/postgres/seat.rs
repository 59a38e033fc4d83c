//! A member's place in its group: the task that holds, and the one that leaves in the end, whatever becomes of the
//! member.

use std::{collections::HashSet, sync::Arc, time::Duration};

use sqlx::postgres::PgConnectOptions;
use tidings_ownership::{Held, Holder, Holdings, Options, ShardId};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Result;

/// How long taking a place may take.
const TAKE_MAX: Duration = Duration::from_secs(15);

/// How soon it is tried again.
const TAKE_AGAIN: Duration = Duration::from_millis(100);

/// How long leaving may take; then the others wait for the lease.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// A member's place in its group; it is given up when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    /// What is held; changes with every hold.
    pub(super) holdings: watch::Receiver<Arc<Holdings>>,
    /// Under which id it was taken; a member that was declared dead has another one.
    worker_id: Uuid,
    release: mpsc::UnboundedSender<(ShardId, i64)>,
    leaving: CancellationToken,
    guard: JoinHandle<()>,
}

impl Seat {
    /// Takes a place.
    pub(super) async fn take(connect: PgConnectOptions, options: Options) -> Result<Self> {
        let (drain, stop) = (CancellationToken::new(), CancellationToken::new());
        let deadline = Instant::now() + TAKE_MAX;
        let Held { holdings, release, task } = loop {
            let (connect, options) = (connect.clone(), options.clone());
            match Holder::spawn(connect, options, drain.clone(), stop.clone()).await {
                Ok(held) => break held,
                // The first hold is given no more time than any other, and has a connection to make.
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    tokio::time::sleep(TAKE_AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let worker_id = holdings.borrow().worker_id;
        let leaving = CancellationToken::new();
        let guard = Guard {
            worker_id,
            holdings: holdings.clone(),
            release: release.clone(),
            drain,
            _stop: stop.drop_guard(),
            task,
        };
        let guard = tokio::spawn(guard.run(leaving.clone()));
        Ok(Self { holdings, worker_id, release, leaving, guard })
    }

    /// Returns what is held, and takes note of it; nothing if the place is lost.
    pub(super) fn look(&mut self) -> Option<Arc<Holdings>> {
        let holdings = Arc::clone(&self.holdings.borrow_and_update());
        (holdings.worker_id == self.worker_id && !self.guard.is_finished()).then_some(holdings)
    }

    /// Returns whether the place is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.holdings.borrow().worker_id != self.worker_id || self.guard.is_finished()
    }

    /// Gives a shard back.
    pub(super) fn release(&self, shard: ShardId, term: i64) {
        // Whoever does not hear it any more holds nothing.
        drop(self.release.send((shard, term)));
    }

    /// Leaves the group, and waits until that is known.
    pub(super) async fn leave(mut self) {
        self.leaving.cancel();
        drop((&mut self.guard).await);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leaving.cancel();
    }
}

struct Guard {
    worker_id: Uuid,
    holdings: watch::Receiver<Arc<Holdings>>,
    release: mpsc::UnboundedSender<(ShardId, i64)>,
    drain: CancellationToken,
    _stop: tokio_util::sync::DropGuard,
    task: JoinHandle<()>,
}

impl Guard {
    /// Waits until the member leaves, or is declared dead; then gives back everything that is held, or comes to be held
    /// meanwhile under another id: nobody works on that.
    async fn run(mut self, leaving: CancellationToken) {
        let worker_id = self.worker_id;
        tokio::select! {
            () = leaving.cancelled() => {}
            _ = self.holdings.wait_for(|holdings| holdings.worker_id != worker_id) => {}
        }
        self.drain.cancel();
        drop(tokio::time::timeout(LEAVE_MAX, self.release_all()).await);
    }

    async fn release_all(&mut self) {
        let mut released: HashSet<(ShardId, i64)> = HashSet::new();
        loop {
            let holdings = Arc::clone(&self.holdings.borrow_and_update());
            for (shard, state) in &holdings.shards {
                if released.insert((shard.clone(), state.term)) {
                    drop(self.release.send((shard.clone(), state.term)));
                }
            }
            tokio::select! {
                _ = &mut self.task => return,
                changed = self.holdings.changed() => if changed.is_err() { return },
            }
        }
    }
}
