//! The reports of Tidings itself, from the command line.

use serde_json::{Value, json};
use tidings_tests::{Database, Launch, Process, eventually};

use super::{PATIENCE, on, run};

const WHOM: [&str; 4] = ["--report-organization", "0192-acme", "--report-place", "aws/us-east-1"];

fn reporting(database: &Database) -> Launch {
    let launch = on(database).env("TIDINGS_LOG", "info").env("DO_NOT_TRACK", "0");
    launch.args(["worker", "--worker-name", "here", "--report"]).args(WHOM)
}

async fn start(launch: &Launch) -> Process {
    let process = launch.start();
    process.line("works (pid", PATIENCE).await;
    process
}

async fn show(database: &Database) -> Value {
    run(&on(database).args(["report", "show", "--json"])).await.json()
}

/// Returns the reporter, once it has made so many reports.
async fn reported(database: &Database, count: u64) -> Value {
    eventually(PATIENCE, "a report", || async {
        let reporters = show(database).await;
        let reporter = reporters.as_array().unwrap().first()?.clone();
        (reporter["reports"].as_u64().unwrap() >= count).then_some(reporter)
    })
    .await
}

#[tokio::test]
async fn worker_reports_if_it_is_told_to_and_shows_what_it_has_reported() {
    let database = Database::new().await;
    assert_eq!(show(&database).await, json!([]));
    let said = run(&on(&database).args(["report", "show"])).await.stdout;
    assert!(said.contains("no reporter has been started"), "{said}");
    let worker = start(&reporting(&database)).await;
    let reporter = reported(&database, 1).await;
    assert_eq!((&reporter["name"], &reporter["leader"]), (&json!("tidings"), &json!("here")));
    assert_eq!(reporter["interval_s"], 3600);
    assert_eq!(reporter["last_report"]["data"]["traits"]["workers"], 1);
    let said = run(&on(&database).args(["report", "show", "tidings"])).await.stdout;
    for part in ["leader", "here", "next report", "\"postgres_version\""] {
        assert!(said.contains(part), "{part}: {said}");
    }

    let said = run(&on(&database).args(["report", "now"])).await.stdout;
    assert_eq!(said, "asked here for a report of tidings; it is made within a minute");
    let reporter = show(&database).await[0].clone();
    assert!(reporter["requested_at"].is_string(), "{reporter}");
    worker.terminate();
    let (status, output) = worker.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
    assert_eq!(show(&database).await[0]["leader"], Value::Null);

    // Whoever comes finds what was asked for.
    let again = start(&reporting(&database)).await;
    let reporter = reported(&database, 2).await;
    assert_eq!(reporter["last_report"]["data"]["partial"], true);
    assert_eq!(reporter["last_report"]["data"]["organization_id"], "0192-acme");
    assert_eq!(reporter["requested_at"], Value::Null);
    again.terminate();
    again.exit(PATIENCE).await;
}

#[tokio::test]
async fn nothing_is_reported_without_the_flag_or_where_nobody_wants_to_be_tracked() {
    let database = Database::new().await;
    let quiet = on(&database).env("TIDINGS_LOG", "info").args(["worker"]);
    let asked = reporting(&database).env("DO_NOT_TRACK", "1");
    for (launch, is_told) in [(quiet, false), (asked, true)] {
        let worker = start(&launch).await;
        worker.terminate();
        let (_, output) = worker.exit(PATIENCE).await;
        let told = output.stderr.iter().any(|line| line.contains("DO_NOT_TRACK is set"));
        assert_eq!(told, is_told, "{output:?}");
        assert_eq!(show(&database).await, json!([]));
    }
}

#[tokio::test]
async fn preview_prints_what_would_be_reported_and_changes_nothing() {
    let database = Database::new().await;
    let preview = on(&database).args(["report", "preview"]).args(WHOM);
    let shown = run(&preview.clone().arg("--json")).await.json();
    assert_eq!(shown["messages"].as_array().unwrap().len(), 1, "the first one has traits only");
    let message = &shown["messages"][0];
    assert_eq!(
        (&message["call"], &message["identity"]["group"]),
        (&json!("group"), &json!("0192-acme"))
    );
    assert_eq!(message["properties"]["aws"]["us-east-1"]["level"], "full");
    let said = run(&preview).await.stdout;
    assert!(said.starts_with("group \"Environment Rolled Up\""), "{said}");
    assert_eq!(show(&database).await, json!([]));
    let events: i64 = sqlx::query_scalar("select count(*) from tidings.event")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(events, 0);
}

#[tokio::test]
async fn what_cannot_be_reported_is_refused_with_what_to_do() {
    let database = Database::new().await;
    let report = |words: &[&str]| on(&database).arg("report").args(words);
    run(&report(&["now"])).await.refused(3, "`tidings worker --report` starts");
    run(&report(&["show", "shop"])).await.refused(3, "there is no reporter `shop`");
    run(&report(&["preview", "--report-place", "aws"])).await.refused(2, "like aws/us-east-1");
    run(&report(&["preview", "--report-interval", "1s"])).await.refused(2, "from 1m to 31d");
    let place = ["preview", "--report-place", "a b/c"];
    run(&report(&place)).await.refused(4, "cloud provider");
}
