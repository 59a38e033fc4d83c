//! The doctor finds each trouble where it was made for real, and nothing where all is well.

mod lanes;
mod server;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tidings::doctor::{Check, Examination};
use tidings_tests::{Database, Launch, Receiver};

use super::{KEY, PATIENCE, Ran, add, at, on, register, run, sync_types, tidings};

/// What the doctor has said about a database.
#[derive(Debug)]
struct Report {
    ran: Ran,
    json: Value,
}

impl Report {
    /// Returns the codes of everything that was found.
    fn codes(&self) -> Vec<&str> {
        self.findings().map(|(_, found)| found["code"].as_str().unwrap()).collect()
    }

    /// Returns the finding of that code, and checks that it belongs to that check and is as bad as that.
    #[track_caller]
    fn found(&self, check: &str, severity: &str, code: &str) -> (&str, &str) {
        let found = self.findings().find(|(_, found)| found["code"] == code);
        let (of, found) = found.unwrap_or_else(|| panic!("no {code} in {:?}", self.codes()));
        assert_eq!((of, &found["severity"]), (check, &severity.into()), "{found}");
        let text = |field: &str| found[field].as_str().unwrap();
        assert!(!text("cure").is_empty(), "{found}");
        (text("what"), text("cure"))
    }

    fn findings(&self) -> impl Iterator<Item = (&str, &Value)> {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().flat_map(|check| {
            let findings = check["findings"].as_array().unwrap();
            findings.iter().map(|found| (check["check"].as_str().unwrap(), found))
        })
    }
}

/// Asks the doctor.
async fn ask(launch: Launch, arguments: &[&str]) -> Report {
    let ran = run(&launch.args(["doctor", "--json"]).args(arguments)).await;
    let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let report = Report { ran, json };
    let has_error = report.findings().any(|(_, found)| found["severity"] == "error");
    assert_eq!(report.ran.code, Some(i32::from(has_error)), "{report:?}");
    report
}

/// Makes trouble.
async fn make(database: &Database, statements: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(statements.into())).execute(database.pool()).await.unwrap();
}

/// A database with the webhook `hook` at example.com, which nobody serves.
async fn with_hook() -> Database {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/").await;
    database
}

/// Runs a check of the library with a clock of the test's own.
async fn check(database: &Database, check: Check, clock: fn() -> DateTime<Utc>) -> Vec<String> {
    let mut conn = database.connect().await;
    let found = check.examine(&mut conn, &Examination::new(None, clock)).await.unwrap();
    found.into_iter().map(|found| found.what).collect()
}

#[tokio::test]
async fn healthy_database_with_a_worker_has_nothing_to_report() {
    let database = Database::durable().await;
    sync_types(database.pool()).await;
    let receiver = Receiver::accepting().await;
    add(&on(&database), "hook", &receiver.url()).await;
    let worker = on(&database).arg("worker").start();
    worker.line("tidings", PATIENCE).await;
    register(database.pool(), r#"{"order": 7}"#).await;
    receiver.wait_for(1, PATIENCE).await;
    let report = ask(on(&database), &[]).await;
    assert_eq!(report.codes(), Vec::<&str>::new(), "{report:?}");
    assert_eq!(report.json["verdict"], "ok");
    let said = run(&on(&database).arg("doctor")).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("horizon") && said.stdout.contains(": all is well"), "{said:?}");
}

#[tokio::test]
async fn new_database_is_not_ill_because_nobody_uses_it_yet() {
    let report = ask(on(&Database::durable().await), &[]).await;
    assert_eq!(report.codes(), Vec::<&str>::new(), "{report:?}");
}

#[tokio::test]
async fn missing_schema_is_named_and_the_server_is_examined_all_the_same() {
    let database = Database::blank().await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("schema", "error", "schema_outdated");
    assert!(what.contains("it is missing") && cure == "run `tidings migrate`", "{report:?}");
    report.found("server", "warning", "fsync_off");
    report.ran.refused(1, "1 error was found");
    run(&at("postgres://x@127.0.0.1:1/y").arg("doctor"))
        .await
        .refused(5, "connect to the database");
}

#[expect(clippy::disallowed_methods, reason = "the clock of this machine is what is examined")]
fn right() -> DateTime<Utc> {
    Utc::now()
}

