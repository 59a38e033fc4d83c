//! What a member has to do about the shards it holds, as a pure rule.

use std::collections::BTreeMap;

use tidings_ownership::ShardState;

/// What follows from what the database says that is held.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Plan {
    /// Partitions that are worked on and may not be any more.
    pub(super) lost: Vec<i32>,
    /// Shards to give back, with their terms.
    pub(super) released: Vec<(i32, i64)>,
    /// Partitions to adopt, with their terms.
    pub(super) claims: Vec<(i32, i64)>,
}

/// Returns what follows for a member that works on the partitions `adopted` under their terms, and has given back
/// `released`, each under the term it had last.
pub(super) fn plan(
    held: &BTreeMap<i32, ShardState>,
    adopted: &BTreeMap<i32, i64>,
    released: &BTreeMap<i32, i64>,
) -> Plan {
    let mut plan = Plan::default();
    for (partition, term) in adopted {
        let keeps = held.get(partition).is_some_and(|now| now.term == *term && !now.give_up);
        if !keeps {
            plan.lost.push(*partition);
        }
    }
    for (partition, now) in held {
        // The database goes on naming it until it has heard.
        if released.get(partition) == Some(&now.term) {
            continue;
        }
        if now.give_up {
            plan.released.push((*partition, now.term));
        } else if adopted.get(partition) != Some(&now.term) {
            plan.claims.push((*partition, now.term));
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn shard(term: i64, give_up: bool) -> ShardState {
        ShardState { term, deaths: 0, config_version: 0, give_up }
    }

    #[test]
    fn each_partition_is_lost_released_or_claimed_as_its_shard_says() {
        let keep = Plan::default;
        let lost = || Plan { lost: vec![1], ..keep() };
        let claim = |term| Plan { claims: vec![(1, term)], ..keep() };
        for (held, adopted, released, expected) in [
            (None, None, None, keep()),
            (Some((5, false)), None, None, claim(5)),
            (Some((5, false)), Some(5), None, keep()),
            (None, Some(5), None, lost()),
            // Lost and gained again before anybody looked.
            (Some((7, false)), Some(5), None, Plan { claims: vec![(1, 7)], ..lost() }),
            (Some((5, true)), Some(5), None, Plan { released: vec![(1, 5)], ..lost() }),
            (Some((5, true)), None, None, Plan { released: vec![(1, 5)], ..keep() }),
            (Some((5, true)), None, Some(5), keep()),
            // Its release is not known yet, and the others have gone meanwhile.
            (Some((5, false)), None, Some(5), keep()),
            (Some((6, false)), None, Some(5), claim(6)),
        ] {
            let held = held.map(|(term, give_up)| (1, shard(term, give_up))).into_iter().collect();
            let one = |term: Option<i64>| term.map(|term| (1, term)).into_iter().collect();
            let found = plan(&held, &one(adopted), &one(released));
            assert_eq!(found, expected, "{held:?} {adopted:?} {released:?}");
        }
    }
}
