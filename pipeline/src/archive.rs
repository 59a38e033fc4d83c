//! Archives of telemetry that devices hand on while they are offline.
//!
//! There are two: the zip of Sunbird's apps, desktops and our browser client, with a manifest and one compressed batch
//! in each file; and the `.gsa` of older Android apps, an `SQLite` database with one compressed batch in each row.
//!
//! ```text
//! bytes ──open──▶ Archive ──next──▶ Item { batch, or why it is refused }
//! ```
//!
//! Both come from strangers: nothing of them is written to disk, names are only looked up, and what a file may become is
//! bounded before it is inflated.
//! What an archive says of itself decides nothing: an item is what is there, and what is said otherwise is noted.

mod batch;
mod gsa;
mod inflate;
mod manifest;
mod report;
mod zip;

use bytes::Bytes;
use serde::Serialize;

use self::{gsa::Gsa, inflate::Budget, zip::Zip};

use crate::{provenance::Format, record::Headers};

pub use self::report::{Entry, Report, Status};

/// How many items an archive may have.
pub const ITEMS_MAX: usize = 10_000;

/// The longest name or message id of an item that is kept, in bytes; the rest is cut off.
const NAME_BYTES_MAX: usize = 256;

/// How large an archive may be, and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The archive as it is, in bytes; 64 MB.
    pub archive_bytes_max: usize,
    /// Everything in it when it is inflated, in bytes; 1 GB.
    pub inflated_bytes_max: usize,
    /// One batch when it is inflated, in bytes; 5 MB, as a relay takes it.
    pub batch_bytes_max: usize,
    /// The events of one batch; 1000.
    pub events_max: usize,
    /// How many times its size a batch of more than 256 KiB may be inflated to; 200.
    pub ratio_max: usize,
}

/// Which of the two archives it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The zip with a manifest.
    Zip,
    /// The database of older Android apps.
    Gsa,
}

/// What is wrong with an archive or an item, or differs from what it says of itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What it is, in lower case with underscores; names stay as they are from version to version.
    pub code: &'static str,
    /// In words, with what to do.
    pub message: String,
}

/// An archive that is read item by item.
#[derive(Debug)]
pub struct Archive {
    source: Source,
    limits: Limits,
    budget: Budget,
    notes: Vec<Problem>,
    items: usize,
}

#[derive(Debug)]
enum Source {
    Zip(Box<Zip>),
    Gsa(Box<Gsa>),
}

/// One batch of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Where it stands: the name in the manifest, or the row.
    pub file: String,
    /// The message id: that of the batch, or else what the archive says.
    pub mid: Option<String>,
    /// How many events it has, as far as that is known.
    pub events: usize,
    /// What is otherwise than the archive says.
    pub notes: Vec<Problem>,
    /// The batch, or why it is refused.
    pub batch: Result<Batch, Problem>,
}

/// A batch, inflated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    /// The batch as the device has written it.
    pub bytes: Bytes,
    /// The message id that stands in it; a desktop's batch has none.
    pub message_id: Option<String>,
    /// The device whose batch it is: that of the batch, of its first event, or of the archive.
    pub device: Option<String>,
}

