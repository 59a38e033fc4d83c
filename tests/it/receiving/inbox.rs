//! The inbox: whoever commits a message's id has acted on it, and nobody else has.

use std::time::Duration;

use sqlx::PgPool;
use tidings_receiver::inbox;
use tidings_tests::{Database, SOON, eventually};
use tokio::task::JoinSet;

/// A database of a consumer, with the inbox in it and nothing of ours.
async fn database() -> Database {
    let database = Database::blank().await;
    inbox::create(&mut database.connect().await).await.unwrap();
    database
}

/// Waits until as many sessions of the database wait for a lock.
async fn waiting(pool: &PgPool, sessions: i64) {
    let query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually(SOON, "sessions wait for the first", async || {
        let count: i64 = sqlx::query_scalar(query).fetch_one(pool).await.unwrap();
        (count == sessions).then_some(())
    })
    .await;
}

#[tokio::test]
async fn message_is_new_once_for_each_consumer() {
    let database = database().await;
    let mut tx = database.pool().begin().await.unwrap();
    assert!(inbox::once(&mut tx, "m1").await.unwrap());
    assert!(!inbox::once(&mut tx, "m1").await.unwrap(), "in the same transaction");
    tx.commit().await.unwrap();
    let mut tx = database.pool().begin().await.unwrap();
    assert!(!inbox::once(&mut tx, "m1").await.unwrap(), "in a later one");
    assert!(inbox::once(&mut tx, "m2").await.unwrap());
    assert!(inbox::once_for(&mut tx, "billing", "m1").await.unwrap());
    assert!(!inbox::once_for(&mut tx, "billing", "m1").await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn transaction_that_rolls_back_has_not_taken_the_message() {
    let database = database().await;
    let mut tx = database.pool().begin().await.unwrap();
    assert!(inbox::once(&mut tx, "m1").await.unwrap());
    tx.rollback().await.unwrap();
    let mut tx = database.pool().begin().await.unwrap();
    assert!(inbox::once(&mut tx, "m1").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn second_transaction_waits_for_the_first_and_goes_by_its_end() {
    let database = database().await;
    for commits in [true, false] {
        let id = if commits { "committed" } else { "rolled back" };
        let pool = database.pool().clone();
        let mut first = pool.begin().await.unwrap();
        assert!(inbox::once(&mut first, id).await.unwrap());
        let second = tokio::spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            let is_first = inbox::once(&mut tx, id).await.unwrap();
            tx.commit().await.unwrap();
            is_first
        });
        waiting(database.pool(), 1).await;
        if commits {
            first.commit().await.unwrap();
        } else {
            first.rollback().await.unwrap();
        }
        assert_eq!(second.await.unwrap(), !commits, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_transactions_at_the_same_time_acts() {
    let database = database().await;
    sqlx::query("create table invoice (n int)").execute(database.pool()).await.unwrap();
    // The first holds the others up until all of them are there, and is gone then, like a process that was killed.
    let mut gone = database.pool().begin().await.unwrap();
    assert!(inbox::once(&mut gone, "m1").await.unwrap());
    let mut handlers = JoinSet::new();
    for n in 0..12 {
        let pool = database.pool().clone();
        handlers.spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            if inbox::once(&mut tx, "m1").await.unwrap() {
                let insert = "insert into invoice values ($1)";
                sqlx::query(insert).bind(n).execute(&mut *tx).await.unwrap();
            }
            tx.commit().await.unwrap();
        });
    }
    waiting(database.pool(), 12).await;
    drop(gone);
    handlers.join_all().await;
    let invoices: i64 = sqlx::query_scalar("select count(*) from invoice")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(invoices, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_serializable_transaction_is_told_to_try_again() {
    let database = database().await;
    let pool = database.pool().clone();
    let mut first = pool.begin().await.unwrap();
    assert!(inbox::once(&mut first, "m1").await.unwrap());
    let second = tokio::spawn(async move {
        let mut tx = pool.begin_with("begin isolation level serializable").await.unwrap();
        inbox::once(&mut tx, "m1").await.unwrap_err()
    });
    waiting(database.pool(), 1).await;
    first.commit().await.unwrap();
    let error = second.await.unwrap();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "40001", "{error}");
}

#[tokio::test]
async fn pruning_forgets_what_is_older_and_nothing_else() {
    let database = database().await;
    let mut tx = database.pool().begin().await.unwrap();
    for id in ["old", "young"] {
        assert!(inbox::once(&mut tx, id).await.unwrap());
    }
    sqlx::query("update webhook_inbox set received_at = now() - interval '91 days' where webhook_id = 'old'")
        .execute(&mut *tx)
        .await
        .unwrap();
    let days = |days: u64| Duration::from_hours(24 * days);
    assert_eq!(inbox::prune(&mut tx, days(92)).await.unwrap(), 0);
    assert_eq!(inbox::prune(&mut tx, days(90)).await.unwrap(), 1);
    assert!(inbox::once(&mut tx, "old").await.unwrap());
    assert!(!inbox::once(&mut tx, "young").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_together_all_find_the_inbox_made() {
    let database = Database::blank().await;
    let mut starting = JoinSet::new();
    for _ in 0..12 {
        let mut conn = database.connect().await;
        starting.spawn(async move { inbox::create(&mut conn).await.unwrap() });
    }
    starting.join_all().await;
    let mut tx = database.pool().begin().await.unwrap();
    inbox::create(&mut tx).await.unwrap();
    assert!(inbox::once(&mut tx, "m1").await.unwrap(), "in the application's transaction as well");
    tx.rollback().await.unwrap();
}
