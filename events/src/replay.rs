//! Delivering events again that are still kept, under the same event ids.
//!
//! A receiver that has lost what it was sent, or a subscriber that came late, gets the events of a time again.
//! They go to those who are subscribed now, and whoever still has an event before them is left out.
//! A receiver can tell that it is the same event by its id, which is the `webhook-id`.
//! What was given up is for [`crate::dead`].
//!
//! A long replay is many short transactions: [`Selection::step`] makes one, and says where the next begins, so that it
//! can be slowed down, shown, and gone on with after an interruption.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgTransaction};
use uuid::Uuid;

use crate::{Error, Result, pattern::Pattern, scope::Scope, store::replay as rows, wake};

/// How many deliveries a step makes at most, but for the last of its events, which goes to all of its subscribers.
pub const STEP_MAX: u16 = 10_000;

/// Which events are to be delivered again, and to whom.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Registered then or later.
    pub since: DateTime<Utc>,
    /// Registered before.
    pub until: DateTime<Utc>,
    /// These alone, of those within the times.
    pub events: Option<Vec<Uuid>>,
    /// Those whose type matches only.
    pub pattern: Option<Pattern>,
    /// Those of this tenant only.
    pub tenant: Option<String>,
    /// Those within this scope only; the root for all.
    pub scope: Scope,
    /// To this subscriber only.
    pub subscriber_id: Option<i32>,
}

/// What a step did, or would do.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Step {
    /// How many events had somebody to go to.
    pub events: u64,
    /// How many deliveries were made of them.
    pub deliveries: u64,
    /// The event behind which the next step goes on; `None` if there are no more.
    pub after: Option<Uuid>,
}

impl Selection {
    /// Selects all events of a time.
    #[must_use]
    pub fn new(since: DateTime<Utc>, until: DateTime<Utc>) -> Self {
        Self {
            since,
            until,
            events: None,
            pattern: None,
            tenant: None,
            scope: Scope::root(),
            subscriber_id: None,
        }
    }

    /// Checks that all that is selected is still kept.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if the end is not behind the beginning, [`Error::NotKept`] if events of the beginning have
    /// been dropped already; the transaction stays usable.
    /// A database that does not answer.
    pub async fn check(&self, conn: &mut PgConnection) -> Result<()> {
        if self.since >= self.until {
            let value = self.until.to_rfc3339();
            let allowed = "a time behind the beginning";
            return Err(Error::OutOfRange { field: "the end of the replay", value, allowed });
        }
        match rows::kept_since(conn).await? {
            Some(since) if self.since < since => Err(Error::NotKept { since }),
            _ => Ok(()),
        }
    }

    /// Counts what a replay would deliver, step by step like [`step`](Self::step), and writes nothing.
    ///
    /// # Errors
    ///
    /// A database that does not answer.
    pub async fn count(
        &self,
        conn: &mut PgConnection,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<Step> {
        Ok(rows::replay(conn, self, after, (limit, true)).await?.0)
    }

    /// Makes about `limit` deliveries, 1 to [`STEP_MAX`], of the events behind `after`, in the caller's transaction.
    ///
    /// They are in the order of the events' ids; [`crate::commit`] wakes the workers.
    /// To select the same again with the same `after` repeats what has been delivered meanwhile, and only that.
    ///
    /// # Errors
    ///
    /// A database that does not answer; the transaction is lost.
    pub async fn step(
        &self,
        tx: &mut PgTransaction<'_>,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<Step> {
        let (step, lanes) = rows::replay(tx, self, after, (limit, false)).await?;
        wake::note(&lanes);
        Ok(step)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} deliveries of {} events", self.deliveries, self.events)
    }
}
