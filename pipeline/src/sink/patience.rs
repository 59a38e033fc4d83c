//! How long a sink leaves a service alone that has not taken something.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause that is ours.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest pause that a service may ask for.
const ASKED_MAX: Duration = Duration::from_mins(5);

/// Returns the pause after try number `attempt` (from one).
///
/// It doubles from 0.1 s to 30 s, of which between half and all is waited. What the service asks for is waited for in
/// full, up to five minutes, and up to a tenth longer. Where in these ranges follows from `seed`: requests that were
/// turned away together do not come back together.
pub(super) fn pause(attempt: u32, asked: Option<Duration>, seed: u64) -> Duration {
    let share = f64::from(u32::try_from(scatter(seed, attempt) >> 32).unwrap_or_default())
        / f64::from(u32::MAX);
    if let Some(asked) = asked {
        return asked.min(ASKED_MAX).mul_f64(1.0 + share / 10.0);
    }
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    doubled.min(LONGEST).mul_f64(0.5 + share / 2.0)
}

/// Mixes the bits (`SplitMix64`).
const fn scatter(seed: u64, attempt: u32) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(attempt as u64 + 1));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pause_doubles_within_its_bounds(attempt in 1_u32.., seed: u64) {
            let full = FIRST.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(LONGEST);
            let pause = pause(attempt, None, seed);
            prop_assert!(full / 2 <= pause && pause <= full, "{:?} of {:?}", pause, full);
        }

        #[test]
        fn what_is_asked_for_is_waited_for_within_reason(attempt: u32, seed: u64, secs: u32) {
            let asked = Duration::from_secs(secs.into());
            let pause = pause(attempt, Some(asked), seed);
            prop_assert!(pause >= asked.min(ASKED_MAX));
            prop_assert!(pause <= asked.min(ASKED_MAX).mul_f64(1.1));
        }
    }

    #[test]
    fn two_requests_do_not_come_back_together() {
        assert_ne!(pause(3, None, 1), pause(3, None, 2));
        assert_ne!(pause(1, Some(FIRST), 1), pause(2, Some(FIRST), 1));
    }
}
