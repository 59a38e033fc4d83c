//! Everything there is: the database, the processes, and what is on its way between them.

/// One moment of the whole. Nothing in it depends on which worker is which, nor on how great a term is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct World<const W: usize, const S: usize> {
    pub(crate) shards: [Shard; S],
    pub(crate) workers: [Worker<S>; W],
    pub(crate) settlement: Option<Settlement>,
    /// How many mishaps may still come.
    pub(crate) mishaps: u8,
}

/// The row of a shard.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Shard {
    pub(crate) owner: Option<u8>,
    pub(crate) term: u8,
}

/// One identity: its row in the database, and the process behind it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Worker<const S: usize> {
    pub(crate) row: Option<Row>,
    pub(crate) process: Process,
    pub(crate) draining: bool,
    /// Whether it has heard of its row.
    pub(crate) joined: bool,
    /// How many ticks it will still trust itself.
    pub(crate) trust_left: u8,
    pub(crate) beliefs: Beliefs<S>,
    pub(crate) answer: Option<Answer<S>>,
    /// A call that it has given up on, and that the database may still carry out.
    pub(crate) late: Option<Call<S>>,
}

/// The row of a worker.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Row {
    /// Ticks since its last hold.
    pub(crate) seen_ago: u8,
    /// Whether the session of that hold is still there.
    pub(crate) session: bool,
    pub(crate) draining: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Process {
    Absent,
    Running,
    Stopped,
}

/// What a process knows of each shard that it believes to own.
pub(crate) type Beliefs<const S: usize> = [Option<Belief>; S];

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Belief {
    pub(crate) term: u8,
    pub(crate) give_up: bool,
    /// It has been drained and is not worked on any more; that it was given back has not been confirmed.
    pub(crate) released: bool,
}

/// A hold on its way to the database, with the terms of what it gives back.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Call<const S: usize> {
    pub(crate) joining: bool,
    pub(crate) draining: bool,
    pub(crate) releases: [Option<u8>; S],
}

/// An answer on its way to the process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Answer<const S: usize> {
    /// How many ticks of trust it is still worth.
    pub(crate) trust_left: u8,
    pub(crate) draining: bool,
    /// None for a worker that was declared dead.
    pub(crate) owned: Option<Beliefs<S>>,
}

/// A settlement that was sent, and may reach the database at any later time.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Settlement {
    pub(crate) shard: usize,
    pub(crate) term: u8,
    /// Whether the shard has had another owner since; nobody in this world sees it.
    pub(crate) stale: bool,
}

impl<const S: usize> Worker<S> {
    /// An identity that has never been used, or leaves no trace any more.
    pub(crate) const UNUSED: Self = Self {
        row: None,
        process: Process::Absent,
        draining: false,
        joined: false,
        trust_left: 0,
        beliefs: [None; S],
        answer: None,
        late: None,
    };

    /// Begins a hold; what it gives back is not worked on from here on.
    pub(crate) fn call(&mut self, drained: bool) -> Call<S> {
        for belief in self.beliefs.iter_mut().flatten() {
            belief.released |= drained && belief.give_up;
        }
        let release = |belief: Option<Belief>| belief.filter(|b| b.released).map(|b| b.term);
        Call { joining: !self.joined, draining: self.draining, releases: self.beliefs.map(release) }
    }

    /// Returns whether the process may be working on a shard, now or when it is continued.
    pub(crate) fn works(&self, s: usize) -> bool {
        self.trust_left > 0 && self.beliefs[s].is_some_and(|belief| !belief.released)
    }

    /// Breaks the session of its last hold.
    pub(crate) fn disconnect(&mut self) {
        if let Some(row) = &mut self.row {
            row.session = false;
        }
    }
}

impl<const W: usize, const S: usize> World<W, S> {
    /// Returns how many shards a worker owns.
    pub(crate) fn owned(&self, w: usize) -> u16 {
        self.owns(w).into_iter().map(u16::from).sum()
    }

