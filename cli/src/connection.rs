//! The way to the database: the one that is given, or that of a `tidings up` beside us.
//!
//! Every statement of a command runs in a transaction, and relies on nothing that a session has beyond it, so that
//! commands work through a transaction pooler like everything else.

pub(crate) mod file;

use std::{borrow::Cow, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use sqlx::{
    Connection, PgConnection, PgPool, PgTransaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tidings_migrations::MIGRATOR;

use self::file::Running;
use crate::{
    arguments::global::Global,
    environment,
    exit::Exit,
    failure::Coded,
    postgres::{Location, locate},
};

/// A server that has not answered by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Behind a pooler in transaction mode, the server session may have statements of others, under names that our driver
/// takes as well; what it has of ours is gone with the transaction.
const BEGIN: &str = "begin; deallocate all";

/// What `pg_stat_activity` shows where the URL says nothing else.
const APPLICATION: &str = "tidings";

/// Where the database is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    options: PgConnectOptions,
    /// The process beside us that runs the database, and its data folder.
    beside: Option<(Running, PathBuf)>,
}

/// An open connection to a database whose schema fits.
#[derive(Debug)]
pub(crate) struct Database {
    conn: PgConnection,
}

impl Place {
    /// Finds the database of a command: `DATABASE_URL`, else that of a `tidings up` on the data folder.
    ///
    /// # Errors
    ///
    /// The URL cannot be read, or nothing runs on the data folder.
    pub(crate) fn find(global: &Global) -> Result<Self> {
        if let Location::Server(url) = location(global)? {
            return Self::at(&url);
        }
        let data = global.data.display();
        let Some(running) = file::read(&global.data)? else {
            let message = format!(
                "find the database: DATABASE_URL is not set, and no `tidings up` runs on the folder {data}"
            );
            return Err(Coded::new(Exit::Database, message)
                .hint("start `tidings up`, name its folder with --data, or set DATABASE_URL")
                .into());
        };
        let beside = Some((running.clone(), global.data.clone()));
        Ok(Self { beside, ..Self::at(&running.url)? })
    }

    /// Returns the place of a URL.
    ///
    /// # Errors
    ///
    /// The URL cannot be read; the message does not quote it.
    pub(crate) fn at(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().context("read the URL of the database")?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name(APPLICATION),
        };
        Ok(Self { options, beside: None })
    }

    /// Opens a connection and checks that the schema fits.
    ///
    /// # Errors
    ///
    /// The database cannot be reached, or its schema is missing or too old.
    pub(crate) async fn open(&self) -> Result<Database> {
        let mut database = self.reach().await?;
        database.check_schema().await?;
        Ok(database)
    }

    /// Opens a connection, whatever schema is there.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    pub(crate) async fn reach(&self) -> Result<Database> {
        let conn = self.connect(self.options.clone().statement_cache_capacity(0)).await?;
        Ok(Database { conn })
    }

    /// Returns a pool of up to `connections` sessions, once the first one is open.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    pub(crate) async fn pool(&self, connections: u32, pooled: bool) -> Result<PgPool> {
        let options = self.options.clone();
        let options = if pooled { options.statement_cache_capacity(0) } else { options };
        // The pool would only say that its time was over.
        self.connect(options.clone()).await?.close().await.context("talk to the database")?;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options);
        Ok(pool)
    }

    /// Returns how it is connected to.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Returns host, port and name of the database, without what is secret.
    pub(crate) fn shown(&self) -> String {
        let options = &self.options;
        let name = options.get_database().unwrap_or(options.get_username());
        match options.get_socket() {
            Some(socket) => format!("{}/{name}", socket.display()),
            None => format!("{}:{}/{name}", options.get_host(), options.get_port()),
        }
    }

    async fn connect(&self, options: PgConnectOptions) -> Result<PgConnection> {
        let connecting = PgConnection::connect_with(&options);
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, error: sqlx::Error) -> anyhow::Error {
        let shown = self.shown();
        let source = match error {
            sqlx::Error::PoolTimedOut => {
                anyhow::anyhow!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs())
            }
            error => error.into(),
        };
        let coded = match &self.beside {
            None => Coded::new(Exit::Database, format!("connect to the database at {shown}"))
                .hint("check that it runs and that DATABASE_URL is right; without it `tidings up` runs its own"),
            Some((running, data)) => {
                let (pid, data) = (running.pid, data.display());
                let message = format!(
                    "connect to the database of `tidings up` (pid {pid}, folder {data}) at {shown}"
                );
                Coded::new(Exit::Database, message)
                    .hint("it was killed or is just starting; start `tidings up` again")
            }
        };
        coded.because(source).into()
    }
}

impl Database {
    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<PgTransaction<'_>> {
        self.conn.begin_with(BEGIN).await.context("begin a transaction")
    }

    /// Says goodbye, so that the server has nothing to complain of.
    pub(crate) async fn close(self) -> Result<()> {
        self.conn.close().await.context("close the connection to the database")
    }

    /// Checks that the schema fits this program.
    ///
    /// # Errors
    ///
    /// It is missing or too old.
    pub(crate) async fn check_schema(&mut self) -> Result<()> {
        let mut tx = self.begin().await?;
        let found: Result<Option<i64>, _> =
            sqlx::query_scalar("select max(version) from tidings.migration where success")
                .fetch_one(&mut *tx)
                .await;
        let needed = MIGRATOR.iter().map(|migration| migration.version).max();
        let too_old = |found: Option<i64>| {
            let found =
                found.map_or_else(|| "missing".to_owned(), |found| format!("at version {found}"));
            let needed = needed.unwrap_or_default();
            let message = format!(
                "use the schema `tidings`: it is {found}, and this program needs version {needed}"
            );
            Coded::new(Exit::Database, message).hint("run `tidings migrate`")
        };
        match found {
            Ok(found) if found >= needed => {}
            Ok(found) => return Err(too_old(found).into()),
            Err(error) => match code(&error).as_deref() {
                Some("3F000" | "42P01") => return Err(too_old(None).into()),
                // Who may not read the record may still do the work.
                Some("42501") => {}
                _ => return Err(error).context("read the version of the schema"),
            },
        }
        tx.rollback().await.context("read the version of the schema")
    }
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Says where the database is: given, or embedded.
pub(crate) fn location(global: &Global) -> Result<Location> {
    let located = locate(|name| match name {
        "DATABASE_URL" => global.database_url.clone().map(Into::into),
        name => environment::variable(name),
    });
    located.map_err(|error| {
        Coded::new(Exit::Database, "find the database")
            .hint("it looks like postgres://user:password@host:5432/name")
            .because(error)
            .into()
    })
}

/// Reads the database's clock, by which ages are told.
pub(crate) async fn now(conn: &mut PgConnection) -> Result<DateTime<Utc>> {
    sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(conn)
        .await
        .context("read the clock of the database")
}
