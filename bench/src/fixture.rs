//! The server that everything is measured on: fsync on, as in production.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tidings_cli::postgres::{Embedded, Location, Options, locate};

/// What is set beyond the defaults of Postgres.
const SETTINGS: [(&str, &str); 3] =
    [("shared_buffers", "1GB"), ("max_wal_size", "4GB"), ("max_connections", "100")];

/// A server of the run's own, in a folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct Fixture {
    embedded: Embedded,
    folder: PathBuf,
    pub(crate) pool: PgPool,
}

/// Another database of the same server, for what would change the other rows.
#[derive(Debug)]
pub(crate) struct Database {
    name: &'static str,
    pub(crate) pool: PgPool,
}

impl Fixture {
    pub(crate) async fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tidings-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        // Never somebody's own database: it is filled and emptied.
        let environment = |name: &str| std::env::var_os(name).filter(|_| name != "DATABASE_URL");
        let Location::Embedded(search) = locate(environment)? else {
            bail!("a server of the run's own is needed");
        };
        let mut options = Options::new(&folder);
        options.removed_with_process = true;
        for (name, value) in SETTINGS {
            options = options.setting(name, value);
        }
        let embedded = Embedded::start(&search, options).await?;
        let pool = PgPoolOptions::new().max_connections(40).connect(&embedded.url()).await?;
        migrate(&pool).await?;
        Ok(Self { embedded, folder, pool })
    }

    pub(crate) fn url(&self) -> String {
        self.embedded.url()
    }

    /// Returns the URL of another of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        self.embedded.url_of(database)
    }

    /// Returns the path of a file that is removed at the end.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.embedded.port()
    }

    pub(crate) async fn version(&self) -> Result<String> {
        let version: String = sqlx::query_scalar("select current_setting('server_version')")
            .fetch_one(&self.pool)
            .await?;
        Ok(format!("PostgreSQL {version}"))
    }

    /// How long the disk takes to make a write durable, as the server's own tool measures it.
    pub(crate) fn fsync_time(&self) -> String {
        let tool = self.embedded.binaries().folder.join("pg_test_fsync");
        let output =
            Command::new(tool).args(["-s", "1", "-f"]).arg(self.folder.join("fsync")).output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        text.lines().find(|line| line.trim_start().starts_with("fdatasync")).map_or_else(
            || "not measured".to_owned(),
            |line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "),
        )
    }

    pub(crate) async fn settings(&self) -> Result<String> {
        let settings: String = sqlx::query_scalar(
            "select string_agg(name || '=' || setting || coalesce(unit, ''), ' ' order by name) from pg_settings
             where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size',
               'wal_level', 'wal_compression', 'jit')",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(settings)
    }

    /// Runs each statement by itself.
    pub(crate) async fn run(&self, statements: &[&'static str]) -> Result<()> {
        run(&self.pool, statements).await
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.pool.close().await;
        self.embedded.stop().await?;
        std::fs::remove_dir_all(&self.folder).context("remove the folder of the server")
    }
}

impl Database {
    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// Creates a database with every migration; `name` is one of ours, and nobody else's.
    pub(crate) async fn create(fixture: &Fixture, name: &'static str) -> Result<Self> {
        let create = format!("create database {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&fixture.pool).await?;
        let pool = PgPoolOptions::new()
            .max_connections(20)
            .connect(&fixture.embedded.url_of(name))
            .await?;
        migrate(&pool).await?;
        Ok(Self { name, pool })
    }

    /// Runs each statement by itself.
    pub(crate) async fn run(&self, statements: &[&'static str]) -> Result<()> {
        run(&self.pool, statements).await
    }

    /// Drops it, and leaves a server that has nothing to tidy up.
    pub(crate) async fn discard(self, fixture: &Fixture) -> Result<()> {
        self.pool.close().await;
        let drop = format!("drop database {}", self.name);
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&fixture.pool).await?;
        fixture.run(&["checkpoint"]).await
    }
}

async fn migrate(pool: &PgPool) -> Result<()> {
    tidings_migrations::migrate(pool).await?;
    sqlx::query("select tidings.make_group('memory', 16)").execute(pool).await?;
    Ok(())
}

async fn run(pool: &PgPool, statements: &[&'static str]) -> Result<()> {
    for statement in statements {
        sqlx::raw_sql(*statement)
            .execute(pool)
            .await
            .with_context(|| format!("run {statement}"))?;
    }
    Ok(())
}
