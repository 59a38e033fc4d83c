//! The protocol of ownership, checked over every order of events in a small world.
//!
//! A few workers share a few shards through one database. Time passes in ticks, and between two ticks anything may happen
//! in any order, also nothing at all for as long as one likes. What a worker gives up and takes is decided by the
//! product's own [`decide`]; the rest of a hold is the same steps as in `tidings.hold_v1`.
//!
//! ```text
//!  process ──hold──▶ database     carried out at once, or late, when the process has given up on it long ago
//!     ▲                 │
//!     └──────hear───────┘         at once, late (the process was stopped meanwhile), or never
//! ```
//!
//! The last tests break the protocol on purpose and expect the checker to notice.

use stateright::{Checker, HasDiscoveries, Model, Property};
use tidings_ownership::rule::{Decision, View, decide};

/// More rounds than any disturbance needs to come to rest: the lease runs out, shards are given up, and taken.
const ROUNDS_MAX: usize = 16;

const ONE_OWNER: &str = "no two workers trust themselves with one shard";
const TERMS_GROW: &str = "the term grows with every owner";
const STALE_REFUSED: &str = "a settlement under an old term is refused";
const DEAD_OWN_NOTHING: &str = "a worker declared dead owns nothing";
const REST_IS_FAIR: &str = "at rest nothing is free and the shares are within one";
const RECOVERS: &str = "left alone, the living share everything within a few rounds";

/// The rules of one world; times in ticks.
#[derive(Clone, Copy, Debug)]
struct Rules<const W: usize, const S: usize> {
    /// How long a worker trusts itself, from the start of a hold.
    trust: u8,
    /// After how long without a hold a worker is dead whose session is gone; none behind a pooler.
    grace: Option<u8>,
    /// After how long without a hold every worker is dead.
    lease: u8,
    /// How many mishaps there are in all: crashes, stops, cut sessions, lost answers, late calls, drains.
    mishaps: u8,
    /// Whether a settlement may be on its way.
    settles: bool,
    flaw: Option<Flaw>,
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flaw {
    /// Trust is counted from the answer, not from the start of the call.
    TrustFromAnswer,
    /// A shard is taken under the term that it had.
    TermStays,
    /// A worker that is told that it was declared dead goes on as if it had been renewed.
    BurialIgnored,
    /// A release takes effect also under a later term.
    ReleaseWithoutTerm,
    /// A worker works on with a shard whose release has not been answered.
    ReleaseForgotten,
    /// A worker gives up and takes without a look at what the others lack.
    OwnShareOnly,
}

/// Everything there is: the database, the processes, and what is between them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct World<const W: usize, const S: usize> {
    shards: [Shard; S],
    workers: [Worker<S>; W],
    settlement: Option<Settlement>,
    mishaps: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
struct Shard {
    owner: Option<u8>,
    term: u8,
}

/// One identity: its row in the database, and the process behind it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Worker<const S: usize> {
    row: Option<Row>,
    process: Process,
    draining: bool,
    /// Whether it has heard of its row.
    joined: bool,
    /// Ticks since the start of the last hold that was answered.
    held_ago: u8,
    beliefs: [Option<Belief>; S],
    answer: Option<Answer<S>>,
    late: Option<Call<S>>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Row {
    /// Ticks since the last hold.
    seen_ago: u8,
    /// Whether the session of the last hold is still there.
    session: bool,
    draining: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Process {
    #[default]
    Absent,
    Running,
    Stopped,
}

/// What a process believes of a shard.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Belief {
    term: u8,
    give_up: bool,
    /// It has been drained and is not worked on any more, but the release has not been answered.
    released: bool,
}

/// A hold on its way to the database.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Call<const S: usize> {
    joining: bool,
    draining: bool,
    releases: [Option<u8>; S],
}

/// An answer on its way to the process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Answer<const S: usize> {
    /// Ticks since the start of the call.
    began_ago: u8,
    /// What is owned; none for a worker that was declared dead.
    owned: Option<[Option<Belief>; S]>,
}

