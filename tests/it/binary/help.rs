//! Help, usage, and the errors of a database that is not there.

use tidings_tests::{Database, Launch};

use super::{PATIENCE, at, run, tidings};

pub(crate) const COMMANDS: [&str; 81] = [
    "",
    "up",
    "worker",
    "migrate",
    "catalogue",
    "catalogue list",
    "catalogue show",
    "catalogue export",
    "catalogue check",
    "catalogue retire",
    "catalogue restore",
    "subscriber",
    "subscriber add",
    "subscriber update",
    "subscriber rotate",
    "subscriber credentials",
    "subscriber jwks",
    "subscriber list",
    "subscriber show",
    "subscriber pause",
    "subscriber resume",
    "subscriber ping",
    "subscriber remove",
    "subscription",
    "subscription add",
    "subscription list",
    "subscription remove",
    "template",
    "template preview",
    "event",
    "event list",
    "event show",
    "delivery",
    "delivery list",
    "delivery show",
    "delivery retry",
    "dead",
    "dead list",
    "dead show",
    "dead replay",
    "keys",
    "keys rotate",
    "keys jwks",
    "listen",
    "replay",
    "explain-route",
    "relay",
    "key",
    "key add",
    "key list",
    "key revoke",
    "channel",
    "channel set",
    "channel list",
    "sink",
    "sink add",
    "telemetry",
    "telemetry import",
    "telemetry account",
    "telemetry lag",
    "telemetry failed",
    "telemetry failed list",
    "telemetry failed show",
    "telemetry failed replay",
    "telemetry where",
    "telemetry search",
    "telemetry reprocess",
    "telemetry resend",
    "pipeline",
    "level",
    "report",
    "report show",
    "report preview",
    "report now",
    "subject",
    "subject suppress",
    "subject release",
    "subject erase",
    "doctor",
    "completions",
    "man",
];

#[tokio::test]
async fn every_command_explains_itself_and_its_exit_codes() {
    for command in COMMANDS {
        let ran = run(&tidings().args(command.split_whitespace()).arg("--help")).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            ran.stdout.contains(&format!("Usage: tidings {command}").trim_end().to_owned()),
            "{ran:?}"
        );
        assert!(ran.stdout.contains("Exit codes:\n  0  done"), "{ran:?}");
    }
}

#[tokio::test]
async fn wrong_usage_is_told_to_people_and_to_programs() {
    run(&tidings().arg("fly")).await.refused(2, "unrecognized subcommand 'fly'");
    run(&tidings().args(["worker", "--lease", "1h"]))
        .await
        .refused(2, "outside the range from 1s to 10m");
    run(&tidings().args(["worker", "--pumps", "17"])).await.refused(2, "17 is not in 1..=16");
    let ran = run(&tidings().args(["event", "show", "x", "--json"])).await;
    ran.refused(2, "\"code\": \"usage\"");
    let report: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert!(report["error"]["message"].as_str().unwrap().contains("invalid value 'x'"));
}

#[tokio::test]
async fn empty_variables_count_as_not_set() {
    let launch = tidings().env("TIDINGS_LEASE", "").env("DATABASE_URL", "").env("TIDINGS_KEY", "");
    run(&launch.arg("worker")).await.refused(2, "DATABASE_URL is not set");
}

#[tokio::test]
async fn command_without_a_database_is_told_where_to_find_one() {
    let ran = run(&tidings().args(["event", "list"])).await;
    ran.refused(5, "no `tidings up` runs on the folder /nonexistent");
    assert!(ran.stderr.contains("hint: start `tidings up`"), "{ran:?}");
}

#[tokio::test]
async fn database_that_cannot_be_reached_is_named_without_its_password() {
    let port = tidings_cli::postgres::free_port(None).unwrap();
    let url = format!("postgres://tidings:s3cr3t@127.0.0.1:{port}/shop");
    for command in [["event", "list"].as_slice(), &["migrate"], &["worker"], &["up"]] {
        let ran = run(&at(&url).args(command)).await;
        ran.refused(5, &format!("connect to the database at 127.0.0.1:{port}/shop: "));
        assert!(!ran.stderr.contains("s3cr3t"), "{ran:?}");
    }
    let ran = run(&at("mysql://root:s3cr3t@x/y").args(["event", "list"])).await;
    ran.refused(5, "does not start with postgres://");
    assert!(!ran.stderr.contains("s3cr3t"), "{ran:?}");
}

#[tokio::test]
async fn wrong_password_and_unknown_database_are_told_apart() {
    let database = Database::new().await;
    let password = &database.server().address().password;
    let wrong = database.url().replace(password, "guessed");
    run(&at(&wrong).args(["event", "list"])).await.refused(5, "password authentication failed");
    let unknown = database.server().url("nowhere");
    run(&at(&unknown).args(["event", "list"])).await.refused(5, "\"nowhere\" does not exist");
}

#[tokio::test]
async fn missing_schema_is_made_by_migrate_and_only_once() {
    let database = Database::blank().await;
    let launch = at(&database.url());
    for command in [["subscriber", "list"].as_slice(), &["worker"]] {
        let ran = run(&launch.clone().args(command)).await;
        ran.refused(5, "the schema `tidings`: it is missing");
        assert!(ran.stderr.contains("hint: run `tidings migrate`"), "{ran:?}");
    }
    let first = run(&launch.clone().args(["migrate", "--json"])).await.json();
    assert_eq!(first["applied"][0]["version"], 1);
    let second = run(&launch.clone().args(["migrate", "--json"])).await.json();
    assert_eq!(second["applied"], serde_json::json!([]));
    assert_eq!(second["version"], first["version"]);
    assert!(run(&launch.arg("migrate")).await.stdout.contains("was up to date already"));
}

#[tokio::test]
async fn schema_that_is_too_old_is_told_with_both_versions() {
    let database = Database::new().await;
    let statement = "delete from tidings.migration where version > 1";
    sqlx::query(statement).execute(database.pool()).await.unwrap();
    let ran = run(&at(&database.url()).args(["event", "list"])).await;
    ran.refused(5, "it is at version 1, and this program needs version");
}

#[tokio::test]
async fn reader_that_goes_away_is_no_error() {
    let script = format!("'{}' --help | head -1", env!("CARGO_BIN_EXE_tidings-under-test"));
    let (status, output) =
        Launch::new("/bin/sh").args(["-c", &script]).start().exit(PATIENCE).await;
    assert!(status.success());
    assert!(output.stderr.is_empty(), "{output:?}");
}
