//! Finding those that spoil a request that is refused as a whole.

/// The parts of a refused request that are still to be sent.
///
/// A service that answers 400 or 413 does not say which event is to blame. So both halves are sent, and the halves of
/// those that are refused again, until each culprit is alone; all others are delivered.
/// Of `n` events with `k` culprits, that takes no more than `1 + 2 k log₂ n` requests, rounded up.
#[derive(Clone, Debug)]
pub struct Bisect<T> {
    parts: Vec<Vec<T>>,
}

impl<T> Bisect<T> {
    /// Returns the whole as the one part to be sent; without items there is none.
    pub fn new(items: Vec<T>) -> Self {
        let mut bisect = Self { parts: Vec::new() };
        bisect.put_back(items);
        bisect
    }

    /// Returns the part to be sent now, in the order of the items; `None` is the end.
    pub fn next_part(&mut self) -> Option<Vec<T>> {
        self.parts.pop()
    }

    /// Takes a part that was refused, to be sent in halves; one item that was refused by itself comes back: a culprit.
    pub fn refused(&mut self, mut part: Vec<T>) -> Option<T> {
        if part.len() <= 1 {
            return part.pop();
        }
        let behind = part.split_off(part.len() / 2);
        self.put_back(behind);
        self.put_back(part);
        None
    }

    /// Takes a part that was not answered for its own sake, to be sent as it is.
    pub fn put_back(&mut self, part: Vec<T>) {
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    /// Returns how many items are in the parts that are still to be sent.
    pub fn left(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// Returns the items that are still to be sent, in their order.
    pub fn into_items(self) -> Vec<T> {
        self.parts.into_iter().rev().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bisecting_ends_and_finds_exactly_the_culprits(
            count in 0_usize..300,
            culprits in prop::collection::btree_set(0_usize..300, 0..20),
        ) {
            let culprits: BTreeSet<_> = culprits.into_iter().filter(|item| *item < count).collect();
            let mut bisect = Bisect::new((0..count).collect());
            let (mut found, mut delivered, mut requests) = (BTreeSet::new(), Vec::new(), 0);
            while let Some(part) = bisect.next_part() {
                prop_assert!(!part.is_empty());
                requests += 1;
                if part.iter().any(|item| culprits.contains(item)) {
                    found.extend(bisect.refused(part));
                } else {
                    delivered.extend(part);
                }
            }
            prop_assert_eq!(&found, &culprits);
            // In order, and each of the others once.
            let others: Vec<_> = (0..count).filter(|item| !culprits.contains(item)).collect();
            prop_assert_eq!(delivered, others);
            let depth = usize::try_from(count.max(1).next_power_of_two().ilog2()).unwrap();
            prop_assert!(requests <= 1 + 2 * culprits.len() * depth, "{} requests", requests);
        }

        #[test]
        fn what_is_left_is_in_order_whenever_one_stops(count in 0_usize..100, stop in 0_usize..50) {
            let mut bisect = Bisect::new((0..count).collect());
            let mut gone = Vec::new();
            for turn in 0..stop {
                let Some(part) = bisect.next_part() else { break };
                if turn % 3 == 2 { gone.extend(part) } else { gone.extend(bisect.refused(part)) }
            }
            prop_assert_eq!(bisect.left() + gone.len(), count);
            prop_assert_eq!(bisect.into_items(), (gone.len()..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn part_that_was_not_answered_is_sent_as_it_is() {
        let mut bisect = Bisect::new(vec![1, 2, 3]);
        let part = bisect.next_part().unwrap();
        bisect.put_back(part);
        assert_eq!(bisect.next_part(), Some(vec![1, 2, 3]));
        assert_eq!(bisect.next_part(), None);
    }
}