/// A settlement that was sent, and may reach the database at any later time.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Settlement {
    shard: u8,
    term: u8,
    /// Whether the shard has changed hands since.
    stale: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Action {
    /// Time passes.
    Tick,
    /// A process starts, under a new identity.
    Start(usize),
    /// A process holds, and gives back what it has drained, or has drained nothing yet.
    Hold(usize, bool),
    /// The answer arrives.
    Hear(usize),
    /// The answer does not arrive.
    Lose(usize),
    /// A call goes out and is given up before the database has seen it.
    Strand(usize),
    /// The database carries out a call that was given up.
    CarryOut(usize),
    /// The session breaks; the process does not know yet.
    Disconnect(usize),
    Stop(usize),
    Continue(usize),
    /// A process dies, and its session with it; or its machine, and the session stays.
    Crash(usize, bool),
    Drain(usize),
    /// A settlement goes out.
    Settle(usize, usize),
}

impl<const W: usize, const S: usize> Model for Rules<W, S> {
    type State = World<W, S>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        let worker = self.nobody();
        vec![World { shards: [Shard::default(); S], workers: [worker; W], settlement: None, mishaps: self.mishaps }]
    }

    fn actions(&self, world: &Self::State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        for (w, worker) in world.workers.iter().enumerate() {
            actions.extend(worker.late.map(|_| Action::CarryOut(w)));
            match worker.process {
                Process::Absent if worker.row.is_none() && worker.late.is_none() => actions.push(Action::Start(w)),
                Process::Absent => {}
                Process::Stopped => actions.push(Action::Continue(w)),
                Process::Running => {
                    actions.push(match worker.answer {
                        Some(_) => Action::Hear(w),
                        None => Action::Hold(w, false),
                    });
                    if worker.answer.is_none() && worker.beliefs.iter().flatten().any(|belief| belief.give_up) {
                        actions.push(Action::Hold(w, true));
                    }
                    if self.settles && world.settlement.is_none() {
                        actions.extend((0..S).filter(|s| worker.beliefs[*s].is_some()).map(|s| Action::Settle(w, s)));
                    }
                }
            }
            if world.mishaps > 0 && worker.process != Process::Absent {
                actions.extend(self.mishaps_of(w, worker));
            }
        }
    }

    fn next_state(&self, world: &Self::State, action: Action) -> Option<Self::State> {
        let mut next = *world;
        self.apply(&mut next, action);
        (next != *world).then(|| next.sorted().with_ranks())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_OWNER, |rules: &Self, world: &World<W, S>| {
                (0..S).all(|s| world.workers.iter().filter(|worker| rules.works(worker, s)).count() <= 1)
            }),
            Property::always(TERMS_GROW, |_, world: &World<W, S>| world.terms_grow()),
            Property::always(STALE_REFUSED, |_, world: &World<W, S>| {
                world.settlement.is_none_or(|settlement| {
                    let shard = world.shards[usize::from(settlement.shard)];
                    shard.term != settlement.term || !settlement.stale
                })
            }),
            Property::always(DEAD_OWN_NOTHING, |_, world: &World<W, S>| {
                world.shards.iter().filter_map(|shard| shard.owner).all(|w| world.workers[usize::from(w)].row.is_some())
            }),
            Property::always(REST_IS_FAIR, |rules: &Self, world: &World<W, S>| !rules.is_at_rest(world) || rules.is_fair(world)),
            Property::always(RECOVERS, Self::recovers),
            Property::sometimes("a stopped worker wakes up after another has taken over", |_, world: &World<W, S>| {
                world.workers.iter().any(|worker| {
                    worker.process == Process::Running
                        && (0..S).any(|s| worker.beliefs[s].is_some_and(|belief| belief.term < world.shards[s].term))
                })
            }),
            Property::sometimes("a dead worker's shards are all in other hands", |_, world: &World<W, S>| {
                world.shards.iter().all(|shard| shard.owner.is_some() && shard.term > 1)
            }),
            Property::sometimes("all share at rest", |rules: &Self, world: &World<W, S>| {
                rules.is_at_rest(world) && world.workers.iter().all(|worker| worker.row.is_some())
            }),
        ]
    }
}

impl<const W: usize, const S: usize> Rules<W, S> {
    const fn nobody(&self) -> Worker<S> {
        Worker {
            row: None,
            process: Process::Absent,
            draining: false,
            joined: false,
            held_ago: self.trust,
            beliefs: [None; S],
            answer: None,
            late: None,
        }
    }

