//! Events of a time, delivered again.

use std::collections::BTreeSet;

use serde_json::json;
use tidings_tests::{Database, Launch, Receiver};

use super::{PATIENCE, add, on, register, run, sync_types};

/// A database with 30 events that nobody was told of, and then a subscriber to all of them.
async fn with_history(url: &str) -> (Database, Vec<String>) {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let mut events = Vec::new();
    for number in 0..30 {
        events.push(register(database.pool(), &format!(r#"{{"order": {number}}}"#)).await);
    }
    add(&on(&database), "late", url).await;
    (database, events)
}

fn replay(database: &Database, words: &[&str]) -> Launch {
    on(database).args(["replay", "--since", "1h"]).args(words)
}

async fn pending(database: &Database) -> i64 {
    sqlx::query_scalar("select count(*) from tidings.delivery")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn dry_run_counts_and_writes_nothing() {
    let (database, _) = with_history("https://example.com/").await;
    let counted = run(&replay(&database, &["--dry-run", "--json"])).await.json();
    assert_eq!((&counted["deliveries"], &counted["events"]), (&json!(30), &json!(30)));
    let said = run(&replay(&database, &["--dry-run", "--type", "order:paid"])).await;
    assert!(said.stdout.contains("0 deliveries of 0 events would be made"), "{said:?}");
    let said = run(&replay(&database, &["--dry-run", "--scope", "shop=s1"])).await;
    assert!(said.stdout.contains("30 deliveries"), "{said:?}");
    let said = run(&replay(&database, &["--dry-run", "--scope", "shop=s2"])).await;
    assert!(said.stdout.contains("0 deliveries"), "{said:?}");
    assert_eq!(pending(&database).await, 0);
}

#[tokio::test]
async fn nobody_is_replayed_to_unasked() {
    let (database, _) = with_history("https://example.com/").await;
    let ran = run(&replay(&database, &[])).await;
    ran.refused(4, "30 deliveries would be made, and nobody can be asked");
    assert!(ran.stderr.contains("hint: add --yes"), "{ran:?}");
    assert_eq!(pending(&database).await, 0);
    run(&replay(&database, &["--yes", "--subscriber", "nobody"])).await.refused(3, "no subscriber");
    run(&replay(&database, &["--yes", "--until", "2h"])).await.refused(4, "the end of the replay");
}

#[tokio::test]
async fn replayed_events_arrive_under_their_own_ids() {
    let receiver = Receiver::accepting().await;
    let (database, events) = with_history(&receiver.url()).await;
    let worker = on(&database).arg("worker").start();
    worker.line("tidings", PATIENCE).await;
    let done = run(&replay(&database, &["--yes", "--json", "--subscriber", "late"])).await.json();
    assert_eq!((&done["deliveries"], &done["finished"]), (&json!(30), &json!(true)));
    let received = receiver.wait_for(30, PATIENCE).await;
    let ids: BTreeSet<_> = received.iter().map(|received| received.id().to_owned()).collect();
    assert_eq!(ids, events.into_iter().collect());
}

#[tokio::test]
async fn interrupted_replay_says_how_to_go_on_and_goes_on_where_it_was() {
    let (database, _) = with_history("https://example.com/").await;
    let launch = replay(&database, &["--yes", "--rate", "5", "--json"]).env("TIDINGS_LOG", "info");
    let process = launch.start();
    process.line("replaying", PATIENCE).await;
    process.interrupt();
    let (status, output) = process.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{output:?}");
    let done: serde_json::Value = serde_json::from_str(&output.stdout.join("\n")).unwrap();
    let made = pending(&database).await;
    assert!(made > 0 && made < 30, "{made}");
    assert_eq!((&done["deliveries"], &done["finished"]), (&json!(made), &json!(false)));
    let stderr = output.stderr.join("\n");
    let hint = stderr.split("go on with `tidings ").nth(1).unwrap().split('`').next().unwrap();
    assert!(hint.contains(done["after"].as_str().unwrap()), "{hint}");
    let words = hint.replace("--rate 5", "--yes --json");
    let rest = run(&on(&database).args(words.split_whitespace())).await.json();
    assert_eq!(rest["deliveries"], 30 - made);
    assert_eq!(pending(&database).await, 30);
}
