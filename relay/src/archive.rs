//! Offline archives: every batch of one becomes a record of the raw log, as if its device had sent it.
//!
//! A relay takes them at its door, and whoever has a file and the database imports it with [`Import`]; both make the
//! same records of them.
//! A batch is known as it is when the device itself sends it, so importing again adds nothing to the database's log;
//! the pipeline knows the events in any case.
//!
//! ```text
//! Archive ──gather──▶ Group ──write──▶ raw log
//!    ▲                  └──▶ Report: accepted, repeated, filtered or refused
//!    └── until nothing is left
//! ```

mod door;
mod group;

use sqlx::PgConnection;
use tidings_analytics::Level;
use tidings_pipeline::{
    archive::{Archive, Importer, Report},
    log::Appender,
    topic,
};

use self::group::{Group, gathered};
use crate::{
    Error, Result,
    gather::{Record, Row},
    raw_log, store,
};

pub(crate) use self::door::take;

/// Where batches go, and what is kept of them.
#[derive(Clone, Debug)]
struct Destination {
    channel_id: i32,
    importer: Importer,
    /// When they were taken, in milliseconds since 1970.
    syncts: i64,
    level: Level,
}

/// An archive on its way to the raw log of the database.
#[derive(Debug)]
pub struct Import {
    /// Nothing while a task reads it.
    archive: Option<Archive>,
    destination: Destination,
    group: Option<Group>,
    turn: i64,
    report: Report,
}

impl Import {
    /// Begins to import an archive for a channel; `who` imports it, and every event says so.
    ///
    /// # Errors
    ///
    /// There is no such channel, or the database does not answer.
    pub async fn begin(
        conn: &mut PgConnection,
        archive: Archive,
        channel: &str,
        who: &str,
    ) -> Result<Self> {
        let channels = store::read_keys(conn).await?;
        let known = channels.into_iter().find(|row| row.name == channel);
        let known = known.ok_or_else(|| Error::NoSuchChannel { name: channel.to_owned() })?;
        let watch = store::watch(conn).await?;
        let level = watch.level.parse().map_err(|_| Error::Corrupt {
            table: "level",
            column: "level",
            row: "the level in force".to_owned(),
        })?;
        let importer =
            Importer { channel: known.name, profile: known.profile, name: who.to_owned() };
        let syncts = watch.clock.timestamp_millis();
        let destination = Destination { channel_id: known.channel_id, importer, syncts, level };
        let report = Report::new(&archive);
        Ok(Self { archive: Some(archive), destination, group: None, turn: syncts, report })
    }

    /// Reads the next items, about a megabyte of them; `false` when there are no more.
    ///
    /// # Errors
    ///
    /// The reader has a fault that this archive shows.
    ///
    /// # Cancel safety
    ///
    /// What is being read is lost: the import has to be begun anew, which adds nothing twice.
    pub async fn gather(&mut self) -> Result<bool> {
        let Some(archive) = self.archive.take() else { return Ok(false) };
        let gathered = gathered(archive, &self.destination).await;
        let (archive, group) = gathered.ok_or(Error::UnreadableArchive)?;
        self.archive = Some(archive);
        let more = !group.is_empty();
        self.group = more.then_some(group);
        Ok(more)
    }

    /// Writes what was gathered, and answers how many items are done; the transaction, if there is one, has to be
    /// committed at once, because others wait for it.
    ///
    /// # Errors
    ///
    /// The database does not answer; what was gathered may be there or not, and importing again tells.
    pub async fn write(&mut self, conn: &mut PgConnection) -> Result<usize> {
        if let Some(mut group) = self.group.take() {
            let records = group.take_records();
            let records: Vec<&Record> = records.iter().collect();
            let offsets = match records.as_slice() {
                [] => Vec::new(),
                records => Record::write(conn, self.turn, records).await?,
            };
            self.turn += 1;
            group.finish(offsets.iter().map(Option::is_some), &mut self.report);
        }
        Ok(self.report.items.len())
    }

    /// Writes what was gathered to a log that is not in the database, and answers how many items are done.
    ///
    /// Such a log does not know what it has: an item that was there before is written again, and the pipeline knows its
    /// events.
    ///
    /// # Errors
    ///
    /// The log does not answer; what was gathered may be there or not.
    pub async fn write_to(&mut self, log: &dyn Appender) -> tidings_pipeline::Result<usize> {
        if let Some(mut group) = self.group.take() {
            let partitions = i64::from(log.partitions(topic::RAW).await?).max(1);
            let partition = i32::try_from(self.turn.rem_euclid(partitions)).unwrap_or_default();
            let records = group.take_records().into_iter();
            let outputs: Vec<_> =
                records.map(|record| raw_log::output(record, partition)).collect();
            let fresh = std::iter::repeat_n(true, outputs.len());
            if !outputs.is_empty() {
                log.append(outputs).await?;
            }
            self.turn += 1;
            group.finish(fresh, &mut self.report);
        }
        Ok(self.report.items.len())
    }

    /// Returns what became of each item.
    #[must_use]
    pub fn report(self) -> Report {
        self.report
    }
}
