//! How the log talks to its database, directly or through a pooler.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{
    PgConnection, PgPool, PgTransaction, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tidings_ownership::Session;

use crate::{Error, Result};

/// A call that takes so long is given up.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How many connections there are behind a pooler.
const POOLED_CONNECTIONS: u32 = 8;

/// How a transaction begins behind a pooler.
///
/// As [`BEGIN_POOLED`](tidings_ownership::BEGIN_POOLED), and not for long: it takes several round trips, and a client
/// that stops between them would hold up everybody who writes to the same partitions.
const BEGIN: &str = "begin; deallocate all; set local idle_in_transaction_session_timeout = '5s'";

/// The database.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    pool: PgPool,
    /// Behind a pooler: connections that keep no statements, which those of the pool may do.
    pooled: Arc<OnceLock<PgPool>>,
}

/// A session for one call, which is a transaction of its own.
#[derive(Debug)]
pub(super) enum Link {
    Direct(PoolConnection<Postgres>),
    Pooled(PgTransaction<'static>),
}

impl Sessions {
    pub(super) fn new(pool: PgPool, session: Session) -> Self {
        let sessions = Self { pool, pooled: Arc::default() };
        sessions.follow(session);
        sessions
    }

    /// Goes on as behind a pooler, once there is one.
    pub(super) fn follow(&self, session: Session) {
        if session == Session::Pooled {
            self.pooled.get_or_init(|| {
                let connect: PgConnectOptions = (*self.pool.connect_options()).clone();
                PgPoolOptions::new()
                    .max_connections(POOLED_CONNECTIONS)
                    .connect_lazy_with(connect.statement_cache_capacity(0))
            });
        }
    }

    /// Returns how the database is reached.
    pub(super) fn session(&self) -> Session {
        if self.pooled.get().is_some() { Session::Pooled } else { Session::Direct }
    }

    /// Makes a call, which hands its session back; where it fails, it may have taken effect all the same.
    ///
    /// # Errors
    ///
    /// The call's own, or no answer in time.
    pub(super) async fn call<T, F: Future<Output = Result<(Link, T)>>>(
        &self,
        doing: &'static str,
        call: impl FnOnce(Link) -> F,
    ) -> Result<T> {
        let answered = tokio::time::timeout(TIMEOUT, async {
            let link = self.open().await.map_err(Error::unanswered(doing))?;
            let (link, answer) = call(link).await?;
            if let Link::Pooled(tx) = link {
                tx.commit().await.map_err(Error::unanswered(doing))?;
            }
            Ok(answer)
        });
        let late = |_| Err(Error::Unanswered { doing, source: sqlx::Error::PoolTimedOut });
        answered.await.unwrap_or_else(late)
    }

    async fn open(&self) -> Result<Link, sqlx::Error> {
        match self.pooled.get() {
            None => Ok(Link::Direct(self.pool.acquire().await?)),
            Some(pooled) => Ok(Link::Pooled(pooled.begin_with(BEGIN).await?)),
        }
    }
}

impl Link {
    pub(super) fn conn(&mut self) -> &mut PgConnection {
        match self {
            Self::Direct(conn) => conn,
            Self::Pooled(tx) => tx,
        }
    }
}
