//! One embedded server, from its start to its stop.
//!
//! ```text
//! folder taken ─▶ old server gone ─▶ binaries found ─▶ data made, if new ─▶ started ─▶ ready ─▶ stopped
//! ```
//!
//! Everything that can go wrong on the way ends in an error that carries the end of the server's log.

use std::{fmt, fs, io, path::PathBuf, process::ExitStatus, thread, time::Duration};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::{Binaries, Options, Search, data, folder::Folder, guard::Guarded, launch::Launch};

/// How long an immediate stop may take; PostgreSQL gives its own processes five seconds.
const QUIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a destructor, which cannot wait asynchronously, looks whether the server has ended.
const DROP_POLL: Duration = Duration::from_millis(5);

/// A running embedded server.
///
/// Dropping it stops the server at once, without a checkpoint: nothing committed is lost, and the next start recovers.
pub struct Embedded {
    server: Guarded,
    folder: Folder,
    binaries: Binaries,
    password: String,
    port: u16,
    stop_timeout: Duration,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// In order: the next start has nothing to recover.
    Clean,
    /// It took too long and was stopped at once; the next start recovers.
    Immediate,
    /// It did not even do that and was killed; the next start recovers.
    Killed,
    /// It had ended by itself before, with this status.
    Earlier(ExitStatus),
}

impl Embedded {
    /// The one role.
    ///
    /// Not `tidings`: the first place where Postgres looks for and makes tables is the schema with the name of the role,
    /// and the application's own tables have no business in ours.
    pub const ROLE: &str = "postgres";

    /// The database that is there from the beginning.
    pub const DATABASE: &str = "tidings";

    /// Starts a server on the folder that `options` name, with binaries from `search`, and waits until it is ready.
    ///
    /// A new folder is filled first, which takes a second or two.
    /// Data that a crash left behind are recovered; a server that a killed process left behind is waited for.
    ///
    /// # Errors
    ///
    /// The folder is in use (the message names the pid) or cannot be entered; no binaries fit; the server did not become
    /// ready in time or ended (the message shows its log).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends whatever it has started; half-made data are made again by the next start.
    pub async fn start(search: &Search, options: Options) -> Result<Self> {
        let folder = Folder::open(&options.folder).await?;
        if options.removed_with_process {
            folder.give(folder.path())?;
        }
        let lock = folder.server_lock(options.stop_timeout).await?;
        let major = folder.major()?;
        let binaries = binaries(search, &folder, major).await?;
        let log = folder.new_log()?;
        if major.is_none() {
            data::make(&folder, &binaries, &options, &log).await?;
        }
        data::clear_stale_pid(&folder)?;
        let password = fs::read_to_string(folder.password_file()).with_context(|| {
            format!("read {}, without which nobody can log in", folder.password_file().display())
        })?;
        let launch = Launch { folder: &folder, binaries: &binaries, options: &options, log: &log };
        let (server, port) = launch.until_ready(&lock).await?;
        let stop_timeout = options.stop_timeout;
        let embedded = Self { server, folder, binaries, password, port, stop_timeout };
        embedded.make_database(options.start_timeout).await?;
        Ok(embedded)
    }

    /// Returns the URL of the database `tidings`, password included.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(Self::DATABASE)
    }

    /// Returns the URL of another database of this server, password included.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        // Without encryption: loopback only, and the variable `PGSSLMODE` must not decide.
        let Self { password, port, .. } = self;
        format!("postgres://{}:{password}@127.0.0.1:{port}/{database}?sslmode=disable", Self::ROLE)
    }

    /// Returns the password of the role [`ROLE`](Self::ROLE).
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the pid of the server.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.server.pid()
    }

    /// Returns the port that the server listens on, on loopback only.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the binaries that run, with their version.
    #[must_use]
    pub const fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Returns the server's log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.log()
    }

    /// Waits until the server ends by itself, which it should not, and returns how.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn exited(&self) -> io::Result<ExitStatus> {
        self.server.exited().await
    }

    /// Sends a signal to the server, and returns whether it was there to get it. For tests of crashes.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        self.server.signal(signal)
    }

    /// Stops the server in order: sessions are ended, open transactions rolled back, everything written to disk.
    ///
    /// A server that takes longer than `stop_timeout` is stopped at once instead, and killed if even that does not help.
    /// Afterwards the folder is free for the next start.
    ///
    /// # Errors
    ///
    /// The server is there even after it was killed.
    pub async fn stop(self) -> Result<Ending> {
        if let Some(status) = self.server.exit()? {
            return Ok(Ending::Earlier(status));
        }
        let steps = [
            (Signal::SIGINT, self.stop_timeout, Ending::Clean),
            (Signal::SIGQUIT, QUIT_TIMEOUT, Ending::Immediate),
            (Signal::SIGKILL, QUIT_TIMEOUT, Ending::Killed),
        ];
        for (signal, patience, ending) in steps {
            self.server.signal(signal)?;
            if let Ok(status) = timeout(patience, self.server.exited()).await {
                status?;
                return Ok(ending);
            }
        }
        bail!("PostgreSQL (pid {}) does not end, not even by SIGKILL", self.pid())
    }

    /// Makes the database `tidings` in a server that does not have it yet.
    async fn make_database(&self, patience: Duration) -> Result<()> {
        let make = async {
            let mut conn = PgConnection::connect(&self.url_of("postgres")).await?;
            let exists = "select exists (select from pg_database where datname = 'tidings')";
            if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut conn).await? {
                sqlx::query("create database tidings").execute(&mut conn).await?;
            }
            conn.close().await
        };
        timeout(patience, make)
            .await
            .context("the embedded PostgreSQL is ready but does not answer")?
            .context("talk to the embedded PostgreSQL for the first time")
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        let mut debug = f.debug_struct("Embedded");
        debug.field("pid", &self.pid()).field("port", &self.port).field("folder", &self.folder);
        debug.finish_non_exhaustive()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if !matches!(self.server.signal(Signal::SIGQUIT), Ok(true)) {
            return;
        }
        // A destructor cannot wait asynchronously. It takes some ten milliseconds, and what is left is killed.
        let deadline = std::time::Instant::now() + QUIT_TIMEOUT;
        while matches!(self.server.exit(), Ok(None)) && std::time::Instant::now() < deadline {
            thread::sleep(DROP_POLL);
        }
    }
}

/// Finds the binaries; a build that may downloads them where nothing was found and nobody has said where to look.
async fn binaries(search: &Search, folder: &Folder, major: Option<u32>) -> Result<Binaries> {
    let found = search.find(major).await;
    #[cfg(feature = "embedded-download")]
    if let (Err(error), None) = (&found, &search.bin) {
        return super::download::binaries(folder, major).await.with_context(|| error.to_string());
    }
    #[cfg(not(feature = "embedded-download"))]
    let _ = folder;
    found
}
