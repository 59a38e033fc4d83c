//! How a worker talks to its database, directly or through a pooler.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{
    Connection, PgConnection, PgPool, PgTransaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tidings_ownership::{BEGIN_POOLED, Session};

use crate::{
    Result,
    error::Error,
    store::{self, Work, Worked},
};

/// A call that takes so long is given up; its settlements are repeated, which changes nothing that has taken effect.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How many connections a worker behind a pooler has for whatever is not the hot path.
const POOLED_CONNECTIONS: u32 = 2;

/// The database, for whatever is not the hot path.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: PgPool,
    /// Behind a pooler: connections that keep no statements, which the application's own may do.
    pooled: Arc<OnceLock<PgPool>>,
}

impl Database {
    pub(crate) fn new(pool: PgPool, session: Session) -> Self {
        let database = Self { pool, pooled: Arc::default() };
        database.follow(session);
        database
    }

    /// Goes on as behind a pooler, once there is one.
    pub(crate) fn follow(&self, session: Session) {
        if session == Session::Pooled {
            self.pooled.get_or_init(|| {
                PgPoolOptions::new()
                    .max_connections(POOLED_CONNECTIONS)
                    .connect_lazy_with(self.connect().statement_cache_capacity(0))
            });
        }
    }

    pub(crate) fn session(&self) -> Session {
        if self.pooled.get().is_some() { Session::Pooled } else { Session::Direct }
    }

    /// How to connect; a pooler in transaction mode knows no prepared statement of ours.
    pub(crate) fn connect(&self) -> PgConnectOptions {
        let connect = (*self.pool.connect_options()).clone();
        match self.session() {
            Session::Direct => connect,
            Session::Pooled => connect.statement_cache_capacity(0),
        }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> Result<PgTransaction<'static>, sqlx::Error> {
        match self.pooled.get() {
            None => self.pool.begin().await,
            Some(pooled) => pooled.begin_with(BEGIN_POOLED).await,
        }
    }
}

/// A connection of a pump's own, used for one call after another and replaced when a call was not answered.
#[derive(Debug)]
pub(crate) struct Link {
    database: Database,
    /// And as what it was made.
    conn: Option<(PgConnection, Session)>,
}

impl Link {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, conn: None }
    }

    /// Settles and fetches; one round trip on a session of its own.
    pub(crate) async fn work(&mut self, work: &Work) -> Result<Worked> {
        let session = self.database.session();
        let mut conn = self.conn.take().filter(|(_, made_as)| *made_as == session);
        let worked = tokio::time::timeout(TIMEOUT, async {
            let (connected, _) = if let Some(connected) = conn.as_mut() {
                connected
            } else {
                let fresh = PgConnection::connect_with(&self.database.connect())
                    .await
                    .map_err(Error::unanswered("connect to the database"))?;
                conn.insert((fresh, session))
            };
            match session {
                Session::Direct => store::work(connected, work).await,
                Session::Pooled => {
                    let mut tx = connected
                        .begin_with(BEGIN_POOLED)
                        .await
                        .map_err(Error::unanswered("begin a transaction"))?;
                    let worked = store::work(&mut tx, work).await?;
                    tx.commit().await.map_err(Error::unanswered("commit a settlement"))?;
                    Ok(worked)
                }
            }
        })
        .await
        .unwrap_or_else(|_| {
            Err(Error::Unanswered {
                doing: "settle and fetch deliveries",
                source: sqlx::Error::PoolTimedOut,
            })
        });
        if worked.is_ok() {
            self.conn = conn;
        }
        worked
    }
}
