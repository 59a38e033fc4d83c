//! `tidings doctor`: every check, one after the other, and what cures what they find.
//!
//! What is asked of the schema is in the library (`tidings::doctor`); what only this program can tell is here: whether the
//! schema fits it, whether there is a pooler between, and whether the endpoints can be called by its policy.

mod endpoints;
mod report;
mod telemetry;

use std::{borrow::Cow, time::Duration};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, error::DatabaseError};
use tidings::doctor::{Check, Examination, Finding};
use tidings_migrations::SERVER_VERSION_MIN;

use self::report::{Checked, Report};
use crate::{
    arguments::doctor::Doctor,
    connection::{Database, Place, now},
    context::Context,
    exit::Exit,
    failure::{Coded, chain, judge},
};

/// Runs every check, and shows what was found.
///
/// # Errors
///
/// The database cannot be reached, or one of the findings is an error.
pub(crate) async fn run(context: &Context, doctor: &Doctor) -> Result<()> {
    let place = Place::find(&context.global)?;
    let mut database = place.reach().await?;
    let progress = context.output.progress("examining");
    let mut checked = Vec::new();
    let schema = schema(&mut database).await?;
    let fits = schema.is_empty();
    checked.push(Checked::new("schema", schema));
    let keys = context.keys()?;
    let with = Examination {
        transaction_age: doctor.transaction_age,
        stuck_after: doctor.stuck_after,
        ..Examination::new(keys.as_ref().map(|keys| &keys.keyring), clock)
    };
    for check in Check::ALL.into_iter().filter(|check| fits || !check.needs_schema()) {
        progress.set(check.as_str());
        let found = examine(&mut database, check, &with, doctor.timeout).await?;
        checked.push(Checked::new(check.as_str(), found));
    }
    if fits {
        progress.set("endpoints");
        let found = endpoints::endpoints(context, &mut database, doctor.timeout).await?;
        checked.push(Checked::new("endpoints", found));
        progress.set("telemetry");
        checked.push(Checked::new("telemetry", telemetry::telemetry(context, doctor).await?));
    }
    checked.push(Checked::new("pooler", pooler(&place, &mut database).await?));
    drop(progress);
    database.close().await?;
    let report = Report::new(checked);
    context.output.show(&report, || report.sheet())?;
    match report.errors() {
        0 => Ok(()),
        1 => Err(failed("1 error was found")),
        errors => Err(failed(&format!("{errors} errors were found"))),
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of this machine is what is examined")]
fn clock() -> DateTime<Utc> {
    Utc::now()
}

fn failed(found: &str) -> anyhow::Error {
    Coded::new(Exit::Failed, format!("doctor: {found}"))
        .hint("each finding says what cures it")
        .into()
}

/// Runs one check within its time, in a transaction of its own.
async fn examine(
    database: &mut Database,
    check: Check,
    with: &Examination<'_>,
    timeout: Duration,
) -> Result<Vec<Finding>> {
    let mut tx = database.begin().await?;
    limit(&mut tx, timeout).await?;
    let found = check.examine(&mut tx, with).await;
    tx.rollback().await.context("end a check")?;
    match found {
        Ok(found) => Ok(found),
        Err(error) => unchecked(error),
    }
}

/// Bounds the time of each statement of a transaction.
async fn limit(conn: &mut PgConnection, timeout: Duration) -> Result<()> {
    let timeout = format!("{}ms", timeout.as_millis());
    sqlx::query("select set_config('statement_timeout', $1, true)")
        .bind(timeout)
        .execute(conn)
        .await
        .context("bound the time of a check")?;
    Ok(())
}

/// A check that the server has refused or stopped is a finding; a server that is gone is a failure.
fn unchecked(error: tidings::Error) -> Result<Vec<Finding>> {
    let code = match &error {
        tidings::Error::Unanswered { source, .. } | tidings::Error::SchemaMissing(source) => {
            source.as_database_error().and_then(DatabaseError::code).map(Cow::into_owned)
        }
        _ => None,
    };
    let cure = match code.as_deref() {
        None => return Err(error.into()),
        // query_canceled
        Some("57014") => "raise --timeout".to_owned(),
        // insufficient_privilege
        Some("42501") => {
            "run it as the owner of the schema `tidings`: select nspowner::regrole from pg_namespace where nspname = 'tidings';"
                .to_owned()
        }
        Some(code) => format!("look for SQLSTATE {code} in the log of the server"),
    };
    let what = format!("this check did not come to its end: {}", chain(&error.into()));
    Ok(vec![Finding::warning("unchecked", what, cure)])
}

/// Says whether server and schema fit this program.
async fn schema(database: &mut Database) -> Result<Vec<Finding>> {
    let mut tx = database.begin().await?;
    let (number, version): (i32, String) = sqlx::query_as(
        "select current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(&mut *tx)
    .await
    .context("read the version of the server")?;
    tx.rollback().await.context("read the version of the server")?;
    if number < SERVER_VERSION_MIN {
        return Ok(vec![Finding::error(
            "server_too_old",
            format!("the server is PostgreSQL {version}, and Tidings needs 13 or later"),
            "upgrade the server, or point DATABASE_URL at a newer one",
        )]);
    }
    let Err(error) = database.check_schema().await else { return Ok(Vec::new()) };
    match judge(&error) {
        (Exit::Database, Some(hint)) => {
            Ok(vec![Finding::error("schema_outdated", chain(&error), hint)])
        }
        _ => Err(error),
    }
}

/// Finds out whether server sessions are shared: behind a pooler, a connection that was just made meets a session that
/// is older than itself.
async fn pooler(place: &Place, database: &mut Database) -> Result<Vec<Finding>> {
    let mut tx = database.begin().await?;
    let before = now(&mut tx).await?;
    tx.rollback().await.context("look for a pooler")?;
    let mut second = place.reach().await?;
    let mut tx = second.begin().await?;
    let shared = started_before(&mut tx, before).await?;
    tx.rollback().await.context("look for a pooler")?;
    second.close().await?;
    let finding = Finding::info(
        "pooler",
        "DATABASE_URL leads to a pooler, which hands one server session to many clients",
        "run workers with --session pooled, and `tidings migrate` and `up` past the pooler",
    );
    Ok(if shared { vec![finding] } else { Vec::new() })
}

async fn started_before(conn: &mut PgConnection, instant: DateTime<Utc>) -> Result<bool> {
    sqlx::query_scalar(
        "select coalesce(bool_or(backend_start < $1), false) from pg_stat_activity where pid = pg_backend_pid()",
    )
    .bind(instant)
    .fetch_one(conn)
    .await
    .context("look for a pooler")
}
