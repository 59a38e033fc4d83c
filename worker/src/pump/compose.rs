//! Composing a call: what is settled and what is read.

use std::collections::HashMap;

use tidings_ownership::ShardId;
use tokio::time::Instant;

use super::Pump;
use crate::{
    settlement::Settlement,
    store::{Reading, Work},
};

/// The most deliveries that one call settles.
const SETTLE_MAX: usize = 5000;

/// The most rows that one call reads.
const READ_MAX: usize = 2000;

/// The most lanes that one call reads.
const LANES_MAX: usize = 256;

/// The fewest rows that a lane gets in a call, however many lanes ask.
const LANE_ROWS_MIN: usize = 8;

/// The most payload that one call answers with, in bytes.
const BYTES_MAX: i32 = 4 * 1024 * 1024;

/// While so many attempts wait to be settled, nothing more is read: memory is bounded.
const UNSETTLED_MAX: usize = 4 * SETTLE_MAX;

/// Owners of a shard in a row that died young; from here on it is worked one delivery at a time.
const DEATHS_MAX: i16 = 3;

/// The holdings of a call, each named once.
#[derive(Debug, Default)]
struct Holdings {
    index: HashMap<(ShardId, i64), i32>,
    list: Vec<(ShardId, i64)>,
}

impl Holdings {
    fn name(&mut self, shard: &ShardId, term: i64) -> i32 {
        let list = &mut self.list;
        *self.index.entry((shard.clone(), term)).or_insert_with(|| {
            list.push((shard.clone(), term));
            i32::try_from(list.len()).unwrap_or(i32::MAX)
        })
    }
}

impl Pump {
    /// Composes the next call, if there is anything to do.
    pub(super) fn compose(&mut self, now: Instant) -> Option<Work> {
        let held = self.holdings.borrow().clone();
        let mut named = Holdings::default();
        let settlements = self.compose_settlements(&mut named);
        let may_read = held.is_trusted(now)
            && self.state.settlements.len() < UNSETTLED_MAX
            && self.state.failures == 0;
        let readings = if may_read { self.compose_readings(&mut named, now) } else { Vec::new() };
        if settlements.is_empty() && readings.is_empty() {
            return None;
        }
        Some(Work {
            worker_id: held.worker_id,
            holdings: named.list,
            settlements,
            readings,
            bytes_max: BYTES_MAX,
            log: self.shared.log.as_str(),
            durable: self.shared.durable,
        })
    }

    fn compose_settlements(&mut self, named: &mut Holdings) -> Vec<(i32, Settlement)> {
        let state = &mut self.state;
        let count = state.settlements.len().min(state.settle_max.unwrap_or(SETTLE_MAX));
        let mut settlements = Vec::with_capacity(count);
        for settlement in state.settlements.drain(..count) {
            // A lane that was lost meanwhile has nothing to settle.
            if let Some(lane) = state.lanes.get(&settlement.read.lane)
                && lane.term == settlement.term
            {
                settlements.push((named.name(&lane.shard, lane.term), settlement));
            }
        }
        settlements
    }

    fn compose_readings(&mut self, named: &mut Holdings, now: Instant) -> Vec<Reading> {
        let held = self.holdings.borrow().clone();
        let share = (READ_MAX / self.state.queue.len().max(1)).max(LANE_ROWS_MIN);
        let mut left = READ_MAX;
        let mut readings = Vec::new();
        for _ in 0..self.state.queue.len().min(4 * LANES_MAX) {
            if left == 0 || readings.len() == LANES_MAX {
                break;
            }
            let Some(id) = self.state.queue.pop_front() else {
                break;
            };
            let Some(lane) = self.state.lanes.get_mut(&id) else {
                continue;
            };
            lane.queued = false;
            let shard = held.shards.get(&lane.shard);
            // Before each read, because a lane may be younger than the last hold.
            lane.careful = shard.is_some_and(|shard| shard.deaths >= DEATHS_MAX);
            let leaving = shard.is_none_or(|shard| shard.give_up);
            if !lane.ready || lane.reading || leaving {
                continue;
            }
            let capacity = lane.capacity(now);
            if capacity == 0 {
                // It comes back when a delivery returns, or at this time.
                if let Some(at) = lane.reopens_at(now).filter(|at| *at > now) {
                    lane.due_at(at);
                    self.set_timer(id);
                }
                continue;
            }
            let (after, limit) = lane.position(capacity.min(share).min(left));
            left = left.saturating_sub(limit);
            lane.reading = true;
            lane.stirred = false;
            readings.push(Reading {
                holding: named.name(&lane.shard, lane.term),
                lane: id,
                limit: i32::try_from(limit).unwrap_or(i32::MAX),
                after,
            });
        }
        readings
    }
}
