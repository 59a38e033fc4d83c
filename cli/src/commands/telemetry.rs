//! `tidings telemetry`: looking into the pipeline, and doing things again.

mod account;
mod failed;
mod import;
mod lag;
mod resend;
mod search;

use std::fs;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Days, Utc};
use serde::Serialize;
use sqlx::PgPool;
use tidings_pipeline::{
    inspect::{
        find::{self, Found},
        reprocess::{self, Range},
    },
    ledger::account::of_day,
    settings::Settings,
};

pub(super) use self::account::settled_account;
use crate::{
    arguments::{
        pipeline::LogChoice,
        serve::Session,
        telemetry::{Reprocess, TelemetryCommand as Command, Where},
    },
    connection::{Place, now},
    context::Context,
    exit::Exit,
    failure::Coded,
    output::table::{Cell, Column, Table},
    telemetry_log::{TelemetryLog, on_log},
};

/// What a command borrows of the database.
const CONNECTIONS: u32 = 2;

/// How many days back sinks are looked for.
const SINKS_WITHIN: u64 = 7;

/// How much was read before a progress line says so.
const SAID_EVERY: u64 = 64 * 1024 * 1024;

/// A log to look into, the database, and its clock.
pub(super) struct Opened {
    pub(super) log: TelemetryLog,
    pub(super) pool: PgPool,
    pub(super) now: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct Reprocessed {
    batches: u64,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Import(arguments) => import::run(context, arguments).await,
        Command::Account(account) => account::run(context, account).await,
        Command::Lag(arguments) => lag::run(context, arguments).await,
        Command::Failed(command) => failed::run(context, command).await,
        Command::Where(find) => locate(context, find).await,
        Command::Search(arguments) => search::run(context, arguments).await,
        Command::Reprocess(reprocess) => self::reprocess(context, reprocess).await,
        Command::Resend(arguments) => resend::run(context, arguments).await,
    }
}

impl Opened {
    /// Opens the log that is chosen.
    pub(super) async fn open(context: &Context, choice: &LogChoice) -> Result<Self> {
        let place = Place::find(&context.global)?;
        let mut database = place.open().await?;
        let mut tx = database.begin().await?;
        let now = now(&mut tx).await?;
        tx.rollback().await?;
        database.close().await?;
        let pool = place.pool(CONNECTIONS, true).await?;
        // Nothing is held, so it does not matter how the database is reached.
        let log = TelemetryLog::choose(choice, &place, (&pool, Session::Pooled, ""))?;
        Ok(Self { log, pool, now })
    }
}

async fn locate(context: &Context, arguments: &Where) -> Result<()> {
    let Opened { log, pool, now } = Opened::open(context, &arguments.log).await?;
    let sinks = sinks(&pool, now).await?;
    let since = arguments.since.at(now);
    let progress = context.output.progress("looking through the log");
    let (mut read, mut said) = (0_u64, 0);
    let told = |bytes| {
        read += bytes;
        if read - said >= SAID_EVERY {
            said = read;
            progress.say(&format!("{} MB", read / 1_000_000));
        }
    };
    let mid = arguments.mid.as_str();
    let found = on_log!(&log, log => find::find(log, mid, since, &sinks, told).await)?;
    drop(progress);
    pool.close().await;
    if found.is_empty() {
        let message = format!("find `{mid}`: it is in no topic since {since}");
        return Err(Coded::new(Exit::NotFound, message)
            .hint("look further back with --since; the log keeps what --telemetry-kept says")
            .into());
    }
    context.output.list(&found, || table(&found, now))
}

/// Returns the sinks that have taken something lately.
pub(super) async fn sinks(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<String>> {
    let mut sinks = Vec::new();
    let mut conn = pool.acquire().await.context("connect to the database")?;
    for back in 0..SINKS_WITHIN {
        let day = now.date_naive().checked_sub_days(Days::new(back)).unwrap_or_default();
        let account = of_day(&mut conn, day).await?;
        sinks.extend(account.sinks.into_iter().map(|sink| sink.sink));
    }
    sinks.sort_unstable();
    sinks.dedup();
    Ok(sinks)
}

fn table(found: &[Found], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::new("TOPIC"),
        Column::new("PLACE"),
        Column::new("SINCE"),
        Column::flexible("TAKEN BY"),
        Column::flexible("DOCUMENT"),
    ];
    let mut table = Table::new(&columns, "nothing");
    for one in found {
        let taken = |taken: &find::Taken| {
            if taken.taken { taken.group.clone() } else { format!("not yet {}", taken.group) }
        };
        let taken: Vec<_> = one.taken_by.iter().map(taken).collect();
        table.row([
            Cell::new(one.topic),
            Cell::new(one.place.to_string()),
            Cell::when(one.at, now),
            Cell::new(taken.join(", ")),
            Cell::new(one.document_id.clone().unwrap_or_default()),
        ]);
    }
    table
}

async fn reprocess(context: &Context, arguments: &Reprocess) -> Result<()> {
    let window = match &arguments.pipeline_config {
        None => Settings::default().dedup.window,
        Some(path) => {
            let read = || -> Result<Settings> { Ok(Settings::parse(&fs::read_to_string(path)?)?) };
            read().with_context(|| format!("read {}", path.display()))?.dedup.window
        }
    };
    let Opened { log, pool, now } = Opened::open(context, &arguments.log).await?;
    let range = Range { from: arguments.from.at(now), until: arguments.until.at(now) };
    if !arguments.accept_duplicates
        && let Err(error) = range.check(window, now)
    {
        return Err(Coded::new(Exit::Refused, error.to_string())
            .hint("add --accept-duplicates if that is what you want")
            .into());
    }
    let progress = context.output.progress("sending batches through the steps again");
    let mut written = 0;
    let told = |count| {
        written += count;
        progress.say(&format!("{written} batches"));
    };
    let batches = on_log!(&log, log => reprocess::reprocess(log, range, told).await)?;
    drop(progress);
    pool.close().await;
    let said = format!("{batches} batches go through the steps again");
    context.output.done(&Reprocessed { batches }, &said)
}
