//! What a pump has found out about a subscriber, on its way to the database: in tasks of their own, beside the calls.

use std::{collections::HashMap, time::Duration};

use tidings::subscriber::{self, Note};
use tidings_ownership::ShardId;
use tokio::time::Instant;

use super::{Message, Pump};
use crate::{
    Error,
    health::{Consequence, Rules},
    system, telemetry,
};

/// A floor shorter than this is not worth writing down for the next owner.
const FLOOR_NOTED_MIN: Duration = Duration::from_secs(2);

/// The notes of lanes whose destinations are not well. One of a lane is on its way at a time, so that they arrive in
/// their order.
#[derive(Debug, Default)]
pub(super) struct Notes(HashMap<i32, Noting>);

#[derive(Debug, Default)]
struct Noting {
    under_way: bool,
    next: Option<Note>,
    /// Since when the database knows.
    known_at: Option<Instant>,
}

impl Notes {
    /// Returns whether the database knew of trouble of a lane before `began`.
    pub(super) fn is_known(&self, id: i32, began: Instant) -> bool {
        self.0
            .get(&id)
            .is_some_and(|noting| !noting.under_way && noting.known_at.is_some_and(|at| at < began))
    }

    /// Takes a note; returns it if it can go now.
    fn take(&mut self, id: i32, mut note: Note) -> Option<Note> {
        let noting = self.0.entry(id).or_default();
        if noting.under_way {
            // What has turned must not be lost with a note that nobody needs any more.
            note.turn = note.turn.or(noting.next.and_then(|next| next.turn));
            noting.next = Some(note);
            return None;
        }
        noting.under_way = true;
        Some(note)
    }

    /// Takes in that the database, read from `began` on, knew of trouble of a lane: the owner before has noted it.
    pub(super) fn knew(&mut self, id: i32, began: Instant) {
        self.0.entry(id).or_default().known_at.get_or_insert(began);
    }

    /// Takes in that a note has arrived, or was lost; returns the next.
    fn arrived(&mut self, id: i32, written: bool, now: Instant) -> Option<Note> {
        let noting = self.0.get_mut(&id)?;
        if written {
            noting.known_at = Some(now);
        }
        let next = noting.next.take();
        noting.under_way = next.is_some();
        next
    }

    /// Forgets lanes.
    pub(super) fn retain(&mut self, keep: impl Fn(i32) -> bool) {
        self.0.retain(|id, noting| noting.under_way || keep(*id));
    }
}

impl Pump {
    /// Returns what is done about destinations of a shard; our own lane has none that could be unwell.
    pub(super) fn health_rules(&self, shard: &ShardId) -> Rules {
        if shard.group.as_ref() == system::GROUP { Rules::OFF } else { self.shared.health }
    }

    /// Does what follows from how a destination is doing.
    pub(super) fn follow(&mut self, id: i32, consequence: Consequence, error: Option<&str>) {
        match consequence {
            Consequence::Note(note) => {
                if let Some(note) = self.state.notes.take(id, note) {
                    self.note_health(id, note);
                }
            }
            Consequence::Disable { failures, failing } => {
                let last = error.unwrap_or("no answer");
                let reason = format!(
                    "nothing was delivered for {}, and {failures} attempts have failed in a row; the last: {last}",
                    spoken(failing)
                );
                // What else was in flight comes to the same.
                if let Some(lane) = self.state.lanes.get_mut(&id).filter(|lane| !lane.terms.stopped)
                {
                    lane.terms.stopped = true;
                    let term = lane.term;
                    self.disable(id, term, reason);
                }
            }
        }
    }

    /// Goes on with the next note of a lane.
    pub(super) fn health_noted(&mut self, id: i32, written: bool, now: Instant) {
        if let Some(next) = self.state.notes.arrived(id, written, now) {
            self.note_health(id, next);
        } else if let Some(lane) = self.state.lanes.get_mut(&id).filter(|_| !written) {
            lane.health.doubted();
        }
    }

    fn note_health(&self, id: i32, note: Note) {
        let Some(lane) = self.state.lanes.get(&id) else {
            drop(self.sender.send(Message::Noted(id, false)));
            return;
        };
        telemetry::health_turned(id, &note);
        let owner = (self.holdings.borrow().worker_id, lane.term);
        let (database, sender) = (self.shared.database.clone(), self.sender.clone());
        tokio::spawn(async move {
            let noted = async {
                let doing = "write down how the destination is doing";
                let mut tx = database.begin().await.map_err(Error::unanswered(doing))?;
                subscriber::note_health(&mut tx, id, owner, &note).await?;
                tx.commit().await.map_err(Error::unanswered(doing))
            };
            let noted = noted.await;
            if let Err(error) = &noted {
                telemetry::not_noted(id, error);
            }
            drop(sender.send(Message::Noted(id, noted.is_ok())));
        });
    }

    /// Writes the floor down for the next owner of the lane.
    pub(super) fn hold_back(&self, id: i32, floor: Duration) {
        if floor < FLOOR_NOTED_MIN {
            return;
        }
        let (database, sender) = (self.shared.database.clone(), self.sender.clone());
        tokio::spawn(async move {
            let noted = async {
                let mut tx = database
                    .begin()
                    .await
                    .map_err(Error::unanswered("hold the subscriber back"))?;
                subscriber::hold_back(&mut tx, id, floor).await?;
                tx.commit().await.map_err(Error::unanswered("hold the subscriber back"))
            };
            match noted.await {
                Ok(()) => drop(sender.send(Message::HeldBack(id))),
                Err(error) => telemetry::not_noted(id, &error),
            }
        });
    }

    pub(super) fn disable(&self, id: i32, term: i64, reason: String) {
        let owner = (self.holdings.borrow().worker_id, term);
        let (database, sender) = (self.shared.database.clone(), self.sender.clone());
        tokio::spawn(async move {
            let noted = async {
                let mut tx =
                    database.begin().await.map_err(Error::unanswered("disable the subscriber"))?;
                let was_on = subscriber::disable(&mut tx, id, owner, &reason).await?;
                tx.commit().await.map_err(Error::unanswered("disable the subscriber"))?;
                Ok::<_, Error>(was_on)
            };
            match noted.await {
                Ok(true) => telemetry::disabled(id, &reason),
                Ok(false) => {}
                Err(error) => {
                    telemetry::not_noted(id, &error);
                    drop(sender.send(Message::NotDisabled(id)));
                }
            }
        });
    }
}

/// Returns a time in the largest unit of which there are two, rounded down.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= 2 * unit);
    let (unit, name) = unit.unwrap_or((1, if seconds == 1 { "second" } else { "seconds" }));
    format!("{} {name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_a_unit_that_people_would_choose() {
        let table = [
            (1, "1 second"),
            (119, "119 seconds"),
            (7199, "119 minutes"),
            (36 * 3600, "36 hours"),
            (5 * 86_400 + 3, "5 days"),
        ];
        for (seconds, words) in table {
            assert_eq!(spoken(Duration::from_secs(seconds)), words);
        }
    }
}
