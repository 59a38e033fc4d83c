//! What a receiver remembers: which events it has, and whether they came in order.
//!
//! It does no I/O and reads no clock.
//! A receiver of your own needs no more than the first map: at least once means that an event may come again, under the
//! same `webhook-id`.

use std::collections::HashMap;

use uuid::Uuid;

/// A webhook whose signature was right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Receipt {
    /// The header `webhook-id`.
    pub(crate) event_id: Uuid,
    /// The type of the event.
    pub(crate) event_type: String,
    /// Which order it is about.
    pub(crate) order_id: Uuid,
    /// The revision of the order, from one.
    pub(crate) revision: i32,
    /// When it came, in microseconds since 1970.
    pub(crate) at_us: i64,
}

/// What a receiver remembers.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// First receipts, in the order in which they came.
    taken: Vec<Receipt>,
    /// Where in `taken` an event stands.
    events: HashMap<Uuid, usize>,
    /// The last revision of each order.
    orders: HashMap<Uuid, i32>,
    duplicates: u64,
    out_of_order: u64,
    forged: u64,
}

impl Receipts {
    /// Takes a webhook in; one that came before is only counted.
    pub(crate) fn take(&mut self, receipt: Receipt) {
        if self.events.contains_key(&receipt.event_id) {
            self.duplicates += 1;
            return;
        }
        let last = self.orders.entry(receipt.order_id).or_default();
        if receipt.revision != *last + 1 {
            self.out_of_order += 1;
        }
        *last = receipt.revision.max(*last);
        self.events.insert(receipt.event_id, self.taken.len());
        self.taken.push(receipt);
    }

    /// Counts a request whose signature was wrong.
    pub(crate) fn refuse(&mut self) {
        self.forged += 1;
    }

    /// Returns the first receipt of an event.
    pub(crate) fn of(&self, event_id: Uuid) -> Option<&Receipt> {
        self.events.get(&event_id).and_then(|index| self.taken.get(*index))
    }

    /// Returns the first receipts, those after the first `count` of them.
    pub(crate) fn after(&self, count: usize) -> &[Receipt] {
        self.taken.get(count..).unwrap_or_default()
    }

    /// Returns how many events came.
    pub(crate) fn count(&self) -> usize {
        self.taken.len()
    }

    /// Returns how many webhooks brought an event that was there already.
    pub(crate) const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Returns how many events came before the one that precedes them, or after the one that follows.
    pub(crate) const fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Returns how many requests had a wrong signature.
    pub(crate) const fn forged(&self) -> u64 {
        self.forged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Event, order, revision.
    type Came = (u128, u128, i32);

    fn receipt(event: u128, order: u128, revision: i32) -> Receipt {
        Receipt {
            event_id: Uuid::from_u128(event),
            event_type: "shop:order:paid".into(),
            order_id: Uuid::from_u128(order),
            revision,
            at_us: 0,
        }
    }

    fn receipts(of: &[Came]) -> Receipts {
        let mut receipts = Receipts::default();
        for (event, order, revision) in of {
            receipts.take(receipt(*event, *order, *revision));
        }
        receipts
    }

    #[test]
    fn event_that_comes_again_is_counted_and_not_taken() {
        let receipts = receipts(&[(1, 1, 1), (2, 1, 2), (1, 1, 1), (1, 1, 1)]);
        assert_eq!((receipts.count(), receipts.duplicates(), receipts.out_of_order()), (2, 2, 0));
    }

    #[test]
    fn order_is_checked_within_each_order_of_a_customer() {
        let cases: [(&[Came], u64); 4] = [
            (&[(1, 1, 1), (2, 2, 1), (3, 2, 2), (4, 1, 2), (5, 1, 3)], 0),
            (&[(1, 1, 2), (2, 1, 1)], 2),
            (&[(1, 1, 1), (2, 1, 3), (3, 1, 2)], 2),
            (&[(1, 1, 2)], 1),
        ];
        for (came, out_of_order) in cases {
            assert_eq!(receipts(came).out_of_order(), out_of_order, "{came:?}");
        }
    }

    #[test]
    fn receipts_are_found_by_event_and_by_age() {
        let receipts = receipts(&[(1, 1, 1), (2, 1, 2)]);
        assert_eq!(receipts.of(Uuid::from_u128(2)).unwrap().revision, 2);
        assert_eq!(receipts.of(Uuid::from_u128(3)), None);
        assert_eq!(receipts.after(1).len(), 1);
        assert!(receipts.after(5).is_empty());
    }
}
