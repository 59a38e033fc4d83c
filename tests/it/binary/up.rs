//! `tidings up`: everything in one process, found by the commands beside it, gone without a trace.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use sqlx::PgPool;
use tidings_tests::{Database, Launch, Process, Receiver, Temporary, eventually};

use super::{PATIENCE, add, on, register, run, sync_types, tidings};

/// A launch on a data folder, without a database that is given.
fn beside(data: &Path) -> Launch {
    let launch = tidings().env("TIDINGS_DATA", data).env("TIDINGS_LOG", "info");
    launch.env("TIDINGS_ALLOW_ADDRESS", "127.0.0.1")
}

async fn up(data: &Path) -> Process {
    let process = beside(data).arg("up").start();
    // The last line of the block.
    process.line("Ctrl-C lets what is in flight finish", PATIENCE).await;
    process
}

/// Reads the URL out of the connection file, as an application does.
fn url(data: &Path) -> String {
    let text = fs::read_to_string(data.join("connection.env")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("DATABASE_URL=")).unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_runs_in_one_process_and_commands_beside_it_find_its_database() {
    let folder = Temporary::new("up");
    let data = folder.path().join("data");
    let receiver = Receiver::accepting().await;
    let up = up(&data).await;
    for file in ["key", "connection.env"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert!(fs::read_to_string(data.join(".gitignore")).unwrap().ends_with("\n*\n"));
    let said = up.output().stdout.join("\n");
    assert!(said.contains("embedded PostgreSQL") && !said.contains(&url(&data)), "{said}");

    let pool = PgPool::connect(&url(&data)).await.unwrap();
    sync_types(&pool).await;
    let secret = add(&beside(&data), "hook", &receiver.url()).await;
    let event = register(&pool, "1").await;
    let received = receiver.wait_for(1, PATIENCE).await;
    received[0].verify(&secret).unwrap();
    assert_eq!(received[0].id(), event);
    run(&beside(&data).args(["subscriber", "remove", "hook", "--json"])).await.json();
    let listed = run(&beside(&data).args(["subscriber", "list", "--json"])).await.json();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|listed| &listed["name"]).collect();
    assert_eq!(names, ["pipeline"]);

    let second = run(&beside(&data).arg("up")).await;
    second.refused(6, &format!("is in use by the process with pid {}", up.pid()));

    pool.close().await;
    up.interrupt();
    let (status, output) = up.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
    assert!(
        output.stderr.join("\n").contains("embedded PostgreSQL stopped in order"),
        "{output:?}"
    );
    assert!(!data.join("connection.env").exists());
    run(&beside(&data).args(["event", "list"])).await.refused(5, "no `tidings up` runs");
}

#[tokio::test]
async fn registered_event_with_telemetry_is_found_in_the_table_without_any_set_up() {
    let folder = Temporary::new("up");
    let data = folder.path();
    let first = up(data).await;
    let pool = PgPool::connect(&url(data)).await.unwrap();
    let types = json!([{"type": "order:placed", "version": 1, "audience": ["telemetry"], "scopes": [],
        "level": "enhanced", "schema": {}, "documentation": ""}]);
    let statement = "select tidings.sync_catalogue_v3($1::text::json, '[]')";
    sqlx::query(statement).bind(types.to_string()).execute(&pool).await.unwrap();
    let register = async || -> String {
        let statement = "select tidings.register_event('order:placed', '{}',
            telemetry => '{\"event_properties\": {\"colour\": \"green\"}, \"derived_properties\": {}}')::text";
        sqlx::query_scalar(statement).fetch_one(&pool).await.unwrap()
    };
    let event = register().await;
    let found = async || {
        let words = ["telemetry", "search", "--mid", &event, "--json"];
        let found = run(&beside(data).args(words)).await.json();
        found.as_array().unwrap().first().cloned()
    };
    let found = eventually(PATIENCE, "the event is in the table", found).await;
    assert_eq!(found["event"]["edata"]["event_properties"]["colour"], "green");
    // Who does not want that takes its subscription away, and has it away.
    let shown = run(&beside(data).args(["subscriber", "show", "pipeline", "--json"])).await.json();
    let subscription = shown["subscriptions"][0]["subscription_id"].to_string();
    run(&beside(data).args(["subscription", "remove", &subscription, "--json"])).await.json();
    first.interrupt();
    first.exit(PATIENCE).await;
    let second = up(data).await;
    let shown = run(&beside(data).args(["subscriber", "show", "pipeline", "--json"])).await.json();
    assert_eq!(shown["subscriptions"], json!([]));
    second.interrupt();
    second.exit(PATIENCE).await;
}

