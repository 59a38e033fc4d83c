//! What is collected, and of whom not: the level, suppression, and erasure by subject.
//!
//! A *subject* is the keyed hash under which somebody stands in the headers of events, see
//! [`Identity`](crate::analytics::wire::Identity); [`HashKeys::hashes`](crate::analytics::HashKeys::hashes) returns all
//! under which one person may stand. A key that is new since then makes another hash: suppress that one as well.
//!
//! All of it takes effect with the commit. The level and the suppressions are asked when an event is registered, and
//! again when its telemetry is about to be sent; what was sent is beyond us, and the [`Receipt`] names where to.
//! The notification of an event is the application's own, and none of this touches it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgTransaction};
use uuid::Uuid;

use crate::{Error, Level, Result, store::privacy as rows};

/// How many subjects one call takes.
pub const SUBJECTS_MAX: usize = 1_000;

/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 200;

/// What was found of somebody, and taken out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Receipt {
    /// Whom it is about.
    pub subjects: Vec<String>,
    /// How many events lost their telemetry view and the identity beside it.
    pub events: u64,
    /// How many dead letters did.
    pub dead_letters: u64,
    /// Since when events are kept: what is older was gone before.
    pub kept_since: Option<DateTime<Utc>>,
    /// When it was done, by the database's clock; from then on they are suppressed.
    pub erased_at: DateTime<Utc>,
    /// The sinks that may have got something before: they are to be asked, each in its own way.
    pub sinks: Vec<String>,
}

/// Returns the level in force.
///
/// # Errors
///
/// The database did not answer.
pub async fn level(conn: &mut PgConnection) -> Result<Level> {
    rows::level(conn).await
}

/// Sets the level, and returns the one before.
///
/// Telemetry that the new level does not permit is not stored from the commit on, and what is waiting is not sent, also
/// after the level has been raised again: an event leaves only if every level since its registering permits it.
/// Until the transaction ends, edits of subscriptions wait.
///
/// # Errors
///
/// The database did not answer.
pub async fn set_level(tx: &mut PgTransaction<'_>, level: Level) -> Result<Level> {
    rows::set_level(tx, level).await
}

/// Returns the name of the installation, under which events appear that nobody in particular has caused.
///
/// # Errors
///
/// The database did not answer.
pub async fn installation(conn: &mut PgConnection) -> Result<Uuid> {
    rows::installation(conn).await
}

/// Collects nothing of these subjects any more, nor sends what is waiting; returns how many are new.
///
/// # Errors
///
/// More than [`SUBJECTS_MAX`], or one that is empty or longer than [`SUBJECT_BYTES_MAX`]; the database did not answer.
pub async fn suppress(conn: &mut PgConnection, subjects: &[String]) -> Result<u64> {
    check(subjects)?;
    rows::suppress(conn, subjects).await
}

/// Collects of these subjects again; returns how many were suppressed.
///
/// # Errors
///
/// Those of [`suppress`].
pub async fn unsuppress(conn: &mut PgConnection, subjects: &[String]) -> Result<u64> {
    check(subjects)?;
    rows::unsuppress(conn, subjects).await
}

/// Suppresses these subjects, and takes their telemetry and their identity out of all events and dead letters.
///
/// It is an [`Erasure`] from its beginning to its end. On a connection outside of a transaction each day commits by
/// itself; a call that was interrupted is repeated.
///
/// # Errors
///
/// Those of [`suppress`].
pub async fn erase(conn: &mut PgConnection, subjects: &[String]) -> Result<Receipt> {
    let mut erasure = Erasure::begin(conn, subjects).await?;
    while erasure.step(conn).await? {}
    erasure.finish(conn).await
}

/// An erasure that is under way, day by day: each reads a partition of the log to its end, so each is better in a
/// transaction of its own.
#[derive(Clone, Debug)]
pub struct Erasure {
    subjects: Vec<String>,
    /// Of which events are kept, oldest first.
    days: Vec<DateTime<Utc>>,
    done: usize,
    events: u64,
    dead_letters: u64,
}

impl Erasure {
    /// Suppresses these subjects, from the commit on, and finds out which days there are.
    ///
    /// # Errors
    ///
    /// Those of [`suppress`].
    pub async fn begin(conn: &mut PgConnection, subjects: &[String]) -> Result<Self> {
        check(subjects)?;
        rows::suppress(conn, subjects).await?;
        let days = rows::days(conn).await?;
        Ok(Self { subjects: subjects.to_vec(), days, done: 0, events: 0, dead_letters: 0 })
    }

    /// Erases the next day; answers whether there was one.
    ///
    /// # Errors
    ///
    /// The database did not answer; the day is repeated.
    pub async fn step(&mut self, conn: &mut PgConnection) -> Result<bool> {
        let Some(day) = self.days.get(self.done) else { return Ok(false) };
        let (events, dead) = rows::erase(conn, &self.subjects, *day).await?;
        self.done += 1;
        self.events += events;
        self.dead_letters += dead;
        Ok(true)
    }

    /// Returns how many days are done, and how many there are.
    #[must_use]
    pub const fn progress(&self) -> (usize, usize) {
        (self.done, self.days.len())
    }

    /// Returns what was found.
    ///
    /// # Errors
    ///
    /// The database did not answer.
    pub async fn finish(self, conn: &mut PgConnection) -> Result<Receipt> {
        let (erased_at, sinks) = rows::sinks(conn).await?;
        let Self { subjects, days, events, dead_letters, .. } = self;
        let kept_since = days.first().copied();
        Ok(Receipt { subjects, events, dead_letters, kept_since, erased_at, sinks })
    }
}

/// Returns whether these can be subjects.
///
/// # Errors
///
/// More than [`SUBJECTS_MAX`], or one that is empty or longer than [`SUBJECT_BYTES_MAX`].
pub fn check(subjects: &[String]) -> Result<()> {
    let out_of_range =
        |value: String, allowed| Error::OutOfRange { field: "subjects", value, allowed };
    if subjects.len() > SUBJECTS_MAX {
        return Err(out_of_range(subjects.len().to_string(), "at most 1000 at a time"));
    }
    let fits = |subject: &String| {
        !subject.is_empty() && subject.len() <= SUBJECT_BYTES_MAX && !subject.contains('\0')
    };
    match subjects.iter().find(|subject| !fits(subject)) {
        Some(subject) => {
            let value = format!("one of {} bytes", subject.len());
            Err(out_of_range(value, "keyed hashes of 1 to 200 bytes"))
        }
        None => Ok(()),
    }
}
