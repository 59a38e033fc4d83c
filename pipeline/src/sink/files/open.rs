//! The open files of one partition: records come in, complete files come out.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use sha2::{Digest as _, Sha256};

use super::{
    codec::{Codec, Writer},
    event::Event,
    plan::{Place, Plan, PlannedFile, Print},
    roll::{Roll, Standing},
    spool::{Spool, Spooled},
};
use crate::{
    Result,
    ledger::Sunk,
    reason::Reason,
    record::{Output, Record},
    sink::{
        event::rejected,
        hooks::{Edition, Hooks},
    },
};

/// From the first day of the common era to that of Unix.
const UNIX_EPOCH_DAYS: i32 = 719_163;

/// The open files of a partition.
#[derive(Debug)]
pub(super) struct Open {
    partition: i32,
    first: i64,
    codec: Codec,
    /// The plan that is there already and is finished as it stands.
    plan: Option<Plan>,
    folder: Arc<Path>,
    files: BTreeMap<NaiveDate, Writer>,
    last: Option<i64>,
    /// When the log took the first record, and what all of them are known by.
    first_at: Option<i64>,
    records_hash: Sha256,
    judge: Judge,
    /// The times of the oldest and the newest record, and when the oldest came here.
    times: Option<(DateTime<Utc>, DateTime<Utc>, Instant)>,
    rejected: Vec<Output>,
    days: BTreeMap<NaiveDate, Sunk>,
    records: u64,
}

/// By what it is judged whether an event may be in a file.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) hooks: Arc<dyn Hooks>,
    /// Of the rules when the files were opened: all of their events are to be judged alike.
    pub(super) edition: Edition,
}

/// Where open files begin, and how they are written.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) partition: i32,
    pub(super) first: i64,
    pub(super) codec: Codec,
    /// The plan that is there already and is finished as it stands.
    pub(super) plan: Option<Plan>,
}

/// What was open, complete.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) partition: i32,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) print: Print,
    pub(super) codec: Codec,
    pub(super) plan: Option<Plan>,
    pub(super) files: Vec<(PlannedFile, Spooled)>,
    pub(super) rejected: Vec<Output>,
    pub(super) days: BTreeMap<NaiveDate, Sunk>,
    pub(super) records: u64,
    /// By what its events were judged.
    pub(super) edition: Edition,
}

impl Open {
    /// Returns the files of a partition, without any record yet; those that are large are spooled in `folder`.
    pub(super) fn new(beginning: Beginning, judge: Judge, folder: Arc<Path>) -> Self {
        let Beginning { partition, first, codec, plan } = beginning;
        let codec = plan.as_ref().map_or(codec, |plan| plan.codec);
        Self {
            partition,
            first,
            codec,
            plan,
            folder,
            files: BTreeMap::new(),
            last: None,
            first_at: None,
            records_hash: Sha256::new(),
            judge,
            times: None,
            rejected: Vec::new(),
            days: BTreeMap::new(),
            records: 0,
        }
    }

    /// Returns by what its events are judged.
    pub(super) const fn edition(&self) -> Edition {
        self.judge.edition
    }

