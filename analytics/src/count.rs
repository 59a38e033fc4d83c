//! How many there are of something, instead of what they are.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{anonymous::Anonymous, value::Value};

/// The number of things in a collection.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct Count(u64);

impl Count {
    /// Counts what is in `collection`.
    pub fn of<C: Countable + ?Sized>(collection: &C) -> Self {
        Self(collection.count())
    }

    /// Returns the count of `number` things.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Anonymous for Count {
    fn to_value(&self) -> Option<Value> {
        Some(Value::from(self.0))
    }
}

/// A collection whose size may be told.
///
/// Text is none: how long a name is tells something about it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a collection, so its things cannot be counted for telemetry",
    label = "not countable",
    note = "`#[telemetry(count)]` counts the items of a `Vec`, a set or a map; \
            for anything else compute the count with `#[telemetry(with = function)]`"
)]
pub trait Countable {
    /// Returns how many things there are.
    fn count(&self) -> u64;
}

macro_rules! collections {
    ($([$($generics:tt)*] $collection:ty;)*) => {$(
        impl<$($generics)*> Countable for $collection {
            fn count(&self) -> u64 {
                u64::try_from(self.len()).unwrap_or(u64::MAX)
            }
        }
    )*};
}

collections! {
    [T] [T];
    [T, const N: usize] [T; N];
    [T] Vec<T>;
    [T] VecDeque<T>;
    [T] BTreeSet<T>;
    [T, S] HashSet<T, S>;
    [K, V] BTreeMap<K, V>;
    [K, V, S] HashMap<K, V, S>;
    [] serde_json::Map<String, serde_json::Value>;
}

impl<C: Countable + ?Sized> Countable for &C {
    fn count(&self) -> u64 {
        (**self).count()
    }
}

impl<C: Countable + ?Sized> Countable for Box<C> {
    fn count(&self) -> u64 {
        (**self).count()
    }
}

impl<T: Clone> Countable for Cow<'_, [T]> {
    fn count(&self) -> u64 {
        (**self).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collection_is_told_by_its_size_alone() {
        assert_eq!(Count::of(&vec!["a", "b"]).get(), 2);
        assert_eq!(Count::of(&[(); 3]).get(), 3);
        assert_eq!(Count::of(&HashMap::from([("key", "value")])).get(), 1);
        assert_eq!(Count::of::<[String]>(&[]).get(), 0);
        assert_eq!(Count::of(&vec!["a"]).to_value(), Some(Value::from(1_u64)));
    }
}
