//! What may be kept: the level of an event by its kind, against the levels that were in force since it was taken.
//!
//! An event goes on only if every level since then permits it: otherwise lowering the level and raising it again would
//! bring back what was not to be kept.

use tidings_analytics::Level;

use crate::value::Value;

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

    /// Returns whether an event that was taken at `syncts` may be kept.
    #[must_use]
    pub fn permits(&self, event: &Value<'_>, syncts: i64) -> bool {
        let level = self.since(syncts);
        level == Level::Full || level.allows(of(event))
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
            "SUMMARY" | "INTERRUPT" | "INTERACT" | "SEARCH" | "SHARE" | "FEEDBACK" | "ASSESS"
            | "RESPONSE",
            _,
        ) => Level::Enhanced,
        // What may have anything in it.
        _ => Level::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(history.permits(&interact, syncts), kept, "{syncts}");
            assert!(history.permits(&error, syncts));
        }
        assert!(History::default().permits(&interact, 0));
        assert!(!History::new(vec![(i64::MAX, Level::Off)]).permits(&error, 0));
    }
}
