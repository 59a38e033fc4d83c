//! Waking workers after a commit, at no cost to the application's transaction.
//!
//! Within a process a commit pokes the worker directly. Across processes a [`Notifier`] sends at most one `NOTIFY`
//! per 20 ms, in a transaction of its own: a `NOTIFY` in the application's transaction would make every commit of
//! the cluster wait for every other.
//! A wake-up is a hint and may be lost; workers poll as well, every second while that is cheap and less often where it is
//! not.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// The channel on which processes wake each other.
pub const CHANNEL: &str = "tidings_wake";

/// How long a hint is repeated: the register notes the lane, and its commit comes later, with others in between.
const HINT_AGE_MAX: Duration = Duration::from_millis(500);

/// At most so many lanes are named at a time; a scan finds the others.
const HINTS_MAX: usize = 256;

/// The shortest time between two `NOTIFY` of a process.
const NOTIFY_EVERY: Duration = Duration::from_millis(20);

static HINTS: LazyLock<Hints> = LazyLock::new(|| Hints {
    lanes: Mutex::new(HashMap::new()),
    woken: watch::Sender::new(0),
    committed: watch::Sender::new(0),
});

#[derive(Debug)]
struct Hints {
    lanes: Mutex<HashMap<i32, Instant>>,
    /// Grows when there may be something to do.
    woken: watch::Sender<u64>,
    /// Grows when this process has committed something.
    committed: watch::Sender<u64>,
}

/// Notes that deliveries were written to `lanes`, by a transaction that may commit soon.
pub fn note(lanes: &[i32]) {
    let now = Instant::now();
    let mut noted = HINTS.lanes.lock().unwrap_or_else(PoisonError::into_inner);
    if noted.len() >= 4 * HINTS_MAX {
        noted.retain(|_, at| now.duration_since(*at) < HINT_AGE_MAX);
    }
    // Whatever is over the limit is found by the scan.
    if noted.len() < 16 * HINTS_MAX {
        noted.extend(lanes.iter().map(|lane| (*lane, now)));
    }
}

/// Wakes the workers of this process: something has been committed.
///
/// [`commit`](crate::commit) calls it; call it yourself after a commit of your own.
pub fn wake() {
    for watched in [&HINTS.woken, &HINTS.committed] {
        watched.send_modify(|generation| *generation = generation.wrapping_add(1));
    }
}

/// Wakes the workers of this process: another one has committed something for `lanes`.
pub fn heard(lanes: &[i32]) {
    note(lanes);
    HINTS.woken.send_modify(|generation| *generation = generation.wrapping_add(1));
}

/// A worker's end of the wake-up.
#[derive(Debug)]
pub struct Waker(watch::Receiver<u64>);

impl Waker {
    /// Returns a waker that sees every wake-up from now on.
    #[must_use]
    pub fn new() -> Self {
        Self(HINTS.woken.subscribe())
    }

    /// Waits for a wake-up, and returns the lanes that were written to lately.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the next call returns at once.
    pub async fn woken(&mut self) -> Vec<i32> {
        if self.0.changed().await.is_err() {
            // The sender is a static; it is never dropped.
            std::future::pending::<()>().await;
        }
        recent()
    }
}

impl Default for Waker {
    fn default() -> Self {
        Self::new()
    }
}

fn recent() -> Vec<i32> {
    let now = Instant::now();
    let mut noted = HINTS.lanes.lock().unwrap_or_else(PoisonError::into_inner);
    noted.retain(|_, at| now.duration_since(*at) < HINT_AGE_MAX);
    noted.keys().take(HINTS_MAX).copied().collect()
}

/// Wakes the workers of other processes.
///
/// An application that registers starts one beside its pool, unless the only worker runs in the same process; without
/// it, workers elsewhere find new deliveries by polling, within about a second while that is cheap.
#[derive(Debug)]
pub struct Notifier;

impl Notifier {
    /// Starts the task; it ends with `shutdown`.
    ///
    /// The first commit after a pause is told at once, and what follows at most every 20 ms.
    pub fn spawn(pool: PgPool, shutdown: CancellationToken) -> tokio::task::JoinHandle<()> {
        let mut commits = Waker(HINTS.committed.subscribe());
        tokio::spawn(async move {
            loop {
                let lanes = tokio::select! {
                    () = shutdown.cancelled() => return,
                    lanes = commits.woken() => lanes,
                };
                let payload = lanes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                if let Err(error) = notify(&pool, &payload).await {
                    tracing::debug!(%error, "workers elsewhere were not woken and will find the event by polling");
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(NOTIFY_EVERY) => {}
                }
            }
        })
    }
}

async fn notify(pool: &PgPool, payload: &str) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)")
        // Behind a pooler, a name may be another's on the same session.
        .persistent(false)
        .bind(CHANNEL)
        .bind(payload)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// Reads the payload of a notification: subscriber ids with commas between.
#[must_use]
pub fn parse(payload: &str) -> Vec<i32> {
    payload.split(',').filter_map(|lane| lane.parse().ok()).take(HINTS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_from_elsewhere_is_not_told_again() {
        let (woken, committed) = (HINTS.woken.subscribe(), HINTS.committed.subscribe());
        heard(&[i32::MAX]);
        assert!(woken.has_changed().unwrap() && !committed.has_changed().unwrap());
        assert!(recent().contains(&i32::MAX));
        wake();
        assert!(committed.has_changed().unwrap());
    }
}
