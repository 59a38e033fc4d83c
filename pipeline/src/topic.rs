//! The topics of the pipeline.
//!
//! ```text
//! raw ──check, unbundle──▶ events ──check event, dedup, redact, enrich, route──▶ unique ──▶ sinks
//!  └──────▶ failed ◀─────────┘                                      └──▶ duplicate
//! ```

use std::{borrow::Cow, time::Duration};

/// Batches as they came.
pub const RAW: &str = "telemetry.raw";

/// Events of one device of one batch in each record, unchecked; the partition is the device's.
pub const EVENTS: &str = "telemetry.events";

/// Each event once, one in each record, redacted and enriched.
pub const UNIQUE: &str = "telemetry.unique";

/// Events that were there already, and those that have the id of another one.
pub const DUPLICATE: &str = "telemetry.duplicate";

/// What a step or a sink could not take, with its reasons and the bytes as they came.
pub const FAILED: &str = "telemetry.failed";

/// The keys of what is in `unique`, by which the state of dedup is rebuilt.
pub const SEEN: &str = "telemetry.seen";

/// Where the sessions of each partition of `unique` are rebuilt from, if there are any.
pub const SESSIONS: &str = "telemetry.sessions";

/// What became of everything, in numbers.
pub const LEDGER: &str = "telemetry.ledger";

/// The largest record of raw, events, failed and duplicate: what the relay takes, with room for what stands around it.
///
/// The default of Kafka, 1 MB, refuses what was accepted already.
pub const RECORD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What a topic is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spec {
    /// Its name, without the prefix of the installation.
    pub name: Cow<'static, str>,
    /// How many partitions it has.
    pub partitions: i32,
    /// How long its records are kept at least; whole segments or days go at a time.
    pub retention: Duration,
    /// The largest record that it takes.
    pub record_bytes_max: usize,
    /// Whether a record's time is when the log took it, whatever the producer says.
    pub append_time: bool,
}

/// How the topics of an installation are laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Partitions of every topic; unique, seen and duplicate have those of events.
    pub partitions: i32,
    /// How long batches, events and unique are kept.
    pub retention: Duration,
    /// How long what failed, or was there already, is kept.
    pub quarantine: Duration,
    /// How far dedup looks back, and so how long its keys are kept.
    pub window: Duration,
}

impl Default for Layout {
    /// 16 partitions, 7 days for everything, and a window of 3 days.
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self { partitions: 16, retention: 7 * DAY, quarantine: 7 * DAY, window: 3 * DAY }
    }
}

impl Layout {
    /// Returns what topics are to be that get copies of events.
    #[must_use]
    pub fn routed<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<Spec> {
        let spec = |name: &str| Spec {
            name: name.to_owned().into(),
            partitions: self.partitions,
            retention: self.retention,
            record_bytes_max: RECORD_BYTES_MAX,
            append_time: true,
        };
        names.map(spec).collect()
    }

    /// Returns what the topic of sessions is to be, which is there only where they are switched on.
    #[must_use]
    pub fn sessions(&self) -> Spec {
        Spec {
            name: SESSIONS.into(),
            partitions: self.partitions,
            // As long as what it refers to.
            retention: self.retention,
            record_bytes_max: RECORD_BYTES_MAX,
            append_time: true,
        }
    }

    /// Returns what each topic is to be.
    #[must_use]
    pub fn specs(&self) -> Vec<Spec> {
        let spec = |name: &'static str, retention, append_time| Spec {
            name: name.into(),
            partitions: self.partitions,
            retention,
            record_bytes_max: RECORD_BYTES_MAX,
            append_time,
        };
        vec![
            spec(RAW, self.retention, true),
            spec(EVENTS, self.retention, true),
            spec(UNIQUE, self.retention, true),
            spec(DUPLICATE, self.quarantine, true),
            spec(FAILED, self.quarantine, true),
            // Read from a time on, which has to be the log's.
            spec(SEEN, self.window, true),
            spec(LEDGER, self.retention, true),
        ]
    }
}
