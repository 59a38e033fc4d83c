//! `tidings subject`.

use anyhow::{Context as _, Result};
use serde::Serialize;
use tidings::privacy::{self, Erasure, Receipt};

use crate::{arguments::sink::SubjectCommand, context::Context, output::sheet::Sheet};

/// What suppressing or releasing came to.
#[derive(Debug, Serialize)]
struct Done {
    change: &'static str,
    count: u64,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &SubjectCommand) -> Result<()> {
    match command {
        SubjectCommand::Suppress(subjects) => suppress(context, &subjects.subjects).await,
        SubjectCommand::Release(subjects) => release(context, &subjects.subjects).await,
        SubjectCommand::Erase(subjects) => erase(context, &subjects.subjects).await,
    }
}

async fn suppress(context: &Context, subjects: &[String]) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let count = privacy::suppress(&mut tx, subjects).await.context("suppress the subjects")?;
    tidings::commit(tx).await?;
    database.close().await?;
    let said = format!("{count} more suppressed; nothing of theirs is stored or sent from now on");
    context.output.done(&Done { change: "suppressed", count }, &said)
}

async fn release(context: &Context, subjects: &[String]) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let count = privacy::unsuppress(&mut tx, subjects).await.context("release the subjects")?;
    tidings::commit(tx).await?;
    database.close().await?;
    let said = format!("{count} released; what they do is collected again");
    context.output.done(&Done { change: "released", count }, &said)
}

async fn erase(context: &Context, subjects: &[String]) -> Result<()> {
    let doing = || "erase the subjects";
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let mut erasure = Erasure::begin(&mut tx, subjects).await.with_context(doing)?;
    tidings::commit(tx).await?;
    let (_, days) = erasure.progress();
    let progress = context.output.counted("erasing", u64::try_from(days).unwrap_or(u64::MAX));
    loop {
        // A transaction for each day: a long one would hold back what others read.
        let mut tx = database.begin().await?;
        let goes_on = erasure.step(&mut tx).await.with_context(doing)?;
        tidings::commit(tx).await?;
        if !goes_on {
            break;
        }
        progress.reach(u64::try_from(erasure.progress().0).unwrap_or(u64::MAX));
    }
    drop(progress);
    let mut tx = database.begin().await?;
    let receipt = erasure.finish(&mut tx).await.with_context(doing)?;
    tx.rollback().await?;
    database.close().await?;
    context.output.show(&receipt, || sheet(&receipt))
}

fn sheet(receipt: &Receipt) -> Sheet {
    let Receipt { subjects, events, dead_letters, kept_since, erased_at, sinks } = receipt;
    let sinks = match sinks.as_slice() {
        [] => "none".to_owned(),
        sinks => format!("{}; ask them to delete what they have", sinks.join(", ")),
    };
    Sheet::new()
        .heading(format!("{} subjects erased and suppressed", subjects.len()))
        .field("events", events.to_string())
        .field("dead letters", dead_letters.to_string())
        .maybe("kept since", kept_since.map(|at| at.to_rfc3339()))
        .field("erased", erased_at.to_rfc3339())
        .field("sinks", sinks)
}