    /// Returns how many shards nobody owns.
    pub(crate) fn free(&self) -> u16 {
        self.shards.iter().map(|shard| u16::from(shard.owner.is_none())).sum()
    }

    /// Returns whether each process works on shards that no other process works on.
    pub(crate) fn one_owner(&self) -> bool {
        (0..S).all(|s| self.workers.iter().filter(|worker| worker.works(s)).count() <= 1)
    }

    /// Returns whether whoever believes to own a shard is its owner or was the last one, or has an older term.
    pub(crate) fn terms_grow(&self) -> bool {
        let fits = |w: usize, belief: &Belief, shard: &Shard| {
            belief.term < shard.term
                || (belief.term == shard.term && shard.owner.is_none_or(|owner| owner == id(w)))
        };
        self.workers.iter().enumerate().all(|(w, worker)| {
            let mut pairs = worker.beliefs.iter().zip(&self.shards);
            pairs.all(|(belief, shard)| belief.is_none_or(|belief| fits(w, &belief, shard)))
        })
    }

    /// Returns whether the fence would stop the settlement that is on its way, if it comes too late.
    pub(crate) fn stale_refused(&self) -> bool {
        let passes = |sent: Settlement| self.shards[sent.shard].term == sent.term;
        self.settlement.is_none_or(|sent| !(sent.stale && passes(sent)))
    }

    /// Returns whether every owner has a row.
    pub(crate) fn dead_own_nothing(&self) -> bool {
        (0..W).all(|w| self.workers[w].row.is_some() || self.owned(w) == 0)
    }

    /// Returns whether nothing is free, and those who run own the same number of shards, give or take one.
    pub(crate) fn is_fair(&self) -> bool {
        let running = (0..W).filter(|w| self.workers[*w].process == Process::Running);
        let shares: Vec<u16> = running.map(|w| self.owned(w)).collect();
        let (least, most) = (shares.iter().min(), shares.iter().max());
        self.free() == 0 && most.zip(least).is_none_or(|(most, least)| most - least <= 1)
    }

    /// Returns the same world in its simplest form, so that the checker knows it again.
    pub(crate) fn simplified(mut self) -> Self {
        self.sort();
        for s in 0..S {
            self.rank_terms(s);
        }
        self
    }

    /// Puts the workers in order.
    fn sort(&mut self) {
        let mut order: [usize; W] = std::array::from_fn(|w| w);
        order.sort_by_cached_key(|w| (self.workers[*w], self.owns(*w)));
        let place = |owner: u8| order.iter().position(|w| id(*w) == owner).map(id);
        self.shards =
            self.shards.map(|shard| Shard { owner: shard.owner.and_then(place), ..shard });
        self.workers = order.map(|w| self.workers[w]);
    }

    /// Replaces the terms of a shard that are remembered anywhere by their ranks.
    fn rank_terms(&mut self, s: usize) {
        let mut terms = Vec::with_capacity(8);
        self.each_term(s, |term| terms.push(*term));
        terms.sort_unstable();
        terms.dedup();
        self.each_term(s, |term| *term = id(terms.partition_point(|other| other < term)));
    }

    fn each_term(&mut self, s: usize, mut change: impl FnMut(&mut u8)) {
        change(&mut self.shards[s].term);
        for worker in &mut self.workers {
            let answered = worker.answer.as_mut().and_then(|answer| answer.owned.as_mut());
            let beliefs =
                [worker.beliefs[s].as_mut(), answered.and_then(|owned| owned[s].as_mut())];
            beliefs.into_iter().flatten().for_each(|belief| change(&mut belief.term));
            if let Some(term) = worker.late.as_mut().and_then(|call| call.releases[s].as_mut()) {
                change(term);
            }
        }
        if let Some(sent) = self.settlement.as_mut().filter(|sent| sent.shard == s) {
            change(&mut sent.term);
        }
    }

    fn owns(&self, w: usize) -> [bool; S] {
        self.shards.map(|shard| shard.owner == Some(id(w)))
    }
}

/// Makes a small number out of an index.
pub(crate) fn id(index: usize) -> u8 {
    u8::try_from(index).unwrap()
}
