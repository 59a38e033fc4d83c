//! By which keys receivers verify: written down for people, and at most once an hour for each key.

use std::{collections::HashMap, time::Duration};

use tidings::subscriber;
use tokio::time::Instant;

use super::Pump;
use crate::{Error, telemetry};

/// How long a note stands; the database refuses a fresher one as well, because other workers note too.
const NOTED_EVERY: Duration = Duration::from_hours(1);

/// When a pump noted each key last.
#[derive(Debug, Default)]
pub(super) struct Verified(HashMap<i32, Instant>);

impl Verified {
    /// Returns whether a key is to be noted at the time `now`; then it counts as noted.
    fn is_due(&mut self, secret_id: i32, now: Instant) -> bool {
        let noted = self.0.get(&secret_id);
        let is_due = noted.is_none_or(|at| now.duration_since(*at) >= NOTED_EVERY);
        if is_due {
            self.0.insert(secret_id, now);
        }
        is_due
    }

    /// Forgets the keys that would be noted again anyway.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, at| now.duration_since(*at) < NOTED_EVERY);
    }
}

impl Pump {
    /// Writes down that the receiver of a lane verifies by a key, in a task of its own.
    pub(super) fn note_verified(&mut self, lane: i32, secret_id: i32, now: Instant) {
        if !self.state.verified.is_due(secret_id, now) {
            return;
        }
        let database = self.shared.database.clone();
        tokio::spawn(async move {
            let noted = async {
                let doing = "note by which key the receiver verifies";
                let mut tx = database.begin().await.map_err(Error::unanswered(doing))?;
                subscriber::note_verified(&mut tx, secret_id).await?;
                tx.commit().await.map_err(Error::unanswered(doing))
            };
            // It is a hint for people, and the next hour brings another.
            if let Err(error) = noted.await {
                telemetry::not_noted(lane, &error);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_noted_at_most_once_an_hour_and_none_is_remembered_for_longer() {
        let (mut verified, now) = (Verified::default(), Instant::now());
        let minute = |n| now + Duration::from_mins(n);
        let due = [(1, 0), (1, 59), (2, 59), (1, 60), (1, 61), (2, 118), (2, 119)];
        let due = due.map(|(key, at)| verified.is_due(key, minute(at)));
        assert_eq!(due, [true, false, true, true, false, false, true]);
        verified.sweep(minute(119));
        assert_eq!(verified.0.len(), 2);
        verified.sweep(minute(120));
        assert_eq!(verified.0.keys().collect::<Vec<_>>(), [&2]);
    }
}
