//! What may be kept: the level of an event by its kind, against the levels that were in force since it was taken.
//!
//! An event goes on only if every level since then permits it: otherwise lowering the level and raising it again would
//! bring back what was not to be kept.

use tidings_analytics::Level;

use crate::{Profile, deliver::raw, provenance::Provenance, session, value::Value};

/// When an event was taken, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken {
    /// When its batch was taken, in milliseconds since 1970.
    pub syncts: i64,
    /// Whether an application has registered it, and a worker has written the batch.
    pub is_registered: bool,
}

impl Taken {
    /// Returns what is known of an event of a batch.
    #[must_use]
    pub fn of(provenance: &Provenance) -> Self {
        Self::new(provenance.syncts, provenance.profile, &provenance.channel)
    }

    /// Returns what a unique event says of itself; `None` if it says nothing.
    #[must_use]
    pub fn of_unique(event: &Value<'_>) -> Option<Self> {
        let text = |name| event.at(&["metadata", name]).and_then(Value::as_str);
        let profile = text("profile").and_then(|text| text.parse().ok()).unwrap_or_default();
        let syncts = event.get("syncts").and_then(Value::as_i64)?;
        Some(Self::new(syncts, profile, text("channel").unwrap_or_default()))
    }

    fn new(syncts: i64, profile: Profile, channel: &str) -> Self {
        Self { syncts, is_registered: profile == Profile::Tidings && channel == raw::CHANNEL }
    }
}

/// The levels that were in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct History(Vec<(i64, Level)>);

impl Default for History {
    /// Everything was always permitted.
    fn default() -> Self {
        Self(vec![(i64::MAX, Level::Full)])
    }
}

impl History {
    /// Returns the history of levels, each with the moment until which it was in force, in milliseconds since 1970.
    #[must_use]
    pub fn new(levels: Vec<(i64, Level)>) -> Self {
        Self(levels)
    }

    /// Returns the lowest level that was in force since a moment, in milliseconds since 1970.
    #[must_use]
    pub fn since(&self, ms: i64) -> Level {
        let since = self.0.iter().filter(|(until, _)| *until > ms).map(|(_, level)| *level);
        since.min().unwrap_or(Level::Full)
    }

    /// Returns the level that was in force at a moment, in milliseconds since 1970.
    fn at(&self, ms: i64) -> Level {
        let since = self.0.iter().filter(|(until, _)| *until > ms);
        since.min_by_key(|(until, _)| *until).map_or(Level::Full, |(_, level)| *level)
    }

    /// Returns whether an event of a batch may be kept.
    ///
    /// What a registered event needs stands in the catalogue, and a worker has asked there when it wrote the batch: such
    /// an event may be kept unless the level was lowered since.
    #[must_use]
    pub fn permits(&self, event: &Value<'_>, taken: Taken) -> bool {
        let level = self.since(taken.syncts);
        if taken.is_registered {
            return level != Level::Off && level >= self.at(taken.syncts);
        }
        level == Level::Full || level.allows(of(event))
    }

    /// Returns whether an event may be kept that was made of others, of which the first was taken at a moment.
    #[must_use]
    pub fn allows(&self, event: &Value<'_>, since: i64) -> bool {
        self.since(since).allows(of(event))
    }
}

/// Returns the lowest level at which an event is collected.
#[must_use]
pub fn of(event: &Value<'_>) -> Level {
    let eid = event.get("eid").and_then(Value::as_str).unwrap_or_default();
    required(eid, event.at(&["edata", "type"]).and_then(Value::as_str))
}