    fn mishaps_of(&self, w: usize, worker: &Worker<S>) -> Vec<Action> {
        let mut mishaps = vec![Action::Crash(w, false)];
        if self.grace.is_some() && worker.row.is_some_and(|row| row.session) {
            mishaps.extend([Action::Crash(w, true), Action::Disconnect(w)]);
        }
        if worker.process == Process::Running {
            mishaps.push(Action::Stop(w));
            mishaps.extend((!worker.draining).then_some(Action::Drain(w)));
            mishaps.push(if worker.answer.is_some() { Action::Lose(w) } else { Action::Strand(w) });
        }
        mishaps
    }

    fn apply(&self, world: &mut World<W, S>, action: Action) {
        let nobody = self.nobody();
        let mishaps = world.mishaps;
        match action {
            Action::Tick => return self.tick(world),
            Action::Start(w) => return world.workers[w] = Worker { process: Process::Running, ..nobody },
            Action::Hold(w, drained) => {
                let call = world.workers[w].call(drained);
                self.carry_out(world, w, call);
                return;
            }
            Action::Hear(w) => return self.hear(world, w),
            Action::CarryOut(w) => {
                if let Some(call) = world.workers[w].late.take() {
                    let answer = world.workers[w].answer;
                    self.carry_out(world, w, call);
                    let worker = &mut world.workers[w];
                    worker.answer = answer;
                    worker.row.iter_mut().for_each(|row| row.session = false);
                }
                return;
            }
            Action::Continue(w) => return world.workers[w].process = Process::Running,
            Action::Settle(w, s) => {
                if let Some(Belief { term, .. }) = world.workers[w].beliefs[s] {
                    world.settlement = u8::try_from(s).ok().map(|shard| Settlement { shard, term, stale: false });
                }
                return;
            }
            Action::Lose(w) => world.workers[w].answer = None,
            Action::Strand(w) => world.workers[w].late = Some(world.workers[w].call(true)),
            Action::Disconnect(w) => world.workers[w].row.iter_mut().for_each(|row| row.session = false),
            Action::Stop(w) => world.workers[w].process = Process::Stopped,
            Action::Crash(w, cut) => {
                let Worker { row, late, .. } = world.workers[w];
                let row = row.map(|row| Row { session: row.session && !cut, ..row });
                world.workers[w] = Worker { row, late, ..nobody };
            }
            Action::Drain(w) => world.workers[w].draining = true,
        }
        world.mishaps = mishaps - 1;
    }

    fn tick(&self, world: &mut World<W, S>) {
        for worker in &mut world.workers {
            worker.held_ago = (worker.held_ago + 1).min(self.trust);
            worker.row.iter_mut().for_each(|row| row.seen_ago = (row.seen_ago + 1).min(self.lease));
            worker.answer.iter_mut().for_each(|answer| answer.began_ago = (answer.began_ago + 1).min(self.trust));
        }
    }

    /// The database's part of a hold: one transaction.
    fn carry_out(&self, world: &mut World<W, S>, w: usize, call: Call<S>) {
        let me = u8::try_from(w).ok();
        let row = &mut world.workers[w].row;
        if row.is_none() && !call.joining {
            world.workers[w].answer = Some(Answer { began_ago: 0, owned: None });
            return;
        }
        *row = Some(Row { seen_ago: 0, session: self.grace.is_some(), draining: call.draining });
        for (shard, release) in world.shards.iter_mut().zip(call.releases) {
            let fits = release == Some(shard.term) || self.flaw == Some(Flaw::ReleaseWithoutTerm);
            if release.is_some() && fits && shard.owner == me {
                shard.owner = None;
            }
        }
        for v in (0..W).filter(|v| *v != w) {
            if world.workers[v].row.is_some_and(|row| self.is_dead(row)) {
                world.workers[v].row = None;
                let dead = u8::try_from(v).ok();
                world.shards.iter_mut().filter(|shard| shard.owner == dead).for_each(|shard| shard.owner = None);
            }
        }
        let Decision { mut give_up, take } = self.decision(world, w, call.draining);
        let free = world.shards.iter_mut().enumerate().filter(|(_, shard)| shard.owner.is_none());
        for (s, shard) in free.take(usize::from(take)) {
            let term = shard.term + u8::from(self.flaw != Some(Flaw::TermStays));
            *shard = Shard { owner: me, term };
            world.settlement.iter_mut().filter(|sent| usize::from(sent.shard) == s).for_each(|sent| sent.stale = true);
        }
        let mut owned = [None; S];
        for (shard, belief) in world.shards.iter().zip(&mut owned).rev().filter(|(shard, _)| shard.owner == me) {
            *belief = Some(Belief { term: shard.term, give_up: give_up > 0, released: false });
            give_up = give_up.saturating_sub(1);
        }
        if call.draining && owned.iter().all(Option::is_none) {
            world.workers[w].row = None;
        }
        world.workers[w].answer = Some(Answer { began_ago: 0, owned: Some(owned) });
    }

