//! The Postgres of the tests: the embedded server of the product, with settings for throw-away data.

use std::{
    env,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::sys::signal;
use sqlx::{Connection, PgConnection};
use tidings_cli::postgres::{Auth, Embedded, Location, Options, Search, locate};
use tidings_migrations::MIGRATOR;
use tokio::sync::OnceCell;

use crate::Temporary;

/// The database that every other one is copied from.
const TEMPLATE: &str = "tidings_template";

/// Since this version a database can be copied file by file instead of page by page through the log.
const FILE_COPY_SINCE: u32 = 15;

/// What a server is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Tests of logic: nothing waits for the disk, or touches it where there is memory enough.
    Logic,
    /// Tests that kill: a commit is on disk when it is confirmed.
    Durable,
}

/// A running Postgres with a migrated template.
///
/// It ends with the test process, however that ends, and its data with it.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    running: Mutex<Option<Embedded>>,
    address: Address,
    // After the server in this order, so that it is gone before its folder.
    folder: Temporary,
}

/// How to reach a server; it stays the same over restarts.
#[derive(Clone, Debug)]
pub struct Address {
    /// The port on loopback.
    pub port: u16,
    /// The role, which owns everything.
    pub role: &'static str,
    /// The password of the role.
    pub password: String,
    /// The major version of the server.
    pub major: u32,
}

impl Server {
    /// Returns the server that all tests of logic in this binary share.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<Arc<Server>> = OnceCell::const_new();
        Arc::clone(SHARED.get_or_init(async || Arc::new(Self::start(Kind::Logic).await)).await)
    }

    /// Returns the server that all tests in this binary share which kill processes and count what is left.
    pub async fn durable() -> Arc<Self> {
        static DURABLE: OnceCell<Arc<Server>> = OnceCell::const_new();
        Arc::clone(DURABLE.get_or_init(async || Arc::new(Self::start(Kind::Durable).await)).await)
    }

    /// Starts a server of its own, for a test that stops or crashes it.
    pub async fn start(kind: Kind) -> Self {
        let folder = match kind {
            Kind::Logic => Temporary::in_memory("postgres"),
            Kind::Durable => Temporary::new("postgres"),
        };
        let embedded = run(kind, &folder).await;
        let address = Address {
            port: embedded.port(),
            role: Embedded::ROLE,
            password: embedded.password().to_owned(),
            major: embedded.binaries().version.major,
        };
        let server = Self { kind, running: Mutex::new(Some(embedded)), address, folder };
        server.make_template().await;
        server
    }

    /// Returns how to reach the server.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let Address { port, role, password, .. } = &self.address;
        format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// Stops the server in order. Clients see it as gone.
    pub async fn stop(&self) {
        let embedded = self.running().take().expect("the server is not running");
        embedded.stop().await.unwrap();
    }

    /// Crashes the server: every session is cut, and nothing that was not flushed survives.
    pub async fn crash(&self) {
        let embedded = self.running().take().expect("the server is not running");
        embedded.signal(signal::Signal::SIGQUIT).unwrap();
        embedded.exited().await.unwrap();
    }

    /// Starts the server again after [`stop`](Self::stop) or [`crash`](Self::crash), at the same address.
    pub async fn start_again(&self) {
        let embedded = run(self.kind, &self.folder).await;
        assert_eq!(embedded.port(), self.address.port, "somebody took the server's port meanwhile");
        *self.running() = Some(embedded);
    }

    /// Runs one statement in the maintenance database.
    pub(crate) async fn administer(&self, statement: String) -> Result<(), sqlx::Error> {
        let mut conn = PgConnection::connect(&self.url("postgres")).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut conn).await?;
        conn.close().await
    }

    /// Makes a copy of the template, which nobody can be connected to.
    pub(crate) async fn copy_template(&self, name: &str) {
        let strategy = match self.address.major {
            FILE_COPY_SINCE.. => " strategy file_copy",
            _ => "",
        };
        let statement = format!("create database {name} template {TEMPLATE}{strategy}");
        self.administer(statement).await.unwrap();
    }

    async fn make_template(&self) {
        self.administer(format!("create database {TEMPLATE}")).await.unwrap();
        let mut conn = PgConnection::connect(&self.url(TEMPLATE)).await.unwrap();
        MIGRATOR.run(&mut conn).await.unwrap();
        // A worker announces the kinds that it serves; journeys add subscribers before there is one.
        sqlx::query("select tidings.make_group('memory', 16)").execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let close = format!("alter database {TEMPLATE} is_template true allow_connections false");
        self.administer(close).await.unwrap();
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Embedded>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns where the tests look for binaries: as the product does, but never at a server that somebody else runs.
#[must_use]
pub fn search() -> Search {
    let environment = |name: &str| env::var_os(name).filter(|_| name != "DATABASE_URL");
    match locate(environment).unwrap() {
        Location::Embedded(search) => search,
        Location::Server(url) => unreachable!("DATABASE_URL is hidden, and yet there is {url}"),
    }
}

async fn run(kind: Kind, folder: &Temporary) -> Embedded {
    let mut options = Options::new(folder.path())
        .setting("max_connections", "300")
        .setting("shared_buffers", "128MB");
    options.fsync = kind == Kind::Durable;
    options.auth = Auth::Password;
    options.removed_with_process = true;
    options.start_timeout = Duration::from_mins(1);
    Embedded::start(&search(), options).await.unwrap_or_else(|error| panic!("{error:#}"))
}
