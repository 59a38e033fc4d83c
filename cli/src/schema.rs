//! Bringing the schema up to date, and telling what was done.

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::PgPool;
use tidings_migrations::MIGRATOR;

use crate::{output::Output, telemetry};

/// What migrating came to.
#[derive(Debug, Serialize)]
pub(crate) struct Migrated {
    /// The version that the schema has now.
    pub(crate) version: i64,
    /// What was applied now, in order.
    pub(crate) applied: Vec<Migration>,
}

/// One migration.
#[derive(Debug, Serialize)]
pub(crate) struct Migration {
    version: i64,
    description: String,
}

/// Brings the schema up to date.
///
/// # Errors
///
/// A server that is too old or cannot be reached, or a migration that fails.
pub(crate) async fn migrate(pool: &PgPool, output: &Output) -> Result<Migrated> {
    let before = applied(pool).await?;
    let progress = output.progress("migrating");
    tidings_migrations::migrate(pool).await?;
    drop(progress);
    let after = applied(pool).await?;
    let fresh = |version: &i64| after.contains(version) && !before.contains(version);
    let applied: Vec<_> = MIGRATOR
        .iter()
        .filter(|migration| fresh(&migration.version))
        .map(|migration| Migration {
            version: migration.version,
            description: migration.description.clone().into_owned(),
        })
        .collect();
    telemetry::schema_ready(after.len(), applied.len());
    Ok(Migrated { version: after.into_iter().max().unwrap_or_default(), applied })
}

/// Returns the versions that are applied; none where there is no schema yet.
async fn applied(pool: &PgPool) -> Result<Vec<i64>> {
    let versions = sqlx::query_scalar("select version from tidings.migration where success")
        .fetch_all(pool)
        .await;
    match versions {
        // undefined_table, invalid_schema_name
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P01" | "3F000")) =>
        {
            Ok(Vec::new())
        }
        versions => versions.context("read which migrations are applied"),
    }
}