#[tokio::test]
async fn clock_that_is_off_is_measured_against_the_databases() {
    let database = Database::new().await;
    assert_eq!(check(&database, Check::Clock, right).await, Vec::<String>::new());
    let fast = check(&database, Check::Clock, || right() + TimeDelta::seconds(60)).await;
    assert!(fast[0].contains("s ahead of the database's"), "{fast:?}");
    let slow = check(&database, Check::Clock, || right() - TimeDelta::seconds(600)).await;
    assert!(slow[0].contains("behind the database's, and receivers refuse"), "{slow:?}");
}

#[tokio::test]
async fn subscribers_that_get_nothing_are_named_with_the_reason() {
    let database = with_hook().await;
    for name in ["paused", "held", "broken"] {
        add(&on(&database), name, "https://example.com/").await;
    }
    make(
        &database,
        r#"update tidings.subscriber set disabled_at = now() - interval '2 hours', disabled_reason = 'it is gone (410)'
             where name = 'hook';
           update tidings.subscriber set paused_at = now() where name = 'paused';
           update tidings.subscriber set retry_after_until = now() + interval '1 hour' where name = 'held';
           update tidings.subscriber set breaker = '{"state": "open"}' where name = 'broken';"#,
    )
    .await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("subscribers", "warning", "subscriber_disabled");
    assert!(what.starts_with("`hook` was disabled 2 h ago") && what.ends_with("it is gone (410)"));
    assert!(cure.contains("tidings subscriber resume hook"), "{cure}");
    let (what, _) = report.found("subscribers", "info", "subscriber_paused");
    assert!(what.contains("`paused`"), "{what}");
    assert!(report.found("subscribers", "info", "subscriber_held_back").0.contains("60 min"));
    assert!(report.found("subscribers", "warning", "breaker_open").0.contains("`broken`"));
    run(&on(&database).args(["subscriber", "resume", "broken"])).await;
    assert!(!ask(on(&database), &[]).await.codes().contains(&"breaker_open"), "the cure cures");
}

#[tokio::test]
async fn secrets_under_a_key_that_is_not_here_are_named() {
    let database = with_hook().await;
    assert!(!ask(on(&database), &[]).await.codes().contains(&"key_unknown"));
    let other = KEY.replace("AAEC", "AAED");
    let report = ask(on(&database).env("TIDINGS_KEY", other), &[]).await;
    let (what, _) = report.found("secrets", "error", "key_unknown");
    assert!(what.starts_with("the secret of `hook` is sealed under the key "), "{what}");
    let report = ask(tidings().env("DATABASE_URL", database.url()), &[]).await;
    report.found("secrets", "error", "key_missing");
}

#[tokio::test]
async fn subscription_to_nothing_and_type_without_subscribers_are_told_apart() {
    let database = with_hook().await;
    let subscribe = ["subscription", "add", "hook", "user:*"];
    run(&on(&database).args(subscribe).arg("--json")).await.json();
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("catalogue", "warning", "pattern_unmatched");
    assert_eq!(what, "`hook` is subscribed to `user:*`, and no event type matches it");
    assert!(!report.codes().contains(&"types_unsubscribed"), "{report:?}");
    run(&on(&database).args(["subscriber", "remove", "hook"])).await;
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("catalogue", "info", "types_unsubscribed");
    assert!(what.ends_with("2 event types: order:paid, order:placed"), "{what}");
}

#[tokio::test]
async fn endpoint_that_may_not_be_called_or_leads_nowhere_is_named() {
    let database = with_hook().await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"endpoint_refused"), "{report:?}");
    add(&on(&database), "gone", "https://nothing.invalid/").await;
    make(
        &database,
        r#"update tidings.subscriber set config = '{"url": "https://10.0.0.1/t0ken"}' where name = 'hook'"#,
    )
    .await;
    let report = ask(on(&database), &["--timeout", "3s"]).await;
    let (what, cure) = report.found("endpoints", "warning", "endpoint_refused");
    assert!(what.contains("`hook`") && what.contains("10.0.0.1"), "{what}");
    assert!(cure.contains("--allow-address"), "{cure}");
    let (what, _) = report.found("endpoints", "warning", "endpoint_unresolved");
    assert!(what.starts_with("the host `nothing.invalid` of `gone` leads nowhere"), "{what}");
    assert!(!report.ran.stdout.contains("t0ken"), "a path is a secret: {report:?}");
}
