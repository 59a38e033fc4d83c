//! What the owner of a lane has found out about its destination, as it is written down.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, store};

/// Trouble of a destination, in durations from now: whoever reads it has another clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Trouble {
    /// How long nothing is sent.
    pub open: Option<Duration>,
    /// How many pauses there were in a row; 0 while nothing is held up.
    pub opened: u32,
    /// How many attempts have failed in a row.
    pub failures: u32,
    /// For how long.
    pub failing: Option<Duration>,
    /// Whether it was said that the subscriber will be disabled.
    pub warned: bool,
}

/// What has just turned, and is told as an event of our own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It has been failing for half of the time after which it is disabled.
    Warned,
    /// It has been failing, and takes deliveries again.
    Recovered,
}

/// What the owner of a lane writes down; without trouble all is well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Note {
    /// How the destination is doing.
    pub trouble: Option<Trouble>,
    /// What has just turned.
    pub turn: Option<Turn>,
}

/// Trouble of a destination as people see it, as it was last written down.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ailing {
    /// Until when nothing is sent; then one delivery is tried.
    pub until: Option<DateTime<Utc>>,
    /// How many pauses there were in a row.
    pub opened: u32,
    /// How many attempts have failed in a row, as of the last time that it was written down.
    pub failures: u32,
    /// Since when nothing was delivered.
    pub failing_since: Option<DateTime<Utc>>,
}

impl Trouble {
    /// Reads what is stored, with the database's clock.
    pub(crate) fn read(stored: &Value, now: DateTime<Utc>) -> Option<Self> {
        let ailing = Ailing::read(stored)?;
        Some(Self {
            open: ailing.until.and_then(|until| (until - now).to_std().ok()),
            opened: ailing.opened,
            failures: ailing.failures,
            failing: ailing.failing_since.and_then(|since| (now - since).to_std().ok()),
            warned: stored["warned"].as_bool().unwrap_or(false),
        })
    }

    fn to_json(self) -> Value {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX >> 1);
        json!({
            "open_ms": self.open.map(ms),
            "opened": self.opened,
            "failures": self.failures,
            "failing_ms": self.failing.map(ms),
            "warned": self.warned,
        })
    }
}

impl Ailing {
    /// Reads what is stored; what is not understood is no trouble.
    pub(crate) fn read(stored: &Value) -> Option<Self> {
        Self::deserialize(stored).ok()
    }
}

impl Turn {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Warned => "warned",
            Self::Recovered => "recovered",
        }
    }
}

/// Writes down how the destination of a lane is doing, for people and for the next owner of the lane.
///
/// Answers whether the caller was the owner, under `term`; otherwise nothing is changed.
///
/// # Errors
///
/// The database did not answer.
pub async fn note_health(
    conn: &mut PgConnection,
    id: i32,
    (worker_id, term): (Uuid, i64),
    note: &Note,
) -> Result<bool> {
    let trouble = note.trouble.map(Trouble::to_json);
    store::note_health(conn, id, (worker_id, term), (trouble, note.turn.map(Turn::as_str))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_read_by_the_clock_of_the_database() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let stored = json!({
            "state": "open", "until": "1970-01-12T13:46:45+00:00", "opened": 2, "failures": 9,
            "failing_since": "1970-01-12T12:46:40Z", "warned": true,
        });
        let trouble = Trouble::read(&stored, now).unwrap();
        assert_eq!(
            trouble,
            Trouble {
                open: Some(Duration::from_secs(5)),
                opened: 2,
                failures: 9,
                failing: Some(Duration::from_hours(1)),
                warned: true,
            }
        );
        let over = Trouble::read(&stored, now + chrono::TimeDelta::seconds(6)).unwrap();
        assert_eq!(over.open, None);
        assert_eq!(Trouble::read(&json!({"other": 1}), now), None);
    }
}
