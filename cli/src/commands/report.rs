//! `tidings report`.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use tidings::analytics::{
    report::{Environment, Report},
    wire::Id,
};
use tidings_worker::{
    Reporter,
    report::{Builder, Installation, Status},
};
use uuid::Uuid;

use super::serve;
use crate::{
    arguments::report::{ReportCommand, Reports},
    connection::{Place, now},
    context::Context,
    duration,
    exit::Exit,
    failure::Coded,
    output::sheet::Sheet,
};

/// The name of the application, and so of the reporter.
const APPLICATION: &str = "tidings";

/// What asking came to.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    change: &'static str,
    name: &'a str,
    leader: Option<&'a str>,
}

/// A message that the next report would be.
#[derive(Debug, Serialize)]
struct Previewed {
    window: Value,
    messages: Vec<Value>,
    collector_errors: Value,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &ReportCommand) -> Result<()> {
    match command {
        ReportCommand::Show { name } => show(context, name.as_deref()).await,
        ReportCommand::Preview(reports) => preview(context, reports).await,
        ReportCommand::Now { name } => ask(context, name).await,
    }
}

/// Returns the reporter of Tidings itself.
pub(super) fn builder(reports: &Reports, installation: Uuid, pool: &PgPool) -> Result<Builder> {
    let environment = environment(reports, installation)
        .map_err(|error| Coded::new(Exit::Refused, "prepare to report").because(error))?;
    Ok(Reporter::builder(pool.clone(), environment)
        .interval(reports.interval)
        .collector(Installation::new(pool.clone())))
}

fn environment(
    reports: &Reports,
    installation: Uuid,
) -> Result<Environment, tidings::analytics::report::Error> {
    let organization = reports.organization.clone();
    let organization = Id::new(organization.unwrap_or_else(|| installation.to_string()))?;
    let place = &reports.place;
    Environment::new(installation, organization, APPLICATION, env!("CARGO_PKG_VERSION"))?
        .at(&place.provider, &place.region)
}

async fn preview(context: &Context, reports: &Reports) -> Result<()> {
    let place = Place::find(&context.global)?;
    let installation = serve::installation(&place).await?;
    let pool = place.pool(1, true).await?;
    let report = builder(reports, installation, &pool)?.preview().await?;
    pool.close().await;
    let said = report.dry_run().context("put the report into messages")?;
    context.output.lines(&previewed(&report)?, said.trim_end())
}

fn previewed(report: &Report) -> Result<Previewed> {
    let messages = report.messages().context("put the report into messages")?;
    let messages = messages.iter().map(|message| {
        json!({
            "id": message.id(), "call": message.call(), "name": message.name().as_str(),
            "identity": message.identity(), "properties": message.properties(),
        })
    });
    Ok(Previewed {
        window: json!(report.window),
        messages: messages.collect(),
        collector_errors: json!(report.collector_errors),
    })
}

async fn show(context: &Context, name: Option<&str>) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = tidings_worker::report::list(&mut tx, name).await?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    if let (Some(name), []) = (name, found.as_slice()) {
        return Err(not_found(name).into());
    }
    let sheet = found.iter().fold(Sheet::new(), |sheet, status| told(sheet, status, now));
    let sheet = if found.is_empty() {
        sheet
            .heading("no reporter has been started")
            .field("", "`tidings worker --report` starts that of Tidings itself")
    } else {
        sheet
    };
    context.output.show(&found, || sheet)
}

fn told(sheet: Sheet, status: &Status, now: DateTime<Utc>) -> Sheet {
    let interval = duration::format(std::time::Duration::from_secs(status.interval_s));
    let leader = match &status.leader {
        Some(leader) if status.processes < 2 => leader.clone(),
        Some(leader) => format!("{leader}, one of {} processes", status.processes),
        None => "nobody leads, so nothing is reported".to_owned(),
    };
    let sheet = sheet
        .heading(&status.name)
        .field("environment", status.environment_id.to_string())
        .field("interval", interval)
        .field("leader", leader)
        .field("reports", status.reports.to_string());
    let sheet = match status.reported_at {
        Some(at) => sheet.when("last report", at, now),
        None => sheet.field("last report", "none yet"),
    };
    let sheet = match (status.requested_at, status.due_at) {
        (Some(at), _) => sheet.when("asked for", at, now),
        (None, Some(at)) => sheet.when("next report", at, now),
        (None, None) => sheet,
    };
    match &status.last_report {
        Some(report) => sheet.block("What it said", &format!("{report:#}")),
        None => sheet,
    }
}

async fn ask(context: &Context, name: &str) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let is_there = tidings_worker::report::request(&mut tx, name).await?;
    let found = tidings_worker::report::list(&mut tx, Some(name)).await?;
    tx.commit().await.context("ask for a report")?;
    database.close().await?;
    let Some(status) = found.first().filter(|_| is_there) else {
        return Err(not_found(name).into());
    };
    let leader = status.leader.as_deref();
    let said = match leader {
        Some(leader) => {
            format!("asked {leader} for a report of {name}; it is made within a minute")
        }
        None => {
            format!("asked for a report of {name}; nobody leads now, so whoever comes makes it")
        }
    };
    context.output.done(&Asked { change: "requested", name, leader }, &said)
}

fn not_found(name: &str) -> Coded {
    Coded::new(Exit::NotFound, format!("there is no reporter `{name}`")).hint(
        "`tidings report show` lists them; `tidings worker --report` starts that of Tidings itself",
    )
}