    fn is_dead(&self, row: Row) -> bool {
        row.seen_ago >= self.lease || (!row.session && self.grace.is_some_and(|grace| row.seen_ago >= grace))
    }

    fn decision(&self, world: &World<W, S>, w: usize, draining: bool) -> Decision {
        let mut others = [0; W];
        let mut live = 0;
        for v in (0..W).filter(|v| *v != w && world.workers[*v].row.is_some_and(|row| !row.draining)) {
            others[live] = world.owned(v);
            live += 1;
        }
        let total = u16::try_from(S).unwrap_or(u16::MAX);
        let free = u16::try_from(world.shards.iter().filter(|shard| shard.owner.is_none()).count()).unwrap_or(total);
        let mine = world.owned(w);
        if self.flaw == Some(Flaw::OwnShareOnly) && !draining {
            let ceiling = total.div_ceil(u16::try_from(live + 1).unwrap_or(1));
            return Decision { give_up: mine.saturating_sub(ceiling), take: ceiling.saturating_sub(mine).min(free) };
        }
        decide(View { total, free, mine, others: &others[..live], draining })
    }

    /// The process's part of a hold.
    fn hear(&self, world: &mut World<W, S>, w: usize) {
        let worker = &mut world.workers[w];
        let Some(answer) = worker.answer.take() else { return };
        worker.held_ago = if self.flaw == Some(Flaw::TrustFromAnswer) { 0 } else { answer.began_ago };
        let Some(owned) = answer.owned else {
            if self.flaw != Some(Flaw::BurialIgnored) {
                self.rejoin(world, w);
            }
            return;
        };
        worker.joined = true;
        for (belief, owned) in worker.beliefs.iter_mut().zip(owned) {
            let released = belief.filter(|belief| belief.released).map(|belief| belief.term);
            *belief = owned.map(|owned| Belief { released: released == Some(owned.term), ..owned });
            if self.flaw == Some(Flaw::ReleaseForgotten) {
                belief.iter_mut().for_each(|belief| belief.released = false);
            }
        }
        if worker.draining && worker.row.is_none() {
            *worker = Worker { late: worker.late, ..self.nobody() };
        }
    }

    /// A worker that was declared dead comes back under a new identity, if this world has room for one.
    fn rejoin(&self, world: &mut World<W, S>, w: usize) {
        let Worker { row, late, draining, .. } = world.workers[w];
        world.workers[w] = Worker { row, late, ..self.nobody() };
        if let Some(free) = world.workers.iter_mut().find(|worker| **worker == self.nobody()) {
            *free = Worker { process: Process::Running, draining, ..self.nobody() };
        }
    }

    /// Whether a worker may be working on a shard, now or when it is continued.
    fn works(&self, worker: &Worker<S>, s: usize) -> bool {
        worker.process != Process::Absent
            && worker.held_ago < self.trust
            && worker.beliefs[s].is_some_and(|belief| !belief.released)
    }

    /// Whether everybody who has a row lives and has heard of it, and no hold of anybody would change anything.
    fn is_at_rest(&self, world: &World<W, S>) -> bool {
        let live: Vec<usize> = (0..W).filter(|w| world.workers[*w].process == Process::Running).collect();
        let quiet = |worker: &Worker<S>| match worker.process {
            Process::Running => worker.row.is_some_and(|row| !row.draining) && !worker.draining,
            Process::Absent | Process::Stopped => worker.row.is_none(),
        };
        !live.is_empty()
            && world.workers.iter().all(|worker| quiet(worker) && worker.late.is_none())
            && live.into_iter().all(|w| self.decision(world, w, false) == Decision::default())
    }

