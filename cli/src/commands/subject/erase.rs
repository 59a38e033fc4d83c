//! `tidings subject erase`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgPool;
use tidings::privacy::{self, Receipt};
use tidings_pipeline::{
    erase::{Erasure, Settled, Subjects},
    sink::files::{self, Codec, Roll},
    topic,
};

use crate::{
    arguments::{serve::Session, sink::Erase},
    commands::pipeline::sinks,
    connection::Place,
    context::Context,
    hash_keys,
    output::{
        progress::Progress,
        sheet::Sheet,
        table::{Cell, Column, Table},
    },
    telemetry_log::{TelemetryLog, on_log},
};

/// What it borrows of the database: a lock, and what is done under it.
const CONNECTIONS: u32 = 4;

/// The pause before files are looked at again whose plan was not done.
const PAUSE: Duration = Duration::from_secs(1);

/// Days and segments of a log go as a whole.
const WHOLE: TimeDelta = TimeDelta::days(1);

/// Everything that was done.
#[derive(Debug, Serialize)]
struct Everything {
    /// How many were named on the command line.
    #[serde(skip)]
    named: usize,
    /// Of registered events.
    #[serde(flatten)]
    registered: Receipt,
    telemetry: Telemetry,
}

/// What was done about telemetry.
#[derive(Debug, Serialize)]
struct Telemetry {
    /// Since when nothing of them is kept that comes in.
    erased_at: DateTime<Utc>,
    /// How many tombstones are new; none where this was begun before.
    tombstones: u64,
    #[serde(flatten)]
    settled: Settled,
    planes: Vec<Plane>,
    /// Whether everything is done that can be. If not, it is to be done again.
    complete: bool,
}

/// What was found in one of the places where telemetry is kept.
#[derive(Debug, Serialize)]
struct Plane {
    #[serde(rename = "plane")]
    name: &'static str,
    /// Events that were found; nothing where it is not looked into.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    done: String,
    /// When the last copy of it is gone.
    lapses_at: DateTime<Utc>,
}

/// Erases somebody.
pub(super) async fn run(context: &Context, arguments: &Erase) -> Result<()> {
    let doing = || "erase the subjects";
    let keys = hash_keys::find(&context.global.data, arguments.hash_key_file.as_deref())?;
    let named = Subjects {
        actors: [arguments.users.as_slice(), &arguments.actors].concat(),
        devices: arguments.devices.clone(),
        hashes: arguments.subjects.clone(),
    };
    let count = named.actors.len() + named.devices.len() + named.hashes.len();
    let subjects = match &keys {
        Some(keys) => named.hashed(keys),
        None => named,
    };
    privacy::check(&subjects.hashes).with_context(doing)?;
    let place = Place::find(&context.global)?;
    place.open().await?.close().await?;
    let pool = place.pool(CONNECTIONS, true).await?;
    let log = TelemetryLog::choose(&arguments.log, &place, (&pool, Session::Pooled, ""))?;
    // First: from then on nothing comes back.
    let erasure = Erasure::begin(&pool, subjects).await.with_context(doing)?;
    let registered = registered(context, erasure.subjects()).await.with_context(doing)?;
    let telemetry = telemetry(context, arguments, (&erasure, &log), &pool).await;
    let telemetry = telemetry.with_context(doing)?;
    pool.close().await;
    let everything = Everything { named: count, registered, telemetry };
    context.output.show(&everything, || everything.sheet())
}

/// Takes them out of registered events and dead letters.
async fn registered(context: &Context, subjects: &Subjects) -> Result<Receipt> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let mut erasure = privacy::Erasure::begin(&mut tx, &subjects.hashes).await?;
    tidings::commit(tx).await?;
    let (_, days) = erasure.progress();
    let progress = context.output.counted("erasing", u64::try_from(days).unwrap_or(u64::MAX));
    loop {
        // A transaction for each day: a long one would hold back what others read.
        let mut tx = database.begin().await?;
        let goes_on = erasure.step(&mut tx).await?;
        tidings::commit(tx).await?;
        if !goes_on {
            break;
        }
        progress.reach(u64::try_from(erasure.progress().0).unwrap_or(u64::MAX));
    }
    drop(progress);
    let mut tx = database.begin().await?;
    let receipt = erasure.finish(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    Ok(receipt)
}

