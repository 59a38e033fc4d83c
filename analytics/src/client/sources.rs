//! The wall clock and the randomness of a client, which come from outside so that tests own them.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The wall clock and the randomness of a client.
pub struct Sources {
    now: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    random: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Sources {
    /// Returns sources that ask these functions: `Sources::new(Utc::now, rand::random)` in a program.
    pub fn new(
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        random: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self { now: Box::new(now), random: Box::new(random) }
    }

    /// Returns the time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.now)()
    }

    /// Returns a number from 0 to below 1.
    pub(super) fn fraction(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what the number can hold")]
        let bits = ((self.random)() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// Returns a fresh id for an event that happens at `now`: a UUID of version 7.
    pub(super) fn event_id(&self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let mut bytes = [0; 10];
        let random = (self.random)().to_be_bytes().into_iter().chain((self.random)().to_be_bytes());
        for (byte, random) in bytes.iter_mut().zip(random) {
            *byte = random;
        }
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_is_from_0_to_below_1() {
        for (random, expected) in [(0, 0.0), (u64::MAX / 2 + 1, 0.5)] {
            let sources = Sources::new(|| DateTime::UNIX_EPOCH, move || random);
            assert!((sources.fraction() - expected).abs() < 1e-12);
        }
        let most = Sources::new(|| DateTime::UNIX_EPOCH, || u64::MAX).fraction();
        assert!(most < 1.0 && most > 0.999);
    }

    #[test]
    fn event_id_carries_the_time_and_the_randomness() {
        let now = DateTime::from_timestamp_millis(1_795_316_533_007).unwrap();
        let ids = [1, 2].map(|random| Sources::new(move || now, move || random).event_id(now));
        assert_ne!(ids[0], ids[1]);
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            assert_eq!((seconds, nanos / 1_000_000), (1_795_316_533, 7));
        }
    }
}
