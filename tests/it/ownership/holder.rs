//! The task that holds: shares, takes over, leaves, and learns that it was declared dead.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use sqlx::PgPool;
use tidings_ownership::{Options, Session};
use tidings_tests::{Database, Kind, Pooler, Proxy, SOON, Server, eventually, signal::watched};
use uuid::Uuid;

use super::{
    GROUP, SHARDS, Worker,
    hold::{Ask, hold},
    owned_by, owners, workers,
};

/// What the design promises for workers on sessions of their own.
const TAKEOVER_MAX: Duration = Duration::from_secs(3);

/// A lease for tests that wait for its end.
const LEASE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn three_workers_share_the_shards_and_leave_them_where_they_are() {
    let database = Database::new().await;
    let first = Worker::join(&database.url()).await;
    first.has(SHARDS, SOON).await;
    let all = [first, Worker::join(&database.url()).await, Worker::join(&database.url()).await];
    eventually(SOON, "the shares are within one of each other", async || {
        let mut shares = all.each_ref().map(|worker| worker.terms().len());
        shares.sort_unstable();
        (shares == [21, 21, 22]).then_some(())
    })
    .await;

    let before = owners(database.pool()).await;
    join_all(all.iter().map(|worker| worker.holds(6))).await;
    assert_eq!(owners(database.pool()).await, before, "shards move at rest");
    for (shard, (owner, term)) in before {
        let believed: Vec<_> = all
            .iter()
            .filter_map(|worker| Some((worker.id(), *worker.terms().get(&shard)?)))
            .collect();
        assert_eq!(believed, [(owner.unwrap(), term)], "shard {shard}");
    }
}

#[tokio::test]
async fn worker_whose_session_is_gone_is_taken_over_within_three_seconds() {
    let database = Database::new().await;
    let mut first = Worker::join(&database.url()).await;
    let second = Worker::join(&database.url()).await;
    second.has(SHARDS / 2, SOON).await;
    let before = owners(database.pool()).await;
    first.die().await;
    let after = owned_by(database.pool(), second.id(), TAKEOVER_MAX).await;
    for (shard, term) in after {
        let (owner, old) = before[&shard];
        assert_eq!(term, old + i64::from(owner != Some(second.id())), "shard {shard}");
    }
}

#[tokio::test]
async fn worker_whose_session_is_terminated_again_and_again_keeps_what_it_owns() {
    let database = Database::new().await;
    let (first, second) =
        (Worker::join(&database.url()).await, Worker::join(&database.url()).await);
    first.has(SHARDS / 2, SOON).await;
    second.has(SHARDS / 2, SOON).await;
    let (id, terms) = (first.id(), first.terms());
    for _ in 0..3 {
        let pid = session_of(database.pool(), id).await;
        sqlx::query("select pg_terminate_backend($1)")
            .bind(pid)
            .execute(database.pool())
            .await
            .unwrap();
        eventually(SOON, "the worker has held on a new session", async || {
            (session_of(database.pool(), id).await != pid).then_some(())
        })
        .await;
    }
    second.holds(4).await;
    first.holds(1).await;
    assert_eq!((first.id(), first.terms()), (id, terms));
}

#[tokio::test]
async fn worker_behind_a_pooler_is_taken_over_when_its_lease_is_over() {
    let database = Database::new().await;
    let pooler = Pooler::start(&database, 3).await;
    let mut first = Worker::join_pooled(&pooler.url(), LEASE).await;
    let second = Worker::join_pooled(&pooler.url(), LEASE).await;
    second.has(SHARDS / 2, SOON).await;
    first.die().await;
    let died = Instant::now();
    let expires_at = time_of(database.pool(), "expires_at", first.id()).await;
    owned_by(database.pool(), second.id(), SOON).await;
    // The lease, one hold of a quarter of it, and what a busy machine takes.
    assert!(died.elapsed() < LEASE * 2, "took {:?}", died.elapsed());
    assert!(taken_at(database.pool(), &first).await > expires_at, "the lease was not over");
}

