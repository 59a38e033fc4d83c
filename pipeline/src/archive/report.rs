//! What became of each item of an archive, for people and programs.

use std::borrow::Cow;

use serde::Serialize;

use super::{Archive, Item, Kind, Problem};

/// What became of an archive.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Which kind of archive it is.
    pub kind: Kind,
    /// How many events were taken.
    pub accepted: usize,
    /// How many events came in items that had been taken before.
    pub repeated: usize,
    /// How many events are above the level in force.
    pub filtered: usize,
    /// How many items are refused.
    pub refused: usize,
    /// What is otherwise than the archive says of itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
    /// Each item in its order.
    pub items: Vec<Entry>,
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its message id.
    pub mid: Option<String>,
    /// Where it stands in the archive.
    pub file: String,
    /// How many events it has.
    pub events: usize,
    /// How many of them were left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub filtered: usize,
    /// What became of it.
    pub status: Status,
    /// Why it is refused, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'static, str>>,
    /// Why it is refused, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What is otherwise than the archive says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is in the raw log.
    Accepted,
    /// It was there before; nothing was added.
    Repeated,
    /// All of it is above the level in force; nothing was added.
    Filtered,
    /// It cannot be read.
    Refused,
}

impl Status {
    /// Returns the word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
        }
    }
}

impl Entry {
    /// Returns the entry of an item that is refused, or else has this status; `filtered` of its events were left out.
    #[must_use]
    pub fn new(item: &Item, status: Status, filtered: usize) -> Self {
        let problem = item.batch.as_ref().err();
        Self {
            mid: item.mid.clone(),
            file: item.file.clone(),
            events: item.events,
            filtered: if problem.is_some() { 0 } else { filtered },
            status: problem.map_or(status, |_| Status::Refused),
            code: problem.map(|problem| problem.code.into()),
            message: problem.map(|problem| problem.message.clone()),
            notes: item.notes.clone(),
        }
    }
}

impl Report {
    /// Begins the report of an archive.
    #[must_use]
    pub fn new(archive: &Archive) -> Self {
        Self {
            kind: archive.kind(),
            accepted: 0,
            repeated: 0,
            filtered: 0,
            refused: 0,
            notes: archive.notes().to_vec(),
            items: Vec::new(),
        }
    }

    /// Adds what became of an item.
    pub fn push(&mut self, entry: Entry) {
        let taken = entry.events.saturating_sub(entry.filtered);
        match entry.status {
            Status::Accepted => self.accepted += taken,
            Status::Repeated => self.repeated += taken,
            Status::Filtered => {}
            Status::Refused => self.refused += 1,
        }
        self.filtered += entry.filtered;
        self.items.push(entry);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
