//! What may be kept and may leave: by the levels that were in force, and by whose telemetry was erased.
//!
//! Steps and sinks ask before each batch, and believe what they know for a second at most. So what is lowered or erased
//! holds a second later, and a process that cannot ask does not go on.

pub(crate) mod tombstones;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::PgPool;

pub use self::tombstones::Tombstones;
pub(crate) use self::tombstones::{Grave, Kind};
use crate::{
    Error, Result,
    level::{History, Taken},
    store::{self, erasure},
    value::Value,
};

/// How long what was read is believed.
pub const KNOWN_FOR: Duration = Duration::from_secs(1);

/// How many tombstones are read at once.
const PAGE: i32 = 10_000;

/// What may be kept and may leave.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    levels: History,
    tombstones: Tombstones,
    changes: u64,
}

/// The rules of an installation, as its database has them.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    pool: PgPool,
    known: Mutex<Known>,
    /// Held by who reads, so that one does.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    rules: Arc<Rules>,
    read_at: Option<Instant>,
}

impl Rules {
    /// Returns those of these levels and tombstones.
    #[must_use]
    pub const fn new(levels: History, tombstones: Tombstones) -> Self {
        Self { levels, tombstones, changes: 0 }
    }

    /// Returns whether an event of a batch may be kept.
    #[must_use]
    pub fn permits(&self, event: &Value<'_>, taken: Taken) -> bool {
        self.levels.permits(event, taken) && !self.tombstones.has(event)
    }

    /// Returns whether an event may be kept that was made of others, of which the first was taken at `since` (milliseconds
    /// since 1970).
    #[must_use]
    pub fn allows(&self, event: &Value<'_>, since: i64) -> bool {
        self.levels.allows(event, since) && !self.tombstones.has(event)
    }

    /// Returns whether every event may be kept that was taken at `syncts`, whatever it is.
    #[must_use]
    pub fn permits_all(&self, syncts: i64) -> bool {
        self.tombstones.is_empty() && self.levels.since(syncts) == tidings_analytics::Level::Full
    }

    /// Returns how often they have changed while this process has looked.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns whose telemetry was erased.
    #[must_use]
    pub const fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }
}

impl Gate {
    /// Returns the rules of the installation in this database; nothing is read yet.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let (known, reading) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { pool, known, reading }))
    }

    /// Returns the database.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    /// Returns the rules as they were when they were read last; before that, everything is permitted.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.known().rules
    }

    /// Returns the rules as they were a second ago, or later.
    ///
    /// # Errors
    ///
    /// The database does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has changed nothing.
    pub async fn refresh(&self) -> Result<Arc<Rules>> {
        if let Some(rules) = self.fresh() {
            return Ok(rules);
        }
        let reading = self.0.reading.lock().await;
        if let Some(rules) = self.fresh() {
            return Ok(rules);
        }
        let asked_at = Instant::now();
        let known = self.known().rules;
        let mut conn =
            self.0.pool.acquire().await.map_err(Error::unanswered("connect to the database"))?;
        let levels = store::read_levels(&mut conn).await?;
        let mut tombstones = known.tombstones.clone();
        if tombstones.needs_secret() {
            tombstones.open(&erasure::tombstone_secret(&mut conn).await?);
        }
        loop {
            let page = erasure::tombstones(&mut conn, tombstones.last(), PAGE).await?;
            let is_last = page.len() < PAGE.unsigned_abs() as usize;
            for grave in page {
                tombstones.add(grave);
            }
            if is_last {
                break;
            }
        }
        let is_same = known.levels == levels && known.tombstones == tombstones;
        let changes = known.changes + 1;
        let rules = if is_same { known } else { Arc::new(Rules { levels, tombstones, changes }) };
        let known = Known { rules: Arc::clone(&rules), read_at: Some(asked_at) };
        *self.0.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        drop(reading);
        Ok(rules)
    }

    fn fresh(&self) -> Option<Arc<Rules>> {
        let Known { rules, read_at } = self.known();
        read_at.is_some_and(|at| at.elapsed() < KNOWN_FOR).then_some(rules)
    }

    fn known(&self) -> Known {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gate").finish_non_exhaustive()
    }
}
