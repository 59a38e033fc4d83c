//! Enrichment: when an event was, where it came from, and what is odd about its times.
//!
//! Nothing is dropped or bent: an event that comes late, or from the future, is kept as it is and flagged.

use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike};
use serde::Deserialize;

use crate::{
    lookup::Entry,
    provenance::Provenance,
    settings::duration,
    value::{Object, Value},
};

/// The last millisecond whose year has four digits; indices take no longer one.
const TIMESTAMP_MAX: i64 = 253_402_300_799_999;

/// What is added to events.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// From which age on, when the relay takes it, an event is flagged `late`.
    #[serde(with = "duration")]
    pub late: Duration,
    /// From how far ahead of the relay's clock on an event is flagged `future`.
    #[serde(with = "duration")]
    pub future: Duration,
    /// From how large a difference between the sender's clock and the relay's on events are flagged with it.
    #[serde(with = "duration")]
    pub skew: Duration,
    /// What is looked up.
    pub lookup: Vec<Entry>,
}

impl Default for Settings {
    /// A day late, since days are what is reported; ten minutes ahead or astray, which no network explains.
    fn default() -> Self {
        Self {
            late: Duration::from_hours(24),
            future: Duration::from_mins(10),
            skew: Duration::from_mins(10),
            lookup: Vec::new(),
        }
    }
}

/// Adds to events what is known of them; its bounds are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Enricher {
    late: i64,
    future: i64,
    skew: i64,
}

/// What is known of one event.
#[derive(Clone, Debug)]
pub struct Stamp<'a> {
    /// Where its batch comes from.
    pub provenance: &'a Provenance,
    /// Its place in the batch, counted from zero.
    pub index: u32,
    /// When it was, by the device's clock, in milliseconds since 1970.
    pub ets_ms: i64,
    /// When its batch was sent, by the sender's clock, in milliseconds since 1970, if the batch says so.
    pub batch_ets_ms: Option<i64>,
    /// Its document id.
    pub document_id: String,
    /// What the steps before have flagged.
    pub flags: Object<'a>,
}

impl Enricher {
    /// Returns what enriches by these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self { late: ms(settings.late), future: ms(settings.future), skew: ms(settings.skew) }
    }

    /// Sets `@timestamp`, `syncts`, `flags` and `metadata`; what the sender has written there is gone.
    ///
    /// A time outside of 1970 to 9999 stays in `ets`, and `@timestamp` is the relay's.
    /// Flags stand there only where they apply, and without any the member is absent.
    pub fn apply<'a>(&self, event: &mut Value<'a>, stamp: Stamp<'a>) {
        let Some(event) = event.as_object_mut() else { return };
        let syncts = stamp.provenance.syncts;
        let timestamp = timestamp(stamp.ets_ms).or_else(|| timestamp(syncts));
        event.set("@timestamp", timestamp.unwrap_or_default());
        event.set("syncts", syncts);
        let flags = self.flags(&stamp);
        event.set("metadata", metadata(stamp));
        if flags.is_empty() {
            event.remove("flags");
        } else {
            event.set("flags", flags);
        }
    }

    fn flags<'a>(&self, stamp: &Stamp<'a>) -> Object<'a> {
        let mut flags = stamp.flags.clone();
        let age = stamp.provenance.syncts.saturating_sub(stamp.ets_ms);
        if age > self.late {
            flags.set("late", true);
        }
        if age < self.future.saturating_neg() {
            flags.set("future", true);
        }
        if let Some(skew) = self.skew(stamp) {
            flags.set("clock_skew_ms", skew);
        }
        flags
    }

    /// Estimates by how much the sender's clock is behind the relay's (negative: ahead).
    ///
    /// A batch that was sent again carries its first time, so that a sender may seem further behind than it is, and
    /// never further ahead.
    /// What was imported was made long before it was sent, and says nothing.
    fn skew(&self, stamp: &Stamp<'_>) -> Option<i64> {
        let sent = stamp.batch_ets_ms.filter(|_| stamp.provenance.importer.is_none())?;
        let skew = stamp.provenance.syncts.saturating_sub(sent);
        (skew.saturating_abs() > self.skew).then_some(skew)
    }
}

