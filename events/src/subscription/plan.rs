//! From the subscriptions that are there to those that are wanted, with as few edits as possible.

use std::collections::BTreeMap;

use super::{Subscription, Wanted};
use crate::store::subscription::Target;

/// The edits that make the subscriptions of a subscriber what is wanted.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// Those that stay, by id.
    pub(super) keep: Vec<i32>,
    /// Those that are to be added.
    pub(super) add: Vec<Target<'a>>,
    /// Those that an addition replaces, because they differ in `ordered` alone.
    pub(super) replaced: Vec<i32>,
    /// Those that are to be removed.
    pub(super) remove: Vec<i32>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(tenant: &str, present: &[Subscription], wanted: &'a [Wanted]) -> Self {
        let mut missing: BTreeMap<(&str, &str), Target<'a>> = BTreeMap::new();
        for Wanted { pattern, scope, ordered } in wanted {
            let target = missing.entry((pattern.as_str(), scope.as_str())).or_insert(Target {
                pattern,
                scope,
                ordered: *ordered,
            });
            target.ordered |= *ordered;
        }
        let (mut keep, mut replaced, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for Subscription { subscription_id, pattern, scope, ordered, tenant: own, .. } in present {
            let key = (pattern.as_str(), scope.as_str());
            match missing.get(&key).filter(|_| own == tenant) {
                Some(target) if target.ordered == *ordered => {
                    missing.remove(&key);
                    keep.push(*subscription_id);
                }
                Some(_) => replaced.push(*subscription_id),
                None => remove.push(*subscription_id),
            }
        }
        Self { keep, add: missing.into_values().collect(), replaced, remove }
    }
}
