//! When a failed delivery comes again, and when it is given up.
//!
//! The default is the example of Standard Webhooks: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h
//! and 24 h, ten attempts in a little over three days.
//! A delivery is given up only when attempts and age are both exceeded, so that neither a burst of quick failures nor
//! a worker that was away for a week loses anything.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const HOUR: u64 = 3600;

/// The widest part of a delay by which it is shortened or stretched: a tenth.
const JITTER: f64 = 0.1;

/// When a failed delivery comes again, and when it is given up.
///
/// Stored as the `retry` of a subscriber; what is left out has its default.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ladder {
    /// The delay before each attempt, in seconds; the last one repeats. 1 to 100 steps of at most 30 days, of which the
    /// first is 0, because the first attempt is made at once.
    pub delays_s: Vec<f64>,
    /// Given up at this many attempts at the earliest, 1 to 1,000.
    pub attempts_max: u16,
    /// Given up at this age at the earliest, in seconds, at most a year.
    pub age_max_s: f64,
}

impl Default for Ladder {
    fn default() -> Self {
        let delays_s =
            [0, 5, 5 * 60, 30 * 60, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
        let delays_s = delays_s.into_iter().map(|delay| delay as f64).collect();
        Self { delays_s, attempts_max: 10, age_max_s: 72.0 * 3600.0 }
    }
}

/// A ladder whose numbers make no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LadderError {
    /// No step, more than 100, or one that is negative, no number, or longer than 30 days.
    #[error("delays_s needs 1 to 100 delays of 0 to 2592000 seconds")]
    Delays,
    /// The first step is not 0.
    #[error("delays_s begins with 0, because the first attempt is made at once")]
    First,
    /// The number of attempts.
    #[error("attempts_max is 1 to 1000")]
    Attempts,
    /// The age.
    #[error("age_max_s is 0 to 31536000 seconds")]
    Age,
}

impl Ladder {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// The first number that is out of its range.
    pub fn check(&self) -> Result<(), LadderError> {
        let is_delay = |delay: &f64| (0.0..=2_592_000.0).contains(delay);
        if self.delays_s.is_empty()
            || self.delays_s.len() > 100
            || !self.delays_s.iter().all(is_delay)
        {
            return Err(LadderError::Delays);
        }
        if self.delays_s.first().is_some_and(|delay| *delay > 0.0) {
            return Err(LadderError::First);
        }
        if !(1..=1000).contains(&self.attempts_max) {
            return Err(LadderError::Attempts);
        }
        if !(0.0..=31_536_000.0).contains(&self.age_max_s) {
            return Err(LadderError::Age);
        }
        Ok(())
    }

    /// Returns how long after its `failed`th failure a delivery of that `age` comes again, or `None` if it is given up.
    ///
    /// `random` is a number from 0 to 1 and spreads the delay by a tenth either way. Failures are counted from one.
    #[must_use]
    pub fn next(&self, failed: u16, age: Duration, random: f64) -> Option<Duration> {
        if failed >= self.attempts_max && age.as_secs_f64() >= self.age_max_s {
            return None;
        }
        let step = usize::from(failed).min(self.delays_s.len().saturating_sub(1));
        let delay = self.delays_s.get(step).copied().unwrap_or_default();
        let spread = 1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0);
        Some(Duration::try_from_secs_f64(delay * spread).unwrap_or_default())
    }

    /// Returns how long after its `failed`th failure a delivery comes again at the earliest, given a floor that the
    /// destination asked for: never earlier than asked, and spread only upwards.
    #[must_use]
    pub fn with_floor(delay: Duration, floor: Duration, random: f64) -> Duration {
        delay.max(floor.mul_f64(1.0 + JITTER * random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn default_ladder_is_the_one_of_standard_webhooks() {
        let ladder = Ladder::default();
        let delays: Vec<u64> = (1..=11)
            .map_while(|failed| ladder.next(failed, Duration::ZERO, 0.5))
            .map(|d| d.as_secs())
            .collect();
        assert_eq!(
            delays,
            [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, 86_400, 86_400]
        );
    }

    #[test]
    fn ladder_of_orchest_can_be_asked_for() {
        // Two to the power of the failures, and an hour at most.
        let ladder: Ladder = serde_json::from_str(
            r#"{"delays_s": [0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]}"#,
        )
        .unwrap();
        assert_eq!(ladder.check(), Ok(()));
        for failed in 1..=20 {
            let delay = ladder.next(failed, Duration::ZERO, 0.5).unwrap();
            let expected = 2_u64.pow(failed.into()).min(3600);
            assert_eq!(delay, Duration::from_secs(expected), "failure {failed}");
        }
    }

    #[test]
    fn delivery_is_given_up_only_when_attempts_and_age_are_both_exceeded() {
        let ladder = Ladder::default();
        assert!(ladder.next(100, Duration::from_mins(1), 0.5).is_some(), "young");
        assert!(ladder.next(9, 30 * DAY, 0.5).is_some(), "few attempts");
        assert!(ladder.next(10, 3 * DAY, 0.5).is_none());
    }

    #[test]
    fn ladder_of_a_subscriber_is_read_with_defaults_and_its_ranges_are_checked() {
        let ladder: Ladder =
            serde_json::from_str(r#"{"delays_s": [0, 1.5], "age_max_s": 10}"#).unwrap();
        assert_eq!(ladder.attempts_max, 10);
        assert_eq!(ladder.check(), Ok(()));
        for (json, error) in [
            (r#"{"delays_s": []}"#, LadderError::Delays),
            (r#"{"delays_s": [-1]}"#, LadderError::Delays),
            (r#"{"delays_s": [60, 5]}"#, LadderError::First),
            (r#"{"attempts_max": 0}"#, LadderError::Attempts),
            (r#"{"age_max_s": 1e12}"#, LadderError::Age),
        ] {
            assert_eq!(serde_json::from_str::<Ladder>(json).unwrap().check(), Err(error), "{json}");
        }
        assert!(serde_json::from_str::<Ladder>(r#"{"delay": 1}"#).is_err());
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_tenth_for_every_attempt(
            failed in 0_u16..=u16::MAX, random in -1.0_f64..2.0, age in 0_u64..1_000_000,
        ) {
            let ladder = Ladder::default();
            if let Some(delay) = ladder.next(failed, Duration::from_secs(age), random) {
                let step = ladder.delays_s[usize::from(failed).min(9)];
                prop_assert!(delay.as_secs_f64() >= step * 0.9 - 1e-6);
                prop_assert!(delay.as_secs_f64() <= step * 1.1 + 1e-6);
            }
        }

        #[test]
        fn floor_is_never_undercut(delay in 0_u64..100_000, floor in 0_u64..100_000, random in 0.0_f64..1.0) {
            let (delay, floor) = (Duration::from_secs(delay), Duration::from_secs(floor));
            prop_assert!(Ladder::with_floor(delay, floor, random) >= floor.max(delay));
        }

        #[test]
        fn every_sequence_of_failures_ends(attempts_max in 1_u16..50, age_max_s in 0.0_f64..1000.0, step in 0.1_f64..10.0) {
            let ladder = Ladder { delays_s: vec![0.0, step], attempts_max, age_max_s };
            let mut age = Duration::ZERO;
            let mut failed = 0_u16;
            while let Some(delay) = { failed += 1; ladder.next(failed, age, 0.0) } {
                age += delay;
                prop_assert!(failed < 30_000);
            }
            prop_assert!(failed >= attempts_max && age.as_secs_f64() >= age_max_s);
        }
    }
}
