//! Counters that an application keeps in memory.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

use super::collector::{Collected, Collecting, Collector};

/// How often something has happened in this process.
///
/// # Examples
///
/// ```
/// use tidings_analytics::report::Counter;
///
/// static ORDERS: Counter = Counter::new("orders");
///
/// ORDERS.add(2);
/// assert_eq!(ORDERS.value(), 2);
/// ```
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    value: AtomicU64,
}

impl Counter {
    /// Returns a counter at zero.
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: AtomicU64::new(0) }
    }

    /// Counts once.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts `count` times.
    pub fn add(&self, count: u64) {
        self.value.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns how often it was counted.
    pub fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Returns what it counts.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A number that only grows, from zero on.
///
/// What can go down is no statistic but a trait: a report tells what there is of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no counter, so it cannot be a statistic of a report",
    label = "not a number that only grows",
    note = "write `u64`, another unsigned integer, an atomic one or `report::Counter`; what can go down is a trait: \
            derive `Traits` for it"
)]
pub trait Total {
    /// Returns how much it has come to.
    fn total(&self) -> u64;
}

macro_rules! totals {
    ($($integer:ty => $atomic:ty,)*) => {$(
        impl Total for $integer {
            fn total(&self) -> u64 {
                u64::try_from(*self).unwrap_or(u64::MAX)
            }
        }

        impl Total for $atomic {
            fn total(&self) -> u64 {
                self.load(Ordering::Relaxed).total()
            }
        }
    )*};
}

totals! {
    u8 => AtomicU8,
    u16 => AtomicU16,
    u32 => AtomicU32,
    u64 => AtomicU64,
    usize => AtomicUsize,
}

impl Total for Counter {
    fn total(&self) -> u64 {
        self.value()
    }
}

impl<T: Total + ?Sized> Total for &T {
    fn total(&self) -> u64 {
        (**self).total()
    }
}

impl<T: Total + ?Sized> Total for Arc<T> {
    fn total(&self) -> u64 {
        (**self).total()
    }
}

/// The counters of an application, as a collector.
#[derive(Debug)]
pub struct Counters {
    counters: Vec<&'static Counter>,
    names: Vec<&'static str>,
}

impl Counters {
    /// Returns the collector of `counters`.
    pub fn new(counters: impl IntoIterator<Item = &'static Counter>) -> Self {
        let counters: Vec<_> = counters.into_iter().collect();
        Self { names: counters.iter().map(|counter| counter.name()).collect(), counters }
    }
}

impl Collector for Counters {
    fn name(&self) -> &'static str {
        "counters"
    }

    fn statistics(&self) -> &[&'static str] {
        &self.names
    }

    fn collect(&self) -> Collecting<'_> {
        let mut collected = Collected::new();
        for counter in &self.counters {
            collected.statistic(counter.name(), counter.value());
        }
        Box::pin(std::future::ready(Ok(collected)))
    }
}
