//! Adds the ledger up in Postgres.

use chrono::{DateTime, NaiveDate, TimeDelta};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Entry;
use crate::{
    Error, Log, Result,
    hop::{self, Station},
    log::{Limits, Member, Turn},
    record::Record,
    store::{self, Projection},
    telemetry, topic,
};

/// How much is added up at once.
const LIMITS: Limits = Limits { records: 500, bytes: 4 * 1024 * 1024 };

/// The group that reads the ledger.
const GROUP: &str = "ledger";

/// Adds up what is written to the ledger, until the shutdown.
///
/// A record that is read again changes nothing, so positions are committed after the numbers.
pub(crate) async fn run<L: Log>(
    log: &L,
    pool: &PgPool,
    shutdown: &CancellationToken,
) -> Result<()> {
    let station = Station { group: GROUP, topic: topic::LEDGER, limits: LIMITS };
    hop::retry(station, shutdown, async |commits| {
        let mut member = log.join(GROUP, topic::LEDGER).await?;
        while !shutdown.is_cancelled() {
            let Turn::Records(records) = member.next(LIMITS).await? else { continue };
            project(log, pool, &records).await?;
            member.commit(Vec::new(), &hop::positions(&records)).await?;
            *commits += 1;
        }
        member.leave().await;
        Ok(())
    })
    .await
}

async fn project<L: Log>(log: &L, pool: &PgPool, records: &[Record]) -> Result<()> {
    let id = log.id().await?;
    let mut conn = pool.acquire().await.map_err(Error::unanswered("connect to the database"))?;
    for at in hop::positions(records) {
        let mut projection = Projection::default();
        for record in records.iter().filter(|record| record.partition == at.partition) {
            match Entry::read(&record.value) {
                Ok(entry) => add(&mut projection, record, &entry),
                Err(error) => telemetry::unreadable_entry(record.partition, record.offset, &error),
            }
        }
        store::project_ledger(&mut conn, (&id, at.partition), &projection).await?;
    }
    Ok(())
}

fn add(projection: &mut Projection, record: &Record, entry: &Entry) {
    projection.offsets.push(record.offset);
    projection.times.push(record.appended_at);
    projection.entries.push(String::from_utf8_lossy(&record.value).into_owned());
    let place = projection.offsets.len();
    let mut day = |day: i32, step: &str, sink: &str, counts: &[(&str, u64)]| {
        let date = DateTime::UNIX_EPOCH.date_naive().checked_add_signed(TimeDelta::days(day.into()));
        // Days that no calendar has are those of a broken clock.
        let date = date.filter(is_stored).unwrap_or_default();
        let mut row = Map::new();
        for name in COUNTS {
            row.insert((*name).to_owned(), 0.into());
        }
        row.extend(counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))));
        row.insert("place".to_owned(), place.into());
        row.insert("day".to_owned(), date.to_string().into());
        row.insert("step".to_owned(), step.into());
        row.insert("sink".to_owned(), sink.into());
        projection.days.push(Value::Object(row));
    };
    match entry {
        Entry::Unbundle { batches, .. } => {
            for (date, of) in by_day(batches, |batch| batch.day) {
                let sum = |count: fn(&super::Unbundled) -> u64| of.iter().map(|one| count(one)).sum();
                day(date, "unbundle", "", &[
                    ("batches", of.len() as u64),
                    ("batches_failed", sum(|one| u64::from(one.broken_bytes > 0))),
                    ("bytes_failed", sum(|one| one.broken_bytes)),
                    ("received", sum(|one| one.received)),
                    ("passed", sum(|one| one.passed)),
                    ("failed", sum(|one| one.failed)),
                ]);
            }
        }
        Entry::Refine { batches, .. } => {
            for (date, of) in by_day(batches, |batch| batch.day) {
                let sum = |count: fn(&super::Refined) -> u64| of.iter().map(|one| count(one)).sum();
                day(date, "refine", "", &[
                    ("taken", sum(|one| one.taken)),
                    ("derived", sum(|one| one.derived)),
                    ("unique_events", sum(|one| one.unique)),
                    ("duplicate", sum(|one| one.duplicate)),
                    ("failed", sum(|one| one.failed)),
                    ("filtered", sum(|one| one.filtered)),
                    ("collision", sum(|one| one.collision)),
                ]);
            }
        }
        Entry::Sink { sink, days, .. } => {
            for of in days {
                day(of.day, "sink", sink, &[
                    ("taken", of.taken),
                    ("stored", of.stored),
                    ("already_there", of.already_there),
                    ("rejected", of.rejected),
                    ("filtered", of.filtered),
                ]);
            }
        }
    }
}

/// The counts of a day, as the database calls them.
const COUNTS: &[&str] = &[
    "batches",
    "batches_failed",
    "bytes_failed",
    "received",
    "passed",
    "taken",
    "derived",
    "unique_events",
    "duplicate",
    "failed",
    "filtered",
    "collision",
    "stored",
    "already_there",
    "rejected",
];

/// Postgres stores days of years up to four digits in a form that every reader knows.
fn is_stored(date: &NaiveDate) -> bool {
    use chrono::Datelike;
    (1..=9999).contains(&date.year())
}

fn by_day<T>(items: &[T], day: impl Fn(&T) -> i32) -> std::collections::BTreeMap<i32, Vec<&T>> {
    let mut days: std::collections::BTreeMap<i32, Vec<&T>> = std::collections::BTreeMap::new();
    for item in items {
        days.entry(day(item)).or_default().push(item);
    }
    days
}