    /// Takes records until the files are due or there are no more; returns whether they are due. Blocks.
    pub(super) fn take(
        &mut self,
        records: &mut VecDeque<Record>,
        roll: &Roll,
        sink: &str,
    ) -> Result<bool> {
        while let Some(record) = records.pop_front() {
            // The last record of the plan is gone, or its first is another one.
            let at = record.appended_at.timestamp_millis();
            let fits = |plan: &Plan| {
                record.offset <= plan.last && self.first_at.unwrap_or(at) == plan.print.first_at
            };
            if let Some(plan) = self.plan.as_ref().filter(|plan| !fits(plan)) {
                return Err(plan.broken(self.partition));
            }
            self.push(&record, sink)?;
            if self.is_due(roll, Instant::now()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns how many files there are.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Returns whether the files are to be closed now.
    pub(super) fn is_due(&self, roll: &Roll, now: Instant) -> bool {
        // A plan that is there says where it ends, and nothing else does.
        if let Some(plan) = &self.plan {
            return self.last == Some(plan.last);
        }
        let Some((oldest, newest, since)) = self.times else { return false };
        roll.is_due(&Standing {
            bytes: self.files.values().map(Writer::bytes).sum(),
            days: self.files.len(),
            span: (newest - oldest).to_std().unwrap_or_default(),
            held: now.saturating_duration_since(since),
        })
    }

    /// Returns whether the oldest record is older than this, by a clock that says `now`, and may be closed for it.
    pub(super) fn is_older(&self, age: Duration, now: DateTime<Utc>) -> bool {
        let oldest = self.times.map(|(oldest, ..)| now - oldest);
        self.plan.is_none()
            && oldest.and_then(|held| held.to_std().ok()).is_some_and(|held| held >= age)
    }

    /// Returns whether the files end where their plan does, or have none.
    pub(super) fn is_whole(&self) -> bool {
        self.plan.as_ref().is_none_or(|plan| self.last == Some(plan.last))
    }

    /// Ends all files; `None` if there was no record. Blocks.
    pub(super) fn close(self, topic_id: &str) -> Result<Option<Closed>> {
        let Self { partition, first, codec, plan, rejected, mut days, records, .. } = self;
        let Some(last) = self.last else { return Ok(None) };
        let first_at = self.first_at.unwrap_or_default();
        let print = Print { first_at, records: hex(&self.records_hash.finalize()) };
        let place = Place { topic_id, partition, first, last };
        let mut files = Vec::with_capacity(self.files.len());
        for (dt, writer) in self.files {
            let (spooled, events) = writer.finish()?;
            days.entry(dt).or_default().stored += events;
            let name = place.file(dt, 1, codec);
            let sha256 = hex(&spooled.sha256);
            let bytes = spooled.len();
            files.push((PlannedFile { dt, name, generation: 1, events, bytes, sha256 }, spooled));
        }
        Ok(Some(Closed {
            partition,
            first,
            last,
            print,
            codec,
            plan,
            files,
            rejected,
            days,
            records,
            edition: self.judge.edition,
        }))
    }

    fn push(&mut self, record: &Record, sink: &str) -> Result<()> {
        self.last = Some(record.offset);
        self.records += 1;
        let at = record.appended_at;
        let at_ms = at.timestamp_millis();
        self.first_at.get_or_insert(at_ms);
        self.records_hash.update(record.offset.to_be_bytes());
        self.records_hash.update(at_ms.to_be_bytes());
        let times = self.times.get_or_insert((at, at, Instant::now()));
        *times = (times.0.min(at), times.1.max(at), times.2);
        match Event::read(record.value.clone(), self.codec) {
            Ok(event) => {
                let day = event.day(at);
                if !self.judge.hooks.permits(record) {
                    self.days.entry(day).or_default().filtered += 1;
                    return Ok(());
                }
                let writer = match self.files.entry(day) {
                    std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
                    std::collections::btree_map::Entry::Vacant(file) => {
                        let spool = Spool::new(Arc::clone(&self.folder));
                        file.insert(Writer::new(self.codec, spool)?)
                    }
                };
                writer.write(event)
            }
            Err(why) => {
                self.days.entry(at.date_naive()).or_default().rejected += 1;
                // It stops nobody.
                let reason = Reason::new("$", "not_an_object", why);
                self.rejected.push(rejected(sink, record, &reason));
                Ok(())
            }
        }
    }
}

impl Closed {
    /// Notes that the events of a day were in a file before.
    pub(super) fn found(&mut self, dt: NaiveDate) {
        if let Some(sunk) = self.days.get_mut(&dt) {
            sunk.already_there += std::mem::take(&mut sunk.stored);
        }
    }

    /// Returns how many events of a day may not be in a file.
    pub(super) fn filtered(&self, dt: NaiveDate) -> u64 {
        self.days.get(&dt).map_or(0, |sunk| sunk.filtered)
    }

    /// Returns what became of its records, by day.
    pub(super) fn sunk(&self) -> Vec<Sunk> {
        let days = self.days.iter().map(|(dt, sunk)| Sunk {
            day: dt.num_days_from_ce() - UNIX_EPOCH_DAYS,
            taken: sunk.stored + sunk.already_there + sunk.rejected + sunk.filtered,
            ..*sunk
        });
        days.collect()
    }
}

/// Returns lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
