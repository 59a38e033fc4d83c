//! What a sink has done since it was made.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::metrics::{Group, Histogram};

/// What a sink has done since it was made. Counters only grow; events that are read again count again.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Events stored.
    pub stored: AtomicU64,
    /// Events that were there already.
    pub already_there: AtomicU64,
    /// Events that the sink refused.
    pub rejected: AtomicU64,
    /// Events that may not leave.
    pub filtered: AtomicU64,
    /// Requests that have sent events.
    pub requests: AtomicU64,
    /// Bytes of their bodies, before they are compressed.
    pub request_bytes: AtomicU64,
    /// Requests answered with "too many", as a whole or for some of their events.
    pub throttled: AtomicU64,
    /// Requests that got no answer, or none about their events.
    pub unanswered: AtomicU64,
    /// Requests that had to be sent again in halves.
    pub split: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// Pauses that were begun. With `resumed` it tells whether the sink waits now.
    pub paused: AtomicU64,
    /// Pauses that are over.
    pub resumed: AtomicU64,
    /// What its group does.
    pub(crate) group: Arc<Group>,
    /// How long it takes until all events of a flight are decided.
    pub(crate) flush: Histogram,
}

impl Metrics {
    pub(super) fn add(counter: &AtomicU64, number: usize) {
        counter.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns how many pauses there are at this moment.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let resumed = self.resumed.load(Ordering::Relaxed);
        self.paused.load(Ordering::Relaxed).saturating_sub(resumed)
    }
}
