//! A table of keys, 16 bytes each, filled to between three quarters and nine tenths.
//!
//! It is a sorted array with gaps: a key stands at the place that its value gives it, or as soon after it as there was
//! room, and keys never stand in another order than theirs.
//! So a search ends at the first greater key, growing is one pass from left to right, and nothing is ever rehashed.
//! The keys are parts of digests: evenly spread, whatever strangers send.

/// The part of the places that may be taken before the table grows.
const FULL: (usize, usize) = (9, 10);

/// By how much a table grows; less than usual, because memory is what bounds the window.
const GROWTH: (usize, usize) = (6, 5);

/// The smallest table.
const PLACES_MIN: usize = 16;

/// A key, and what is known of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Slot {
    pub(super) key: u64,
    pub(super) fingerprint: u32,
    /// Seconds since 1970; 0 in an empty place.
    pub(super) seen_at: u32,
}

/// Keys in their order, with gaps.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The places, and behind them whatever was pushed over the end.
    slots: Vec<Slot>,
    /// How many places the keys are spread over.
    places: usize,
    len: usize,
}

impl Slot {
    const fn is_empty(self) -> bool {
        self.seen_at == 0
    }
}

impl Table {
    /// Returns how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns what is known of a key: one slot for each fingerprint, in no order.
    pub(super) fn get(&self, key: u64) -> impl Iterator<Item = &Slot> {
        let from = if self.slots.is_empty() { 0 } else { self.place(key) };
        self.slots[from..]
            .iter()
            .skip_while(move |slot| !slot.is_empty() && slot.key < key)
            .take_while(move |slot| !slot.is_empty() && slot.key == key)
    }

    /// Adds a slot; its time is not 0.
    pub(super) fn insert(&mut self, slot: Slot) {
        if (self.len + 1) * FULL.1 > self.places * FULL.0 {
            self.resize((self.places * GROWTH.0 / GROWTH.1).max(PLACES_MIN), 0);
        }
        let from = self.place(slot.key);
        let before = |other: &Slot| !other.is_empty() && other.key <= slot.key;
        let at = from + self.slots[from..].iter().take_while(|other| before(other)).count();
        match self.slots[at..].iter().position(|other| other.is_empty()) {
            Some(gap) => {
                self.slots[at..=at + gap].rotate_right(1);
                self.slots[at] = slot;
            }
            None => self.slots.insert(at, slot),
        }
        self.len += 1;
    }

    /// Forgets what was seen before `oldest`, and tells when each of it was.
    pub(super) fn forget(&mut self, oldest: u32, mut gone: impl FnMut(u32)) {
        let mut stays = self.len;
        for slot in self.slots.iter().filter(|slot| !slot.is_empty() && slot.seen_at < oldest) {
            gone(slot.seen_at);
            stays -= 1;
        }
        if stays < self.len {
            let wanted = stays * FULL.1 / FULL.0 * GROWTH.0 / GROWTH.1;
            self.resize(wanted.max(PLACES_MIN), oldest);
        }
    }

    fn place(&self, key: u64) -> usize {
        place(key, self.places)
    }

    /// Moves everything that was seen at `oldest` or later to a table of so many places.
    fn resize(&mut self, places: usize, oldest: u32) {
        let old = std::mem::take(self);
        let mut slots = Vec::with_capacity(places + places / 64);
        slots.resize(places, Slot::default());
        let (mut next, mut len) = (0, 0);
        let stays = |slot: &&Slot| !slot.is_empty() && slot.seen_at >= oldest;
        for slot in old.slots.iter().filter(stays) {
            let at = place(slot.key, places).max(next);
            match slots.get_mut(at) {
                Some(place) => *place = *slot,
                None => slots.push(*slot),
            }
            (next, len) = (at + 1, len + 1);
        }
        *self = Self { slots, places, len };
    }
}

/// Returns where a key belongs among so many places: in the order of the keys, evenly.
fn place(key: u64, places: usize) -> usize {
    let place = (u128::from(key) * places as u128) >> 64;
    usize::try_from(place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    fn slot(key: u64, fingerprint: u32, seen_at: u32) -> Slot {
        Slot { key, fingerprint, seen_at }
    }

    fn digest(n: u64) -> u64 {
        let digest = Sha256::digest(n.to_be_bytes());
        u64::from_be_bytes(digest[..8].try_into().unwrap())
    }

    #[test]
    fn key_takes_at_most_23_bytes_once_there_are_a_thousand() {
        let mut table = Table::default();
        for n in 0..200_000 {
            table.insert(slot(digest(n), 0, 1));
            if table.len() > 1000 {
                let (bytes, keys) = (table.bytes(), table.len());
                assert!(bytes < 23 * keys, "{bytes} bytes for {keys} keys");
            }
        }
        assert!((0..200_000).all(|n| table.get(digest(n)).count() == 1));
        assert!((200_000..300_000).all(|n| table.get(digest(n)).next().is_none()));
    }

    #[test]
    fn memory_of_what_is_forgotten_is_given_back() {
        let mut table = Table::default();
        for n in 0..10_000 {
            table.insert(slot(digest(n), 0, if n < 9_000 { 1 } else { 2 }));
        }
        let before = table.bytes();
        let mut gone = Vec::new();
        table.forget(2, |seen_at| gone.push(seen_at));
        assert_eq!((gone, table.len()), (vec![1; 9_000], 1_000));
        table.forget(2, |_| panic!("it is forgotten already"));
        assert!(table.bytes() < before / 5, "{} of {before}", table.bytes());
        assert!((9_000..10_000).all(|n| table.get(digest(n)).count() == 1));
    }

    #[test]
    fn keys_in_one_place_are_all_kept() {
        let mut table = Table::default();
        for n in 0..500 {
            table.insert(slot(u64::MAX, n, 1));
        }
        assert_eq!(table.get(u64::MAX).count(), 500);
    }

    proptest! {
            #[test]
            fn table_is_a_map(
                steps in proptest::collection::vec((0_u64..40, 0_u32..3, 1_u32..9, 0_u8..10), 0..300),
                spread in prop_oneof![Just(1_u64), Just(1 << 58), Just(u64::MAX / 40)],
            ) {
                let (mut table, mut map) = (Table::default(), BTreeMap::<u64, Vec<Slot>>::new());
                for (key, fingerprint, seen_at, action) in steps {
                    let slot = slot(key * spread, fingerprint, seen_at);
                    if action == 0 {
                        let mut forgotten = 0;
                        table.forget(seen_at, |_| forgotten += 1);
                        let count = |map: &BTreeMap<u64, Vec<Slot>>| map.values().map(Vec::len).sum::<usize>();
                        let before = count(&map);
                        for slots in map.values_mut() {
     slots.retain(|slot| slot.seen_at >= seen_at);
    }
                        prop_assert_eq!(forgotten, before - count(&map));
                    } else {
                        table.insert(slot);
                        map.entry(slot.key).or_default().push(slot);
                    }
                    for key in (0..41).map(|key| key * (spread.min(u64::MAX / 41))) {
                        let order = |slot: &Slot| (slot.fingerprint, slot.seen_at);
                        let mut found: Vec<_> = table.get(key).copied().collect();
                        let mut expected = map.get(&key).cloned().unwrap_or_default();
                        found.sort_by_key(order);
                        expected.sort_by_key(order);
                        prop_assert_eq!(found, expected);
                    }
                }
            }
        }
}
