//! The protocol of ownership, checked over every order of events in a small world.
//!
//! A few workers share a few shards through one database. Time passes in ticks, and between two ticks anything may
//! happen in any order, also nothing at all for as long as one likes. What a worker gives up and takes is decided by the
//! product's own [`decide`](tidings_ownership::rule::decide); the rest of a hold is the same steps as in
//! `tidings.hold_v1`.
//!
//! ```text
//!  process ──hold──▶ database     carried out at once, or late, when the process has given up on it long ago
//!     ▲                 │
//!     └──────hear───────┘         at once, late (the process was stopped meanwhile), or never
//! ```
//!
//! There is no limit to time, terms or restarts: workers are interchangeable and terms are only compared, so every world
//! has finitely many moments, and all are visited. What is limited is the number of mishaps.
//! The last tests break the protocol on purpose and expect the checker to notice.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "model/rules.rs"]
mod rules;
#[path = "model/world.rs"]
mod world;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::{
    rules::{Action, Flaw, Rules},
    world::{Process, Shard, Worker, World},
};

/// As many as the smallest machine that runs the tests has cores.
const THREADS: usize = 2;

const ONE_OWNER: &str = "no two workers trust themselves with one shard";
const TERMS_GROW: &str = "the term grows with every owner";
const STALE_REFUSED: &str = "a settlement under an old term is refused";
const DEAD_OWN_NOTHING: &str = "a worker declared dead owns nothing";
const REST_IS_FAIR: &str = "at rest nothing is free and the shares are within one";
const RECOVERS: &str = "left alone, the living share everything within a few rounds";
const AWAKES_TOO_LATE: &str = "a worker runs on with the beliefs of an owner before";
const TAKEN_OVER: &str = "everything has been taken over";
const ALL_SHARE: &str = "all share at rest";

/// Sessions of their own: trusted for one tick, dead after two without a session, after three in any case.
const fn direct<const W: usize, const S: usize>(mishaps: u8) -> Rules<W, S> {
    Rules { trust: 1, grace: Some(2), lease: 3, mishaps, settles: false, flaw: None }
}

/// Behind a pooler: trusted for two ticks, dead after three.
const fn pooled<const W: usize, const S: usize>(mishaps: u8) -> Rules<W, S> {
    Rules { trust: 2, grace: None, ..direct(mishaps) }
}

impl<const W: usize, const S: usize> Model for Rules<W, S> {
    type State = World<W, S>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        let (shards, workers) = ([Shard::default(); S], [Worker::UNUSED; W]);
        vec![World { shards, workers, settlement: None, mishaps: self.mishaps }]
    }

    fn actions(&self, world: &Self::State, actions: &mut Vec<Action>) {
        self.list(world, actions);
    }

    fn next_state(&self, world: &Self::State, action: Action) -> Option<Self::State> {
        let mut next = *world;
        self.apply(&mut next, action);
        Some(next.simplified())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_OWNER, |_, world: &Self::State| world.one_owner()),
            Property::always(TERMS_GROW, |_, world: &Self::State| world.terms_grow()),
            Property::always(STALE_REFUSED, |_, world: &Self::State| world.stale_refused()),
            Property::always(DEAD_OWN_NOTHING, |_, world: &Self::State| world.dead_own_nothing()),
            Property::always(REST_IS_FAIR, |rules: &Self, world: &Self::State| {
                !rules.is_at_rest(world) || world.is_fair()
            }),
            Property::always(RECOVERS, |rules: &Self, world| rules.recovers(world)),
            Property::sometimes(AWAKES_TOO_LATE, |_, world: &Self::State| {
                let mut running =
                    world.workers.iter().filter(|worker| worker.process == Process::Running);
                running.any(|worker| {
                    let mut pairs = worker.beliefs.iter().zip(&world.shards);
                    pairs.any(|(belief, shard)| belief.is_some_and(|b| b.term < shard.term))
                })
            }),
            Property::sometimes(TAKEN_OVER, |_, world: &Self::State| {
                world.shards.iter().all(|shard| shard.owner.is_some() && shard.term > 0)
            }),
            Property::sometimes(ALL_SHARE, |rules: &Self, world: &Self::State| {
                rules.is_at_rest(world) && world.workers.iter().all(|worker| worker.row.is_some())
            }),
        ]
    }
}

