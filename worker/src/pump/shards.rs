//! Following what the worker holds: shards come, change, are to be given up, and go.

use std::collections::HashSet;

use tidings_ownership::{Holdings, Session, ShardId, ShardState};
use tokio::time::Instant;

use super::{Pump, is_of};
use crate::telemetry;

impl Pump {
    /// Brings the lanes in line with what is held.
    pub(super) fn follow_holdings(&mut self, now: Instant) {
        let changed = self.state.held_anew
            || self.state.worker_id.is_none()
            || self.holdings.has_changed().unwrap_or(false);
        let holdings = self.holdings.borrow_and_update().clone();
        self.shared.database.follow(holdings.session);
        if changed {
            self.state.held_anew = false;
            self.follow_identity(&holdings);
            self.state.bound.add(holdings.pair);
            self.follow_terms(&holdings, now);
        }
        if self.state.leaving {
            self.give_up(&holdings);
        }
        if holdings.session == Session::Pooled && !holdings.is_trusted(now) {
            self.forget_all();
        }
    }

    fn follow_terms(&mut self, holdings: &Holdings, now: Instant) {
        let (index, pumps) = (self.index, self.shared.pumps);
        let state = &mut self.state;
        state.released.retain(|(shard, term)| holdings.term(shard) == Some(*term));
        state.config_versions.retain(|shard, _| holdings.shards.contains_key(shard));
        state.leaving = false;
        let mut stale = HashSet::new();
        for (shard, held) in holdings.shards.iter().filter(|(shard, _)| is_of(shard, index, pumps))
        {
            state.leaving |= held.give_up;
            match state.config_versions.insert(shard.clone(), held.config_version) {
                Some(before) if before != held.config_version => {
                    stale.insert(shard);
                }
                Some(_) => {}
                // It may have lanes that were somebody else's a moment ago.
                None => state.foreign.clear(),
            }
        }
        if !stale.is_empty() {
            // Whoever is being read may have been read before the change.
            state.stale.extend(&state.loading);
        }
        state.lanes.retain(|id, lane| match holdings.shards.get(&lane.shard) {
            Some(held) if held.term == lane.term => {
                if stale.contains(&lane.shard) {
                    state.stale.insert(*id);
                }
                true
            }
            // A term that is gone takes everything with it that was done under it, also if the shard is back already.
            _ => {
                lane.cancel.cancel();
                false
            }
        });
        self.load_stale(now);
    }

    /// Forgets what an earlier identity of the worker knew, or what a restart of the server has made doubtful.
    fn follow_identity(&mut self, holdings: &Holdings) {
        if self.state.worker_id.is_some_and(|before| before != holdings.worker_id) {
            self.forget_all();
        }
        self.state.worker_id = Some(holdings.worker_id);
        if self.state.epoch != holdings.epoch {
            self.state.epoch = holdings.epoch;
            self.state.bound.clear();
            self.rewind_all();
        }
    }

    /// Reads every lane from its beginning next time; rows that are in hand are known and left alone.
    pub(super) fn rewind_all(&mut self) {
        let ids: Vec<i32> = self.state.lanes.keys().copied().collect();
        for id in ids {
            if let Some(lane) = self.state.lanes.get_mut(&id) {
                lane.rewind();
            }
            self.enqueue(id);
        }
    }

    /// Gives back the shards that are to be given up and have been drained.
    fn give_up(&mut self, holdings: &Holdings) {
        let leaving: Vec<(ShardId, ShardState)> = holdings
            .shards
            .iter()
            .filter(|(shard, held)| held.give_up && is_of(shard, self.index, self.shared.pumps))
            .map(|(shard, held)| (shard.clone(), *held))
            .collect();
        for (shard, held) in leaving {
            let drained = self
                .state
                .lanes
                .values()
                .filter(|lane| lane.shard == shard)
                .all(crate::lane::Lane::is_drained);
            if drained && self.state.released.insert((shard.clone(), held.term)) {
                self.state.lanes.retain(|_, lane| lane.shard != shard);
                telemetry::shard_released(&shard, held.term);
                // The holder ends only after the pumps.
                drop(self.release.send((shard, held.term)));
            }
        }
    }

    /// Drops whatever is in flight, and all that is known.
    fn forget_all(&mut self) {
        for lane in self.state.lanes.values() {
            lane.cancel.cancel();
        }
        self.state.lanes.clear();
        self.state.queue.clear();
        self.state.settlements.clear();
        self.state.timers.clear();
        self.state.foreign.clear();
        self.state.stale.clear();
    }
}
