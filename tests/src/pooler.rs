//! `PgBouncer` in transaction mode, in front of one database.

use std::{
    env, fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{sys::signal::Signal, unistd::geteuid};
use sqlx::{Connection, PgConnection};
use tidings_cli::postgres::{
    free_port,
    guard::{Guarded, Will},
};

use crate::{Database, Temporary, eventually};

/// Where packages put a program that is not for everyday users, besides the `PATH`.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

/// `PgBouncer`, like Postgres, does not run as root.
const NOBODY: u32 = 65534;

/// A pooler of server sessions: any statement outside a transaction may meet another session than the one before.
#[derive(Debug)]
pub struct Pooler {
    guarded: Guarded,
    folder: Temporary,
    port: u16,
    database: String,
    credentials: String,
}

impl Pooler {
    /// Starts a pooler that shares `sessions` sessions of the database among its clients.
    ///
    /// # Panics
    ///
    /// `PgBouncer` is not installed, or does not start; the message shows its log.
    pub async fn start(database: &Database, sessions: usize) -> Self {
        let program = find_pgbouncer(&folders()).unwrap_or_else(|advice| panic!("{advice}"));
        let folder = Temporary::new("pgbouncer");
        let port = free_port(None).unwrap();
        let address = database.server().address();
        let (role, password) = (address.role, &address.password);
        let ini = format!(
            "[databases]\n\
             {name} = host=127.0.0.1 port={server_port} dbname={name} user={role} password={password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = plain\n\
             auth_file = {folder}/users.txt\n\
             logfile = {folder}/pgbouncer.log\n\
             pool_mode = transaction\n\
             default_pool_size = {sessions}\n\
             max_client_conn = 1000\n\
             ignore_startup_parameters = extra_float_digits\n\
             server_login_retry = 1\n",
            name = database.name(),
            server_port = address.port,
            folder = folder.path().display(),
        );
        let configuration = folder.path().join("pgbouncer.ini");
        fs::write(&configuration, ini).unwrap();
        fs::write(folder.path().join("users.txt"), format!("\"{role}\" \"{password}\"\n")).unwrap();
        let guarded = run(&program, &configuration, &folder);
        let credentials = format!("{role}:{password}");
        let pooler =
            Self { guarded, folder, port, database: database.name().to_owned(), credentials };
        pooler.ready().await;
        pooler
    }

    /// Returns the URL of the database through the pooler.
    #[must_use]
    pub fn url(&self) -> String {
        let Self { credentials, port, database, .. } = self;
        format!("postgres://{credentials}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// Kills the pooler: all clients are cut at once.
    pub async fn kill(&self) {
        self.guarded.signal(Signal::SIGKILL).unwrap();
        self.guarded.exited().await.unwrap();
    }

    async fn ready(&self) {
        let url = self.url();
        eventually(Duration::from_secs(10), "PgBouncer accepts connections", async || {
            if let Some(status) = self.guarded.exit().unwrap() {
                let log = fs::read_to_string(self.folder.path().join("pgbouncer.log"));
                panic!("PgBouncer ended with {status}: {}", log.unwrap_or_default());
            }
            PgConnection::connect(&url).await.ok()?.close().await.ok()
        })
        .await;
    }
}

/// Finds the program `pgbouncer` in these folders.
///
/// # Errors
///
/// It is in none of them. The error says what to install.
pub fn find_pgbouncer(folders: &[PathBuf]) -> Result<PathBuf, String> {
    let programs = folders.iter().map(|folder| folder.join("pgbouncer"));
    programs.into_iter().find(|program| program.is_file()).ok_or_else(|| {
        "pgbouncer is not installed, and the tests do not pass without it\n  \
         Debian, Ubuntu: apt-get install pgbouncer\n  \
         macOS: brew install pgbouncer"
            .to_owned()
    })
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(FOLDERS.map(PathBuf::from)).collect()
}

fn run(program: &Path, configuration: &Path, folder: &Temporary) -> Guarded {
    let root = geteuid().is_root();
    if root {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let will = Will { remove: Some(folder.path().to_path_buf()), ..Will::kill() };
    Guarded::spawn(program, &will, |command| {
        command.arg("-q").arg(configuration).current_dir("/");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
    })
    .unwrap_or_else(|error| panic!("start {}: {error}", program.display()))
}
