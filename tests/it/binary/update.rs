//! Subscribers that are changed.

use serde_json::{Value, json};
use tidings_tests::{Database, Launch};

use super::{Ran, add, on, run, sync_types};

async fn with_hook() -> Database {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/old").await;
    database
}

fn update(database: &Database, words: &[&str]) -> Launch {
    on(database).args(["subscriber", "update", "hook"]).args(words)
}

/// Reads what is stored, URL and headers in clear.
async fn stored(database: &Database) -> Value {
    let query = "select to_jsonb(s) from tidings.subscriber s where s.subscriber_id <> 0";
    sqlx::query_scalar(query).fetch_one(database.pool()).await.unwrap()
}

async fn updated(database: &Database, words: &[&str]) -> Value {
    run(&update(database, words).arg("--json")).await.json()
}

#[tokio::test]
async fn what_is_named_changes_and_the_rest_stays() {
    let database = with_hook().await;
    let words = ["--header", "x-api-key: a", "--header", "x-other: b", "--timeout", "2s"];
    updated(&database, &words).await;
    updated(&database, &["--in-flight", "3", "--rate", "5.5"]).await;
    let row = stored(&database).await;
    assert_eq!(row["config"]["url"], "https://example.com/old");
    assert_eq!(row["config"]["timeout_ms"], 2000);
    assert_eq!((&row["in_flight_max"], &row["rate_per_s"]), (&json!(3), &json!(5.5)));
    let words = [
        "--remove-header",
        "x-other",
        "--timeout",
        "default",
        "--rate",
        "default",
        "--rename",
        "new",
    ];
    let said = updated(&database, &words).await;
    assert_eq!((&said["name"], &said["change"]), (&json!("new"), &json!("updated")));
    let row = stored(&database).await;
    assert_eq!(
        row["config"],
        json!({"url": "https://example.com/old", "headers": {"x-api-key": "a"}})
    );
    assert_eq!((&row["name"], &row["rate_per_s"]), (&json!("new"), &json!(null)));
    assert_eq!(said["version"], row["version"]);
}

#[tokio::test]
async fn change_from_an_old_version_is_refused_with_the_new_one() {
    let database = with_hook().await;
    let shown = run(&on(&database).args(["subscriber", "show", "hook", "--json"])).await.json();
    let version = shown["version"].to_string();
    let first = updated(&database, &["--in-flight", "3", "--if-version", &version]).await;
    let ran = run(&update(&database, &["--in-flight", "4", "--if-version", &version])).await;
    ran.refused(4, &format!("has version {} now", first["version"]));
    assert_eq!(stored(&database).await["in_flight_max"], 3);
}

#[tokio::test]
async fn limits_of_an_allowed_address_change_without_allowing_it_again() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let hook = ["subscriber", "add", "hook", "--url", "http://10.0.0.1:8080/", "--json"];
    run(&on(&database).args(hook).args(["--allow-address", "10.0.0.1"])).await.json();
    updated(&database, &["--rate", "5"]).await;
    let ran = run(&update(&database, &["--header", "x-api-key: a"])).await;
    ran.refused(4, "the address 10.0.0.1 is forbidden");
    assert_eq!(stored(&database).await["rate_per_s"], 5.0);
}

#[tokio::test]
async fn change_that_makes_no_sense_changes_nothing() {
    let database = with_hook().await;
    let before = stored(&database).await;
    let refused = async |words: &[&str]| -> Ran { run(&update(&database, words)).await };
    refused(&[]).await.refused(2, "required");
    refused(&["--url", "https://10.0.0.1/"]).await.refused(4, "10.0.0.1");
    refused(&["--in-flight", "0"]).await.refused(4, "in_flight_max");
    refused(&["--retry", r#"{"delays_s": []}"#]).await.refused(4, "read the retry ladder");
    refused(&["--timeout", "2h"]).await.refused(2, "outside the range");
    let ran = run(&on(&database).args(["subscriber", "update", "nobody", "--rate", "1"])).await;
    ran.refused(3, "there is no subscriber `nobody`");
    assert_eq!(stored(&database).await, before);
}
