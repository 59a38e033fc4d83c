//! What was found lately, and what was not.
//!
//! Two generations: what is used moves into the young one, and when that is full the old one goes.
//! So memory is bounded, and no entry is looked for to be thrown out.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Row;

/// The rows of one look-up that are still fresh, and the keys that have none.
#[derive(Debug)]
pub(super) struct Cache {
    young: HashMap<String, Entry>,
    old: HashMap<String, Entry>,
    /// Half of the entries.
    generation: usize,
    fresh: Duration,
}

/// What is known of a key: its row, or that it has none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known(pub(super) Option<Row>);

#[derive(Clone, Debug)]
struct Entry {
    row: Option<Row>,
    fetched_at: Instant,
}

impl Cache {
    /// Returns an empty cache of up to `entries`, each of use for as long as it is `fresh`.
    pub(super) fn new(entries: usize, fresh: Duration) -> Self {
        let generation = entries.div_ceil(2);
        Self { young: HashMap::new(), old: HashMap::new(), generation, fresh }
    }

    /// Returns what is known of a key, if it is still fresh.
    pub(super) fn get(&mut self, key: &str, now: Instant) -> Option<Known> {
        let fresh = self.fresh;
        let is_fresh = |entry: &Entry| now.saturating_duration_since(entry.fetched_at) < fresh;
        if let Some(entry) = self.young.get(key) {
            return is_fresh(entry).then(|| Known(entry.row.clone()));
        }
        let entry = self.old.remove(key)?;
        if !is_fresh(&entry) {
            return None;
        }
        let row = entry.row.clone();
        self.put(key.to_owned(), entry);
        Some(Known(row))
    }

    /// Remembers what was fetched.
    pub(super) fn set(&mut self, key: String, row: Option<Row>, now: Instant) {
        if !self.fresh.is_zero() && self.generation > 0 {
            self.put(key, Entry { row, fetched_at: now });
        }
    }

    fn put(&mut self, key: String, entry: Entry) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_never_holds_more_than_it_may_and_keeps_what_is_used() {
        let (mut cache, now) = (Cache::new(10, Duration::from_mins(1)), Instant::now());
        for number in 0..1000 {
            cache.set(number.to_string(), None, now);
            cache.set("used".to_owned(), None, now);
            assert!(cache.len() <= 10, "{}", cache.len());
            assert_eq!(cache.get("used", now), Some(Known(None)));
        }
        assert_eq!(cache.get("0", now), None);
    }

    #[test]
    fn row_is_fetched_again_when_it_is_no_longer_fresh() {
        let (mut cache, start) = (Cache::new(10, Duration::from_mins(1)), Instant::now());
        cache.set("a".to_owned(), Some(Row::default()), start);
        assert!(cache.get("a", start + Duration::from_secs(59)).is_some());
        assert!(cache.get("a", start + Duration::from_mins(1)).is_none());
        let mut none = Cache::new(10, Duration::ZERO);
        none.set("a".to_owned(), None, start);
        assert!(none.get("a", start).is_none());
    }
}
