//! Sessions: how long a device's people stayed on which pages and in which sections.
//!
//! A pure machine over the unique events of one partition, in order of arrival.
//! What it yields depends on those events alone, so that a second run over the same ones yields the same summaries under
//! the same ids.
//! It reads no clock: that a session is over is told by the `syncts` of the events that follow.
//!
//! ```text
//! event ──▶ a session of its (device, channel, producer) within `pause` of it? ──no──▶ opens one
//!                 └──yes──▶ joins it: up to `idle` of time counts for page, section, environment
//! syncts of any event ──▶ sessions of which nothing came for `lateness` ──▶ summary
//! ```

mod observation;
mod open;
mod settings;
mod summary;
mod tally;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

use self::{
    observation::{Observation, Who},
    open::Open,
};
pub use self::{
    settings::Settings,
    summary::{Closed, KIND},
};
use crate::value::Value;

/// Sessions that one device may have open in one channel and producer: those of today, and what it sends of other days.
const PER_DEVICE_MAX: usize = 8;

/// The sessions of one partition.
#[derive(Debug)]
pub struct Sessions {
    settings: Settings,
    open: HashMap<u64, Open>,
    by_who: HashMap<Who, Spell>,
    /// Where each spell began, with the watermark then.
    spells: BTreeMap<i64, i64>,
    /// When each is over, if nothing comes; looked at again when that time has come.
    due: BinaryHeap<Reverse<(i64, u64)>>,
    /// The number of the next one.
    next: u64,
    /// The latest `syncts` that was seen.
    watermark: i64,
}

/// A time without a gap in which somebody had sessions open; what was before it has no part in what follows.
#[derive(Debug)]
struct Spell {
    open: Vec<u64>,
    first_offset: i64,
}

/// Where a rebuild begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The offset of the first record to read again; none where nothing is open.
    pub offset: Option<i64>,
    /// The time that the log had come to there, in milliseconds since 1970.
    pub watermark: i64,
}

impl Sessions {
    /// Returns a partition without sessions, or one that is to be rebuilt from a checkpoint: then the records from there
    /// to the committed position come first, and what they yield was written already.
    #[must_use]
    pub fn new(settings: Settings, checkpoint: Option<Checkpoint>) -> Self {
        Self {
            settings,
            open: HashMap::new(),
            by_who: HashMap::new(),
            spells: BTreeMap::new(),
            due: BinaryHeap::new(),
            next: 0,
            watermark: checkpoint.map_or(i64::MIN, |checkpoint| checkpoint.watermark),
        }
    }

    /// Takes the next unique event of the partition, as it stands in `telemetry.unique`, and adds the summaries of
    /// sessions that are over to `closed`.
    ///
    /// `offset` is that of its record, each with one event.
    pub fn observe(&mut self, event: &Value<'_>, offset: i64, closed: &mut Vec<Closed>) {
        if let Some(syncts) = event.get("syncts").and_then(Value::as_i64) {
            self.advance(syncts, closed);
        }
        let Some(observation) = Observation::of(event) else { return };
        let number = self.find(&observation);
        let number = number.unwrap_or_else(|| self.begin(&observation, offset, closed));
        if let Some(open) = self.open.get_mut(&number) {
            open.join(&observation, &self.settings);
            open.touched_at = open.touched_at.max(self.watermark);
        }
    }

    /// Says that the log has come to a time, in milliseconds since 1970, and adds the summaries of sessions that are
    /// over to `closed`.
    ///
    /// Times of the log's own records keep the summaries those of a second run; a time from elsewhere closes earlier.
    pub fn advance(&mut self, syncts: i64, closed: &mut Vec<Closed>) {
        self.watermark = self.watermark.max(syncts);
        while let Some(&Reverse((due, number))) = self.due.peek()
            && due <= self.watermark
        {
            self.due.pop();
            match self.open.get(&number).map(|open| self.due_at(open)) {
                Some(due) if due > self.watermark => self.due.push(Reverse((due, number))),
                Some(_) => self.close(number, false, closed),
                None => {}
            }
        }
    }

    /// Returns whether [`advance`](Self::advance) to a time would close a session.
    pub fn is_due(&mut self, syncts: i64) -> bool {
        while let Some(&Reverse((due, number))) = self.due.peek()
            && due <= syncts
        {
            match self.open.get(&number).map(|open| self.due_at(open)) {
                Some(later) if later > due => {
                    self.due.pop();
                    self.due.push(Reverse((later, number)));
                }
                Some(_) => return true,
                None => drop(self.due.pop()),
            }
        }
        false
    }

    /// Returns where a rebuild of what is open now would have to begin.
    ///
    /// It is stored with the committed position.
    /// A machine that was rebuilt from it goes on as this one would, unless sessions are cut off for want of room.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        match self.spells.first_key_value() {
            Some((&offset, &watermark)) => Checkpoint { offset: Some(offset), watermark },
            None => Checkpoint { offset: None, watermark: self.watermark },
        }
    }

    /// Returns how many sessions are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Returns whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn find(&self, observation: &Observation<'_>) -> Option<u64> {
        let numbers = &self.by_who.get(&observation.who)?.open;
        let pause = self.settings.pause_ms();
        let near = |number: &&u64| {
            self.open.get(number).is_some_and(|open| open.is_near(observation.ets, pause))
        };
        numbers.iter().rev().find(near).copied()
    }

    fn begin(
        &mut self,
        observation: &Observation<'_>,
        offset: i64,
        closed: &mut Vec<Closed>,
    ) -> u64 {
        if let Some(Spell { open, .. }) = self.by_who.get(&observation.who)
            && open.len() >= PER_DEVICE_MAX
        {
            let stale = |number: &&u64| self.open.get(number).map(|open| open.touched_at);
            if let Some(number) = open.iter().min_by_key(stale).copied() {
                self.close(number, true, closed);
            }
        }
        if self.open.len() >= self.settings.open_max {
            self.evict(closed);
        }
        let number = self.next;
        self.next += 1;
        let open = Open::new(observation, self.watermark);
        self.due.push(Reverse((self.due_at(&open), number)));
        self.open.insert(number, open);
        let spell = self.by_who.entry(observation.who).or_insert_with(|| {
            self.spells.insert(offset, self.watermark);
            Spell { open: Vec::new(), first_offset: offset }
        });
        spell.open.push(number);
        number
    }

    /// Closes the session that would have been over first.
    fn evict(&mut self, closed: &mut Vec<Closed>) {
        while let Some(Reverse((due, number))) = self.due.pop() {
            match self.open.get(&number).map(|open| self.due_at(open)) {
                Some(later) if later > due => self.due.push(Reverse((later, number))),
                Some(_) => return self.close(number, true, closed),
                None => {}
            }
        }
    }

    fn close(&mut self, number: u64, cut: bool, closed: &mut Vec<Closed>) {
        let Some(open) = self.open.remove(&number) else { return };
        if let Some(spell) = self.by_who.get_mut(&open.who) {
            spell.open.retain(|other| *other != number);
            if spell.open.is_empty() {
                self.spells.remove(&spell.first_offset);
                self.by_who.remove(&open.who);
            }
        }
        closed.push(summary::of(&open, cut));
    }

    fn due_at(&self, open: &Open) -> i64 {
        open.touched_at.saturating_add(self.settings.lateness_ms())
    }
}

#[cfg(test)]
mod tests;
