//! Quotas: how many events of a channel are taken in a minute.
//!
//! A bucket per channel, in the memory of one process: two relays together take twice the quota.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The buckets of a relay, by channel.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<i32, Bucket>>);

impl Quotas {
    /// Takes `events` out of the channel's bucket, or says after how long there will be room.
    pub(crate) fn take(
        &self,
        channel_id: i32,
        per_minute: u32,
        events: usize,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket =
            buckets.entry(channel_id).or_insert(Bucket { level: f64::from(per_minute), at: now });
        bucket.take(
            f64::from(per_minute),
            f64::from(u32::try_from(events).unwrap_or(u32::MAX)),
            now,
        )
    }

    /// Takes `events` out of the channel's bucket, whether they are in it or not.
    pub(crate) fn owe(&self, channel_id: i32, per_minute: u32, events: usize, now: Instant) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { level: f64::from(per_minute), at: now };
        let bucket = buckets.entry(channel_id).or_insert(full);
        bucket.level -= f64::from(u32::try_from(events).unwrap_or(u32::MAX));
    }
}

/// Tokens that come back evenly; a minute's worth of them at most.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A batch that is larger than the bucket passes when the bucket is full, and is paid for afterwards.
    fn take(&mut self, per_minute: f64, events: f64, now: Instant) -> Result<(), Duration> {
        let minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        self.level = per_minute.min(self.level + per_minute * minutes);
        self.at = now.max(self.at);
        let missing = events.min(per_minute) - self.level;
        // Less than a thousandth of an event is an error of rounding.
        if missing > 0.001 {
            return Err(Duration::from_secs_f64(missing / per_minute * 60.0));
        }
        self.level -= events;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quota_is_taken_at_once_and_comes_back_evenly() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(quotas.take(1, 60, 60, at(0)), Ok(()));
        assert_eq!(quotas.take(1, 60, 10, at(0)), Err(Duration::from_secs(10)));
        assert_eq!(quotas.take(1, 60, 10, at(10)), Ok(()));
        assert_eq!(quotas.take(2, 60, 60, at(10)), Ok(()), "another channel has its own");
    }

    #[test]
    fn batch_larger_than_the_quota_passes_and_is_paid_for() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        assert_eq!(quotas.take(1, 60, 180, start), Ok(()));
        assert_eq!(quotas.take(1, 60, 1, start), Err(Duration::from_secs(121)));
    }

    #[test]
    fn what_is_owed_is_paid_before_anything_else_is_taken() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        assert_eq!(quotas.take(1, 60, 60, start), Ok(()));
        quotas.owe(1, 60, 30, start);
        assert_eq!(quotas.take(1, 60, 30, start), Err(Duration::from_mins(1)));
    }

    proptest! {
        #[test]
        fn no_more_than_the_quota_and_one_bucket_is_taken_in_any_time(
            calls in prop::collection::vec((1_usize..40, 0_u64..5000), 1..60),
        ) {
            let (quotas, start) = (Quotas::default(), Instant::now());
            let (mut now, mut taken) = (start, 0_u32);
            for (events, pause_ms) in calls {
                now += Duration::from_millis(pause_ms);
                if quotas.take(1, 40, events, now).is_ok() {
                    taken += u32::try_from(events).unwrap();
                }
            }
            let minutes = now.duration_since(start).as_secs_f64() / 60.0;
            prop_assert!(f64::from(taken) <= 40.0 + 40.0 * minutes + 0.01);
        }

        #[test]
        fn waiting_as_long_as_told_is_enough(events in 1_usize..100) {
            let (quotas, start) = (Quotas::default(), Instant::now());
            quotas.take(1, 50, 50, start).unwrap();
            let wait = quotas.take(1, 50, events, start).unwrap_err();
            prop_assert!(quotas.take(1, 50, events, start + wait).is_ok());
        }
    }
}
