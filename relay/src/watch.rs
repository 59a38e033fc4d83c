//! Keeping the snapshot fresh, and the time.
//!
//! The relay has no clock of its own: it reads the database's with every look, and counts on from there.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tidings_analytics::Level;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{Error, Result, refusal::Refusal, snapshot::Snapshot, store, telemetry};

/// How often the database is asked whether anything has changed: a revoked key is refused after so long.
const EVERY: Duration = Duration::from_secs(2);

/// Whoever names something unknown has the relay look again, but not more often than this.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the database may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// After so long without an answer the relay does not call itself ready: longer than from one late answer to the next.
const STALE: Duration = Duration::from_secs(10);

/// The snapshot and the clock of a relay.
#[derive(Debug)]
pub(crate) struct Watcher {
    pool: PgPool,
    current: RwLock<Option<Current>>,
    /// When the database was asked last; held while it is asked, so that it is asked once.
    asked: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug)]
struct Current {
    snapshot: Arc<Snapshot>,
    fingerprint: Arc<str>,
    level: Level,
    clock: DateTime<Utc>,
    at: Instant,
}

impl Watcher {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, current: RwLock::new(None), asked: Mutex::new(None) }
    }

    /// Returns a watcher without a database: it knows this, and looks no further.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn knowing(snapshot: Snapshot, clock: DateTime<Utc>) -> Self {
        let options = sqlx::postgres::PgConnectOptions::new_without_pgpass();
        let watcher = Self {
            // Whoever comes finds that somebody has just looked.
            asked: Mutex::new(Some(Instant::now() + Duration::from_hours(24 * 365))),
            ..Self::new(PgPool::connect_lazy_with(options))
        };
        *watcher.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Current {
            snapshot: Arc::new(snapshot),
            fingerprint: "".into(),
            level: Level::Full,
            clock,
            at: Instant::now(),
        });
        watcher
    }

    /// Returns the snapshot; reads it where there is none yet.
    ///
    /// # Errors
    ///
    /// 503 as long as the database has never answered.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Snapshot>, Refusal> {
        if self.current().is_none() {
            self.look_after(Instant::now()).await;
        }
        self.current().map(|current| current.snapshot).ok_or_else(|| {
            Refusal::busy(
                "not_ready",
                "the relay has not reached its database yet; send it again later",
            )
        })
    }

    /// Returns the snapshot as it is now, for somebody who did not find what there may be since a moment.
    ///
    /// It takes up to a tenth of a second, and one look serves everybody who waits.
    pub(crate) async fn latest(&self) -> Result<Arc<Snapshot>, Refusal> {
        self.look_after(Instant::now()).await;
        self.snapshot().await
    }

    /// Returns the time by the database's clock; the beginning of 1970 as long as it has never answered.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.current().map_or(DateTime::UNIX_EPOCH, |current| {
            let since = TimeDelta::from_std(current.at.elapsed()).unwrap_or_default();
            current.clock + since
        })
    }

    /// Returns the level of the installation; nothing is collected as long as the database has never answered.
    pub(crate) fn level(&self) -> Level {
        self.current().map_or(Level::Off, |current| current.level)
    }

    /// Returns whether the database has answered lately.
    pub(crate) fn is_fresh(&self) -> bool {
        self.current().is_some_and(|current| current.at.elapsed() < STALE)
    }

    /// Looks again and again until the relay has ended.
    pub(crate) async fn run(&self, ended: CancellationToken) {
        loop {
            self.look_after(Instant::now()).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = ended.cancelled() => return,
            }
        }
    }

    /// Reads what has changed, unless somebody has begun to do so after `since`.
    async fn look_after(&self, since: Instant) {
        let mut asked = self.asked.lock().await;
        if let Some(before) = *asked {
            if before > since {
                return;
            }
            tokio::time::sleep(PAUSE.saturating_sub(before.elapsed())).await;
        }
        *asked = Some(Instant::now());
        let before = self.current();
        let read = tokio::time::timeout(ANSWER, self.read(before.as_ref())).await;
        let late = || Error::Unanswered {
            doing: "look for changes of the catalogue and the keys",
            source: sqlx::Error::PoolTimedOut,
        };
        match read.unwrap_or_else(|_| Err(late())) {
            Ok(current) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
            }
            Err(error) => telemetry::unwatched(&error),
        }
    }

    async fn read(&self, before: Option<&Current>) -> Result<Current> {
        let conn = self.pool.acquire().await;
        let mut conn = conn.map_err(Error::unanswered("connect to the database"))?;
        let watch = store::watch(&mut conn).await?;
        let at = Instant::now();
        let level = watch.level.parse().map_err(|_| Error::Corrupt {
            table: "level",
            column: "level",
            row: "the level in force".to_owned(),
        })?;
        if let Some(before) = before.filter(|before| *before.fingerprint == *watch.fingerprint) {
            return Ok(Current { level, clock: watch.clock, at, ..before.clone() });
        }
        // Read behind the fingerprint: what changes in between changes it again.
        let types = store::read_types(&mut conn).await?;
        let channels = store::read_keys(&mut conn).await?;
        let count = channels.len();
        let empty = Snapshot::default();
        let known = before.map_or(&empty, |before| &before.snapshot);
        let snapshot = Snapshot::new(types, channels, known);
        let (types, keys) = snapshot.counts();
        telemetry::loaded(types, count, keys);
        let fingerprint = watch.fingerprint.into();
        Ok(Current { snapshot: Arc::new(snapshot), fingerprint, level, clock: watch.clock, at })
    }

    fn current(&self) -> Option<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
