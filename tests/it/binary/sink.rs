//! Sinks, the level, subjects, and the credentials of subscribers, from the command line.

use serde_json::{Value, json};
use tidings_tests::{Database, Launch, Receiver, Reply};

use super::{PATIENCE, add, on, run, sync_types};

/// A database whose orders have telemetry, and a service that takes it.
async fn stage() -> (Database, Receiver) {
    let database = Database::new().await;
    let types = json!([{"type": "order:placed", "version": 1, "audience": ["telemetry"], "scopes": [],
        "level": "enhanced", "schema": {}, "documentation": ""}]);
    let statement = "select tidings.sync_catalogue_v3($1::text::json, '[]')";
    sqlx::query(statement).bind(types.to_string()).execute(database.pool()).await.unwrap();
    // A worker announces its kinds.
    sqlx::query("select tidings.make_group('segment', 4), tidings.make_group('posthog', 4)")
        .execute(database.pool())
        .await
        .unwrap();
    let receiver = Receiver::start(|_| Reply::status(200).body(r#"{"success":true}"#)).await;
    (database, receiver)
}

fn sink(database: &Database, host: &str, words: &[&str]) -> Launch {
    let add = ["sink", "add", "analytics", "--kind", "segment", "--key", "k3y", "--host", host];
    on(database).args(add).args(words)
}

async fn register_of(database: &Database, subject: &str) {
    let headers = json!({"analytics": {"user": subject}});
    sqlx::query(
        "select tidings.register_event('order:placed', '{}', headers => $1::json,
           telemetry => '{\"event_properties\": {}, \"derived_properties\": {}}')",
    )
    .bind(headers)
    .execute(database.pool())
    .await
    .unwrap();
}

#[tokio::test]
async fn sink_is_added_shown_pinged_and_given_another_key() {
    let (database, receiver) = stage().await;
    let said = run(&sink(&database, &receiver.url(), &[])).await;
    assert!(
        said.stdout.contains("sink analytics added") && !said.stdout.contains("k3y"),
        "{said:?}"
    );
    assert!(said.stdout.contains("full; `tidings level` changes what is collected"), "{said:?}");
    let shown =
        run(&on(&database).args(["subscriber", "show", "analytics", "--json"])).await.json();
    assert_eq!((&shown["view"], &shown["kind"]), (&json!("telemetry"), &json!("segment")));
    assert_eq!(shown["subscriptions"][0]["pattern"], "**");
    let report = run(&on(&database).args(["doctor", "--json"])).await;
    assert!(!report.stdout.contains("pattern_unmatched"), "{report:?}");
    run(&on(&database).args(["subscriber", "ping", "analytics", "--json"])).await.json();
    let words = ["subscriber", "credentials", "analytics", "--bearer", "n3w", "--json"];
    let set = run(&on(&database).args(words)).await.json();
    assert_eq!(set["change"], "set");
    run(&on(&database).args(["subscriber", "ping", "analytics", "--json"])).await.json();
    let requests = receiver.wait_for(2, PATIENCE).await;
    let keys: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(keys, ["Basic azN5Og==", "Basic bjN3Og=="]);
    receiver.set(|_| Reply::status(401));
    let ran = run(&on(&database).args(["subscriber", "ping", "analytics"])).await;
    ran.refused(1, "answered 401");
}

#[tokio::test]
async fn what_a_sink_cannot_be_is_refused_with_what_to_do() {
    let (database, receiver) = stage().await;
    let refused = async |words: &[&str]| run(&sink(&database, &receiver.url(), words)).await;
    refused(&["--protocol", "v1"]).await.refused(4, "protocol is of PostHog alone");
    refused(&["--subscribe", "order:"]).await.refused(4, "order:");
    run(&sink(&database, "asia", &[])).await.refused(4, "us, eu or a URL");
    run(&sink(&database, "https://10.0.0.1", &[])).await.refused(4, "--allow-address");
    let blank = ["sink", "add", "analytics", "--kind", "segment", "--key", "", "--json"];
    run(&on(&database).args(blank)).await.refused(4, "bearer token is not empty");
    let app = [
        "sink",
        "add",
        "people",
        "--kind",
        "posthog",
        "--key",
        "k",
        "--host",
        "https://us.posthog.com",
    ];
    let ran = run(&on(&database).args(app)).await;
    assert!(ran.stdout.contains("where people look at their data"), "{ran:?}");
    let flag = ["sink", "add", "p", "--kind", "pipeline", "--host", "eu"];
    run(&on(&database).args(flag)).await.refused(2, "--host says nothing to the pipeline");
    let keyless = ["sink", "add", "s", "--kind", "segment"];
    run(&on(&database).args(keyless)).await.refused(2, "--key");
    let other = ["sink", "add", "other", "--kind", "mixpanel", "--key", "k"];
    run(&on(&database).args(other)).await.refused(2, "possible values: segment, posthog");
}

#[tokio::test]
async fn level_is_shown_and_changed() {
    let (database, _) = stage().await;
    let level = async |words: &[&str]| run(&on(&database).arg("level").args(words)).await;
    assert_eq!(
        level(&[]).await.stdout,
        "the level is full: everything that is anonymous is collected"
    );
    let said = level(&["basic"]).await.stdout;
    assert!(said.starts_with("the level is basic now, and was full"), "{said}");
    assert_eq!(level(&["basic"]).await.stdout, "the level was basic already");
    assert_eq!(level(&["--json"]).await.json(), json!({"level": "basic"}));
    level(&["loud"]).await.refused(2, "security");
    register_of(&database, "k1:ann").await;
    let stored: Option<Value> = sqlx::query_scalar("select telemetry from tidings.event")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(stored, None);
}

#[tokio::test]
async fn subject_is_suppressed_released_and_erased_with_a_receipt() {
    let (database, receiver) = stage().await;
    run(&sink(&database, &receiver.url(), &["--json"])).await.json();
    for subject in ["k1:ann", "k1:ann", "k1:bob"] {
        register_of(&database, subject).await;
    }
    let subject = async |words: &[&str]| run(&on(&database).arg("subject").args(words)).await;
    let said = subject(&["suppress", "k1:ann", "k1:cid"]).await.stdout;
    assert!(said.starts_with("2 more suppressed"), "{said}");
    assert_eq!(subject(&["release", "k1:cid", "--json"]).await.json()["count"], 1);
    let receipt = subject(&["erase", "k1:ann", "--json"]).await.json();
    assert_eq!((&receipt["events"], &receipt["sinks"]), (&json!(2), &json!(["analytics"])));
    let said = subject(&["erase", "k1:ann"]).await.stdout;
    assert!(said.contains("analytics; ask them to delete what they have"), "{said}");
    subject(&["erase", ""]).await.refused(4, "keyed hashes of 1 to 200 bytes");
    subject(&["erase"]).await.refused(2, "SUBJECT");
}

#[tokio::test]
async fn credentials_of_a_webhook_are_sent_until_they_are_removed() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let receiver = Receiver::accepting().await;
    add(&on(&database), "hook", &receiver.url()).await;
    let credentials = |words: &[&str]| {
        on(&database).args(["subscriber", "credentials", "hook", "--json"]).args(words)
    };
    for words in [["--basic", "shop:open: sesame"].as_slice(), &["--bearer", "t0ken"], &["--none"]]
    {
        run(&credentials(words)).await.json();
        run(&on(&database).args(["subscriber", "ping", "hook", "--json"])).await.json();
    }
    let requests = receiver.wait_for(3, PATIENCE).await;
    let sent: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(sent, ["Basic c2hvcDpvcGVuOiBzZXNhbWU=", "Bearer t0ken", ""]);
    run(&credentials(&["--basic", "shop"])).await.refused(4, "no colon");
    run(&credentials(&["--bearer", "a b"])).await.refused(4, "without spaces");
    run(&credentials(&[])).await.refused(2, "required");
    run(&credentials(&["--none", "--bearer", "x"])).await.refused(2, "cannot be used");
}