#[tokio::test]
async fn killed_up_is_explained_and_comes_back_with_everything() {
    let folder = Temporary::new("up");
    let data = folder.path();
    let first = up(data).await;
    let pool = PgPool::connect(&url(data)).await.unwrap();
    sync_types(&pool).await;
    let secret = add(&beside(data), "hook", "http://127.0.0.1:9999/hook").await;
    drop(pool);
    first.kill().await;
    eventually(PATIENCE, "the database has gone with its owner", async || {
        let ran = run(&beside(data).args(["event", "list"])).await;
        (ran.code == Some(5)).then_some(())
    })
    .await;
    let ran = run(&beside(data).args(["event", "list"])).await;
    ran.refused(5, &format!("connect to the database of `tidings up` (pid {}", first.pid()));
    assert!(ran.stderr.contains("start `tidings up` again"), "{ran:?}");

    let again = up(data).await;
    let shown = run(&beside(data).args(["subscriber", "show", "hook"])).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(!shown.stdout.contains(&secret));
    // The key file is the same: the secret can still be opened.
    run(&beside(data).args(["subscriber", "ping", "hook"])).await.refused(1, "ping the subscriber");
    again.terminate();
    assert_eq!(again.exit(PATIENCE).await.0.code(), Some(0));
}

#[tokio::test]
async fn database_that_dies_is_started_again_and_deliveries_go_on() {
    let folder = Temporary::new("up");
    let data = folder.path();
    let receiver = Receiver::accepting().await;
    let up = up(data).await;
    let pool = PgPool::connect(&url(data)).await.unwrap();
    sync_types(&pool).await;
    let secret = add(&beside(data), "hook", &receiver.url()).await;
    let pid_file = data.join("postgres/postmaster.pid");
    let server = fs::read_to_string(pid_file).unwrap().lines().next().unwrap().parse().unwrap();
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    up.line("has ended by itself", PATIENCE).await;
    eventually(PATIENCE, "an event can be registered again", async || {
        let statement = "select tidings.register_event('order:placed', '1')::text";
        sqlx::query_scalar::<_, String>(statement).fetch_one(&pool).await.ok()
    })
    .await;
    receiver.wait_for(1, PATIENCE).await[0].verify(&secret).unwrap();
    pool.close().await;
    up.interrupt();
    assert_eq!(up.exit(PATIENCE).await.0.code(), Some(0));
}

#[tokio::test]
async fn signal_before_the_start_is_over_leaves_a_folder_that_can_be_started() {
    let folder = Temporary::new("up");
    let data = folder.path();
    let process = beside(data).arg("up").start();
    process.line("starting the embedded PostgreSQL", PATIENCE).await;
    process.interrupt();
    let (status, output) = process.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
    let up = up(data).await;
    up.interrupt();
    assert_eq!(up.exit(PATIENCE).await.0.code(), Some(0));
}

#[tokio::test]
async fn database_that_is_given_is_used_instead_of_the_embedded_one() {
    let folder = Temporary::new("up");
    let database = Database::blank().await;
    let launch = on(&database).env("TIDINGS_DATA", folder.path()).env("TIDINGS_KEY", "");
    let up = launch.args(["up", "--json"]).start();
    up.line("webhook", PATIENCE).await;
    up.line("}", PATIENCE).await;
    up.interrupt();
    let (status, output) = up.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{output:?}");
    let started: serde_json::Value = serde_json::from_str(&output.stdout.join("\n")).unwrap();
    assert_eq!(started["database"]["embedded"], serde_json::Value::Null);
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, [".gitignore", "key", "telemetry"], "nothing of a database is made");
    run(&on(&database).args(["event", "list", "--json"])).await.json();
}
