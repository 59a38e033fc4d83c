//! The settings of the pipeline: one file in TOML.
//!
//! Names that are not known are refused, so that a slip of the pen in a rule of redaction is found before an event has
//! passed it.
//! [`EXAMPLE`] is a whole file with every setting explained.

pub(crate) mod duration;

use std::time::Duration;

use serde::Deserialize;

use crate::{Error, Result, enrich, redact, route, session};

/// A whole file, explained; what is set in it is what holds without a file, unless it says otherwise.
pub const EXAMPLE: &str = include_str!("../../docs/reference/pipeline.toml");

/// The longest window: its keys are kept in memory, 24 bytes each.
const WINDOW_MAX: Duration = Duration::from_hours(24 * 31);

/// The settings of the pipeline.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How far back a repeated event is recognised.
    pub dedup: Dedup,
    /// What is taken out of events.
    pub redact: redact::Settings,
    /// What is added to events.
    pub enrich: enrich::Settings,
    /// What is copied to other topics.
    pub route: route::Settings,
    /// Summaries of sessions; none without this table.
    pub sessions: Option<session::Settings>,
}

/// How far back a repeated event is recognised.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Dedup {
    /// For how long the key of an event is kept.
    #[serde(with = "duration")]
    pub window: Duration,
    /// How many mebibytes of keys a process keeps; when they are full, the oldest go before their time.
    pub memory_mib: u32,
}

impl Default for Dedup {
    /// Three days and 1 GiB, which is 44 million events.
    fn default() -> Self {
        Self { window: Duration::from_hours(72), memory_mib: 1024 }
    }
}

impl Settings {
    /// Reads a file, and checks what can be checked without its look-ups and keys.
    ///
    /// # Errors
    ///
    /// What is wrong, where, and what to write.
    pub fn parse(text: &str) -> Result<Self> {
        let settings: Self = toml::from_str(text)
            .map_err(|error| Error::setting("pipeline settings", error.to_string().trim_end()))?;
        settings.dedup.check()?;
        if let Some(sessions) = &settings.sessions {
            sessions.check()?;
        }
        Ok(settings)
    }
}

impl Dedup {
    fn check(&self) -> Result<()> {
        if self.window < Duration::from_mins(1) || self.window > WINDOW_MAX {
            return Err(Error::setting(
                "dedup.window",
                "write a time from 1m to 31d, such as \"3d\"",
            ));
        }
        if self.memory_mib == 0 {
            return Err(Error::setting("dedup.memory_mib", "write 1 or more, such as 1024"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::Steps;

    #[test]
    fn example_is_read_and_compiles_also_with_everything_that_it_only_shows() {
        let settings = Settings::parse(EXAMPLE).unwrap();
        Steps::compile(&settings, None).unwrap();
        let shown: String = EXAMPLE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        let shown = Settings::parse(&shown).unwrap();
        Steps::compile(&shown, None).unwrap();
        assert_eq!((shown.redact.rule.len(), shown.enrich.lookup.len()), (4, 5));
        assert!(shown.sessions.is_some() && !shown.route.rule.is_empty());
    }

    #[test]
    fn example_sets_what_holds_without_a_file() {
        assert_eq!(Settings::parse(EXAMPLE).unwrap(), Settings::default());
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
    }

    #[test]
    fn mistake_is_named_with_its_place_and_what_to_write() {
        let cases = [
            ("[redact]\nrules = []", "unknown field `rules`, expected `rule`"),
            ("[[redact.rule]]\npath='$.a'\naction='hide'", "unknown variant `hide`"),
            ("[dedup]\nwindow = 3", "invalid type: integer `3`"),
            ("[dedup]\nwindow = '3 days'", "`3 days` is no duration; write it like"),
            ("[dedup]\nwindow = '1s'", "dedup.window: write a time from 1m to 31d"),
            ("[dedup]\nmemory_mib = 0", "dedup.memory_mib: write 1 or more"),
            ("[sessions]\nidle = '1h'", "sessions.idle: write a time up to that of `pause`"),
            ("[sessions]\nlateness = '1m'", "sessions.lateness: write a time from that of `pause`"),
        ];
        for (text, expected) in cases {
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = Settings::parse("[redact]\nrules = []").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
