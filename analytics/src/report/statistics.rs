//! Counters as they are read, and what has been added to them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whose counters they are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// Kept where they outlive processes, in a database for example.
    Durable,
    /// Kept by the process with this boot id, in its memory, from zero on; or by anything else that begins at zero when it
    /// appears, and has an id of its own.
    Process(Uuid),
}

/// Counters as they were read at one time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sample {
    /// Whose they are.
    pub source: Source,
    /// Their values, by name.
    pub counters: BTreeMap<String, u64>,
}

/// What has been added to the counters in a window, all sources together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Deltas {
    /// By name.
    pub values: BTreeMap<String, u64>,
    /// Whether a counter was found to have begun anew, so that what it had last is not known.
    pub counter_reset: bool,
}

impl Deltas {
    /// Adds what one counter of `source` has counted from `earlier` to `current`; `None` where it was not known.
    ///
    /// A counter that is lower than before has begun anew: all that it has is new.
    /// A durable one that was not known has a past of unknown length, so it begins to count now; one of a process has
    /// begun with the process.
    pub(super) fn add(&mut self, name: &str, source: Source, earlier: Option<u64>, current: u64) {
        let delta = match (earlier, source) {
            (Some(earlier), _) if current >= earlier => current - earlier,
            (Some(_), _) => {
                self.counter_reset = true;
                current
            }
            (None, Source::Process(_)) => current,
            (None, Source::Durable) => 0,
        };
        let value = self.values.entry(name.to_owned()).or_default();
        *value = value.saturating_add(delta);
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Durable => f.write_str("durable"),
            Self::Process(boot_id) => write!(f, "process:{boot_id}"),
        }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "durable" {
            return Ok(Self::Durable);
        }
        let boot_id = text.strip_prefix("process:").and_then(|id| id.parse().ok());
        boot_id.map(Self::Process).ok_or_else(|| {
            format!("`{text}` is no source of counters: write durable or process:<boot id>")
        })
    }
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: Source = Source::Process(Uuid::from_u128(1));

    #[test]
    fn difference_is_never_negative_and_a_new_beginning_is_told() {
        let table = [
            (PROCESS, Some(5), 7, 2, false),
            (PROCESS, Some(5), 5, 0, false),
            (PROCESS, Some(5), 3, 3, true),
            (PROCESS, None, 3, 3, false),
            (PROCESS, Some(0), u64::MAX, u64::MAX, false),
            (Source::Durable, None, 1_000_000, 0, false),
            (Source::Durable, Some(9), 10, 1, false),
        ];
        for (source, earlier, current, delta, counter_reset) in table {
            let mut statistics = Deltas::default();
            statistics.add("orders", source, earlier, current);
            let expected = Deltas { values: [("orders".to_owned(), delta)].into(), counter_reset };
            assert_eq!(statistics, expected, "{source} {earlier:?} {current}");
        }
    }

    #[test]
    fn sources_are_added_up_to_a_bound() {
        let mut statistics = Deltas::default();
        for value in [2, 3, u64::MAX] {
            statistics.add("orders", PROCESS, None, value);
        }
        assert_eq!(statistics.values["orders"], u64::MAX);
    }

    #[test]
    fn source_is_read_as_it_is_written() {
        for source in [Source::Durable, PROCESS] {
            assert_eq!(source.to_string().parse(), Ok(source));
        }
        for text in ["", "process:", "process:1", "memory"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
