//! `tidings telemetry import`.

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use nix::unistd::{Uid, User};
use serde::Serialize;
use tidings_pipeline::{
    archive::{Archive, Entry, Limits, Problem, Report, Status},
    log::Appender,
};
use tidings_relay::archive::Import;

use crate::{
    arguments::{pipeline::LogChoice, serve::Session, telemetry},
    connection::{Database, Place},
    context::Context,
    exit::Exit,
    failure::Coded,
    telemetry_log::{TelemetryLog, on_log},
};

/// What became of a file.
#[derive(Debug, Serialize)]
struct Imported {
    archive: String,
    /// Why it was refused as a whole.
    #[serde(flatten)]
    problem: Option<Problem>,
    #[serde(flatten)]
    report: Option<Report>,
}

/// Where an archive goes, and whose doing it is.
#[derive(Clone, Copy)]
struct To<'a> {
    channel: &'a str,
    who: &'a str,
    /// A log that is not in the database.
    log: Option<&'a dyn Appender>,
}

/// Imports the archives one after the other.
pub(super) async fn run(context: &Context, arguments: &telemetry::Import) -> Result<()> {
    let who = arguments.importer.clone().map_or_else(user, Ok)?;
    let mut database = context.open().await?;
    let log = elsewhere(context, &arguments.log).await?;
    let mut all = Vec::new();
    for file in &arguments.files {
        let archive = file.display().to_string();
        all.push(match open(file).await? {
            Ok(opened) => {
                let to = To { channel: &arguments.channel, who: &who, log: log.as_deref() };
                let report = import(context, &mut database, opened, to)
                    .await
                    .with_context(|| format!("import {archive}"))?;
                Imported { archive, problem: None, report: Some(report) }
            }
            Err(problem) => Imported { archive, problem: Some(problem), report: None },
        });
    }
    database.close().await?;
    let said: Vec<_> = all.iter().flat_map(Imported::lines).collect();
    context.output.lines(&all, &said.join("\n"))?;
    let refused: usize = all.iter().map(Imported::refused).sum();
    if refused == 0 {
        return Ok(());
    }
    let message = format!("{refused} of what was to be imported could not be");
    let hint = "the report says why; what was accepted is there, and importing again adds nothing";
    Err(Coded::new(Exit::Refused, message).hint(hint).into())
}

/// Opens an archive, or says why it is none.
async fn open(file: &Path) -> Result<Result<Archive, Problem>> {
    let file = file.to_owned();
    let opening = tokio::task::spawn_blocking(move || {
        let limits = Limits::default();
        let read = fs::File::open(&file).and_then(|opened| {
            use io::Read as _;
            let mut bytes = Vec::new();
            // One byte more tells that it is too large, and no more than that is read.
            opened.take(limits.archive_bytes_max as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Archive::open(bytes.into(), limits),
            Err(error) => {
                let message = format!("the file cannot be read: {error}");
                Err(Problem { code: "unreadable_file", message })
            }
        }
    });
    opening.await.context("open the archive")
}

/// Imports one archive, each group of its batches in a transaction of its own.
async fn import(
    context: &Context,
    database: &mut Database,
    archive: Archive,
    to: To<'_>,
) -> Result<Report> {
    let progress = context.output.counted("importing batches", archive.items() as u64);
    let mut tx = database.begin().await?;
    let mut import = Import::begin(&mut tx, archive, to.channel, to.who).await?;
    tx.rollback().await.context("end a transaction")?;
    while import.gather().await? {
        let done = if let Some(log) = to.log {
            import.write_to(log).await?
        } else {
            let mut tx = database.begin().await?;
            let done = import.write(&mut tx).await?;
            tx.commit().await.context("write to the raw log")?;
            done
        };
        progress.reach(done as u64);
    }
    Ok(import.report())
}

/// Returns the log that is chosen, if it is not the one that the database knows batches of.
async fn elsewhere(context: &Context, choice: &LogChoice) -> Result<Option<Box<dyn Appender>>> {
    if choice.is_database() {
        return Ok(None);
    }
    let place = Place::find(&context.global)?;
    let pool = place.pool(1, true).await?;
    let log = TelemetryLog::choose(choice, &place, (&pool, Session::Pooled, ""))?;
    Ok(Some(on_log!(log, log => Box::new(log))))
}

/// Returns the name of who runs this.
fn user() -> Result<String> {
    let uid = Uid::current();
    let user = User::from_uid(uid).context("look up the user; name one with --importer")?;
    Ok(user.map_or_else(|| format!("uid {uid}"), |user| user.name))
}

impl Imported {
    /// Returns how many items were refused, or one for a file that is no archive.
    fn refused(&self) -> usize {
        self.report.as_ref().map_or(1, |report| report.refused)
    }

    /// Says what became of it: in all, and of each batch of which there is more to say.
    fn lines(&self) -> Vec<String> {
        let name = &self.archive;
        let Some(report) = &self.report else {
            let problem = self.problem.as_ref().map(ToString::to_string).unwrap_or_default();
            return vec![format!("{name}: refused: {problem}")];
        };
        let counts = [
            (report.accepted, "events accepted"),
            (report.repeated, "were there before"),
            (report.filtered, "are above the level"),
            (report.refused, "batches refused"),
        ];
        let said = counts.iter().enumerate();
        // The first two are the answer, whatever they are.
        let said = said.filter(|(place, (count, _))| *place < 2 || *count > 0);
        let said: Vec<_> = said.map(|(_, (count, what))| format!("{count} {what}")).collect();
        let said = format!("{name}: {}", said.join(", "));
        let mut lines = vec![said];
        lines.extend(report.notes.iter().map(|note| format!("  note: {note}")));
        lines.extend(report.items.iter().flat_map(item_lines));
        lines
    }
}

fn item_lines(entry: &Entry) -> Vec<String> {
    let file = &entry.file;
    let refused = (entry.status == Status::Refused).then(|| {
        let message = entry.message.as_deref().unwrap_or_default();
        format!("  {file}: refused: {message}")
    });
    let notes = entry.notes.iter().map(|note| format!("  {file}: note: {note}"));
    refused.into_iter().chain(notes).collect()
}
