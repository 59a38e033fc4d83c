//! The rate of a lane: a token bucket that holds a tenth of a second's worth, one token at least.

use std::time::Duration;

use tokio::time::Instant;

/// How many seconds' worth of tokens may be saved up.
const BURST_S: f64 = 0.1;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate_per_s: f64,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    /// Returns a full bucket. `rate_per_s` is above zero.
    pub(crate) fn new(rate_per_s: f64, now: Instant) -> Self {
        Self { rate_per_s, tokens: Self::capacity(rate_per_s), filled_at: now }
    }

    fn capacity(rate_per_s: f64) -> f64 {
        (rate_per_s * BURST_S).max(1.0)
    }

    /// Returns how many may start at `now`.
    pub(crate) fn available(&mut self, now: Instant) -> usize {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.tokens =
            (self.tokens + elapsed * self.rate_per_s).min(Self::capacity(self.rate_per_s));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between zero and 100,000"
        )]
        let whole = self.tokens.floor() as usize;
        whole
    }

    /// Takes `count` tokens, which must be available.
    pub(crate) fn take(&mut self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
        let count = count as f64;
        self.tokens -= count;
    }

    /// Returns how long until one may start.
    pub(crate) fn wait(&self) -> Duration {
        Duration::try_from_secs_f64((1.0 - self.tokens) / self.rate_per_s).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rate_is_never_exceeded_by_more_than_the_burst(
            rate in 0.5_f64..5000.0, steps in proptest::collection::vec((1_u64..500, 0_usize..1000), 1..50),
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate, start);
            let mut now = start;
            let mut started = 0_u32;
            for (wait_ms, wanted) in steps {
                now += Duration::from_millis(wait_ms);
                let count = bucket.available(now).min(wanted);
                bucket.take(count);
                started += u32::try_from(count).unwrap();
                let allowed = rate * now.duration_since(start).as_secs_f64() + (rate * BURST_S).max(1.0);
                prop_assert!(f64::from(started) <= allowed + 1e-6);
            }
        }

        #[test]
        fn after_the_wait_one_may_start(rate in 0.5_f64..5000.0) {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate, start);
            let burst = bucket.available(start);
            bucket.take(burst);
            prop_assert_eq!(bucket.available(start), 0);
            let wait = bucket.wait() + Duration::from_nanos(10);
            prop_assert!(bucket.available(start + wait) >= 1);
        }
    }
}