/// Takes them out of what the pipeline has kept.
async fn telemetry(
    context: &Context,
    arguments: &Erase,
    (erasure, log): (&Erasure, &TelemetryLog),
    pool: &PgPool,
) -> Result<Telemetry> {
    let progress = context.output.progress("erasing telemetry");
    progress.say("waiting for what is under way");
    let places = sinks::places(context, &arguments.places);
    let indexed = sinks::search(&places)?;
    let mut groups = vec!["table"];
    groups.extend(indexed.is_some().then_some("search"));
    let settled =
        on_log!(log, log => erasure.settle(log, &groups, arguments.wait).await).context("log")?;
    let now = erasure.erased_at;
    let mut planes = Vec::new();
    let rows = erasure.table(pool, |rows| progress.set(&format!("{rows} rows"))).await?;
    planes.push(Plane::deleted("table", rows, "rows deleted", now));
    if let Some(sink) = indexed {
        progress.say("the index");
        let told = |documents| progress.set(&format!("{documents} documents"));
        let documents = sink.erase(erasure.subjects(), told).await?;
        planes.push(Plane::deleted("search", documents, "documents deleted", now));
    }
    let how = (Codec::default(), Roll::default());
    let mut unfinished = 0;
    if let Some(sink) = sinks::files(context, &places, how, pool)? {
        progress.say("files");
        let erased = files(&sink, erasure, (arguments.wait, &progress)).await?;
        unfinished = erased.unfinished;
        planes.push(Plane::of_files(&erased, now));
    }
    drop(progress);
    let kept = arguments.telemetry_kept.max(arguments.log_kept);
    let kept = TimeDelta::from_std(kept).unwrap_or(TimeDelta::MAX);
    planes.push(Plane::of_topics(now, kept));
    let complete = settled.behind.is_empty() && unfinished == 0;
    let (erased_at, tombstones) = (now, erasure.added);
    Ok(Telemetry { erased_at, tombstones, settled, planes, complete })
}

/// Takes them out of files; those whose plan is not done are looked at again for a while.
async fn files(
    sink: &files::Sink,
    erasure: &Erasure,
    (wait, progress): (Duration, &Progress),
) -> Result<files::Erased> {
    let begun = Instant::now();
    let mut sum = files::Erased::default();
    loop {
        let told = |so_far: &files::Erased| {
            progress.set(&format!("{} files read", so_far.files));
        };
        let erased = sink.erase(erasure.tombstones(), told).await?;
        let (rewritten, events) = (sum.rewritten + erased.rewritten, sum.events + erased.events);
        sum = files::Erased { rewritten, events, ..erased };
        if sum.unfinished == 0 || begun.elapsed() >= wait {
            return Ok(sum);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Plane {
    fn deleted(name: &'static str, found: u64, what: &str, now: DateTime<Utc>) -> Self {
        Self { name, found: Some(found), done: format!("{found} {what}"), lapses_at: now }
    }

    fn of_files(erased: &files::Erased, now: DateTime<Utc>) -> Self {
        let files::Erased { files, rewritten, events, missing, unfinished } = *erased;
        let mut done = format!("{rewritten} of {files} files written anew without them");
        if missing > 0 {
            done = format!("{done}; {missing} files are not in the store");
        }
        if unfinished > 0 {
            done = format!(
                "{done}; {unfinished} plans are not done: run the pipeline, and erase again"
            );
        }
        Self { name: "files", found: Some(events), done, lapses_at: now }
    }

    fn of_topics(now: DateTime<Utc>, kept: TimeDelta) -> Self {
        let topics = [topic::RAW, topic::EVENTS, topic::UNIQUE, topic::DUPLICATE, topic::FAILED];
        let done =
            format!("{} lapse by themselves; keep the hash keys until then", topics.join(", "));
        let after = kept.checked_add(&WHOLE).unwrap_or(kept);
        let lapses_at = now.checked_add_signed(after).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self { name: "topics", found: None, done, lapses_at }
    }
}

impl Everything {
    fn sheet(&self) -> Sheet {
        let Receipt { events, dead_letters, kept_since, erased_at, sinks, .. } = &self.registered;
        let Telemetry { settled, planes, complete, .. } = &self.telemetry;
        let sinks = match sinks.as_slice() {
            [] => "none".to_owned(),
            sinks => format!("{}; ask them to delete what they have", sinks.join(", ")),
        };
        let behind = format!(
            "{} have not come past it; if they run, erase again when they have",
            settled.behind.join(", ")
        );
        let columns = [
            Column::new("PLANE"),
            Column::new("FOUND"),
            Column::flexible("DONE"),
            Column::new("LAST COPY GONE"),
        ];
        let mut table = Table::new(&columns, "none");
        for Plane { name, found, done, lapses_at } in planes {
            table.row([
                Cell::new(*name),
                Cell::new(found.map_or_else(|| "-".to_owned(), |found| found.to_string())),
                Cell::new(done.clone()),
                Cell::new(lapses_at.format("%Y-%m-%d").to_string()),
            ]);
        }
        let behind = (!settled.behind.is_empty()).then_some(behind);
        Sheet::new()
            .heading(format!("{} subjects erased and suppressed", self.named))
            .field("events", events.to_string())
            .field("dead letters", dead_letters.to_string())
            .maybe("kept since", kept_since.map(|at| at.to_rfc3339()))
            .field("erased", erased_at.to_rfc3339())
            .field("sinks", sinks)
            .field("complete", if *complete { "yes" } else { "no; run it again" })
            .maybe("behind", behind)
            .table("Telemetry", table)
    }
}
