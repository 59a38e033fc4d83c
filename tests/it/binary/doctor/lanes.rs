//! Workers, shards and deliveries that do not go on.

use tidings_tests::Database;

use super::{add, ask, make, on, register, with_hook};

/// A worker that lives and holds every shard, without a process that could put things right.
const OWNER: &str = "
    insert into tidings.worker (worker_id, host, pid, joined_at, seen_at, expires_at, groups)
    values ('00000000-0000-7000-8000-000000000001', 'here', 7, now() - interval '1 hour', now(), now() + interval '1 hour',
      '{webhook,system,maintenance}');
    update tidings.shard set worker_id = '00000000-0000-7000-8000-000000000001', term = term + 1,
      taken_at = now() - interval '1 hour' where group_name in ('webhook', 'system', 'maintenance');";

/// A database in which one delivery to `hook` waits, and a worker that holds everything and does nothing.
async fn with_owner() -> Database {
    let database = with_hook().await;
    register(database.pool(), "1").await;
    make(&database, OWNER).await;
    database
}

#[tokio::test]
async fn kind_without_a_worker_is_worse_once_something_is_due() {
    let database = with_hook().await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("workers", "warning", "kind_unserved");
    assert_eq!(what, "1 subscriber of kind `webhook` has no worker; nothing is due yet");
    assert!(cure.contains("`tidings worker`"), "{cure}");
    register(database.pool(), "1").await;
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("workers", "error", "kind_unserved");
    assert!(what.contains("deliveries have been due for"), "{what}");
    make(&database, OWNER).await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"kind_unserved"), "{report:?}");
}

#[tokio::test]
async fn dead_worker_is_named_while_nobody_has_buried_it() {
    let database = with_owner().await;
    make(&database, "update tidings.worker set expires_at = now() - interval '1 minute'").await;
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("workers", "warning", "worker_dead");
    assert!(what.contains("on here (pid 7) has not been heard of"), "{what}");
    report.found("workers", "error", "kind_unserved");
}

#[tokio::test]
async fn shards_that_nobody_holds_and_that_kill_their_owners_are_named() {
    let database = with_owner().await;
    make(
        &database,
        "update tidings.shard set worker_id = null where group_name = 'webhook' and shard in (3, 5);
         update tidings.shard set deaths = 3 where group_name = 'webhook' and shard = 8;",
    )
    .await;
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("workers", "warning", "shards_unheld");
    assert!(what.starts_with("nobody holds the shards 3, 5 of `webhook`"), "{what}");
    let (what, _) = report.found("workers", "warning", "shard_careful");
    assert!(what.starts_with("3 owners of shard 8 of `webhook` died"), "{what}");
    // Somebody has just come, and shards change hands.
    make(&database, "update tidings.worker set joined_at = now()").await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"shards_unheld"), "{report:?}");
}

#[tokio::test]
async fn delivery_that_has_been_due_for_long_under_a_live_owner_is_stuck() {
    let database = with_owner().await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"deliveries_stuck"), "it has only just come due");
    make(&database, "update tidings.delivery set due_at = now() - interval '10 minutes'").await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("lanes", "warning", "deliveries_stuck");
    let expected = "the oldest delivery to `hook` has been due for 10 min, although the worker on here (pid 7) holds its lane";
    assert_eq!(what, expected);
    assert!(cure.contains("tidings subscriber show hook"), "{cure}");
    let report = ask(on(&database), &["--stuck-after", "1h"]).await;
    assert!(!report.codes().contains(&"deliveries_stuck"), "{report:?}");
    make(&database, "update tidings.subscriber set paused_at = now() where name = 'hook'").await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"deliveries_stuck"), "somebody wants it so: {report:?}");
}

#[tokio::test]
async fn key_that_waits_for_a_head_that_is_gone_is_an_error_and_the_cure_cures() {
    let database = with_owner().await;
    make(&database, "update tidings.delivery set key_hash = 1, due_at = 'infinity'").await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("lanes", "error", "key_without_head");
    assert!(
        what.starts_with("1 ordering key waits of `hook`") || what.contains("`hook`"),
        "{what}"
    );
    make(&database, cure).await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"key_without_head"), "{report:?}");
}

#[tokio::test]
async fn deliveries_of_a_removed_subscriber_are_named_and_the_cure_cures() {
    let database = with_owner().await;
    make(
        &database,
        "update tidings.subscriber set deleted_at = now() - interval '8 days' where name = 'hook'",
    )
    .await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("lanes", "warning", "deliveries_orphaned");
    assert!(what.starts_with("the subscriber `hook`"), "{what}");
    make(&database, cure).await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"deliveries_orphaned"), "{report:?}");
}

#[tokio::test]
async fn fan_out_that_does_not_go_on_is_told_from_one_that_was_given_up() {
    let database = with_owner().await;
    make(
        &database,
        "insert into tidings.expansion (event_id, due_at, registered_at, expanded)
         select event_id, now() - interval '1 hour', now() - interval '1 hour', 5000 from tidings.event;",
    )
    .await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("lanes", "warning", "expansion_stuck");
    assert!(what.contains("has been due for 60 min and has reached 5000 subscribers"), "{what}");
    assert!(cure.starts_with("it was given up"), "{cure}");
    make(
        &database,
        "insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
         select event_id, now(), now(), 0 from tidings.event;",
    )
    .await;
    let report = ask(on(&database), &[]).await;
    let (_, cure) = report.found("lanes", "warning", "expansion_stuck");
    assert!(cure.starts_with("see whether a worker runs"), "{cure}");
}

#[tokio::test]
async fn dead_letters_are_counted_by_subscriber_and_reason() {
    let database = with_owner().await;
    add(&on(&database), "other", "https://example.com/").await;
    make(
        &database,
        "insert into tidings.dead (delivery_id, event_id, subscriber_id, attempts, first_due_at, reason, replayed_at)
         select n, gen_random_uuid(), (select subscriber_id from tidings.subscriber where name = 'other'), 10, now(),
           'exhausted', case when n = 1 then now() end
         from generate_series(1, 4) n;",
    )
    .await;
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("dead", "info", "dead_letters");
    assert_eq!(what, "3 dead letters were not replayed: 3 to `other` (exhausted)");
}
