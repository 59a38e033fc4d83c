//! The protocols of the log in Postgres, checked over every order of events in a small world.
//!
//! `offsets`: writers hand themselves offsets under the lock of a row, and a reader goes on from the last one it has
//! seen. `groups`: members take over from each other, adopt, commit, and ask again for what was not answered.
//! The last tests of each break the protocol on purpose and expect the checker to notice.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "model/groups.rs"]
mod groups;
#[path = "model/offsets.rs"]
mod offsets;

use std::{fmt::Debug, hash::Hash};

use stateright::{Checker, HasDiscoveries, Model};

/// As many as the smallest machine that runs the tests has cores.
const THREADS: usize = 2;

fn assert_kept<M>(model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    model.checker().threads(THREADS).spawn_bfs().join().assert_properties();
}

/// Asserts that the checker finds a way to break `promise`.
fn assert_broken<M>(promise: &'static str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let finish = HasDiscoveries::AnyOf([promise].into());
    let checker = model.checker().finish_when(finish).threads(THREADS).spawn_bfs().join();
    checker.assert_any_discovery(promise);
}