#[tokio::test]
async fn worker_that_is_cut_off_trusts_itself_no_longer_when_it_is_taken_over() {
    let database = Database::new().await;
    let proxy = Proxy::start(database.server().address().port).await;
    let first = Worker::join(&proxy.url(&database.url())).await;
    let second = Worker::join(&database.url()).await;
    second.has(SHARDS / 2, SOON).await;
    first.has(SHARDS / 2, SOON).await;
    let old = first.holdings();
    proxy.refuse();
    let seen_at = time_of(database.pool(), "seen_at", old.worker_id).await;
    second.has(SHARDS, TAKEOVER_MAX).await;
    assert!(!first.holdings().is_trusted(tokio::time::Instant::now()));
    let waited = taken_at(database.pool(), &first).await - seen_at;
    assert!(waited > TimeDelta::milliseconds(1500), "it may still have trusted itself: {waited}");

    proxy.accept();
    let seen = watched(first.holdings.clone(), SOON, "the worker has joined anew", |holdings| {
        holdings.worker_id != old.worker_id
    })
    .await;
    assert!(seen.epoch > old.epoch);
    first.has(SHARDS / 2, SOON).await;
    second.has(SHARDS / 2, SOON).await;
}

#[tokio::test]
async fn worker_that_was_declared_dead_comes_back_as_somebody_else_with_nothing_of_the_old_terms() {
    let database = Database::new().await;
    let first = Worker::join(&database.url()).await;
    let (old, terms) = (first.holdings(), first.terms());
    assert_eq!(terms.len(), SHARDS);

    // In one transaction, so that the worker cannot renew its lease in between.
    let mut tx = database.pool().begin().await.unwrap();
    sqlx::query("update tidings.worker set expires_at = '-infinity'")
        .execute(&mut *tx)
        .await
        .unwrap();
    let heir = Ask { lease_ms: 1000, ..Ask::joining(&[GROUP]) };
    assert_eq!(hold(&mut tx, &heir).await.len(), SHARDS);
    tx.commit().await.unwrap();

    let seen = watched(first.holdings.clone(), SOON, "the worker has joined anew", |holdings| {
        holdings.worker_id != old.worker_id
    })
    .await;
    assert!(seen.epoch > old.epoch);
    let anew = seen.shards.iter().all(|(id, state)| state.term > terms[&id.shard]);
    assert!(anew, "{seen:?}");
    // The heir never holds again.
    for (shard, term) in owned_by(database.pool(), first.id(), SOON).await {
        assert_eq!(term, terms[&shard] + 2, "shard {shard}");
    }
}

#[tokio::test]
async fn worker_that_drains_gives_everything_back_and_leaves_no_row() {
    let database = Database::new().await;
    let mut first = Worker::join(&database.url()).await;
    let second = Worker::join(&database.url()).await;
    second.has(SHARDS / 2, SOON).await;
    let id = first.id();
    first.drain.cancel();
    tokio::time::timeout(SOON, &mut first.task).await.unwrap().unwrap();
    assert!(first.holdings().shards.is_empty());
    assert!(!workers(database.pool()).await.contains(&id));
    second.holds(2).await;
    second.has(SHARDS, Duration::ZERO).await;
    let deaths: i64 = sqlx::query_scalar("select sum(deaths) from tidings.shard")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(deaths, 0, "nobody has died");
}

#[tokio::test]
async fn only_worker_that_drains_leaves_everything_free() {
    let database = Database::new().await;
    let mut only = Worker::join(&database.url()).await;
    only.drain.cancel();
    tokio::time::timeout(SOON, &mut only.task).await.unwrap().unwrap();
    assert!(workers(database.pool()).await.is_empty());
    assert!(owners(database.pool()).await.values().all(|(owner, _)| owner.is_none()));
}

#[tokio::test]
async fn restart_of_the_server_begins_a_new_epoch_and_moves_nothing() {
    let server = Arc::new(Server::start(Kind::Durable).await);
    let database = Database::on(&server).await;
    let worker = Worker::join(&database.url()).await;
    let (before, terms) = (worker.holdings(), worker.terms());
    server.crash().await;
    server.start_again().await;
    let after = watched(worker.holdings.clone(), SOON, "the epoch has grown", |holdings| {
        holdings.epoch > before.epoch
    })
    .await;
    assert_eq!(after.worker_id, before.worker_id);
    assert_eq!(worker.terms(), terms);
}

#[tokio::test]
async fn clock_that_was_set_back_begins_a_new_epoch() {
    let database = Database::new().await;
    distort(database.pool()).await;
    let worker = Worker::join(&database.url()).await;
    worker.holds(2).await;
    assert_eq!(worker.holdings().epoch, 0, "a clock that runs on is no reason");
    sqlx::query("update tidings.distortion set clock = interval '-1 hour'")
        .execute(database.pool())
        .await
        .unwrap();
    worker.holds(2).await;
    assert_eq!(worker.holdings().epoch, 1);
    worker.holds(2).await;
    assert_eq!(worker.holdings().epoch, 1, "once");
}

