//! The folder of an embedded server: who may use it, and what lies where.
//!
//! Two locks divide the work.
//! `lock` is held by the one process that uses the folder, so a second start is refused at once, with the pid of the first.
//! `postgres.lock` is inherited by every process of the server, so a start after `kill -9` knows, without guessing from
//! pids, whether an old server is still on its way out, and waits for it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt, lchown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use super::runner::Runner;

/// How long a start waits, beyond the time of an orderly stop, for the server of a process that was killed: its guard gives
/// it ten seconds more.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(15);

/// How long a taken folder is looked at before it is refused. A lock that was let go may live for a moment in a child that
/// another thread of its process is just starting.
const TAKEN_PATIENCE: Duration = Duration::from_millis(500);

/// How often a lock is tried again; nobody announces its end.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// What an error shows of the log: enough for a crash with its cause, and still one screen.
const TAIL_BYTES: u64 = 4096;

/// Variables that would change what the server does behind the back of its arguments.
const FOREIGN_VARIABLES: [&str; 5] =
    ["PGDATA", "PGPORT", "PGDATESTYLE", "PGCLIENTENCODING", "PGOPTIONS"];

/// A folder in use by this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    runner: Option<Runner>,
    /// Held as long as the folder is in use; released by being closed.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is missing, and takes it for this process.
    ///
    /// # Errors
    ///
    /// Another process uses it, or the user as whom the server has to run cannot enter it.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("make the folder {}", path.display()))?;
        let path = fs::canonicalize(path).with_context(|| format!("open {}", path.display()))?;
        let runner = Runner::choose(&path.join("postgres"))?;
        if let Some(runner) = runner {
            runner.let_into(&path)?;
        }
        let lock = take(&path).await?;
        let folder = Self { path, runner, _lock: lock };
        folder.give(&folder.path.join("lock"))?;
        Ok(folder)
    }

    /// Waits until no process of an earlier server is left, and takes the lock that the next one will hold.
    ///
    /// # Errors
    ///
    /// An earlier server is still there 15 seconds after its orderly stop should have been over.
    pub(super) async fn server_lock(&self, stop_timeout: Duration) -> Result<File> {
        let path = self.path.join("postgres.lock");
        let lock = open_lock(&path)?;
        self.give(&path)?;
        let patience = stop_timeout + ORPHAN_PATIENCE;
        if !locked_within(&lock, &path, patience).await? {
            bail!(
                "a PostgreSQL of an earlier run on {} has not ended within {} seconds{}",
                self.data().display(),
                patience.as_secs(),
                self.pid_in_data().map_or_else(String::new, |pid| format!(" (pid {pid})")),
            );
        }
        Ok(lock)
    }

    /// Returns the major version that made the data, or `None` if there are none yet.
    ///
    /// # Errors
    ///
    /// There is something, but it is no data folder of PostgreSQL.
    pub(super) fn major(&self) -> Result<Option<u32>> {
        let data = self.data();
        if !data.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(data.join("PG_VERSION"))
            .with_context(|| format!("{} is no data folder of PostgreSQL", data.display()))?;
        let major = text.trim().parse().with_context(|| {
            format!("{} was made by PostgreSQL {}, which is too old", data.display(), text.trim())
        })?;
        Ok(Some(major))
    }

    /// Returns the pid that the data folder names as its server's, alive or not.
    pub(super) fn pid_in_data(&self) -> Option<i32> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Writes a file that only the server's user can read, flushed to disk.
    pub(super) fn write_secret(&self, path: &Path, text: &str) -> Result<()> {
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
            // A file that was there keeps its mode.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().with_context(|| format!("write {}", path.display()))?;
        self.give(path)
    }

    /// Opens the log for appending; what an earlier run wrote is moved aside.
    pub(super) fn new_log(&self) -> Result<File> {
        let path = self.log();
        if path.exists() {
            fs::rename(&path, path.with_extension("log.old"))
                .with_context(|| format!("move {} aside", path.display()))?;
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        self.give(&path)?;
        Ok(file)
    }

    /// Returns the end of the log since `from`, indented for an error message.
    pub(super) fn log_tail(&self, from: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.log())?;
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(from.max(end.saturating_sub(TAIL_BYTES))))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().map(|line| format!("  {line}")).collect();
        format!("the end of {}:\n{}", self.log().display(), lines.join("\n"))
    }

    /// Makes the server's user the owner of `path`.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        let Some(runner) = self.runner else { return Ok(()) };
        lchown(path, Some(runner.uid), Some(runner.gid))
            .with_context(|| format!("give {} to uid {}", path.display(), runner.uid))
    }

    /// Sets what `initdb` and the server have in common: user, working folder, language of messages.
    pub(super) fn prepare(&self, command: &mut Command) {
        if let Some(runner) = self.runner {
            command.uid(runner.uid).gid(runner.gid);
        }
        command.current_dir("/").env("LC_ALL", "C");
        for name in FOREIGN_VARIABLES {
            command.env_remove(name);
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Returns where data are made; they become `data` by one rename, so that they are there whole or not at all.
    pub(super) fn unfinished_data(&self) -> PathBuf {
        self.path.join("postgres.new")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.path.join("postgres.password")
    }

    /// Returns the port of the last run, so that a URL stays good over restarts.
    pub(super) fn port(&self) -> Option<u16> {
        fs::read_to_string(self.port_file()).ok()?.trim().parse().ok()
    }

    pub(super) fn write_port(&self, port: u16) -> Result<()> {
        let path = self.port_file();
        fs::write(&path, format!("{port}\n"))
            .with_context(|| format!("write {}", path.display()))?;
        self.give(&path)
    }

    fn port_file(&self) -> PathBuf {
        self.path.join("postgres.port")
    }
}

/// Takes the folder's lock and writes our pid into it, for the one who comes second.
async fn take(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let mut lock = open_lock(&path)?;
    if !locked_within(&lock, &path, TAKEN_PATIENCE).await? {
        let pid = fs::read_to_string(&path).unwrap_or_default();
        let holder = match pid.trim() {
            "" => "another process".to_owned(),
            pid => format!("the process with pid {pid}"),
        };
        let folder = folder.display();
        bail!("{folder} is in use by {holder}; stop that one first, or choose another folder");
    }
    let mut write = || {
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())
    };
    write().with_context(|| format!("write {}", path.display()))?;
    Ok(lock)
}

/// Tries to lock the file for so long, and returns whether it worked.
async fn locked_within(lock: &File, path: &Path, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => sleep(LOCK_POLL).await,
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
    }
}

fn open_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    options.open(path).with_context(|| format!("open {}", path.display()))
}
