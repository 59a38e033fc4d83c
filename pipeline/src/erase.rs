//! Erasure: whoever asks to be forgotten is taken out of what is kept, and does not come back.
//!
//! ```text
//! tombstone ──▶ steps and sinks know it ──▶ what was under way has landed ──▶ table, index, files
//! ```
//!
//! The tombstone comes first and stays: what a device has kept offline and sends later is filtered.
//! Everything after it can be done again, and has to be after a crash; a second run finishes the first.
//! What lies in the topics goes by their retention.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tidings_analytics::HashKeys;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Error, Log, Result,
    gate::{Gate, KNOWN_FOR, Kind, Tombstones},
    log::{Limits, Reader as _, Start},
    sink::table::words,
    store::erasure as rows,
    topic,
};

/// How many rows are deleted at once.
const ROWS: i32 = 2_000;

/// How often it is looked whether something has landed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Who is erased.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Subjects {
    /// As actors of telemetry.
    pub actors: Vec<String>,
    /// As devices; the actor counts where an event names no device.
    pub devices: Vec<String>,
    /// By keyed hashes, `<key id>:<hash>`, as redaction puts them in the place of either.
    pub hashes: Vec<String>,
}

/// An erasure whose tombstones stand.
#[derive(Clone, Debug)]
pub struct Erasure {
    subjects: Subjects,
    tombstones: Tombstones,
    /// How many tombstones are new; none if this was begun before.
    pub added: u64,
    /// Since when, by the database's clock.
    pub erased_at: DateTime<Utc>,
    begun: Instant,
}

/// Whether what was under way when the tombstones were set has landed.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Settled {
    /// Whether there is a log of telemetry.
    pub log: bool,
    /// The groups that have not come past it in time. If they run, they may still store what was erased: erase again.
    pub behind: Vec<String>,
}

impl Subjects {
    /// Adds the hashes under which they stand where they were redacted, of every key that is known.
    #[must_use]
    pub fn hashed(mut self, keys: &HashKeys) -> Self {
        let plain = self.actors.iter().chain(&self.devices);
        let hashes: Vec<_> = plain.flat_map(|value| keys.hashes(value)).collect();
        self.hashes.extend(hashes);
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self
    }

    /// Returns whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty() && self.devices.is_empty() && self.hashes.is_empty()
    }

    fn graves(&self, tombstones: &Tombstones) -> Vec<(Kind, String)> {
        let of = |kind, values: &[String]| -> Vec<_> {
            let hash = |value: &String| Some((kind, tombstones.hash(kind, value)?));
            values.iter().filter_map(hash).collect()
        };
        [
            of(Kind::Actor, &self.actors),
            of(Kind::Device, &self.devices),
            of(Kind::Subject, &self.hashes),
        ]
        .concat()
    }
}

impl Erasure {
    /// Sets the tombstones; when it returns they stand, and within a second nothing of these is kept any more.
    ///
    /// # Errors
    ///
    /// The database does not answer.
    pub async fn begin(pool: &PgPool, subjects: Subjects) -> Result<Self> {
        let mut conn =
            pool.acquire().await.map_err(Error::unanswered("connect to the database"))?;
        let secret = rows::tombstone_secret(&mut conn).await?;
        let graves = subjects.graves(&Tombstones::new(&secret));
        let (added, erased_at) = rows::add_tombstones(&mut conn, &graves).await?;
        drop(conn);
        // What was erased before goes as well, if it was left behind.
        let tombstones = Gate::new(pool.clone()).refresh().await?.tombstones().clone();
        let added = u64::try_from(added).unwrap_or_default();
        Ok(Self { subjects, tombstones, added, erased_at, begun: Instant::now() })
    }

    /// Returns everybody who was erased, in this installation.
    #[must_use]
    pub const fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// Returns who is erased by this one.
    #[must_use]
    pub const fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Waits, no longer than `patience`, until what was judged without the tombstones has landed: events that were being
    /// refined, and those that were on their way to `sinks`.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    pub async fn settle<L: Log>(
        &self,
        log: &L,
        sinks: &[&str],
        patience: Duration,
    ) -> Result<Settled> {
        match log.bounds(topic::EVENTS).await {
            Err(Error::NoSuchPartition { .. }) => return Ok(Settled::default()),
            bounds => drop(bounds?),
        }
        // From then on nobody judges without them.
        tokio::time::sleep_until(self.begun + KNOWN_FOR).await;
        let deadline = Instant::now() + patience;
        let mut settled = Settled { log: true, behind: Vec::new() };
        let mut pass = async |group: &str, topic: &str| -> Result<()> {
            if !passed(log, (group, topic), deadline).await? {
                settled.behind.push(group.to_owned());
            }
            Ok(())
        };
        pass("refine", topic::EVENTS).await?;
        for sink in sinks {
            pass(&format!("sink.{sink}"), topic::UNIQUE).await?;
        }
        Ok(settled)
    }

    /// Deletes from the table of events; returns how many. `progress` is told how many so far.
    ///
    /// # Errors
    ///
    /// The database does not answer; what was deleted is.
    pub async fn table(&self, pool: &PgPool, mut progress: impl FnMut(u64) + Send) -> Result<u64> {
        let Subjects { actors, devices, hashes } = &self.subjects;
        let column = |value: &String| words::column(value).into_owned();
        let devices: Vec<_> = devices.iter().chain(hashes).map(column).collect();
        let actors: Vec<_> = actors.iter().chain(hashes).map(column).collect();
        let mut erased = 0;
        for day in rows::event_days(pool).await? {
            loop {
                let gone = rows::erase_events(pool, day, (&devices, &actors), ROWS).await?;
                erased += u64::try_from(gone).unwrap_or_default();
                progress(erased);
                if gone < i64::from(ROWS) {
                    break;
                }
            }
        }
        Ok(erased)
    }
}

/// Waits until a group has taken everything that is in a topic now; false if it has not by the deadline.
///
/// One that has never committed has nothing under way.
async fn passed<L: Log>(log: &L, (group, topic): (&str, &str), deadline: Instant) -> Result<bool> {
    let ends = log.bounds(topic).await?;
    let wait = async {
        loop {
            let committed = log.committed(group, topic).await?;
            if committed.iter().all(Option::is_none) {
                return Ok(());
            }
            let mut is_past = true;
            for of in &ends {
                let index = usize::try_from(of.partition).unwrap_or(usize::MAX);
                let at = committed.get(index).copied().flatten().unwrap_or(of.first);
                is_past = is_past && !lies_between(log, (topic, of.partition), at..of.end).await?;
            }
            if is_past {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
    };
    timeout_at(deadline, wait).await.map_or(Ok(false), |passed: Result<()>| passed.map(|()| true))
}

/// Returns whether there is a record: what a log counts on its own behalf has offsets as well.
async fn lies_between<L: Log>(
    log: &L,
    (topic, partition): (&str, i32),
    offsets: std::ops::Range<i64>,
) -> Result<bool> {
    if offsets.is_empty() {
        return Ok(false);
    }
    let mut reader = log.reader(topic, partition, Start::Offset(offsets.start)).await?;
    let first = reader.next(Limits { records: 1, bytes: 1 }).await?.unwrap_or_default();
    Ok(first.first().is_some_and(|record| record.offset < offsets.end))
}
