//! The rule of the fair share: who takes and who gives up how many shards.
//!
//! It looks at one group as one worker finds it in a hold, and says what that worker does.
//! It reads no clock and does no I/O. The SQL function `tidings.hold_v1` applies the same rule in the same
//! transaction in which it counts; nothing else counts, because two views of who is alive make shards flap.
//!
//! * Nobody holds more than the ceiling of shards per live worker.
//! * Whoever holds more than the floor gives one up while somebody below the floor waits and nothing is free.
//! * Above the floor a shard is taken only when nobody below the floor waits for it.
//!
//! So a shard stays where it is unless the imbalance is more than one.

/// One group as one worker finds it, after the dead have been buried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct View<'a> {
    /// How many shards the group has.
    pub total: u16,
    /// How many of them nobody owns.
    pub free: u16,
    /// How many this worker owns.
    pub mine: u16,
    /// How many each other live worker of the group owns, those that drain left out.
    pub others: &'a [u16],
    /// Whether this worker drains.
    pub draining: bool,
}

/// What the worker does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Decision {
    /// How many shards it gives up once their lanes have drained.
    pub give_up: u16,
    /// How many free shards it takes at once, as far as there are any.
    pub take: u16,
}

/// Decides what a worker gives up and takes.
#[must_use]
pub fn decide(view: View<'_>) -> Decision {
    if view.draining {
        return Decision { give_up: view.mine, take: 0 };
    }
    let live = u16::try_from(view.others.len()).unwrap_or(u16::MAX).saturating_add(1);
    let floor = view.total / live;
    let ceiling = view.total.div_ceil(live);
    let deficit: u16 = view.others.iter().map(|owned| floor.saturating_sub(*owned)).sum();

    let give_up = if view.mine > ceiling {
        view.mine - ceiling
    } else if view.mine > floor && deficit > view.free {
        view.mine - floor
    } else {
        0
    };
    let goal = if deficit > 0 { floor } else { ceiling };
    Decision { give_up, take: goal.saturating_sub(view.mine).min(view.free) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decide_for(total: u16, free: u16, mine: u16, others: &[u16]) -> Decision {
        decide(View { total, free, mine, others, draining: false })
    }

    #[test]
    fn first_worker_takes_everything() {
        assert_eq!(decide_for(64, 64, 0, &[]), Decision { give_up: 0, take: 64 });
    }

    #[test]
    fn second_worker_makes_the_first_give_up_half() {
        assert_eq!(decide_for(64, 0, 64, &[0]), Decision { give_up: 32, take: 0 });
        assert_eq!(decide_for(64, 0, 0, &[64]), Decision { give_up: 0, take: 0 });
    }

    #[test]
    fn imbalance_of_one_moves_nothing() {
        assert_eq!(decide_for(3, 0, 2, &[1]), Decision::default());
        assert_eq!(decide_for(3, 0, 1, &[2]), Decision::default());
    }

    #[test]
    fn fifth_of_five_workers_is_not_starved_by_the_ceiling() {
        assert_eq!(decide_for(16, 0, 4, &[4, 4, 4, 0]).give_up, 1);
        assert_eq!(decide_for(16, 1, 3, &[4, 4, 4, 0]).take, 0);
        assert_eq!(decide_for(16, 1, 0, &[4, 4, 4, 3]).take, 1);
    }

    #[test]
    fn draining_worker_gives_up_everything_and_takes_nothing() {
        let view = View { total: 8, free: 4, mine: 4, others: &[], draining: true };
        assert_eq!(decide(view), Decision { give_up: 4, take: 0 });
    }

    /// Lets workers hold in `order` until nobody does anything, giving up at once, and returns who owns how many.
    fn settle(total: u16, mut owned: Vec<u16>, order: &[usize]) -> (Vec<u16>, usize) {
        let mut moves = 0;
        for round in 0.. {
            assert!(round < 50, "shards flap: {owned:?}");
            let before = owned.clone();
            for &worker in order {
                let free = total - owned.iter().sum::<u16>();
                let others: Vec<u16> = owned
                    .iter()
                    .enumerate()
                    .filter(|(n, _)| *n != worker)
                    .map(|(_, o)| *o)
                    .collect();
                let decision = decide_for(total, free, owned[worker], &others);
                owned[worker] = owned[worker] - decision.give_up + decision.take;
                moves += usize::from(decision.give_up);
            }
            if owned == before {
                break;
            }
        }
        (owned, moves)
    }

    proptest! {
        #[test]
        fn shards_come_to_rest_within_one_of_each_other(
            total in 1_u16..130,
            cuts in proptest::collection::vec(0_u16..130, 1..9),
            seed in 0_usize..1000,
        ) {
            // Any distribution: each worker gets a part of what is left.
            let mut left = total;
            let owned: Vec<u16> = cuts.iter().map(|cut| { let part = (*cut).min(left); left -= part; part }).collect();
            let mut order: Vec<usize> = (0..owned.len()).collect();
            order.rotate_left(seed % owned.len());
            let before = owned.clone();
            let (owned, moves) = settle(total, owned, &order);
            prop_assert_eq!(owned.iter().sum::<u16>(), total, "a shard is left free");
            let (min, max) = (owned.iter().min().unwrap(), owned.iter().max().unwrap());
            prop_assert!(max - min <= 1, "{:?} came to rest as {:?}", before, owned);
            // No more is moved than what stood above the floor.
            let floor = total / u16::try_from(owned.len()).unwrap();
            let above: usize = before.iter().map(|o| usize::from(o.saturating_sub(floor))).sum();
            prop_assert!(moves <= above, "{moves} moves where {above} stood above the floor");
        }
    }
}
