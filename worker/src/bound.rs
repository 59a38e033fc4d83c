//! The read bound: a time before which nothing new can appear in the queue.
//!
//! Transactions commit in another order than the due times they wrote, so whoever remembers only the last key read
//! loses rows. Every writer of a due time draws its transaction's id before it reads the clock. So of a pair (clock
//! read, then id drawn), once no transaction older than that id runs: whoever had an older id is finished and
//! visible, and whoever gets a newer one writes a due time after that clock.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tidings_ownership::shard::Pair;

/// At most so many pairs are kept; beyond, every second one goes, which only makes the bound coarser.
const PAIRS_MAX: usize = 512;

/// The pairs that may still become the bound, and the bound.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pairs: BTreeMap<DateTime<Utc>, i64>,
    reached: Option<DateTime<Utc>>,
}

impl Bound {
    /// Adds a pair that a call has drawn.
    pub(crate) fn add(&mut self, pair: Pair) {
        if self.reached.is_some_and(|reached| pair.read_at <= reached) {
            return;
        }
        self.pairs.insert(pair.read_at, pair.xid);
        if self.pairs.len() > PAIRS_MAX {
            let mut keep = false;
            self.pairs.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
    }

    /// Returns the bound, given that no transaction below `horizon` runs any more.
    ///
    /// `horizon` must have been drawn before the rows were read for which the bound is used.
    pub(crate) fn at(&mut self, horizon: i64) -> Option<DateTime<Utc>> {
        let passed = self.pairs.iter().rev().find(|(_, xid)| **xid <= horizon).map(|(at, _)| *at);
        if let Some(passed) = passed {
            self.pairs = self.pairs.split_off(&passed);
            self.pairs.remove(&passed);
            self.reached = Some(passed);
        }
        self.reached
    }

    /// Forgets everything: the server has restarted, or its clock was set back.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn pair(second: i64, xid: i64) -> Pair {
        Pair { read_at: at(second), xid }
    }

    #[test]
    fn there_is_no_bound_while_an_older_transaction_runs() {
        let mut bound = Bound::default();
        bound.add(pair(1, 100));
        assert_eq!(bound.at(99), None);
        assert_eq!(bound.at(100), Some(at(1)));
    }

    #[test]
    fn bound_is_the_latest_clock_whose_elders_are_all_finished() {
        let mut bound = Bound::default();
        for (second, xid) in [(1, 100), (2, 105), (3, 103), (4, 110)] {
            bound.add(pair(second, xid));
        }
        assert_eq!(bound.at(104), Some(at(3)));
        assert_eq!(bound.at(109), Some(at(3)));
        assert_eq!(bound.at(110), Some(at(4)));
    }

    #[test]
    fn bound_never_goes_back_and_memory_is_bounded() {
        let mut bound = Bound::default();
        bound.add(pair(10, 10));
        assert_eq!(bound.at(10), Some(at(10)));
        bound.add(pair(5, 1));
        assert_eq!(bound.at(10), Some(at(10)));
        for n in 0..5000 {
            bound.add(pair(20 + n, 1000 + n));
        }
        assert!(bound.pairs.len() <= PAIRS_MAX);
        assert_eq!(bound.at(999), Some(at(10)));
    }
}
