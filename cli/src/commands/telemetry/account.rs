//! `tidings telemetry account`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::NaiveDate;
use serde::Serialize;
use sqlx::PgPool;
use tidings_pipeline::{
    ledger::account::{self, BatchAccount, SinkAccount},
    provenance::Source,
};

use crate::{
    arguments::telemetry::Account,
    connection::{Place, now},
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{
        sheet::Sheet,
        table::{Cell, Column, Table},
    },
};

/// How often a day that is not balanced is looked at again.
const LOOKS: u32 = 10;

/// How long after the last look.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Begins what reads a day and its batches.
const SNAPSHOT: &str = "begin isolation level repeatable read read only";

/// What became of a day's telemetry.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    account: account::Account,
    balanced: bool,
    /// Batches with something pending or missing, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    batches_open: Option<Vec<Batch>>,
}

/// A batch that is not done with.
#[derive(Debug, Serialize)]
struct Batch {
    /// Its partition and offset in the raw log.
    source: String,
    balanced: bool,
    pending: u64,
    #[serde(flatten)]
    account: BatchAccount,
}

impl Batch {
    fn of((source, account): (Source, BatchAccount)) -> Self {
        Self {
            source: source.to_string(),
            balanced: account.is_balanced(),
            pending: account.pending(),
            account,
        }
    }
}

/// Shows the account of a day, and fails if it is not balanced.
pub(super) async fn run(context: &Context, arguments: &Account) -> Result<()> {
    let place = Place::find(&context.global)?;
    let mut database = place.open().await?;
    let mut tx = database.begin().await?;
    let today = now(&mut tx).await?.date_naive();
    tx.rollback().await?;
    database.close().await?;
    let pool = place.pool(1, true).await?;
    let shown = settled(&pool, arguments.day.unwrap_or(today), arguments.batches).await?;
    pool.close().await;
    context.output.show(&shown, || sheet(&shown))?;
    if shown.balanced {
        return Ok(());
    }
    let message = format!("the account of {} is not balanced", shown.account.day);
    Err(Coded::new(Exit::Failed, message)
        .hint("something has written to the topics or tables by other ways, or this is a fault: report it")
        .into())
}

/// Returns the account of a day as [`settled`] does.
pub(in crate::commands) async fn settled_account(
    pool: &PgPool,
    day: NaiveDate,
) -> Result<account::Account> {
    Ok(settled(pool, day, false).await?.account)
}

/// Returns the account of a day, once it is balanced, or after a while as it is.
///
/// Records of the ledger are added up partition by partition: for a moment a sink may have taken what nobody seems to
/// have let through.
async fn settled(pool: &PgPool, day: NaiveDate, batches: bool) -> Result<Shown> {
    for _ in 0..LOOKS {
        let shown = look(pool, day, batches).await?;
        if shown.balanced {
            return Ok(shown);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    look(pool, day, batches).await
}

/// Reads the day and its batches in one snapshot, so that they are of the same records.
async fn look(pool: &PgPool, day: NaiveDate, batches: bool) -> Result<Shown> {
    let mut tx = pool.begin_with(SNAPSHOT).await.context("begin a transaction")?;
    let account = account::of_day(&mut tx, day).await?;
    let mut balanced = account.is_balanced();
    let mut batches_open = None;
    if batches {
        let of_batches = account::of_batches(&mut tx, day).await?;
        balanced &= of_batches.values().all(BatchAccount::is_balanced);
        let open = of_batches.into_iter().map(Batch::of);
        batches_open = Some(open.filter(|batch| !batch.balanced || batch.pending > 0).collect());
    }
    tx.rollback().await.context("end the transaction")?;
    Ok(Shown { account, balanced, batches_open })
}

fn sheet(shown: &Shown) -> Sheet {
    let account = &shown.account;
    let pending =
        |count: i64| if count == 0 { String::new() } else { format!(", {count} pending") };
    let sheet = Sheet::new()
        .heading(format!("telemetry of {}", account.day))
        .field(
            "batches",
            match account.batches_failed {
                0 => account.batches.to_string(),
                failed => format!(
                    "{}, of which {failed} could not be read ({} bytes)",
                    account.batches, account.bytes_failed
                ),
            },
        )
        .field("received", account.received.to_string())
        .field("derived", account.derived.to_string())
        .field(
            "unique",
            match account.collisions {
                0 => account.unique.to_string(),
                collisions => {
                    format!("{}, of which {collisions} have the id of another", account.unique)
                }
            },
        )
        .field("duplicate", account.duplicate.to_string())
        .field("failed", account.failed.to_string())
        .field("filtered", account.filtered.to_string())
        .field("pending", account.pending.to_string())
        .field("balanced", identity(shown));
    let sinks = account.sinks.iter().fold(sheet, |sheet, sink| {
        let SinkAccount { stored, already_there, rejected, filtered, .. } = sink;
        let mut text = format!("{stored} stored");
        for (count, what) in
            [(already_there, "already there"), (rejected, "rejected"), (filtered, "filtered")]
        {
            if *count > 0 {
                text = format!("{text}, {count} {what}");
            }
        }
        text.push_str(&pending(sink.pending));
        sheet.field("sink", format!("{}: {text}", sink.sink))
    });
    match &shown.batches_open {
        None => sinks,
        Some(batches) => sinks.table("batches that are not done with", table(batches)),
    }
}

/// The numbers as a sum.
fn identity(shown: &Shown) -> String {
    let a = &shown.account;
    let sum = format!(
        "{} + {} = {} + {} + {} + {} + {}",
        a.received, a.derived, a.unique, a.duplicate, a.failed, a.filtered, a.pending
    );
    if shown.balanced { format!("yes: {sum}") } else { format!("NO: {sum}") }
}

fn table(batches: &[Batch]) -> Table {
    let columns = [
        Column::new("BATCH"),
        Column::number("RECEIVED"),
        Column::number("UNIQUE"),
        Column::number("DUPLICATE"),
        Column::number("FAILED"),
        Column::number("FILTERED"),
        Column::number("PENDING"),
        Column::new("BALANCED"),
    ];
    let mut table = Table::new(&columns, "none");
    for batch in batches {
        let account = &batch.account;
        table.row([
            Cell::new(batch.source.as_str()),
            Cell::new(account.received.to_string()),
            Cell::new(account.unique.to_string()),
            Cell::new(account.duplicate.to_string()),
            Cell::new(account.failed.to_string()),
            Cell::new(account.filtered.to_string()),
            Cell::new(batch.pending.to_string()),
            Cell::new(if batch.balanced { "yes" } else { "NO" }),
        ]);
    }
    table
}
