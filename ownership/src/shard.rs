//! Shards, and what a worker holds of them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use crate::holder::Session;

/// One shard of one group.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ShardId {
    /// The group: a kind of subscriber, `maintenance`, a log.
    pub group: Arc<str>,
    /// The number within the group, from zero.
    pub shard: i16,
}

impl fmt::Display for ShardId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.group, self.shard)
    }
}

/// What the database says of a shard that is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ShardState {
    /// The fence: grows with every owner.
    pub term: i64,
    /// Owners in a row that died within a minute of taking it.
    pub deaths: i16,
    /// Grows with every change of what belongs to the shard.
    pub config_version: i64,
    /// Whether it is to be given up once it is drained.
    pub give_up: bool,
}

/// A pair of the read bound: a clock, read before a transaction id was drawn.
///
/// Once no transaction older than `xid` runs, nothing due before `read_at` can appear any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pair {
    /// The database's clock.
    pub read_at: DateTime<Utc>,
    /// The id drawn after it.
    pub xid: i64,
}

/// What a worker holds, as of its last good hold.
#[derive(Clone, Debug)]
pub struct Holdings {
    /// Who it is; a worker that was declared dead comes back under a new id.
    pub worker_id: Uuid,
    /// Grows whenever everything known about rows must be forgotten: declared dead, server restarted, clock set back.
    pub epoch: u64,
    /// How the database is reached, as it was told or as it found out.
    pub session: Session,
    /// Until when deliveries may be started, on the worker's own monotonic clock.
    pub trusted_until: Instant,
    /// A pair of the read bound, drawn by the hold.
    pub pair: Pair,
    /// No transaction with an id below this runs any more.
    pub horizon: i64,
    /// The shards.
    pub shards: BTreeMap<ShardId, ShardState>,
}

impl Holdings {
    /// Returns the term under which `shard` is held, if it is.
    #[must_use]
    pub fn term(&self, shard: &ShardId) -> Option<i64> {
        self.shards.get(shard).map(|state| state.term)
    }

    /// Returns whether work may be started at `now`.
    #[must_use]
    pub fn is_trusted(&self, now: Instant) -> bool {
        now < self.trusted_until
    }
}
