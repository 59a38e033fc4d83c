//! What is registered, pending and given up, as people and programs see it.

use serde_json::json;
use sqlx::PgPool;
use tidings_tests::{Database, Launch};

use super::{add, on, register, run, sync_types};

/// A database with the subscriber `hook` and one event, whose one delivery nobody fetches.
async fn with_one_event() -> (Database, String) {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/").await;
    let event =
        register(database.pool(), r#"{"zebra": 1, "apple": 1.50, "text": "\u001b[31m"}"#).await;
    (database, event)
}

/// Gives the pending delivery up, as a worker would, and returns the id of the dead letter.
async fn bury(pool: &PgPool) -> i64 {
    let statement = "
        with gone as (delete from tidings.delivery returning *)
        insert into tidings.dead (delivery_id, event_id, subscriber_id, subscription_id, type, version, scope,
          occurred_at, payload, attempts, first_due_at, reason, last_status, last_error)
        select g.delivery_id, g.event_id, g.subscriber_id, g.subscription_id, e.type, e.version, e.scope,
          e.occurred_at, e.payload, 10, g.first_due_at, 'exhausted', 503, 'status 503: try later'
        from gone g join tidings.event e using (event_id) returning dead_id";
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

fn json(launch: Launch, words: &[&str]) -> Launch {
    launch.args(words).arg("--json")
}

#[tokio::test]
async fn event_is_listed_by_type_scope_and_time() {
    let (database, event) = with_one_event().await;
    let found = async |words: &[&str]| {
        let listed = run(&json(on(&database), &[&["event", "list"], words].concat())).await.json();
        let listed: Vec<_> =
            listed.as_array().unwrap().iter().map(|event| event["event_id"].clone()).collect();
        match listed.as_slice() {
            [] => false,
            [one] => one.as_str() == Some(&event),
            _ => panic!("{listed:?}"),
        }
    };
    assert!(found(&[]).await);
    assert!(found(&["--type", "order:*", "--scope", "shop=s1", "--since", "1h"]).await);
    assert!(!found(&["--type", "order:paid"]).await);
    assert!(!found(&["--scope", "shop=s2"]).await);
    assert!(!found(&["--until", "1h"]).await);
    assert!(!found(&["--since", "2100-01-01T00:00:00Z"]).await);
    assert!(!found(&["--after", &event]).await);
    let ran = run(&on(&database).args(["event", "list"])).await;
    assert!(ran.stdout.contains(&event) && ran.stdout.contains("order:placed"), "{ran:?}");
}

#[tokio::test]
async fn event_is_shown_with_its_bytes_and_what_became_of_it() {
    let (database, event) = with_one_event().await;
    let ran = run(&json(on(&database), &["event", "show", &event])).await;
    let shown = ran.json();
    assert_eq!(shown["type"], "order:placed");
    assert_eq!(shown["pending"][0]["subscriber"], "hook");
    assert_eq!(shown["attempts"], json!([]));
    // Programs get the payload as it was stored: order and numbers as they were.
    assert!(ran.stdout.contains(r#"{"zebra": 1, "apple": 1.50, "text": "\u001b[31m"}"#), "{ran:?}");
    let text = run(&on(&database).args(["event", "show", &event])).await.stdout;
    for part in [
        "order:placed version 1",
        "shop=s1",
        "Still to be delivered",
        "hook",
        "  \"zebra\": 1,\n  \"apple\": 1.50,",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[tokio::test]
async fn delivery_is_listed_shown_and_made_due() {
    let (database, event) = with_one_event().await;
    let later = "update tidings.delivery set due_at = clock_timestamp() + interval '1 hour'";
    sqlx::query(later).execute(database.pool()).await.unwrap();
    let list = async |words: &[&str]| {
        run(&json(on(&database), &[&["delivery", "list"], words].concat())).await.json()
    };
    let listed = list(&["--subscriber", "hook", "--event", &event, "--state", "waiting"]).await;
    let id = listed[0]["delivery_id"].to_string();
    assert_eq!(listed[0]["event_id"].as_str(), Some(event.as_str()));
    assert_eq!(list(&["--state", "due"]).await, json!([]));
    assert_eq!(list(&["--after", &id]).await, json!([]));
    run(&on(&database).args(["delivery", "list", "--subscriber", "nobody"]))
        .await
        .refused(3, "no subscriber");

    let shown = run(&json(on(&database), &["delivery", "show", &id])).await.json();
    assert_eq!(
        (&shown["state"], &shown["event"]["type"]),
        (&json!("waiting"), &json!("order:placed"))
    );
    let text = run(&on(&database).args(["delivery", "show", &id])).await.stdout;
    assert!(text.contains("waiting") && text.contains("(in 59m)"), "{text}");

    let retried = run(&json(on(&database), &["delivery", "retry", &id])).await.json();
    assert_eq!(retried["delivery_ids"][0].to_string(), id);
    assert_eq!(list(&["--state", "due"]).await[0]["delivery_id"].to_string(), id);
}

#[tokio::test]
async fn dead_letter_is_listed_shown_and_replayed() {
    let (database, event) = with_one_event().await;
    let dead = bury(database.pool()).await.to_string();
    let list = async |words: &[&str]| {
        run(&json(on(&database), &[&["dead", "list"], words].concat())).await.json()
    };
    let listed =
        list(&["--subscriber", "hook", "--reason", "exhausted", "--type", "order:*"]).await;
    assert_eq!(listed[0]["dead_id"].to_string(), dead);
    assert_eq!(listed[0]["last_status"], 503);
    assert_eq!(list(&["--reason", "refused"]).await, json!([]));
    let text = run(&on(&database).args(["dead", "show", &dead])).await.stdout;
    assert!(text.contains("status 503: try later") && text.contains("\"zebra\": 1"), "{text}");
    run(&json(on(&database), &["dead", "show", &dead])).await.json();

    let replayed = run(&json(on(&database), &["dead", "replay", &dead])).await.json();
    assert_eq!(replayed["replayed"], 1);
    let pending = run(&json(on(&database), &["delivery", "list", "--event", &event])).await.json();
    assert_eq!(pending[0]["delivery_id"], replayed["delivery_ids"][0]);
    assert_eq!(list(&[]).await, json!([]), "what was replayed is not listed");
    assert_eq!(list(&["--replayed"]).await[0]["dead_id"].to_string(), dead);
}

#[tokio::test]
async fn many_dead_letters_are_replayed_once_and_some_are_all_or_nothing() {
    let (database, _) = with_one_event().await;
    let mut last = bury(database.pool()).await;
    for n in 0..150 {
        register(database.pool(), &n.to_string()).await;
        last = bury(database.pool()).await;
    }
    let ids = [last.to_string(), "999999".to_owned()];
    run(&on(&database).args(["dead", "replay"]).args(&ids))
        .await
        .refused(3, "no dead letter 999999");
    let all = || json(on(&database), &["dead", "replay", "--all", "--subscriber", "hook"]);
    assert_eq!(run(&all()).await.json()["replayed"], 151);
    assert_eq!(run(&all()).await.json()["replayed"], 0);
    run(&on(&database).args(["dead", "replay"])).await.refused(2, "required");
    run(&on(&database).args(["dead", "replay", "1", "--all"]))
        .await
        .refused(2, "cannot be used with");
}