#[tokio::test]
async fn session_that_changes_under_an_unbroken_connection_is_not_relied_upon() {
    let database = Database::new().await;
    distort(database.pool()).await;
    let worker = Worker::join(&database.url()).await;
    worker.holds(2).await;
    assert_ne!(session_of(database.pool(), worker.id()).await, None);
    sqlx::query("update tidings.distortion set pid = 1").execute(database.pool()).await.unwrap();
    let mut holdings = worker.holdings.clone();
    loop {
        holdings.changed().await.unwrap();
        let trust = holdings.borrow_and_update().trusted_until - tokio::time::Instant::now();
        // Longer than others wait who judge by the session.
        if trust > Duration::from_millis(1500) {
            break;
        }
    }
    assert_eq!(session_of(database.pool(), worker.id()).await, None);
}

#[tokio::test]
async fn pooler_that_nobody_told_us_of_is_noticed() {
    let database = Database::new().await;
    let pooler = Pooler::start(&database, 2).await;
    let all = [
        Worker::join(&pooler.url()).await,
        Worker::join(&pooler.url()).await,
        Worker::join(&pooler.url()).await,
    ];
    eventually(SOON, "all hold as behind a pooler and share", async || {
        let query = "select count(*) from tidings.worker where session_pid is null";
        let pooled: i64 = sqlx::query_scalar(query).fetch_one(database.pool()).await.unwrap();
        let shared = all.iter().all(|worker| (21..=22).contains(&worker.terms().len()));
        (pooled == 3 && shared).then_some(())
    })
    .await;
}

#[tokio::test]
async fn missing_schema_is_an_error_that_says_what_to_do() {
    let database = Database::blank().await;
    let options = Options { session: Session::Direct, ..Options::new(vec![GROUP.to_owned()]) };
    let (drain, stop) = Default::default();
    let error =
        tidings_ownership::Holder::spawn(database.url().parse().unwrap(), options, drain, stop)
            .await
            .unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(
        error.to_string(),
        "hold shards: the schema is missing or too old; run `tidings migrate`"
    );
}

/// Reads a time of a worker's row.
async fn time_of(pool: &PgPool, column: &str, worker: Uuid) -> DateTime<Utc> {
    let query =
        "select (to_jsonb(w) ->> $1)::timestamptz from tidings.worker w where worker_id = $2";
    sqlx::query_scalar(query).bind(column).bind(worker).fetch_one(pool).await.unwrap()
}

/// Reads when the first shard was taken of those that a worker had.
async fn taken_at(pool: &PgPool, worker: &Worker) -> DateTime<Utc> {
    let shards: Vec<i16> = worker.terms().into_keys().collect();
    let query = "select min(taken_at) from tidings.shard where group_name = $1 and shard = any($2)";
    sqlx::query_scalar(query).bind(GROUP).bind(shards).fetch_one(pool).await.unwrap()
}

/// Reads the session of the worker's last hold.
async fn session_of(pool: &PgPool, worker: Uuid) -> Option<i32> {
    let query = "select session_pid from tidings.worker where worker_id = $1";
    sqlx::query_scalar(query).bind(worker).fetch_one(pool).await.unwrap()
}

/// Puts a function before `hold_v1` that answers with another clock and another session, as a table says.
async fn distort(pool: &PgPool) {
    sqlx::raw_sql(
        "create table tidings.distortion as select interval '0' as clock, 0 as pid;
         do $$
         declare
           v_hold regprocedure;
           v_parameters text;
           v_result text;
           v_passed text;
         begin
           select p.oid, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
             (select string_agg('$' || n, ', ') from generate_series(1, p.pronargs) n)
           into v_hold, v_parameters, v_result, v_passed
           from pg_proc p where p.proname = 'hold_v1';
           execute format('alter function %s rename to hold_undistorted', v_hold);
           execute format('create function tidings.hold_v1(%s) returns %s language sql as %L', v_parameters, v_result,
             'select h.alive, h.read_at + d.clock, h.xid, h.horizon, h.started_at, h.session_pid + d.pid, h.group_name,
                h.shard, h.term, h.deaths, h.config_version, h.give_up
              from tidings.distortion d, tidings.hold_undistorted(' || v_passed || ') h');
         end
         $$",
    )
    .execute(pool)
    .await
    .unwrap();
}
