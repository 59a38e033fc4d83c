//! The system lane: fan-outs too large for the application's transaction, expanded here.
//!
//! Each chunk is one transaction with its progress, fenced by the term, so that a takeover goes on where the last
//! owner stopped.

use std::{sync::Arc, time::Duration};

use tidings::{
    deliverer::{Answer, BoxFuture, Destination, Verdict},
    delivery::Delivery,
    wake,
};
use tidings_ownership::{Holdings, ShardId};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Error, Result, roster::chain, session::Database, store};

/// The group of the system lane.
pub(crate) const GROUP: &str = "system";

/// How many deliveries one transaction writes.
const CHUNK: i32 = 5000;

/// Expands fan-outs.
#[derive(Debug)]
pub(crate) struct Expander {
    database: Database,
    holdings: watch::Receiver<Arc<Holdings>>,
    shard: ShardId,
    term: i64,
}

impl Expander {
    pub(crate) fn open(
        database: Database,
        holdings: watch::Receiver<Arc<Holdings>>,
        shard: ShardId,
        term: i64,
    ) -> Arc<dyn Destination> {
        Arc::new(Self { database, holdings, shard, term })
    }

    async fn expand(&self, event_id: Uuid) -> Result<()> {
        loop {
            let worker_id = self.holdings.borrow().worker_id;
            let mut tx =
                self.database.begin().await.map_err(Error::unanswered("expand a fan-out"))?;
            let written =
                store::expand(&mut tx, worker_id, (&self.shard, self.term), event_id, CHUNK)
                    .await?;
            tx.commit().await.map_err(Error::unanswered("expand a fan-out"))?;
            let Some(lanes) = written else {
                return Ok(());
            };
            wake::note(&lanes);
            wake::wake();
        }
    }
}

impl Destination for Expander {
    fn in_flight_max(&self) -> usize {
        2
    }

    fn timeout(&self) -> Duration {
        Duration::from_mins(5)
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                answers.push(match self.expand(delivery.event.event_id).await {
                    Ok(()) => Answer::delivered(),
                    Err(error) => Answer::failed(Verdict::Retry, chain(&error)),
                });
            }
            answers
        })
    }
}