#[tokio::test]
async fn sink_of_the_settings_is_there_by_itself_and_follows_them() {
    let (database, receiver) = stage().await;
    let worker = async |key: &str| {
        let launch = on(&database).env("TIDINGS_LOG", "info").env("TIDINGS_SEGMENT_KEY", key);
        let worker = launch.env("TIDINGS_SEGMENT_HOST", receiver.url()).arg("worker").start();
        worker.line("the sink segment is", PATIENCE).await;
        worker
    };
    let show =
        async || run(&on(&database).args(["subscriber", "show", "segment", "--json"])).await.json();
    let first = worker("k3y").await;
    register_of(&database, "somebody").await;
    receiver.wait_for(1, PATIENCE).await;
    let shown = show().await;
    assert_eq!(shown["subscriptions"][0]["pattern"], "**");
    let update = r#"{"gzip": true, "host": "https://segment.example.com"}"#;
    run(&on(&database).args(["subscriber", "update", "segment", "--config", update, "--json"]))
        .await
        .json();
    first.kill().await;
    // Other settings, and what a person has set beside them.
    let second = worker("n3w").await;
    let shown = show().await;
    assert_eq!(shown["config"]["gzip"], true);
    assert!(shown["config"]["host"].as_str().unwrap().contains("127.0.0.1"), "{shown}");
    register_of(&database, "somebody").await;
    let requests = receiver.wait_for(2, PATIENCE).await;
    let keys: Vec<_> = requests.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(keys, ["Basic azN5Og==", "Basic bjN3Og=="]);
    second.kill().await;
    let version = show().await["version"].clone();
    worker("n3w").await.kill().await;
    assert_eq!(show().await["version"], version, "nothing was to be changed");
}

#[tokio::test]
async fn sink_of_the_settings_that_cannot_be_stops_the_worker_with_what_to_do() {
    let (database, receiver) = stage().await;
    add(&on(&database), "segment", &receiver.url()).await;
    let said = run(&on(&database).env("TIDINGS_SEGMENT_KEY", "k3y").arg("worker")).await;
    said.refused(4, "exists already");
    let lost = on(&database).env("TIDINGS_POSTHOG_KEY", "k3y").env("TIDINGS_POSTHOG_HOST", "asia");
    run(&lost.arg("worker")).await.refused(4, "us, eu or a URL");
}
