//! Who would be notified, and why not.

use std::fs;

use serde_json::{Value, json};
use tidings_tests::{Database, Launch, Temporary};

use super::{add, on, register, run, sync_types};

/// A database in which `hook` gets every order, and `rich` those of at least 100.
async fn with_filter() -> Database {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/").await;
    let rich = ["subscriber", "add", "rich", "--url", "https://example.com/", "--json"];
    run(&on(&database).args(rich)).await.json();
    let filter = ["--filter", r#"{"order": {"total": {"$gte": 100}}}"#, "--json"];
    let subscribe = ["subscription", "add", "rich", "order:placed", "--scope", "shop=s1"];
    run(&on(&database).args(subscribe).args(filter)).await.json();
    database
}

fn explain(database: &Database, words: &[&str]) -> Launch {
    on(database).arg("explain-route").args(words).arg("--json")
}

#[tokio::test]
async fn routes_are_found_by_type_and_scope_and_filters_need_a_payload() {
    let database = with_filter().await;
    let routes = run(&explain(&database, &["order:placed"])).await.json();
    assert_eq!(routes.as_array().unwrap().len(), 1, "`rich` is for shop s1 only: {routes}");
    assert_eq!((&routes[0]["name"], &routes[0]["passes"]), (&json!("hook"), &json!(true)));
    let routes = run(&explain(&database, &["order:placed", "--scope", "shop=s1"])).await.json();
    let rich = routes.as_array().unwrap().iter().find(|route| route["name"] == "rich").unwrap();
    assert_eq!((&rich["passes"], &rich["conditions"]), (&json!(null), &json!([])));
    let said =
        run(&on(&database).args(["explain-route", "order:placed", "--scope", "shop=s1"])).await;
    assert!(said.stdout.contains("not tried") && said.stdout.contains("--payload"), "{said:?}");
}

#[tokio::test]
async fn filter_says_which_condition_held_and_what_was_found() {
    let database = with_filter().await;
    let poor = r#"{"order": {"total": 99}}"#;
    let words = ["order:placed", "--scope", "shop=s1", "--payload", poor];
    let routes = run(&explain(&database, &words)).await.json();
    let rich = routes.as_array().unwrap().iter().find(|route| route["name"] == "rich").unwrap();
    assert_eq!(rich["passes"], false);
    let condition = &rich["conditions"][0];
    assert_eq!(condition["path"], "$.order.total");
    assert_eq!((&condition["holds"], &condition["found"]), (&json!(false), &json!(99)));
    let said = run(&on(&database).arg("explain-route").args(words)).await;
    assert!(said.stdout.contains("notified  hook\n"), "{said:?}");
    assert!(said.stdout.contains("does not pass") && said.stdout.contains("$.order.total"));

    let folder = Temporary::new("payload");
    let file = folder.path().join("rich.json");
    fs::write(&file, poor.replace("99", "100")).unwrap();
    let file = format!("@{}", file.display());
    let words = ["explain-route", "order:placed", "--scope", "shop=s1", "--payload", &file];
    let said = run(&on(&database).args(words)).await;
    assert!(said.stdout.contains("notified  hook, rich\n"), "{said:?}");
}

#[tokio::test]
async fn event_that_is_stored_is_explained_as_it_is() {
    let database = with_filter().await;
    let event = register(database.pool(), r#"{"order": {"total": 250}}"#).await;
    let routes = run(&explain(&database, &["--event", &event])).await.json();
    let passes: Vec<_> = routes.as_array().unwrap().iter().map(|it| &it["passes"]).collect();
    assert_eq!(passes, [true, true]);
}

#[tokio::test]
async fn one_subscriber_is_told_what_each_of_its_subscriptions_lacks() {
    let database = with_filter().await;
    let rich = |words: &[&str]| explain(&database, words).args(["--subscriber", "rich"]);
    let told = |told: &Value| {
        let one = &told["subscriptions"][0];
        let parts = ["matches", "covers", "passes", "in_time"].map(|part| one[part].clone());
        (told["notified"].clone(), parts)
    };
    let (yes, no, unknown) = (json!(true), json!(false), json!(null));
    let said = told(&run(&rich(&["order:paid"])).await.json());
    assert_eq!(said, (no.clone(), [no.clone(), no.clone(), unknown.clone(), yes.clone()]));
    let placed = ["order:placed", "--scope", "shop=s1/till=t1"];
    let said = told(&run(&rich(&placed)).await.json());
    let fits = [yes.clone(), yes.clone(), unknown.clone(), yes.clone()];
    assert_eq!(said, (unknown, fits));
    let poor = [placed.as_slice(), &["--payload", r#"{"order": {"total": 1}}"#]].concat();
    let said = told(&run(&rich(&poor)).await.json());
    assert_eq!(said, (no.clone(), [yes.clone(), yes.clone(), no.clone(), yes.clone()]));
    let rich_rows = |words: &[&str]| {
        on(&database).arg("explain-route").args(words).args(["--subscriber", "rich"])
    };
    let said = run(&rich_rows(&poor)).await.stdout;
    assert!(said.contains("notified  no\n") && said.contains("$.order.total"), "{said}");

    // A subscription is asked from its addition on.
    let event = register(database.pool(), r#"{"order": {"total": 250}}"#).await;
    let late = ["subscription", "add", "rich", "order:*", "--json"];
    run(&on(&database).args(late)).await.json();
    let answer = run(&rich(&["--event", &event])).await.json();
    assert_eq!(answer["notified"], true);
    assert_eq!(answer["subscriptions"][1]["in_time"], false);

    run(&rich(&["order:placed", "--tenant", "t9"])).await.refused(3, "there is no subscriber");
    run(&on(&database).args(["subscriber", "pause", "rich"])).await;
    let said = run(&rich_rows(&["order:paid"])).await.stdout;
    assert!(said.contains("paused: its deliveries wait"), "{said}");
    assert!(said.contains("does not cover it") && said.contains("matches"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_explained_says_what_to_do() {
    let database = with_filter().await;
    let ran = run(&explain(&database, &["order:palced"])).await;
    ran.refused(3, "there is no event type `order:palced`");
    assert!(ran.stderr.contains("the catalogue has order:paid, order:placed"), "{ran:?}");
    let ran = run(&explain(&database, &["order:placed", "--payload", "{"])).await;
    ran.refused(4, "give JSON, @FILE, or - for standard input");
    let gone = "0192f0c1-0000-7000-8000-000000000000";
    run(&explain(&database, &["--event", gone])).await.refused(3, "there is no event");
    run(&explain(&database, &[])).await.refused(2, "required");
}
