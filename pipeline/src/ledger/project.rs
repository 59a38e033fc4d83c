//! Adds the ledger up in Postgres.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Entry, Refined, Sunk, Unbundled};
use crate::{
    Error, Log, Result,
    hop::{self, Retreat},
    log::{Limits, Member, Outcome, Turn},
    metrics::Group,
    record::Record,
    store::{self, Projection},
    telemetry, topic,
};

/// How much is added up at once.
const LIMITS: Limits = Limits { records: 500, bytes: 4 * 1024 * 1024 };

/// How often old records are looked for.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// The group that reads the ledger.
const GROUP: &str = "ledger";

/// Adds up what is written to the ledger, until the shutdown.
///
/// A record that is read again changes nothing, so positions are committed after the numbers.
pub(crate) async fn run<L: Log>(
    log: &L,
    pool: &PgPool,
    meter: &Arc<Group>,
    shutdown: &CancellationToken,
) -> Result<()> {
    let mut retreat = Retreat::default();
    while !shutdown.is_cancelled() {
        let before = meter.commits();
        match follow(log, pool, meter, shutdown).await {
            Ok(()) => break,
            Err(error) => {
                meter.restarted();
                retreat.after(GROUP, error, meter.commits() - before, shutdown).await?;
            }
        }
    }
    Ok(())
}

async fn follow<L: Log>(
    log: &L,
    pool: &PgPool,
    meter: &Arc<Group>,
    shutdown: &CancellationToken,
) -> Result<()> {
    let id = log.id().await?;
    let mut member = log.join(GROUP, topic::LEDGER).await?;
    let mut seat = meter.seat();
    while !shutdown.is_cancelled() {
        let records = match member.next(LIMITS).await? {
            Turn::Idle => continue,
            Turn::Changed(change) => {
                seat.changed(&change);
                continue;
            }
            Turn::Records(records) => records,
        };
        project(&id, pool, &records).await?;
        let begun = Instant::now();
        match member.commit(Vec::new(), &hop::positions(&records)).await? {
            Outcome::Committed => meter.committed(records.len() as u64, begun.elapsed()),
            // They come again, and change nothing.
            Outcome::Aborted => meter.aborted(),
        }
    }
    member.leave().await;
    Ok(())
}

/// Forgets records that are older than what they count, again and again until the shutdown.
pub(crate) async fn prune(pool: &PgPool, age: Duration, shutdown: &CancellationToken) {
    loop {
        let pruned = async {
            let doing = "connect to the database";
            let mut conn = pool.acquire().await.map_err(Error::unanswered(doing))?;
            store::prune_ledger(&mut conn, age).await
        };
        let gone = pruned.await.unwrap_or_else(|error| {
            telemetry::unpruned(&error);
            0
        });
        // One call does a part of what there may be to do.
        let pause = if gone > 0 { Duration::ZERO } else { PRUNE_EVERY };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn project(log: &str, pool: &PgPool, records: &[Record]) -> Result<()> {
    let mut conn = pool.acquire().await.map_err(Error::unanswered("connect to the database"))?;
    for at in hop::positions(records) {
        let mut projection = Projection::default();
        for record in records.iter().filter(|record| record.partition == at.partition) {
            match Entry::read(&record.value) {
                Ok(entry) => add(&mut projection, record, &entry),
                Err(error) => telemetry::unreadable_entry(record.partition, record.offset, &error),
            }
        }
        store::project_ledger(&mut conn, (log, at.partition), projection).await?;
    }
    Ok(())
}

fn add(projection: &mut Projection, record: &Record, entry: &Entry) {
    projection.offsets.push(record.offset);
    projection.times.push(record.appended_at);
    projection.entries.push(String::from_utf8_lossy(&record.value).into_owned());
    let place = projection.offsets.len();
    let sums = match entry {
        Entry::Unbundle { batches, .. } => by_day(batches, |batch| batch.day, sum_unbundled),
        Entry::Refine { batches, .. } | Entry::Sessions { batches, .. } => {
            by_day(batches, |batch| batch.day, sum_refined)
        }
        Entry::Sink { days, .. } => by_day(days, |of| of.day, sum_sunk),
    };
    let (step, sink) = match entry {
        Entry::Unbundle { .. } => ("unbundle", ""),
        // A part of the second step, in another group.
        Entry::Refine { .. } | Entry::Sessions { .. } => ("refine", ""),
        Entry::Sink { sink, .. } => ("sink", sink.as_str()),
    };
    for (day, counts) in sums {
        // A day that no calendar has is that of a broken clock.
        let date =
            DateTime::UNIX_EPOCH.date_naive() + TimeDelta::days(day.clamp(0, DAY_MAX).into());
        let mut row = json!({"place": place, "day": date.to_string(), "step": step, "sink": sink});
        for name in COUNTS {
            row[name] = 0.into();
        }
        for (name, count) in counts {
            row[name] = count.into();
        }
        projection.days.push(row);
    }
}

/// The last day of 9999: later ones are written in a form of their own.
const DAY_MAX: i32 = 2_932_896;

/// The counts of a day, as the database calls them.
const COUNTS: [&str; 15] = [
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

/// Counts by their names.
type Counts = Vec<(&'static str, u64)>;

fn by_day<T>(items: &[T], day: fn(&T) -> i32, sum: fn(&[&T]) -> Counts) -> BTreeMap<i32, Counts> {
    let mut days: BTreeMap<i32, Vec<&T>> = BTreeMap::new();
    for item in items {
        days.entry(day(item)).or_default().push(item);
    }
    days.into_iter().map(|(day, items)| (day, sum(&items))).collect()
}

fn sum_unbundled(batches: &[&Unbundled]) -> Counts {
    let sum = |count: fn(&Unbundled) -> u64| batches.iter().map(|batch| count(batch)).sum();
    vec![
        ("batches", batches.len() as u64),
        ("batches_failed", sum(|batch| u64::from(batch.broken_bytes > 0))),
        ("bytes_failed", sum(|batch| batch.broken_bytes)),
        ("received", sum(|batch| batch.received)),
        ("passed", sum(|batch| batch.passed)),
        ("failed", sum(|batch| batch.failed)),
    ]
}

fn sum_refined(batches: &[&Refined]) -> Counts {
    let sum = |count: fn(&Refined) -> u64| batches.iter().map(|batch| count(batch)).sum();
    vec![
        ("taken", sum(|batch| batch.taken)),
        ("derived", sum(|batch| batch.derived)),
        ("unique_events", sum(|batch| batch.unique)),
        ("duplicate", sum(|batch| batch.duplicate)),
        ("failed", sum(|batch| batch.failed)),
        ("filtered", sum(|batch| batch.filtered)),
        ("collision", sum(|batch| batch.collision)),
    ]
}

fn sum_sunk(days: &[&Sunk]) -> Counts {
    let sum = |count: fn(&Sunk) -> u64| days.iter().map(|day| count(day)).sum();
    vec![
        ("taken", sum(|day| day.taken)),
        ("stored", sum(|day| day.stored)),
        ("already_there", sum(|day| day.already_there)),
        ("rejected", sum(|day| day.rejected)),
        ("filtered", sum(|day| day.filtered)),
    ]
}