fn assert_kept<const W: usize, const S: usize>(rules: Rules<W, S>) {
    let checker = rules.checker().threads(THREADS).spawn_bfs().join();
    checker.assert_properties();
}

/// Asserts that the checker finds a way to break `promise`.
fn assert_broken<const W: usize, const S: usize>(promise: &'static str, rules: Rules<W, S>) {
    let finish = HasDiscoveries::AnyOf([promise].into());
    let checker = rules.checker().finish_when(finish).threads(THREADS).spawn_bfs().join();
    checker.assert_any_discovery(promise);
}

#[test]
fn two_workers_on_sessions_of_their_own_survive_two_mishaps() {
    assert_kept(direct::<2, 2>(2));
}

#[test]
fn two_workers_share_an_odd_number_of_shards_through_a_mishap() {
    assert_kept(direct::<2, 3>(1));
}

#[test]
fn three_workers_come_to_rest_however_slow_they_are() {
    assert_kept(direct::<3, 2>(0));
}

#[test]
fn three_workers_have_one_leader_through_a_mishap() {
    assert_kept(direct::<3, 1>(1));
}

#[test]
fn workers_behind_a_pooler_survive_a_mishap() {
    assert_kept(pooled::<2, 2>(1));
    assert_kept(pooled::<3, 1>(0));
}

#[test]
fn settlement_that_is_late_meets_the_fence() {
    assert_kept(Rules { settles: true, ..direct::<2, 1>(1) });
    assert_kept(Rules { settles: true, ..direct::<2, 2>(0) });
}

#[test]
fn trust_that_outlives_the_lease_is_caught() {
    assert_broken(ONE_OWNER, Rules { trust: 4, ..direct::<2, 1>(0) });
}

#[test]
fn trust_counted_from_the_answer_is_caught() {
    let flaw = Some(Flaw::TrustFromAnswer);
    assert_broken(ONE_OWNER, Rules { flaw, ..direct::<2, 1>(0) });
}

#[test]
fn burial_as_soon_as_the_session_is_gone_is_caught() {
    assert_broken(ONE_OWNER, Rules { grace: Some(0), ..direct::<2, 1>(1) });
}

#[test]
fn taking_under_the_old_term_is_caught() {
    let flaw = Some(Flaw::TermStays);
    assert_broken(TERMS_GROW, Rules { flaw, ..direct::<2, 1>(0) });
    assert_broken(STALE_REFUSED, Rules { flaw, settles: true, ..direct::<2, 1>(0) });
}

#[test]
fn renewal_that_ignores_burial_is_caught() {
    let flaw = Some(Flaw::BurialIgnored);
    assert_broken(ONE_OWNER, Rules { flaw, ..direct::<2, 1>(0) });
}

#[test]
fn release_that_takes_effect_under_a_later_term_is_caught() {
    let flaw = Some(Flaw::ReleaseWithoutTerm);
    assert_broken(ONE_OWNER, Rules { flaw, ..direct::<2, 2>(1) });
}

#[test]
fn going_on_with_a_shard_whose_release_was_not_answered_is_caught() {
    let flaw = Some(Flaw::ReleaseForgotten);
    assert_broken(ONE_OWNER, Rules { flaw, ..direct::<2, 2>(1) });
}

#[test]
fn share_that_ignores_what_others_lack_is_caught() {
    let flaw = Some(Flaw::OwnShareOnly);
    assert_broken(RECOVERS, Rules { flaw, ..direct::<3, 4>(0) });
}
