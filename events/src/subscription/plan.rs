//! From the subscriptions that are there to those that are wanted, with as few edits as possible.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{Subscription, Wanted};
use crate::store::subscription::Target;

/// The edits that make the subscriptions of a subscriber what is wanted.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// Those that stay, by id.
    pub(super) keep: Vec<i32>,
    /// Those that are to be added.
    pub(super) add: Vec<Target<'a>>,
    /// Those that an addition replaces, because they differ in order or filter alone.
    pub(super) replaced: Vec<i32>,
    /// Those that are to be removed.
    pub(super) remove: Vec<i32>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(tenant: &str, present: &[Subscription], wanted: &'a [Wanted]) -> Self {
        let mut missing: BTreeMap<(&str, &str), Target<'a>> = BTreeMap::new();
        for wanted in wanted {
            let key = (wanted.pattern.as_str(), wanted.scope.as_str());
            match missing.entry(key) {
                Entry::Vacant(entry) => drop(entry.insert(Target::from(wanted))),
                Entry::Occupied(mut entry) => {
                    let target = entry.get_mut();
                    target.ordered |= wanted.ordered;
                    let both = target.filter.take().zip(wanted.filter.clone());
                    target.filter = both.map(|(one, other)| one.or(other));
                }
            }
        }
        let (mut keep, mut replaced, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for stored in present {
            let key = (stored.pattern.as_str(), stored.scope.as_str());
            let filter = stored.filter.as_ref();
            match missing.get(&key).filter(|_| stored.tenant == tenant) {
                Some(target)
                    if target.ordered == stored.ordered && target.filter.as_ref() == filter =>
                {
                    missing.remove(&key);
                    keep.push(stored.subscription_id);
                }
                Some(_) => replaced.push(stored.subscription_id),
                None => remove.push(stored.subscription_id),
            }
        }
        Self { keep, add: missing.into_values().collect(), replaced, remove }
    }
}
