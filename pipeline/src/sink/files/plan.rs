//! Plans: which records of a partition lie in which files, written down before the first byte of them goes up.
//!
//! A plan is cut once. Whoever comes later, after a crash or because two believe to own the partition, finds it and
//! finishes it as it stands; so no event is in two files.
//!
//! ```text
//! records ──roll──▶ planned ──all files up──▶ done ──▶ manifest ──▶ position committed
//! ```

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::codec::Codec;
use crate::{Error, topic};

/// A plan.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Plan {
    /// Given by the database.
    #[serde(default, rename = "plan_id")]
    pub(crate) id: i64,
    /// Where the plan before it has ended.
    pub(crate) first: i64,
    /// The offset of its last record.
    pub(crate) last: i64,
    /// Which records: those of a topic that was made anew have the same offsets.
    #[serde(flatten)]
    pub(crate) print: Print,
    pub(crate) codec: Codec,
    /// All its files are up.
    #[serde(default)]
    pub(crate) done: bool,
    /// By day.
    pub(crate) files: Vec<PlannedFile>,
}

/// By which the records of a plan are known again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Print {
    /// When the log took the first of them, in milliseconds since 1970.
    pub(crate) first_at: i64,
    /// The hash over the offset and the time of each, in hexadecimal digits.
    pub(crate) records: String,
}

/// A file of a plan.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct PlannedFile {
    pub(crate) dt: NaiveDate,
    /// Below the folder of the sink.
    pub(crate) name: String,
    pub(crate) generation: i32,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
}

/// A place in the log, as names of files have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) topic_id: &'a str,
    pub(super) partition: i32,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// How the files that were made from a plan's records compare with the plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    /// They are the same bytes.
    Same,
    /// They hold as many events by the same days, in other bytes: another version of a codec has made them.
    Recoded,
    /// Some of the planned events may not be there any more.
    Fewer,
    /// They hold other events.
    Different,
}

impl Place<'_> {
    /// Returns the name of the file of a day.
    pub(super) fn file(&self, dt: NaiveDate, generation: i32, codec: Codec) -> String {
        format!("{}.g{generation}.{codec}", self.stem(dt))
    }

    /// Returns the name of the file that lists the file of a day.
    pub(super) fn manifest(&self, dt: NaiveDate) -> String {
        format!("manifest/{}.json", self.stem(dt))
    }

    fn stem(&self, dt: NaiveDate) -> String {
        let Self { topic_id, partition, first, last } = self;
        format!("dt={dt}/{topic_id}/{partition}/{first:020}-{last:020}")
    }
}

impl Plan {
    /// Returns the error of records that are not those of this plan.
    pub(super) fn broken(&self, partition: i32) -> Error {
        Error::PlanBroken { partition, first: self.first, last: self.last, topic: topic::UNIQUE }
    }

    /// Compares the files that were made from the records of this plan, of which so many of a day were `filtered`.
    pub(super) fn compare(
        &self,
        made: &[PlannedFile],
        filtered: impl Fn(NaiveDate) -> u64,
    ) -> Comparison {
        let is_planned = |made: &PlannedFile| self.files.iter().any(|file| file.dt == made.dt);
        let (mut comparison, strange) = (Comparison::Same, made.iter().any(|one| !is_planned(one)));
        for planned in &self.files {
            let made = made.iter().find(|made| made.dt == planned.dt);
            let events = made.map_or(0, |made| made.events);
            if events > planned.events || planned.events - events > filtered(planned.dt) {
                return Comparison::Different;
            }
            if events < planned.events {
                comparison = Comparison::Fewer;
            } else if comparison == Comparison::Same
                && made.is_some_and(|made| made.sha256 != planned.sha256)
            {
                comparison = Comparison::Recoded;
            }
        }
        if strange { Comparison::Different } else { comparison }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(day: u32, events: u64, sha256: &str) -> PlannedFile {
        let dt = NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let name = String::new();
        PlannedFile { dt, name, generation: 1, events, bytes: 1, sha256: sha256.to_owned() }
    }

    /// Sunbird's fork of Secor put the time of day into names, so that a retry wrote a second file.
    #[test]
    fn names_follow_from_the_place_alone_and_sort_by_it() {
        let dt = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
        let place = Place { topic_id: "00ff00ff00ff", partition: 12, first: 0, last: 999 };
        assert_eq!(
            place.file(dt, 1, Codec::JsonlGzip),
            "dt=2026-01-02/00ff00ff00ff/12/00000000000000000000-00000000000000000999.g1.jsonl.gz"
        );
        let next = Place { first: 1000, last: i64::MAX, ..place };
        assert_eq!(
            next.manifest(dt),
            "manifest/dt=2026-01-02/00ff00ff00ff/12/00000000000000001000-09223372036854775807.json"
        );
        assert!(place.file(dt, 1, Codec::Parquet) < next.file(dt, 1, Codec::Parquet));
    }

    #[test]
    fn files_are_compared_by_their_events_first() {
        let files = vec![file(1, 5, "a"), file(2, 7, "b")];
        let print = Print { first_at: 0, records: String::new() };
        let (codec, done) = (Codec::Parquet, false);
        let plan = Plan { id: 1, first: 0, last: 20, print, codec, done, files };
        for (made, filtered, expected) in [
            (vec![file(1, 5, "a"), file(2, 7, "b")], 0, Comparison::Same),
            (vec![file(1, 5, "a"), file(2, 7, "b")], 3, Comparison::Same),
            (vec![file(1, 5, "a"), file(2, 7, "c")], 0, Comparison::Recoded),
            (vec![file(1, 5, "a"), file(2, 8, "b")], 0, Comparison::Different),
            (vec![file(1, 5, "a"), file(3, 7, "b")], 0, Comparison::Different),
            (vec![file(1, 5, "a"), file(3, 7, "b")], 7, Comparison::Different),
            (vec![file(1, 5, "a")], 0, Comparison::Different),
            (vec![file(1, 5, "a")], 7, Comparison::Fewer),
            (vec![file(1, 4, "z"), file(2, 7, "b")], 1, Comparison::Fewer),
            (vec![file(1, 3, "z"), file(2, 7, "b")], 1, Comparison::Different),
        ] {
            let found = plan.compare(&made, |_| filtered);
            assert_eq!(found, expected, "{made:?} {filtered}");
        }
    }
}
