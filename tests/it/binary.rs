//! The binary does what its help says, and says what went wrong.

mod catalogue;
mod doctor;
mod explain;
mod help;
mod listen;
mod look;
mod paper;
mod record;
mod refusals;
mod relay;
mod replay;
mod report;
mod rotate;
mod serve;
mod sink;
mod subscribers;
mod template;
mod up;
mod update;

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tidings_tests::{Database, Launch};

pub(crate) use self::help::COMMANDS;

/// Long enough for a first start on a busy machine; nothing waits for it unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The base64 of 32 bytes, for the commands and the worker of one test.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A command that has ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    code: Option<i32>,
    pub(crate) stdout: String,
    stderr: String,
}

impl Ran {
    /// Returns standard output as the one JSON document that it has to be.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it was refused with this code, and that the reason contains this text.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, reason: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(reason), "{reason:?} is not in {self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

/// Runs `tidings` to its end.
pub(crate) async fn run(launch: &Launch) -> Ran {
    let (status, output) = launch.start().exit(PATIENCE).await;
    let text = |lines: Vec<String>| lines.join("\n");
    Ran { code: status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Returns a launch of `tidings` that finds no database and no data folder by accident, and logs warnings only.
pub(crate) fn tidings() -> Launch {
    let launch = Launch::tidings().env("TIDINGS_LOG", "warn");
    launch.env("TIDINGS_DATA", "/nonexistent").folder("/")
}

/// Returns a launch of `tidings` on a database, with the key of the test and endpoints on loopback.
pub(crate) fn on(database: &Database) -> Launch {
    at(&database.url())
}

pub(crate) fn at(url: &str) -> Launch {
    let launch = tidings().env("DATABASE_URL", url).env("TIDINGS_KEY", KEY);
    launch.env("TIDINGS_ALLOW_ADDRESS", "127.0.0.1")
}

/// Makes the types `order:placed` and `order:paid` known, with the scope `shop`.
async fn sync_types(pool: &PgPool) {
    let types = ["order:placed", "order:paid"].map(|name| {
        json!({"type": name, "version": 1, "audience": ["notification"], "scopes": ["shop"],
            "level": "basic", "schema": {}, "documentation": ""})
    });
    let statement = "select tidings.sync_catalogue_v1($1::text::json)";
    sqlx::query(statement).bind(json!(types).to_string()).execute(pool).await.unwrap();
}

/// Registers an event the way another language does, and returns its id.
async fn register(pool: &PgPool, payload: &str) -> String {
    let statement =
        "select tidings.register_event('order:placed', $1::text::json, scope => 'shop=s1')::text";
    sqlx::query_scalar(statement).bind(payload).fetch_one(pool).await.unwrap()
}

/// Adds a webhook that is subscribed to everything, and returns its secret.
async fn add(launch: &Launch, name: &str, url: &str) -> String {
    let arguments = ["subscriber", "add", name, "--url", url, "--subscribe", "order:*", "--json"];
    let added = run(&launch.clone().args(arguments)).await.json();
    added["secret"].as_str().unwrap().to_owned()
}
