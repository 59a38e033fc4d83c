//! `tidings subject`.

mod erase;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tidings::privacy;

use crate::{arguments::sink::SubjectCommand, context::Context};

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
        SubjectCommand::Erase(arguments) => erase::run(context, arguments).await,
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
