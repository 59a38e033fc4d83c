#![doc = include_str!("../README.md")]

use std::{borrow::Cow, sync::LazyLock};

use sqlx::{
    PgPool, Row,
    migrate::{MigrateError, Migrator},
};

/// The oldest server that the schema runs on, as `server_version_num` has it: it needs `pg_current_xact_id`.
pub const SERVER_VERSION_MIN: i32 = 130_000;

/// Every migration, in order.
///
/// They keep their record in `tidings.migration`, apart from the application's own, and ignore records of newer
/// versions: code of version N runs on the schema of version N + 1.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.dangerous_set_table_name("tidings.migration");
    migrator.create_schemas = Cow::Owned(vec![Cow::Borrowed("tidings")]);
    migrator.set_ignore_missing(true);
    migrator
});

/// What can go wrong while migrating.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server is older than [`SERVER_VERSION_MIN`].
    ServerTooOld {
        /// What the server calls itself.
        version: String,
    },
    /// The server cannot be talked to.
    Connect(sqlx::Error),
    /// A migration did not go through; the ones before it have.
    Migrate(MigrateError),
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ServerTooOld { version } => write!(
                formatter,
                "migrate: the server is PostgreSQL {version}, and Tidings needs 13 or later; upgrade the server, or point DATABASE_URL at a newer one"
            ),
            Self::Connect(_) => formatter.write_str("migrate: talk to the database"),
            Self::Migrate(_) => formatter.write_str("migrate: bring the schema up to date"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ServerTooOld { .. } => None,
            Self::Connect(source) => Some(source),
            Self::Migrate(source) => Some(source),
        }
    }
}

/// Brings the schema of a database up to date.
///
/// Called twice, or by several processes at once, it does the work once: they wait for each other on an advisory
/// lock, which needs a session of its own, so it goes to the server directly and not through a transaction pooler.
///
/// # Errors
///
/// A server before version 13, a database that cannot be reached, or a migration that fails.
pub async fn migrate(pool: &PgPool) -> Result<(), Error> {
    let row = sqlx::query(
        "select current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(pool)
    .await
    .map_err(Error::Connect)?;
    if row.get::<i32, _>(0) < SERVER_VERSION_MIN {
        return Err(Error::ServerTooOld { version: row.get(1) });
    }
    MIGRATOR.run(pool).await.map_err(Error::Migrate)
}
