//! The settings of sessions.

use std::time::Duration;

use serde::Deserialize;

use crate::{Error, Result, settings::duration};

/// When a session is over, and how much of it counts; the times are Sunbird's.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A longer time between two events does not count as time spent.
    #[serde(with = "duration")]
    pub idle: Duration,
    /// After a longer time between two events another session begins.
    #[serde(with = "duration")]
    pub pause: Duration,
    /// For how long, by the times at which the relay takes events, nothing has to have come of a session for it to be
    /// over.
    #[serde(with = "duration")]
    pub lateness: Duration,
    /// How many sessions are open at a time in one partition, about 1 kB each; the oldest are cut off beyond.
    pub open_max: usize,
}

impl Default for Settings {
    /// Sunbird's ten minutes of idleness and half an hour of pause; an hour for devices that send late.
    fn default() -> Self {
        Self {
            idle: Duration::from_mins(10),
            pause: Duration::from_mins(30),
            lateness: Duration::from_hours(1),
            open_max: 100_000,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        let wrong =
            |field: &str, message| Err(Error::setting(format!("sessions.{field}"), message));
        if self.idle > self.pause {
            return wrong("idle", "write a time up to that of `pause`");
        }
        if self.lateness < self.pause {
            return wrong("lateness", "write a time from that of `pause` on, such as \"1h\"");
        }
        if self.open_max == 0 {
            return wrong("open_max", "write 1 or more, such as 100000");
        }
        Ok(())
    }

    pub(super) fn idle_ms(&self) -> i64 {
        ms(self.idle)
    }

    pub(super) fn pause_ms(&self) -> i64 {
        ms(self.pause)
    }

    pub(super) fn lateness_ms(&self) -> i64 {
        ms(self.lateness)
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
