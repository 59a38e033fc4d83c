//! The catalogue, as the stock binary knows it from the database alone.

use std::fs;

use serde_json::{Value, json};
use sqlx::PgPool;
use tidings_tests::{Database, Temporary};

use super::{on, register, run, sync_types};

/// Makes `order:placed` known with this schema.
async fn sync_schema(pool: &PgPool, schema: Value) {
    let types = json!([{"type": "order:placed", "version": 1, "audience": ["notification"],
        "scopes": ["shop"], "level": "basic", "schema": schema, "documentation": "An order has been placed."}]);
    let statement = "select tidings.sync_catalogue_v2($1::text::json, '[]')";
    sqlx::query(statement).bind(types.to_string()).execute(pool).await.unwrap();
}

fn order(kind: &str) -> Value {
    json!({"type": "object", "properties": {"order": {"type": kind}}, "required": ["order"]})
}

/// Returns the names in a list.
fn names(listed: &Value) -> Vec<&str> {
    listed.as_array().unwrap().iter().map(|known| known["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn types_are_listed_with_their_scopes_and_shown_with_their_schema() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    sync_schema(database.pool(), order("integer")).await;
    let catalogue = |words: &[&str]| on(&database).arg("catalogue").args(words);
    let listed = run(&catalogue(&["list", "--json"])).await.json();
    let own: Vec<_> =
        names(&listed).into_iter().filter(|name| !name.starts_with("tidings:")).collect();
    assert_eq!(own, ["order:paid", "order:placed"]);
    assert_eq!(listed[1]["scopes"], json!(["shop"]));
    let text = run(&catalogue(&["list"])).await.stdout;
    assert!(text.contains("order:placed") && text.contains("An order has been placed."), "{text}");

    let shown = run(&catalogue(&["show", "order:placed", "--json"])).await.json();
    assert_eq!(shown["schema"], order("integer"));
    assert_eq!(shown["example"], json!({"order": 1}));
    assert_eq!(shown["versions"], json!([1]));
    let text = run(&catalogue(&["show", "order:placed", "--version", "1"])).await.stdout;
    for part in ["order:placed version 1", "active", "shop", "\"order\": 1"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    run(&catalogue(&["show", "order:gone"]))
        .await
        .refused(3, "there is no event type `order:gone`");
    run(&catalogue(&["show", "order:placed", "--version", "2"])).await.refused(3, "no version 2");
}

#[tokio::test]
async fn retired_type_is_refused_until_it_is_restored() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let catalogue = |words: &[&str]| on(&database).arg("catalogue").args(words).arg("--json");
    let id = json!([{"type": "order:placed", "version": 1}]);
    assert_eq!(run(&catalogue(&["retire", "order:placed"])).await.json()["types"], id);
    assert_eq!(run(&catalogue(&["retire", "order:placed"])).await.json()["types"], json!([]));
    let statement = "select tidings.register_event('order:placed', '{}')";
    let refused = sqlx::query(statement).execute(database.pool()).await.unwrap_err();
    assert!(refused.to_string().contains("is retired"), "{refused}");
    let listed = run(&catalogue(&["list", "--subscribable"])).await.json();
    assert!(!names(&listed).contains(&"order:placed"), "{listed}");

    let restored = run(&catalogue(&["restore", "order:placed", "--version", "1"])).await.json();
    assert_eq!(restored["types"], id);
    register(database.pool(), "{}").await;
    run(&catalogue(&["retire", "order:gone"])).await.refused(3, "is not in the catalogue");
    run(&catalogue(&["retire", "order:placed", "--version", "9"])).await.refused(3, "no version 9");
    run(&catalogue(&["retire", "tidings:subscriber:disabled"])).await.refused(4, "Tidings' own");
}

#[tokio::test]
async fn types_are_exported_in_every_form_without_those_of_our_own() {
    let database = Database::new().await;
    sync_schema(database.pool(), order("integer")).await;
    let own = "insert into tidings.event_type (type, version) values ('tidings:system:tested', 1)";
    sqlx::query(own).execute(database.pool()).await.unwrap();
    let export = |words: &[&str]| on(&database).args(["catalogue", "export"]).args(words);
    for (format, part) in [
        ("markdown", "## `order:placed` version 1"),
        ("json-schema", "\"order:placed.v1\": {"),
        ("asyncapi", "\"asyncapi\": \"3.0.0\""),
        ("typescript", "export interface OrderPlacedV1 {"),
    ] {
        let ran = run(&export(&["--format", format, "--title", "Shop"])).await;
        assert!(ran.stdout.contains(part), "{part:?} is not in {ran:?}");
        assert!(ran.stdout.contains("Shop") && !ran.stdout.contains("tested"), "{ran:?}");
        let all = run(&export(&["--format", format, "--all"])).await.stdout;
        assert!(all.contains("tested"), "{all}");
        // With --json there is one document, whatever the form.
        run(&export(&["--format", format, "--json"])).await.json();
    }
    let folder = Temporary::new("catalogue");
    let file = folder.path().join("events.ts");
    let path = file.to_str().unwrap();
    let words = ["--format", "typescript", "--output", path, "--json"];
    assert_eq!(run(&export(&words)).await.json()["types"], 1);
    let printed = run(&export(&["--format", "typescript"])).await.stdout;
    assert_eq!(fs::read_to_string(&file).unwrap().trim_end(), printed.trim_end());
    run(&export(&["--format", "yaml"])).await.refused(2, "invalid value 'yaml'");
    let words = ["--format", "markdown", "--output", "/nonexistent/x.md"];
    run(&export(&words)).await.refused(1, "write /nonexistent/x.md");
}

#[tokio::test]
async fn check_fails_where_consumers_break_and_is_made_new_by_hand_only() {
    let database = Database::new().await;
    sync_schema(database.pool(), order("integer")).await;
    let folder = Temporary::new("catalogue");
    let file = folder.path().join("events.json");
    let check = |words: &[&str]| {
        let command = on(&database).args(["catalogue", "check", "--baseline"]);
        command.arg(file.to_str().unwrap()).args(words)
    };
    run(&check(&[])).await.refused(3, "--update writes it");
    assert_eq!(run(&check(&["--update", "--json"])).await.json()["types"], 1);
    assert_eq!(run(&check(&["--json"])).await.json(), json!([]));

    sync_schema(database.pool(), order("string")).await;
    let ran = run(&check(&["--json"])).await;
    ran.refused(1, "consumers of these events break in 1 place");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = json!([{"type": "order:placed", "version": 1, "path": "$.order", "breaking": true,
        "kind": "type_changed", "message": "type changed from integer to string"}]);
    assert_eq!(told, expected);
    let ran = run(&check(&[])).await;
    assert!(ran.stdout.contains("type changed from integer to string"), "{ran:?}");
    let updated = run(&check(&["--update", "--json"])).await.json();
    assert_eq!(updated["differences"], expected);
    assert_eq!(run(&check(&[])).await.code, Some(0));
    fs::write(&file, "{}").unwrap();
    run(&check(&[])).await.refused(4, "the baseline is not one that");
}
