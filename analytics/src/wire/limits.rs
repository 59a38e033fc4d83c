//! How much a service takes at once.

use super::error::Error;

/// Room that is kept for what stands around the events of a body: keys, times, brackets. The longest takes 300 bytes.
pub(super) const ENVELOPE_BYTES_MAX: usize = 1024;

/// The smallest limit of an event that still leaves room for the call itself.
const EVENT_BYTES_MIN: usize = 4096;

/// How much a service takes at once; narrower where an operator wants it so, never wider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_field_names, reason = "a quantity has its limit last in its name")]
pub struct Limits {
    event_bytes_max: usize,
    batch_bytes_max: usize,
    batch_events_max: usize,
    properties_max: usize,
}

impl Limits {
    /// Segment's: 32,000 bytes an event, 475,000 bytes a body, 2,000 events a body, 10,000 properties an event.
    ///
    /// Its documents say 32 KB, 500 KB and 2,500, and leave open what a KB is; it accepts what is over some of them
    /// with a 200, and loses it.
    pub const SEGMENT: Self = Self {
        event_bytes_max: 32_000,
        batch_bytes_max: 475_000,
        batch_events_max: 2_000,
        properties_max: 10_000,
    };

    /// PostHog's: 900 KiB an event, 5 MiB a body, 2,000 events a body.
    ///
    /// Its servers take more, but an event grows while they process it. The count is ours: a refused body is sent in
    /// halves.
    pub const POSTHOG: Self = Self {
        event_bytes_max: 900 * 1024,
        batch_bytes_max: 5 * 1024 * 1024,
        batch_events_max: 2_000,
        properties_max: usize::MAX,
    };

    /// Returns these limits made narrower.
    ///
    /// # Errors
    ///
    /// One is wider than before, or leaves no room: an event needs 4 KiB, and a body an event and 1 KiB around it.
    pub fn narrowed(
        self,
        event_bytes_max: usize,
        batch_bytes_max: usize,
        batch_events_max: usize,
    ) -> Result<Self, Error> {
        let body_min = event_bytes_max.saturating_add(ENVELOPE_BYTES_MAX);
        within("event_bytes_max", event_bytes_max, EVENT_BYTES_MIN, self.event_bytes_max)?;
        within("batch_bytes_max", batch_bytes_max, body_min, self.batch_bytes_max)?;
        within("batch_events_max", batch_events_max, 1, self.batch_events_max)?;
        Ok(Self { event_bytes_max, batch_bytes_max, batch_events_max, ..self })
    }

    /// Returns these limits as narrow as `other`, which may keep how many properties there are as it is.
    pub(super) fn narrowed_to(self, other: Self) -> Result<Self, Error> {
        self.narrowed(other.event_bytes_max, other.batch_bytes_max, other.batch_events_max)
    }

    /// Returns the most bytes of one encoded event.
    pub const fn event_bytes_max(self) -> usize {
        self.event_bytes_max
    }

    /// Returns the most bytes of a body before it is compressed, with all that stands around the events.
    pub const fn batch_bytes_max(self) -> usize {
        self.batch_bytes_max
    }

    /// Returns the most events of a body.
    pub const fn batch_events_max(self) -> usize {
        self.batch_events_max
    }

    /// Returns the most properties of an event, those of nested objects included.
    pub const fn properties_max(self) -> usize {
        self.properties_max
    }
}

fn within(name: &'static str, given: usize, min: usize, max: usize) -> Result<(), Error> {
    if (min..=max).contains(&given) { Ok(()) } else { Err(Error::Limit { name, min, max, given }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_made_narrower_and_never_wider() {
        let narrowed = |event, batch, events| Limits::SEGMENT.narrowed(event, batch, events);
        let narrow = narrowed(8_000, 100_000, 50).unwrap();
        assert_eq!((narrow.event_bytes_max(), narrow.properties_max()), (8_000, 10_000));
        assert!(narrow.narrowed(8_001, 100_000, 50).is_err());

        let table = [
            (narrowed(32_001, 475_000, 1), "`event_bytes_max` is 4096 to 32000: 32001 was given"),
            (narrowed(4_095, 475_000, 1), "`event_bytes_max` is 4096 to 32000: 4095 was given"),
            (narrowed(8_000, 9_023, 1), "`batch_bytes_max` is 9024 to 475000: 9023 was given"),
            (narrowed(8_000, 9_024, 0), "`batch_events_max` is 1 to 2000: 0 was given"),
            (narrowed(8_000, 9_024, 2_001), "`batch_events_max` is 1 to 2000: 2001 was given"),
        ];
        for (limits, reason) in table {
            assert_eq!(limits.unwrap_err().to_string(), reason);
        }
    }
}