fn metadata(stamp: Stamp<'_>) -> Object<'_> {
    let Provenance { source, channel, profile, message_id, sender, importer, .. } =
        stamp.provenance;
    let mut metadata = Object::new();
    metadata.set("id", stamp.document_id);
    metadata.set("source", format!("{source}/{}", stamp.index));
    if !channel.is_empty() {
        metadata.set("channel", channel.as_str());
    }
    metadata.set("profile", profile.as_str());
    for (name, text) in [("message_id", message_id), ("sender", sender), ("importer", importer)] {
        if let Some(text) = text {
            metadata.set(name, text.as_str());
        }
    }
    metadata
}

/// Returns a time as `2026-11-22T17:05:00.123Z`; `None` outside of 1970 to 9999.
#[must_use]
pub fn timestamp(ms: i64) -> Option<String> {
    if !(0..=TIMESTAMP_MAX).contains(&ms) {
        return None;
    }
    let time = DateTime::from_timestamp_millis(ms)?.naive_utc();
    let year = time.year().unsigned_abs();
    let millis = u32::try_from(ms % 1000).ok()?;
    // By hand: a formatter costs more than all the rest of the step.
    let mut text = String::with_capacity(24);
    let mut put = |number: u32, digits: u32, behind: char| {
        for place in (0..digits).rev() {
            text.push(char::from(
                b'0' + u8::try_from(number / 10_u32.pow(place) % 10).unwrap_or(0),
            ));
        }
        text.push(behind);
    };
    put(year, 4, '-');
    put(time.month(), 2, '-');
    put(time.day(), 2, 'T');
    put(time.hour(), 2, ':');
    put(time.minute(), 2, ':');
    put(time.second(), 2, '.');
    put(millis, 3, 'Z');
    Some(text)
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Profile,
        provenance::{Format, Source},
    };

    const SYNCTS: i64 = 1_790_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn provenance() -> Provenance {
        Provenance {
            source: Source { partition: 3, offset: 1045 },
            format: Format::Sunbird,
            channel: "portal".to_owned(),
            profile: Profile::Lenient,
            syncts: SYNCTS,
            message_id: Some("m".to_owned()),
            sender: None,
            did: None,
            batch_ets: None,
            importer: None,
        }
    }

    fn enriched(ets_ms: i64, batch_ets_ms: Option<i64>, provenance: &Provenance) -> String {
        let mut event = Value::parse(br#"{"eid":"END","flags":"forged","metadata":7}"#).unwrap();
        let stamp = Stamp {
            provenance,
            index: 7,
            ets_ms,
            batch_ets_ms,
            document_id: "d".to_owned(),
            flags: Object::new(),
        };
        Enricher::new(&Settings::default()).apply(&mut event, stamp);
        String::from_utf8(event.to_bytes()).unwrap()
    }

    #[test]
    fn event_says_when_it_was_and_where_it_came_from() {
        assert_eq!(
            enriched(SYNCTS - 1, None, &provenance()),
            r#"{"eid":"END","metadata":{"id":"d","source":"3/1045/7","channel":"portal","profile":"lenient","message_id":"m"},"@timestamp":"2026-09-21T14:13:19.999Z","syncts":1790000000000}"#
        );
    }

    #[test]
    fn late_and_future_events_are_kept_as_they_are_and_flagged() {
        let cases = [
            (SYNCTS - 24 * HOUR, "", "2026-09-20T14:13:20.000Z"),
            (SYNCTS - 24 * HOUR - 1, r#""flags":{"late":true}"#, "2026-09-20T14:13:19.999Z"),
            (0, r#""flags":{"late":true}"#, "1970-01-01T00:00:00.000Z"),
            (-1, r#""flags":{"late":true}"#, "2026-09-21T14:13:20.000Z"),
            (SYNCTS + HOUR / 6, "", "2026-09-21T14:23:20.000Z"),
            (SYNCTS + HOUR, r#""flags":{"future":true}"#, "2026-09-21T15:13:20.000Z"),
            (i64::MAX, r#""flags":{"future":true}"#, "2026-09-21T14:13:20.000Z"),
            (i64::MIN, r#""flags":{"late":true}"#, "2026-09-21T14:13:20.000Z"),
        ];
        for (ets, flags, timestamp) in cases {
            let text = enriched(ets, None, &provenance());
            assert!(text.contains(flags), "{ets}: {text}");
            assert_eq!(text.contains("flags"), !flags.is_empty(), "{ets}: {text}");
            assert!(text.contains(&format!(r#""@timestamp":"{timestamp}""#)), "{ets}: {text}");
        }
    }

    #[test]
    fn wrong_clock_is_estimated_from_the_time_of_the_batch() {
        let skew = |batch: i64, provenance: &Provenance| {
            let text = enriched(SYNCTS, Some(batch), provenance);
            Value::parse(text.as_bytes()).unwrap().at(&["flags", "clock_skew_ms"])?.as_i64()
        };
        assert_eq!(skew(SYNCTS - 2 * HOUR, &provenance()), Some(2 * HOUR));
        assert_eq!(skew(SYNCTS + 2 * HOUR, &provenance()), Some(-2 * HOUR));
        assert_eq!(skew(SYNCTS - 60_000, &provenance()), None);
        let imported = Provenance { importer: Some("desk".to_owned()), ..provenance() };
        assert_eq!(skew(SYNCTS - 2 * HOUR, &imported), None);
    }

    proptest! {
        #[test]
        fn timestamp_is_that_of_chrono(ms in 0..=TIMESTAMP_MAX) {
            let theirs = DateTime::from_timestamp_millis(ms).unwrap();
            let theirs = theirs.to_rfc3339_opts(SecondsFormat::Millis, true);
            prop_assert_eq!(timestamp(ms), Some(theirs));
        }
    }
}