    fn is_fair(&self, world: &World<W, S>) -> bool {
        let shares = (0..W).filter(|w| world.workers[*w].process == Process::Running).map(|w| world.owned(w));
        let (least, most) = shares.fold((u16::MAX, 0), |(least, most), owned| (least.min(owned), most.max(owned)));
        most <= least.saturating_add(1) && world.shards.iter().all(|shard| shard.owner.is_some())
    }

    /// Lets everybody who runs hold once a tick, and nothing else happen.
    fn recovers(&self, world: &World<W, S>) -> bool {
        if !world.workers.iter().any(|worker| worker.process == Process::Running && !worker.draining) {
            return true;
        }
        let mut world = *world;
        for _ in 0..ROUNDS_MAX {
            let before = world;
            self.tick(&mut world);
            for w in 0..W {
                self.apply(&mut world, Action::CarryOut(w));
                if world.workers[w].process == Process::Running {
                    self.apply(&mut world, Action::Hear(w));
                    self.apply(&mut world, Action::Hold(w, true));
                    self.apply(&mut world, Action::Hear(w));
                }
            }
            if world == before {
                return self.is_fair(&world);
            }
        }
        false
    }
}

impl<const S: usize> Worker<S> {
    /// Begins a hold; what it gives back is not worked on from here on.
    fn call(&mut self, drained: bool) -> Call<S> {
        for belief in self.beliefs.iter_mut().flatten().filter(|belief| drained && belief.give_up) {
            belief.released = true;
        }
        let released = |belief: Option<Belief>| belief.filter(|belief| belief.released).map(|belief| belief.term);
        Call { joining: !self.joined, draining: self.draining, releases: self.beliefs.map(released) }
    }
}

impl<const W: usize, const S: usize> World<W, S> {
    fn owned(&self, w: usize) -> u16 {
        self.shards.iter().map(|shard| u16::from(shard.owner.is_some_and(|owner| usize::from(owner) == w))).sum()
    }

    /// Returns the same world with its workers in order: nothing depends on which is which.
    fn sorted(self) -> Self {
        let owns = |w: usize| self.shards.map(|shard| shard.owner.is_some_and(|owner| usize::from(owner) == w));
        let mut order: [usize; W] = std::array::from_fn(|w| w);
        order.sort_by_cached_key(|w| (self.workers[*w], owns(*w)));
        let place = |owner: u8| order.iter().position(|w| *w == usize::from(owner)).and_then(|w| u8::try_from(w).ok());
        Self {
            shards: self.shards.map(|shard| Shard { owner: shard.owner.and_then(place), ..shard }),
            workers: order.map(|w| self.workers[w]),
            ..self
        }
    }

    /// Returns the same world with small terms: nothing depends on how great they are, only on which is greater.
    fn with_ranks(mut self) -> Self {
        for s in 0..S {
            let mut terms = Vec::with_capacity(8);
            self.each_term(s, |term| terms.push(*term));
            terms.sort_unstable();
            terms.dedup();
            self.each_term(s, |term| *term = terms.iter().position(|t| t == term).and_then(|r| u8::try_from(r).ok()).unwrap_or(u8::MAX));
        }
        self
    }

    fn each_term(&mut self, s: usize, mut with: impl FnMut(&mut u8)) {
        with(&mut self.shards[s].term);
        for worker in &mut self.workers {
            worker.beliefs[s].iter_mut().for_each(|belief| with(&mut belief.term));
            worker.late.iter_mut().filter_map(|call| call.releases[s].as_mut()).for_each(&mut with);
            let answer = worker.answer.as_mut().and_then(|answer| answer.owned.as_mut());
            answer.and_then(|owned| owned[s].as_mut()).into_iter().for_each(|belief| with(&mut belief.term));
        }
        self.settlement.iter_mut().filter(|sent| usize::from(sent.shard) == s).for_each(|sent| with(&mut sent.term));
    }

    /// Whether whoever believes to own a shard has an older term than the owner, or is the owner, or was the last.
    fn terms_grow(&self) -> bool {
        self.workers.iter().enumerate().all(|(w, worker)| {
            worker.beliefs.iter().zip(&self.shards).all(|(belief, shard)| {
                belief.is_none_or(|belief| {
                    belief.term < shard.term
                        || belief.term == shard.term && shard.owner.is_none_or(|owner| usize::from(owner) == w)
                })
            })
        })
    }
}

