//! The terminal in front of which a page is read.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{Event, catalogue};
use tidings_tests::{Database, Launch, Process, Temporary, eventually, search};

use super::{
    console::{self, Command, is_shown},
    page::{Block, Page},
};

/// How long one command may take; a first build of what the tutorial stands on is a long one.
const PATIENCE: Duration = Duration::from_mins(10);

/// The port of every receiver in the book. Pages are run at once, so each gets one of its own in its place.
const PORT: &str = "3000";

/// The base64 of 32 bytes, for the commands and the worker of a page.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

// The event of the tutorial, which the other pages build upon.
/// Somebody has placed an order.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, scope(shop), ordering_key = shop)]
struct OrderPlaced {
    /// The shop in which it was placed.
    shop: String,
    /// The number on the receipt.
    number: u64,
    /// What is to be paid, in cents.
    #[telemetry(bucket(1_000, 10_000))]
    total: u32,
}

/// A shell in a folder of its own, and what it has left running.
pub(super) struct Session {
    launch: Launch,
    port: String,
    background: Vec<Process>,
    /// The worker behind the scenes, which ends after what the page has started, and its database, which goes last.
    worker: Option<(Process, Database)>,
    folder: Temporary,
}

impl Session {
    /// Opens a terminal in an empty folder, on a machine where `tidings` is installed.
    pub(super) async fn empty() -> Self {
        let folder = Temporary::new("book");
        for name in ["bin", "state", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let test = env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("tidings-under-test");
        symlink(program, folder.path().join("bin/tidings")).unwrap();
        fs::write(folder.path().join("state/folder"), folder.path().join("work").to_str().unwrap())
            .unwrap();
        let psql = search().find(None).await.unwrap().program("psql");
        let inherited = env::var_os("PATH").unwrap();
        let path = [folder.path().join("bin"), psql.parent().unwrap().to_owned()];
        let path = env::join_paths(path.into_iter().chain(env::split_paths(&inherited))).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let launch = Launch::new("/bin/sh")
            .env("PATH", path)
            .env("STATE", folder.path().join("state"))
            .env("TIDINGS_LOG", "warn");
        Self { launch, port: free.to_string(), background: Vec::new(), worker: None, folder }
    }

    /// Opens a terminal beside a running worker, on a database that knows the event of the tutorial.
    pub(super) async fn with_worker() -> Self {
        let mut session = Self::empty().await;
        let database = Database::durable().await;
        let types = catalogue![OrderPlaced].unwrap();
        types.sync(&mut database.connect().await).await.unwrap();
        let launch = session.launch.clone().env("DATABASE_URL", database.url());
        session.launch = launch.env("TIDINGS_KEY", KEY).env("TIDINGS_ALLOW_ADDRESS", "127.0.0.1");
        let worker = session.start("tidings worker");
        worker.line("for subscribers of the kinds", PATIENCE).await;
        session.worker = Some((worker, database));
        session
    }

    /// Sets a variable for everything on the page.
    pub(super) fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.launch = self.launch.env(name, value.as_ref());
        self
    }

    /// Follows a page to its end, and stops in order what it has started.
    pub(super) async fn run(mut self, page: &Page) {
        for block in &page.blocks {
            self.follow(block, page).await;
        }
        self.end(page).await;
    }

    /// Stops in order what the page has started.
    pub(super) async fn end(self, page: &Page) {
        let (worker, database) = self.worker.unzip();
        for process in self.background.into_iter().rev().chain(worker) {
            if process.is_running() {
                // Not as Ctrl-C does, which a program that was started in the background of a script ignores.
                process.terminate();
                let (_, output) = process.exit(PATIENCE).await;
                let said = output.stderr.join("\n");
                assert!(!said.contains("panicked"), "docs/{}: {said}", page.name);
            }
        }
        drop(database);
    }

    /// Does what one block of a page says.
    pub(super) async fn follow(&mut self, block: &Block, page: &Page) {
        let place = &format!("docs/{}:{}", page.name, block.line);
        let text = block.text.replace(PORT, &self.port);
        match (block.language(), &block.file) {
            ("diff", _) => {}
            (_, Some(file)) => {
                let path = self.current().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            ("console", None) if block.has("appears") => {
                let shown: Vec<_> = text.lines().map(str::to_owned).collect();
                self.appears(&shown, place).await;
            }
            ("console", None) if block.has("background") => {
                for Command { typed, shown } in console::commands(&text) {
                    let process = self.start(&typed);
                    self.background.push(process);
                    self.appears(&shown, place).await;
                }
            }
            ("console", None) => {
                for command in console::commands(&text) {
                    self.type_in(&command, place).await;
                }
            }
            ("sql", None) => {
                fs::write(self.folder.path().join("state/page.sql"), text).unwrap();
                let psql = r#"psql -X -q -v ON_ERROR_STOP=1 -f "$STATE/page.sql" "$DATABASE_URL" > /dev/null"#;
                let command = Command { typed: psql.into(), shown: Vec::new() };
                self.type_in(&command, place).await;
            }
            _ => {}
        }
    }

    /// Types a command, and checks what it prints.
    async fn type_in(&self, command: &Command, place: &str) {
        let Command { typed, shown } = command;
        let script = format!(
            "{RESTORE}\n{{ {typed}\n}} 2>&1\ncode=$?\npwd > \"$STATE/folder\"\nexport -p > \"$STATE/variables\"\nexit $code"
        );
        let process = self.launch.clone().args(["-c", &script]).start();
        let (status, output) = process.exit(PATIENCE).await;
        let printed = output.stdout;
        let told = printed.join("\n");
        assert!(
            is_shown(shown, &printed),
            "{place}: `{typed}` shows\n{}\nand prints\n{told}",
            shown.join("\n")
        );
        assert_eq!(
            status.success(),
            !command.fails(),
            "{place}: `{typed}` ends with {status}:\n{told}"
        );
    }

    /// Starts a command that goes on running.
    fn start(&self, typed: &str) -> Process {
        let script = format!("{RESTORE}\nexport TIDINGS_LOG=info\nexec {typed}");
        self.launch.clone().args(["-c", &script]).start()
    }

    /// Waits until something in the background has printed what is shown.
    async fn appears(&self, shown: &[String], place: &str) {
        let around = ["…".to_owned()];
        let shown = [&around, shown, &around].concat();
        let told = || {
            let outputs = self.background.iter().map(Process::output);
            outputs.map(|output| [output.stdout, output.stderr].concat()).collect::<Vec<_>>()
        };
        let what = format!("{place} appears:\n{}", shown.join("\n"));
        eventually(PATIENCE, &what, async || {
            let told = told();
            if told.iter().any(|printed| is_shown(&shown, printed)) {
                return Some(());
            }
            let running = self.background.iter().any(Process::is_running);
            assert!(running, "{what}\nand nothing runs any more: {told:#?}");
            None
        })
        .await;
    }

    /// Returns the folder in which the page is now.
    pub(super) fn current(&self) -> PathBuf {
        let folder = fs::read_to_string(self.folder.path().join("state/folder")).unwrap();
        PathBuf::from(folder.trim_end())
    }
}

/// Goes on where the command before has ended: each is a shell of its own, so that a page cannot leave one behind.
const RESTORE: &str = r#"set -a
if [ -f "$STATE/variables" ]; then . "$STATE/variables"; fi
cd "$(cat "$STATE/folder")""#;
