//! The events that wait in memory, in their order, within bounds.

use std::collections::VecDeque;

use tokio::time::Instant;
use uuid::Uuid;

use super::event::Event;
use crate::{Level, wire::Encoded};

/// What happens when an event comes and there is no room.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WhenFull {
    /// The caller is told, and decides.
    #[default]
    Reject,
    /// The new one is dropped; the caller can see it.
    DropNew,
    /// The oldest are dropped to make room.
    DropOld,
}

/// An event that waits.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: Uuid,
    pub(super) event: Event,
    pub(super) encoded: Encoded,
    pub(super) queued_at: Instant,
    /// Its place among all events that were ever queued.
    pub(super) sequence: u64,
    /// How many attempts have failed that were charged to it.
    pub(super) failed: u32,
}

/// What has become of an event that came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pushed {
    Kept,
    /// The level was lowered while it was made.
    Ignored,
    Refused,
    Dropped,
}

/// The events that wait.
#[derive(Debug)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
    when_full: WhenFull,
}

impl Item {
    pub(super) fn new(id: Uuid, event: &Event, encoded: Encoded) -> Self {
        let queued_at = Instant::now();
        Self { id, event: *event, encoded, queued_at, sequence: 0, failed: 0 }
    }

    fn bytes(&self) -> usize {
        self.encoded.bytes().len()
    }
}

impl Queue {
    pub(super) const fn new(events_max: usize, bytes_max: usize, when_full: WhenFull) -> Self {
        Self { items: VecDeque::new(), bytes: 0, events_max, bytes_max, when_full }
    }

    /// Takes an event in; also returns those that had to make room.
    pub(super) fn push(&mut self, item: Item) -> (Pushed, Vec<Item>) {
        let mut dropped = Vec::new();
        while !self.has_room(item.bytes()) {
            match (self.when_full, self.items.is_empty()) {
                (WhenFull::DropOld, false) => dropped.extend(self.pop()),
                (WhenFull::Reject, _) => return (Pushed::Refused, dropped),
                (WhenFull::DropNew | WhenFull::DropOld, _) => return (Pushed::Dropped, dropped),
            }
        }
        self.bytes += item.bytes();
        self.items.push_back(item);
        (Pushed::Kept, dropped)
    }

    /// Takes the oldest out.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.bytes();
        Some(item)
    }

    /// Takes those out that `level` does not allow.
    pub(super) fn expire(&mut self, level: Level) -> Vec<Item> {
        let items = std::mem::take(&mut self.items).into_iter();
        let (kept, expired): (Vec<_>, _) = items.partition(|item| level.allows(item.event.level()));
        self.bytes = kept.iter().map(Item::bytes).sum();
        self.items = kept.into();
        expired
    }

    /// Returns the oldest.
    pub(super) fn first(&self) -> Option<&Item> {
        self.items.front()
    }

    /// Returns how many wait.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns how many bytes wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many wait of those that were queued up to a place.
    pub(super) fn len_up_to(&self, sequence: u64) -> usize {
        self.items.partition_point(|item| item.sequence <= sequence)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.items.len() < self.events_max && self.bytes + bytes <= self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::wire::{Host, Identity, Key, Message, Name, Settings, Sink};

    fn item(number: u64, filler: usize, level: Level) -> Item {
        let key = Key::new("key").unwrap();
        let sink = Sink::segment(Settings::new(Host::Us, key, "test")).unwrap();
        let (event, id) = (Event::track("a:happened", level), Uuid::from_u128(number.into()));
        let name = Name::new(event.name()).unwrap();
        let identity = Identity::installation(Uuid::from_u128(7)).unwrap();
        let message = Message::new(id, event.call(), name, identity, DateTime::UNIX_EPOCH).unwrap();
        let properties = json!({"filler": "x".repeat(filler)}).try_into().unwrap();
        let encoded = sink.encode(&message.with_properties(properties)).unwrap();
        Item { sequence: number, ..Item::new(id, &event, encoded) }
    }

    fn sequences(items: &[Item]) -> Vec<u64> {
        items.iter().map(|item| item.sequence).collect()
    }

    #[test]
    fn full_queue_does_as_it_was_told() {
        let table = [
            (WhenFull::Reject, Pushed::Refused, vec![], [1, 2]),
            (WhenFull::DropNew, Pushed::Dropped, vec![], [1, 2]),
            (WhenFull::DropOld, Pushed::Kept, vec![1], [2, 3]),
        ];
        for (when_full, expected, dropped, left) in table {
            let mut queue = Queue::new(2, 1 << 20, when_full);
            for number in 1..=2 {
                assert_eq!(queue.push(item(number, 0, Level::Basic)).0, Pushed::Kept);
            }
            let (pushed, out) = queue.push(item(3, 0, Level::Basic));
            assert_eq!((pushed, sequences(&out)), (expected, dropped), "{when_full:?}");
            let kept: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            assert_eq!(sequences(&kept), left, "{when_full:?}");
        }
    }

    #[test]
    fn event_that_is_larger_than_the_queue_is_dropped_after_all_others() {
        let mut queue = Queue::new(10, 1000, WhenFull::DropOld);
        queue.push(item(1, 0, Level::Basic));
        let (pushed, out) = queue.push(item(2, 2000, Level::Basic));
        assert_eq!((pushed, sequences(&out)), (Pushed::Dropped, vec![1]));
    }

    #[test]
    fn lowered_level_expires_what_it_does_not_allow() {
        let mut queue = Queue::new(10, 1 << 20, WhenFull::Reject);
        for (number, level) in [(1, Level::Basic), (2, Level::Full), (3, Level::Security)] {
            queue.push(item(number, 0, level));
        }
        assert_eq!(sequences(&queue.expire(Level::Basic)), [2]);
        assert_eq!((queue.len(), queue.len_up_to(2)), (2, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn queue_keeps_its_bounds_and_loses_count_of_nothing(
            steps in prop::collection::vec((0_usize..900, any::<bool>()), 0..60),
            events_max in 1_usize..8,
            bytes_max in 300_usize..3000,
        ) {
            for when_full in [WhenFull::Reject, WhenFull::DropNew, WhenFull::DropOld] {
                let mut queue = Queue::new(events_max, bytes_max, when_full);
                let (mut pushed, mut out) = (0, 0);
                for (number, (filler, pops)) in (1..).zip(&steps) {
                    let (result, dropped) = queue.push(item(number, *filler, Level::Basic));
                    pushed += 1;
                    out += dropped.len() + usize::from(result != Pushed::Kept);
                    out += usize::from(*pops && queue.pop().is_some());
                    prop_assert!(queue.len() <= events_max && queue.bytes <= bytes_max);
                    prop_assert_eq!(queue.bytes, queue.items.iter().map(Item::bytes).sum::<usize>());
                }
                prop_assert_eq!(queue.len() + out, pushed);
            }
        }
    }
}