/// Returns the lowest level of a kind; `part` is the type inside of it.
#[must_use]
pub fn required(eid: &str, part: Option<&str>) -> Level {
    match (eid, part) {
        // What keeps an installation safe.
        ("ERROR" | "AUDIT", _) => Level::Security,
        // What is used at all.
        ("START" | "END" | "IMPRESSION" | "HEARTBEAT" | "LOG" | "METRICS", _) => Level::Basic,
        // Counts of where a mouse moves.
        ("INTERACT", Some("MOUSE")) => Level::Full,
        // How it is used.
        (
            "SUMMARY"
            | "INTERRUPT"
            | "INTERACT"
            | "SEARCH"
            | "SHARE"
            | "FEEDBACK"
            | "ASSESS"
            | "RESPONSE"
            | session::KIND,
            _,
        ) => Level::Enhanced,
        // What may have anything in it.
        _ => Level::Full,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::DateTime;

    use super::*;
    use crate::{Headers, Record};

    #[test]
    fn event_is_kept_only_if_every_level_since_it_was_taken_permits_it() {
        let history = History::new(vec![
            (1000, Level::Full),
            (2000, Level::Security),
            (i64::MAX, Level::Full),
        ]);
        let interact = Value::parse(br#"{"eid":"INTERACT","edata":{"type":"CLICK"}}"#).unwrap();
        let error = Value::parse(br#"{"eid":"ERROR"}"#).unwrap();
        for (syncts, kept) in [(500, false), (999, false), (1500, false), (2000, true)] {
            assert_eq!(history.permits(&interact, taken(syncts)), kept, "{syncts}");
            assert!(history.permits(&error, taken(syncts)));
        }
        assert!(History::default().permits(&interact, taken(0)));
        assert!(!History::new(vec![(i64::MAX, Level::Off)]).permits(&error, taken(0)));
    }

    #[test]
    fn registered_event_is_kept_unless_the_level_was_lowered_since_its_batch_was_written() {
        let event = Value::parse(br#"{"eid":"AUDIT"}"#).unwrap();
        let registered = |syncts| Taken { syncts, is_registered: true };
        let (full, basic, until) = (Level::Full, Level::Basic, i64::MAX);
        for (levels, syncts, kept) in [
            (vec![(until, full)], 0, true),
            // What it needs, a worker has asked.
            (vec![(until, basic)], 0, true),
            (vec![(1000, full), (until, basic)], 999, false),
            (vec![(1000, full), (until, basic)], 1000, true),
            (vec![(1000, full), (2000, basic), (until, full)], 500, false),
            (vec![(1000, basic), (until, full)], 500, true),
            (vec![(until, Level::Off)], 0, false),
        ] {
            let history = History::new(levels.clone());
            assert_eq!(history.permits(&event, registered(syncts)), kept, "{levels:?} {syncts}");
        }
        let history = History::new(vec![(1000, full), (until, basic)]);
        assert!(history.permits(&event, taken(500)), "an AUDIT of somebody else is of its kind");
    }

    #[test]
    fn registered_event_is_known_by_its_profile_and_channel_before_and_after_the_steps() {
        let text = r#"{"syncts":7,"metadata":{"channel":"tidings","profile":"tidings"}}"#;
        let of = |text: &str| Taken::of_unique(&Value::parse(text.as_bytes()).unwrap());
        assert_eq!(of(text), Some(Taken { syncts: 7, is_registered: true }));
        let portal = text.replace("l\":\"tidings\"", "l\":\"portal\"");
        assert_eq!(of(&portal), Some(taken(7)));
        assert_eq!(of("{}"), None);
        let provenance = Provenance::of_raw(&Record {
            partition: 0,
            offset: 0,
            appended_at: DateTime::from_timestamp_millis(7).unwrap(),
            key: None,
            headers: Headers::new(),
            value: Bytes::new(),
        });
        assert_eq!(Taken::of(&provenance), taken(7));
        let (channel, profile) = (raw::CHANNEL.to_owned(), Profile::Tidings);
        let registered = Provenance { channel, profile, ..provenance };
        assert_eq!(Taken::of(&registered), Taken { syncts: 7, is_registered: true });
    }

    fn taken(syncts: i64) -> Taken {
        Taken { syncts, is_registered: false }
    }
}
