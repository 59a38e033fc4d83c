//! When a batch that was not taken is sent again, and when its events are given up.

use std::time::Duration;

/// When a batch that was not taken is sent again, and when its events are given up.
///
/// The delay before the next try is drawn between nothing and a bound that doubles with each failure up to `cap` (full
/// jitter), so that clients that failed together do not return together. No delay is longer than `cap`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// The bound of the first delay.
    pub base: Duration,
    /// The bound that is never passed.
    pub cap: Duration,
    /// An event is given up at this many failed attempts at the earliest …
    pub attempts_max: u32,
    /// … and at this age at the earliest, both of them.
    pub age_max: Duration,
    /// How long the sink is left alone when it does not know the key, or has thrown events away for its bill.
    pub pause: Duration,
}

impl Default for Retry {
    /// 500 ms up to a minute; given up after ten attempts and ten minutes; a pause of a minute.
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_mins(1),
            attempts_max: 10,
            age_max: Duration::from_mins(10),
            pause: Duration::from_mins(1),
        }
    }
}

impl Retry {
    /// Returns how long to wait after the `failed`th failure in a row; `random` is a number from 0 to 1.
    pub fn delay(&self, failed: u32, random: f64) -> Duration {
        let doublings = failed.saturating_sub(1).min(31);
        let bound = self.base.saturating_mul(1 << doublings).min(self.cap);
        // The product is rounded, perhaps up.
        bound.mul_f64(random.clamp(0.0, 1.0)).min(bound)
    }

    /// Returns whether an event that has failed so often, at this age, is given up.
    pub fn gives_up(&self, failed: u32, age: Duration) -> bool {
        failed >= self.attempts_max && age >= self.age_max
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bound_doubles_up_to_the_cap() {
        let retry = Retry::default();
        let bounds: Vec<_> =
            [1, 2, 3, 7, 8, 9, u32::MAX].map(|failed| retry.delay(failed, 1.0).as_millis()).into();
        assert_eq!(bounds, [500, 1000, 2000, 32_000, 60_000, 60_000, 60_000]);
        assert_eq!(retry.delay(3, 0.0), Duration::ZERO);
        assert_eq!(retry.delay(3, 0.5), Duration::from_secs(1));
    }

    #[test]
    fn event_is_given_up_when_both_attempts_and_age_are_over() {
        let retry = Retry::default();
        let (young, old) = (Duration::from_secs(599), Duration::from_mins(10));
        let table = [(9, young), (9, old), (10, young), (10, old)];
        let given_up = table.map(|(failed, age)| retry.gives_up(failed, age));
        assert_eq!(given_up, [false, false, false, true]);
    }

    proptest! {
        #[test]
        fn no_delay_passes_the_cap(failed: u32, random: f64, base in 0_u64..1 << 40, cap in 0_u64..1 << 40) {
            prop_assume!(!random.is_nan());
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
            let retry = Retry { base, cap, ..Retry::default() };
            prop_assert!(retry.delay(failed, random) <= cap);
        }
    }
}
