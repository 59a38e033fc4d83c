//! The levels that were in force, as a hop knows them.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use crate::{Error, Result, level::History, store};

/// How long the levels are believed that were read.
const KNOWN: Duration = Duration::from_secs(1);

/// Where the levels stand, and when they were read.
#[derive(Debug)]
pub(crate) struct Levels {
    pool: PgPool,
    read_at: Option<Instant>,
}

impl Levels {
    pub(crate) const fn new(pool: PgPool) -> Self {
        Self { pool, read_at: None }
    }

    /// Reads the levels, unless that was done a moment ago.
    pub(crate) async fn read(&mut self) -> Result<Option<History>> {
        if self.read_at.is_some_and(|at| at.elapsed() < KNOWN) {
            return Ok(None);
        }
        let doing = "connect to the database";
        let mut conn = self.pool.acquire().await.map_err(Error::unanswered(doing))?;
        let levels = store::read_levels(&mut conn).await?;
        self.read_at = Some(Instant::now());
        Ok(Some(levels))
    }
}
