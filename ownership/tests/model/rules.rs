//! What may happen in the world, and what follows: the hold in the database, the answer in the process, and mishaps.

use tidings_ownership::rule::{Decision, View, decide};

use crate::world::{Answer, Belief, Call, Process, Row, Settlement, Shard, Worker, World, id};

/// More rounds than any disturbance needs to come to rest: leases run out, shards are given up, and taken.
const ROUNDS_MAX: usize = 16;

/// The rules of one world; times in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<const W: usize, const S: usize> {
    /// How long a worker trusts itself, from the start of a hold that was answered.
    pub(crate) trust: u8,
    /// How long without a hold makes a worker dead whose session is gone; none behind a pooler.
    pub(crate) grace: Option<u8>,
    /// How long without a hold makes any worker dead.
    pub(crate) lease: u8,
    /// How many mishaps there are at most.
    pub(crate) mishaps: u8,
    /// Whether there is a settlement that may be late.
    pub(crate) settles: bool,
    pub(crate) flaw: Option<Flaw>,
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flaw {
    /// Trust is counted from the answer, not from the start of the call.
    TrustFromAnswer,
    /// A shard is taken under the term that it had.
    TermStays,
    /// A worker that was declared dead goes on as if it had been renewed.
    BurialIgnored,
    /// A release takes effect also under a later term.
    ReleaseWithoutTerm,
    /// A worker goes on with a shard when the hold that gave it back was not answered.
    ReleaseForgotten,
    /// A worker looks at its own share alone, and not at what others lack.
    OwnShareOnly,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Time passes.
    Tick,
    /// A process starts, under a new identity.
    Start(usize),
    /// A process holds, and gives back what it has drained, if it has; the database carries it out.
    Hold(usize, bool),
    /// The answer arrives.
    Hear(usize),
    /// A settlement goes out.
    Settle(usize, usize),
    /// A process that was stopped goes on, with its old beliefs.
    Continue(usize),
    /// The database carries out a call that was given up.
    CarryOut(usize),
    /// Something goes wrong.
    Mishap(usize, Mishap),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mishap {
    /// A process dies, and its session with it.
    Crash,
    /// A process dies with its machine, and the session stays.
    Vanish,
    /// A process is stopped.
    Stop,
    /// The session breaks, and the process does not know yet.
    Disconnect,
    /// An answer does not arrive.
    Lose,
    /// A hold is given up before the database has seen it.
    Strand,
    /// A process is told to leave in peace.
    Drain,
}

impl<const W: usize, const S: usize> Rules<W, S> {
    /// Lists what may happen next.
    pub(crate) fn list(self, world: &World<W, S>, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        for (w, worker) in world.workers.iter().enumerate() {
            actions.extend(worker.late.map(|_| Action::CarryOut(w)));
            match worker.process {
                Process::Absent => {
                    actions.extend((*worker == Worker::UNUSED).then_some(Action::Start(w)));
                }
                Process::Stopped => actions.push(Action::Continue(w)),
                Process::Running if worker.answer.is_some() => actions.push(Action::Hear(w)),
                Process::Running => {
                    actions.push(Action::Hold(w, false));
                    let leaving = worker.beliefs.iter().flatten().any(|belief| belief.give_up);
                    actions.extend(leaving.then_some(Action::Hold(w, true)));
                }
            }
            if self.settles && world.settlement.is_none() && worker.process == Process::Running {
                let believed = (0..S).filter(|s| worker.beliefs[*s].is_some());
                actions.extend(believed.map(|s| Action::Settle(w, s)));
            }
            if world.mishaps > 0 {
                actions.extend(list_mishaps(worker).map(|mishap| Action::Mishap(w, mishap)));
            }
        }
    }

    /// Lets something happen.
    pub(crate) fn apply(self, world: &mut World<W, S>, action: Action) {
        match action {
            Action::Tick => self.tick(world),
            Action::Start(w) => world.workers[w].process = Process::Running,
            Action::Hold(w, drained) => {
                let call = world.workers[w].call(drained);
                world.workers[w].answer = Some(self.carry_out(world, w, call));
            }
            Action::Hear(w) => self.hear(world, w),
            Action::Settle(w, shard) => {
                let belief = world.workers[w].beliefs[shard];
                world.settlement =
                    belief.map(|belief| Settlement { shard, term: belief.term, stale: false });
            }
            Action::Continue(w) => world.workers[w].process = Process::Running,
            Action::CarryOut(w) => {
                if let Some(call) = world.workers[w].late.take() {
                    self.carry_out(world, w, call);
                    world.workers[w].disconnect();
                }
            }
            Action::Mishap(w, mishap) => {
                world.mishaps -= 1;
                self.suffer(&mut world.workers[w], mishap);
            }
        }
    }

    fn suffer(self, worker: &mut Worker<S>, mishap: Mishap) {
        match mishap {
            Mishap::Crash | Mishap::Vanish => {
                *worker = Worker { row: worker.row, late: worker.late, ..Worker::UNUSED };
                if mishap == Mishap::Crash {
                    worker.disconnect();
                }
            }
            Mishap::Stop => worker.process = Process::Stopped,
            Mishap::Disconnect => worker.disconnect(),
            Mishap::Lose => worker.answer = None,
            Mishap::Strand => {
                let before = worker.beliefs;
                worker.late = Some(worker.call(true));
                if self.flaw == Some(Flaw::ReleaseForgotten) {
                    worker.beliefs = before;
                }
            }
            Mishap::Drain => worker.draining = true,
        }
    }

    fn tick(self, world: &mut World<W, S>) {
        for worker in &mut world.workers {
            worker.trust_left = worker.trust_left.saturating_sub(1);
            if let Some(row) = &mut worker.row {
                row.seen_ago = self.lease.min(row.seen_ago + 1);
            }
            if let Some(answer) = &mut worker.answer {
                answer.trust_left = answer.trust_left.saturating_sub(1);
            }
        }
    }

    /// The database's part of a hold, in one transaction.
    fn carry_out(self, world: &mut World<W, S>, w: usize, call: Call<S>) -> Answer<S> {
        if world.workers[w].row.is_none() && !call.joining {
            return Answer { trust_left: self.trust, draining: call.draining, owned: None };
        }
        let row = Row { seen_ago: 0, session: self.grace.is_some(), draining: call.draining };
        world.workers[w].row = Some(row);
        for (shard, release) in world.shards.iter_mut().zip(call.releases) {
            let fits = self.flaw == Some(Flaw::ReleaseWithoutTerm) || release == Some(shard.term);
            if release.is_some() && fits && shard.owner == Some(id(w)) {
                shard.owner = None;
            }
        }
        for v in (0..W).filter(|v| *v != w) {
            if world.workers[v].row.is_some_and(|row| self.is_dead(row)) {
                world.workers[v].row = None;
                let buried = world.shards.iter_mut().filter(|shard| shard.owner == Some(id(v)));
                buried.for_each(|shard| shard.owner = None);
            }
        }
        let decision = self.decide(world, w);
        self.take(world, w, decision.take);
        let owned = list_owned(world, w, decision.give_up);
        if call.draining && world.owned(w) == 0 {
            world.workers[w].row = None;
        }
        Answer { trust_left: self.trust, draining: call.draining, owned: Some(owned) }
    }

    fn is_dead(self, row: Row) -> bool {
        let gone = !row.session && self.grace.is_some_and(|grace| row.seen_ago >= grace);
        gone || row.seen_ago >= self.lease
    }

    fn decide(self, world: &World<W, S>, w: usize) -> Decision {
        let serves = |v: &usize| world.workers[*v].row.is_some_and(|row| !row.draining);
        let others = (0..W).filter(|v| *v != w).filter(serves).map(|v| world.owned(v));
        let others: Vec<u16> = others.collect();
        let (total, free, mine) = (u16::from(id(S)), world.free(), world.owned(w));
        let draining = world.workers[w].row.is_some_and(|row| row.draining);
        if self.flaw == Some(Flaw::OwnShareOnly) && !draining {
            let ceiling = total.div_ceil(u16::from(id(others.len())) + 1);
            let (give_up, take) = (mine.saturating_sub(ceiling), ceiling.saturating_sub(mine));
            return Decision { give_up, take: take.min(free) };
        }
        decide(View { total, free, mine, others: &others, draining })
    }

    fn take(self, world: &mut World<W, S>, w: usize, count: u16) {
        let free = world.shards.iter_mut().enumerate().filter(|(_, shard)| shard.owner.is_none());
        for (s, shard) in free.take(usize::from(count)) {
            let term = shard.term + u8::from(self.flaw != Some(Flaw::TermStays));
            *shard = Shard { owner: Some(id(w)), term };
            if let Some(sent) = world.settlement.as_mut().filter(|sent| sent.shard == s) {
                sent.stale = true;
            }
        }
    }

    /// The process's part of a hold.
    fn hear(self, world: &mut World<W, S>, w: usize) {
        let worker = &mut world.workers[w];
        let Some(answer) = worker.answer.take() else { return };
        worker.trust_left = match self.flaw {
            Some(Flaw::TrustFromAnswer) => self.trust,
            _ => answer.trust_left,
        };
        match answer.owned {
            Some(owned) => {
                worker.joined = true;
                for (belief, owned) in worker.beliefs.iter_mut().zip(owned) {
                    let released = belief.filter(|belief| belief.released).map(|b| b.term);
                    *belief = owned.map(|o| Belief { released: released == Some(o.term), ..o });
                }
                if answer.draining && worker.beliefs.iter().all(Option::is_none) {
                    *worker = Worker { row: worker.row, late: worker.late, ..Worker::UNUSED };
                }
            }
            None if self.flaw == Some(Flaw::BurialIgnored) => {}
            None => {
                // It comes back under a new identity, if this world has room for one more.
                let Worker { row, late, draining, process, .. } = *worker;
                *worker = Worker { row, late, ..Worker::UNUSED };
                let mut workers = world.workers.iter_mut();
                if let Some(unused) = workers.find(|worker| **worker == Worker::UNUSED) {
                    *unused = Worker { process, draining, ..Worker::UNUSED };
                }
            }
        }
    }

    /// Returns whether everybody who has a row lives, and no hold of anybody would change anything.
    pub(crate) fn is_at_rest(self, world: &World<W, S>) -> bool {
        let rests = |w: usize, worker: &Worker<S>| match worker.row {
            Some(row) => {
                let lives = worker.process == Process::Running && !worker.draining && !row.draining;
                lives && self.decide(world, w) == Decision::default()
            }
            None => *worker == Worker::UNUSED,
        };
        let mut workers = world.workers.iter().enumerate();
        workers.all(|(w, worker)| worker.late.is_none() && rests(w, worker)) && serves(world)
    }

    /// Lets everybody who runs hold once a tick and nothing else happen, and returns whether all ends well.
    pub(crate) fn recovers(self, world: &World<W, S>) -> bool {
        let mut world = *world;
        for _ in 0..ROUNDS_MAX {
            let before = world;
            self.tick(&mut world);
            for w in 0..W {
                self.apply(&mut world, Action::CarryOut(w));
                for action in [Action::Hear(w), Action::Hold(w, true), Action::Hear(w)] {
                    if world.workers[w].process == Process::Running {
                        self.apply(&mut world, action);
                    }
                }
            }
            if world == before {
                let worked = (0..S).all(|s| world.workers.iter().any(|worker| worker.works(s)));
                return !serves(&world) || (worked && world.is_fair());
            }
        }
        false
    }
}

fn list_mishaps<const S: usize>(worker: &Worker<S>) -> impl Iterator<Item = Mishap> + use<S> {
    let session = worker.row.is_some_and(|row| row.session);
    let (running, there) = (worker.process == Process::Running, worker.process != Process::Absent);
    let waiting = worker.answer.is_some();
    let possible = [
        (Mishap::Crash, there),
        (Mishap::Vanish, there && session),
        (Mishap::Disconnect, there && session),
        (Mishap::Stop, running),
        (Mishap::Drain, running && !worker.draining),
        (Mishap::Lose, running && waiting),
        (Mishap::Strand, running && !waiting && worker.late.is_none()),
    ];
    possible.into_iter().filter(|(_, possible)| *possible).map(|(mishap, _)| mishap)
}

/// Returns whether there is somebody who runs and means to stay.
fn serves<const W: usize, const S: usize>(world: &World<W, S>) -> bool {
    let mut workers = world.workers.iter();
    workers.any(|worker| worker.process == Process::Running && !worker.draining)
}

fn list_owned<const W: usize, const S: usize>(
    world: &World<W, S>,
    w: usize,
    mut give_up: u16,
) -> [Option<Belief>; S] {
    let mut owned = [None; S];
    let mine = world.shards.iter().zip(&mut owned).rev();
    for (shard, belief) in mine.filter(|(shard, _)| shard.owner == Some(id(w))) {
        *belief = Some(Belief { term: shard.term, give_up: give_up > 0, released: false });
        give_up = give_up.saturating_sub(1);
    }
    owned
}
