//! How a worker talks to its database, directly or through a pooler.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool, PgTransaction, postgres::PgConnectOptions};
use tidings_ownership::{BEGIN_POOLED, Session};

use crate::{
    Result,
    error::Error,
    store::{self, Work, Worked},
};

/// A call that takes so long is given up; its settlements are repeated, which changes nothing that has taken effect.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The database, for whatever is not the hot path.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) pool: PgPool,
    pub(crate) session: Session,
}

impl Database {
    /// Begins a transaction on a connection of the pool.
    pub(crate) async fn begin(&self) -> Result<PgTransaction<'static>, sqlx::Error> {
        match self.session {
            Session::Direct => self.pool.begin().await,
            Session::Pooled => self.pool.begin_with(BEGIN_POOLED).await,
        }
    }
}

/// A connection of a pump's own, used for one call after another and replaced when a call was not answered.
#[derive(Debug)]
pub(crate) struct Link {
    connect: PgConnectOptions,
    session: Session,
    conn: Option<PgConnection>,
}

impl Link {
    pub(crate) fn new(connect: PgConnectOptions, session: Session) -> Self {
        let connect = match session {
            Session::Direct => connect,
            // A pooler in transaction mode knows no prepared statement of ours.
            Session::Pooled => connect.statement_cache_capacity(0),
        };
        Self { connect, session, conn: None }
    }

    /// Settles and fetches; one round trip on a session of its own.
    pub(crate) async fn work(&mut self, work: &Work) -> Result<Worked> {
        let mut conn = self.conn.take();
        let worked = tokio::time::timeout(TIMEOUT, async {
            let connected = if let Some(connected) = conn.as_mut() {
                connected
            } else {
                let fresh = PgConnection::connect_with(&self.connect)
                    .await
                    .map_err(Error::unanswered("connect to the database"))?;
                conn.insert(fresh)
            };
            match self.session {
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
