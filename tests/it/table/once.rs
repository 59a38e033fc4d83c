//! Each event is in the table once, and what the table cannot hold stops nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use tidings_pipeline::{
    Output,
    record::Record,
    sink::{
        Hooks, Ledger, Tally,
        table::{Options, Query},
    },
};
use tidings_tests::{SOON, eventually};

use super::{FOR_EVER, SYNCTS, Stage, all, event, events, id};

/// Dies between the insert and the commit, once.
#[derive(Debug, Default)]
struct Dying {
    is_dead: AtomicBool,
}

impl Hooks for Dying {
    fn permits(&self, record: &Record) -> bool {
        Ledger.permits(record)
    }

    fn account(&self, tally: &Tally<'_>) -> Vec<Output> {
        assert!(self.is_dead.swap(true, Ordering::Relaxed), "dies on purpose");
        Ledger.account(tally)
    }
}

#[tokio::test]
async fn task_that_dies_between_insert_and_commit_leaves_no_event_twice() {
    let mut stage = Stage::new().await;
    stage.hooks = Arc::new(Dying::default());
    stage.append(events(500)).await;
    let running = stage.start();
    assert!(running.task.await.unwrap_err().is_panic());
    let before = stage.ids().await;
    assert!(!before.is_empty(), "it has died after an insert");
    let metrics = stage.drain().await;
    assert_eq!(stage.ids().await, all(500));
    let there = u64::try_from(before.len()).unwrap();
    assert_eq!(stage.ledger(), [500 - there, there, 0]);
    assert_eq!(metrics.already_there.load(Ordering::Relaxed), there);
}

#[tokio::test]
async fn event_that_was_stored_before_an_aborted_commit_is_there_once() {
    let stage = Stage::new().await;
    stage.append(events(50)).await;
    stage.log.abort_next(2);
    stage.drain().await;
    assert_eq!(stage.ids().await, all(50));
    assert_eq!(stage.ledger(), [0, 50, 0]);
}

#[tokio::test]
async fn event_that_stands_twice_in_one_batch_is_stored_once() {
    let stage = Stage::new().await;
    stage.append([event(1), event(0), event(1), event(1), event(2)]).await;
    stage.drain().await;
    assert_eq!(stage.ids().await, all(3));
    assert_eq!(stage.ledger(), [3, 2, 0]);
}

#[tokio::test]
async fn text_that_the_database_cannot_hold_is_cleaned_in_columns_and_kept_in_the_event() {
    let stage = Stage::new().await;
    let mut poison = event(0);
    poison["mid"] = json!("a\0b");
    poison["context"]["did"] = json!("\0".repeat(5000));
    poison["edata"]["pageid"] = json!("\0home \u{fffe}\u{1f600}");
    let mut long = event(1);
    long["context"]["did"] = json!("é".repeat(5000));
    stage.append([poison.clone(), long.clone()]).await;
    stage.drain().await;
    assert_eq!((stage.ids().await, stage.failed()), (all(2), vec![]));
    let query = Query { mid: Some("a\0b".to_owned()), text: "HOME".to_owned(), ..Query::default() };
    let found = stage.search(query).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].event.get(), poison.to_string(), "byte for byte");
    let device = long["context"]["did"].as_str().unwrap().to_owned();
    let found = stage.search(Query { device: Some(device), ..Query::default() }).await;
    assert_eq!(found[0].document_id, id(1));
}

#[tokio::test]
async fn poison_is_rejected_by_itself_and_stops_nothing() {
    let stage = Stage::new().await;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let nested = event(1).to_string().replace("\"view\"", &deep);
    let texts: Vec<_> = events(40)
        .enumerate()
        .map(|(number, event)| if number == 1 { nested.clone() } else { event.to_string() })
        .collect();
    // Of a kind that the database refuses, whatever we think of it.
    let refuse = "alter table tidings.telemetry_event add constraint refused check (1 / (length(eid) - 3) is not null)";
    sqlx::query(refuse).execute(stage.database.pool()).await.unwrap();
    let mut refused = event(50);
    refused["eid"] = json!("LOG");
    stage.append_texts(texts.into_iter().chain([refused.to_string()])).await;
    let metrics = stage.drain().await;
    let mut expected = all(40);
    expected.remove(1);
    assert_eq!(stage.ids().await, expected);
    assert_eq!(stage.ledger(), [39, 0, 2]);
    let mut failed = stage.failed();
    failed.sort_by_key(|(_, code)| code.clone());
    let wanted = [(refused.to_string(), "refused".to_owned()), (nested, "unreadable".to_owned())];
    assert_eq!(failed, wanted);
    assert!(metrics.split.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn database_that_refuses_for_a_while_is_waited_for() {
    let stage = Stage::new().await;
    let pool = stage.database.pool();
    let rename = "alter table tidings.telemetry_event rename to elsewhere";
    sqlx::query(rename).execute(pool).await.unwrap();
    stage.append(events(10)).await;
    let running = stage.start();
    eventually(SOON, "the sink waits", async || (running.metrics.waiting() > 0).then_some(()))
        .await;
    let back = "alter table tidings.elsewhere rename to telemetry_event";
    sqlx::query(back).execute(pool).await.unwrap();
    stage.committed().await;
    let metrics = running.stop().await;
    assert_eq!((stage.ids().await, stage.failed()), (all(10), vec![]));
    assert_eq!(metrics.waiting(), 0);
}

#[tokio::test]
async fn days_that_are_too_old_are_dropped_and_the_others_stay() {
    let mut stage = Stage::new().await;
    let now: i64 =
        sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
            .fetch_one(stage.database.pool())
            .await
            .unwrap();
    let day_ms = 86_400_000;
    let taken = [SYNCTS, SYNCTS + day_ms, now - 3 * day_ms, now - day_ms, now];
    stage
        .append(taken.iter().enumerate().map(|(number, syncts)| {
            let mut event = event(number);
            event["syncts"] = json!(syncts);
            event
        }))
        .await;
    stage.drain().await;
    assert_eq!(stage.ids().await, all(5));
    stage.options = Options { kept: std::time::Duration::from_hours(24), ..stage.options };
    assert!(stage.options.kept < FOR_EVER);
    let running = stage.start();
    eventually(SOON, "old days are dropped", async || {
        (stage.ids().await == [id(3), id(4)]).then_some(())
    })
    .await;
    running.stop().await;
    let days =
        "select count(*) from pg_inherits where inhparent = 'tidings.telemetry_event'::regclass";
    let left: i64 = sqlx::query_scalar(days).fetch_one(stage.database.pool()).await.unwrap();
    assert_eq!(left, 2);
}

#[tokio::test]
async fn two_sinks_that_store_the_same_new_days_do_not_wait_for_each_other() {
    let one = Stage::new().await;
    let spread = |number: usize| {
        let mut event = event(number);
        event["syncts"] = json!(SYNCTS + 86_400_000 * i64::try_from(number % 5).unwrap());
        event
    };
    one.append((0..400).map(spread)).await;
    let other = Stage::new().await;
    other.append((0..400).rev().map(spread)).await;
    let other = Stage { database: Arc::clone(&one.database), ..other };
    let (first, second) = tokio::join!(one.drain(), other.drain());
    assert_eq!(one.ids().await, all(400));
    let sum = one.ledger()[0] + other.ledger()[0];
    assert_eq!(sum, 400, "each was stored by one of them");
    assert_eq!(first.waiting() + second.waiting(), 0);
}