/// Who imports an archive, and where to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Importer {
    /// The channel that the events go to.
    pub channel: String,
    /// By which rules they are checked.
    pub profile: String,
    /// Who it is, as events say it: the beginning of a key, or a name.
    pub name: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_bytes_max: 64_000_000,
            inflated_bytes_max: 1_000_000_000,
            batch_bytes_max: 5_000_000,
            events_max: 1000,
            ratio_max: 200,
        }
    }
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Archive {
    /// Opens an archive: its directory is read, and none of its batches.
    ///
    /// # Errors
    ///
    /// It is none of the two, is larger than `limits` say, cannot be read, or has no list of what is in it.
    pub fn open(bytes: Bytes, limits: Limits) -> Result<Self, Problem> {
        if bytes.len() > limits.archive_bytes_max {
            let message = format!(
                "the archive has {} bytes, and {} are taken; share it in parts",
                bytes.len(),
                limits.archive_bytes_max
            );
            return Err(Problem::new("archive_too_large", message));
        }
        let mut budget = Budget::new(limits.inflated_bytes_max);
        let mut notes = Vec::new();
        let source = if bytes.starts_with(b"PK") {
            Source::Zip(Box::new(Zip::open(bytes, &mut budget, &mut notes)?))
        } else if bytes.starts_with(gsa::MAGIC) {
            Source::Gsa(Box::new(Gsa::open(&bytes, &limits)?))
        } else {
            let message = "it is neither a zip nor a .gsa; share telemetry from the app as a file, and send that";
            return Err(Problem::new("not_an_archive", message));
        };
        let items = match &source {
            Source::Zip(zip) => zip.len(),
            Source::Gsa(gsa) => gsa.len(),
        };
        Ok(Self { source, limits, budget, notes, items })
    }

    /// Returns which of the two it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.source {
            Source::Zip(_) => Kind::Zip,
            Source::Gsa(_) => Kind::Gsa,
        }
    }

    /// Returns how many items it lists, from the first one on.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.items
    }

    /// Returns what is otherwise than the archive as a whole says.
    #[must_use]
    pub fn notes(&self) -> &[Problem] {
        &self.notes
    }
}

impl Iterator for Archive {
    type Item = Item;

    /// Reads the next item; one that is refused is no reason to stop.
    fn next(&mut self) -> Option<Item> {
        match &mut self.source {
            Source::Zip(zip) => zip.next(&self.limits, &mut self.budget),
            Source::Gsa(gsa) => gsa.next(&self.limits, &mut self.budget),
        }
    }
}

impl Batch {
    /// Returns the headers of its record in the raw log; `mid` is that of the item, `syncts` in milliseconds since 1970.
    ///
    /// The device is the one whose batch it is: who imports it has a header of their own.
    #[must_use]
    pub fn headers(&self, mid: Option<&str>, importer: &Importer, syncts: i64) -> Headers {
        let mut headers = Headers::new()
            .with("format", Format::Sunbird.as_str())
            .with("channel", importer.channel.as_str())
            .with("profile", importer.profile.as_str())
            .with("syncts", syncts.to_string())
            .with("importer", clipped(&importer.name));
        if let Some(mid) = mid {
            headers.push("message_id", mid);
        }
        if let Some(device) = &self.device {
            headers.push("x-device-id", clipped(device));
        }
        headers
    }
}

impl Item {
    /// Returns an item of what was found in the archive, which said this message id and count.
    fn of(
        file: &str,
        (mid, events): (Option<String>, Option<u64>),
        found: Result<batch::Found, Problem>,
        mut notes: Vec<Problem>,
    ) -> Self {
        let file = clipped(file);
        let found = match found {
            Ok(found) => found,
            Err(problem) => {
                let mid = mid.as_deref().map(clipped);
                return Self { file, mid, events: 0, notes, batch: Err(problem) };
            }
        };
        if let Some(said) = events.filter(|said| *said != found.events as u64) {
            let message = format!("it is said to have {said} events, and has {}", found.events);
            notes.push(Problem::new("events_count_differs", message));
        }
        if let (Some(said), Some(own)) = (&mid, &found.batch.message_id)
            && said != own
        {
            let message = format!("it is said to be {}, and is {}", clipped(said), clipped(own));
            notes.push(Problem::new("mid_differs", message));
        }
        let mid = found.batch.message_id.as_deref().or(mid.as_deref()).map(clipped);
        Self { file, mid, events: found.events, notes, batch: Ok(found.batch) }
    }
}

/// Returns the beginning of a text, without control characters.
fn clipped(text: &str) -> String {
    let end = text.floor_char_boundary(NAME_BYTES_MAX);
    text[..end].chars().filter(|char| !char.is_control()).collect()
}

#[cfg(test)]
pub(crate) mod tests;