/// Sessions of their own: trusted for one tick, dead after two without a session, after three in any case.
const fn direct<const W: usize, const S: usize>() -> Rules<W, S> {
    Rules { trust: 1, grace: Some(2), lease: 3, mishaps: 2, settles: false, flaw: None }
}

/// Behind a pooler: trusted for two ticks, dead after three.
const fn pooled<const W: usize, const S: usize>() -> Rules<W, S> {
    Rules { trust: 2, grace: None, ..direct() }
}

fn holds<const W: usize, const S: usize>(rules: Rules<W, S>) {
    let begin = std::time::Instant::now();
    let checker = rules.checker().threads(2).timeout(std::time::Duration::from_secs(30)).spawn_bfs().join();
    eprintln!("W {W} S {S}: {} states, {} unique, depth {}, {:?}", checker.state_count(), checker.unique_state_count(), checker.max_depth(), begin.elapsed());
    checker.assert_properties();
}

fn caught<const W: usize, const S: usize>(rules: Rules<W, S>, property: &'static str) {
    let begin = std::time::Instant::now();
    let finish = HasDiscoveries::AnyOf([property].into());
    let checker = rules.checker().finish_when(finish).threads(2).spawn_bfs().join();
    eprintln!("W {W} S {S}: {} states, {} unique, depth {}, {:?}", checker.state_count(), checker.unique_state_count(), checker.max_depth(), begin.elapsed());
    eprintln!("{:?}", checker.discoveries().into_iter().map(|(k,v)| (k, v.into_actions())).collect::<Vec<_>>());
    checker.assert_any_discovery(property);
}

#[test]
fn d22m2() {
    holds(Rules{mishaps:2,..direct::<2,2>()});
}
#[test]
fn d22m1s() {
    holds(Rules{mishaps:1,settles:true,..direct::<2,2>()});
}
#[test]
fn d22m2s() {
    holds(Rules{mishaps:2,settles:true,..direct::<2,2>()});
}
#[test]
fn d23m1() {
    holds(Rules{mishaps:1,..direct::<2,3>()});
}
#[test]
fn d32m0() {
    holds(Rules{mishaps:0,..direct::<3,2>()});
}
#[test]
fn d31m1() {
    holds(Rules{mishaps:1,..direct::<3,1>()});
}
#[test]
fn d21m3s() {
    holds(Rules{mishaps:3,settles:true,..direct::<2,1>()});
}
#[test]
fn p22m2() {
    holds(Rules{mishaps:2,..pooled::<2,2>()});
}
#[test]
fn d34m0() {
    holds(Rules{mishaps:0,..direct::<3,4>()});
}
#[test]
fn d32m1() {
    holds(Rules{mishaps:1,..direct::<3,2>()});
}
#[test]
fn d22m3() {
    holds(Rules{mishaps:3,..direct::<2,2>()});
}
#[test]
fn flaw_release() {
    caught(Rules { flaw: Some(Flaw::ReleaseWithoutTerm), ..direct::<2, 2>() }, ONE_OWNER);
}
#[test]
fn flaw_forgotten() {
    caught(Rules { flaw: Some(Flaw::ReleaseForgotten), ..direct::<2, 2>() }, ONE_OWNER);
}
#[test]
fn flaw_trust() {
    caught(Rules { trust: 4, ..direct::<2, 2>() }, ONE_OWNER);
}
#[test]
fn flaw_answer() {
    caught(Rules { flaw: Some(Flaw::TrustFromAnswer), ..direct::<2, 2>() }, ONE_OWNER);
}
#[test]
fn flaw_term() {
    caught(Rules { flaw: Some(Flaw::TermStays), ..direct::<2, 2>() }, TERMS_GROW);
}
#[test]
fn flaw_stale() {
    caught(Rules { flaw: Some(Flaw::TermStays), ..direct::<2, 2>() }, STALE_REFUSED);
}
#[test]
fn flaw_burial() {
    caught(Rules { flaw: Some(Flaw::BurialIgnored), ..direct::<2, 2>() }, ONE_OWNER);
}
#[test]
fn flaw_own() {
    caught(Rules { flaw: Some(Flaw::OwnShareOnly), ..direct::<3, 2>() }, RECOVERS);
}
