//! Clients that stand still, and transactions that stay open: nobody else waits for them.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tidings_ownership::Options;
use tidings_tests::{
    Database, Draft, Proxy, SOON, World,
    clock::advance_leases,
    eventually,
    world::owner::{Owner, Reading},
};

use super::{
    GROUP, SHARDS, Worker,
    hold::{Ask, hold},
    owned_by,
};

const TYPE: &str = "item:changed";

/// An application that changes a subscriber, adds another, and has not committed yet.
const EDIT: &str = "
    insert into tidings.subscriber (name, kind, shard) values ('new', 'webhook', 7);
    update tidings.subscriber set paused_at = now() where name = 'old'";

#[tokio::test]
async fn open_edit_of_a_subscriber_holds_up_no_takeover() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    add_subscriber(&mut conn).await;
    hold(&mut conn, &Ask { pooled: true, ..Ask::joining(&[GROUP]) }).await;
    advance_leases(database.pool(), Duration::from_mins(1)).await;

    let mut tx = conn.begin().await.unwrap();
    sqlx::raw_sql(EDIT).execute(&mut *tx).await.unwrap();
    let worker = Worker::join(&database.url()).await;
    worker.has(SHARDS, SOON).await;
    tx.commit().await.unwrap();
    worker.holds(1).await;
    let versions: Vec<i64> =
        worker.holdings().shards.values().map(|state| state.config_version).collect();
    assert_eq!(versions.iter().filter(|version| **version > 0).count(), 1, "the owner is told");
}

#[tokio::test]
async fn open_edit_of_a_subscriber_holds_up_no_release() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    add_subscriber(&mut conn).await;
    let first = Worker::join(&database.url()).await;
    let mut tx = conn.begin().await.unwrap();
    sqlx::raw_sql(EDIT).execute(&mut *tx).await.unwrap();
    let second = Worker::join(&database.url()).await;
    second.has(SHARDS / 2, SOON).await;
    first.has(SHARDS / 2, SOON).await;
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn client_behind_a_pooler_that_stops_before_its_commit_is_taken_over() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    let stopped = Ask { pooled: true, lease_ms: 1000, ..Ask::joining(&[GROUP]) };
    hold(&mut conn, &stopped).await;
    let mut tx = conn.begin().await.unwrap();
    assert_eq!(hold(&mut tx, &stopped.again()).await.len(), SHARDS);
    let worker = Worker::join(&database.url()).await;
    owned_by(database.pool(), worker.id(), SOON).await;
    sqlx::query("select").execute(&mut *tx).await.unwrap_err();
}

#[tokio::test]
async fn stopped_client_with_a_large_answer_in_its_socket_holds_up_no_takeover() {
    let world = World::on(Database::new().await, &[TYPE]).await;
    let lane = world.subscriber("lane", TYPE).await;
    let payload = json!({"text": "x".repeat(1_000_000)});
    for _ in 0..6 {
        world.register(Draft { payload: payload.clone(), ..Draft::new(TYPE) }).await;
    }
    let proxy = Proxy::start(world.database.server().address().port).await;
    let mut conn = PgConnection::connect(&proxy.url(&world.database.url())).await.unwrap();
    let owner = Owner::take(&world.pool).await;
    let pid = live_on(&mut conn).await;

    // The call is held up in the database until nobody reads its answer any more.
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::query("lock table tidings.event").execute(&mut *tx).await.unwrap();
    let stopped = tokio::spawn(async move {
        let worked = owner.fetch(&mut conn, &[Reading::all(lane)]).await;
        (owner, conn, worked)
    });
    wait_for(&world, pid, "relation").await;
    proxy.stall();
    tx.rollback().await.unwrap();
    wait_for(&world, pid, "ClientWrite").await;

    let worker =
        Worker::join_with(&world.database.url(), Options::new(vec!["memory".to_owned()])).await;
    worker.has(16, SOON).await;
    assert!(!stopped.is_finished());

    proxy.resume();
    let (owner, mut conn, worked) = stopped.await.unwrap();
    assert!(!worked.rows.is_empty());
    let settlements: Vec<_> = worked.rows.iter().map(|row| row.settled("delivered")).collect();
    let summary = owner.settle(&mut conn, &settlements).await;
    assert_eq!(summary.lost.len(), worked.rows.len(), "{summary:?}");
    assert_eq!(world.pending().await, 6);
}

async fn add_subscriber(conn: &mut PgConnection) {
    let insert = "insert into tidings.subscriber (name, kind, shard) values ('old', 'webhook', 63)";
    sqlx::query(insert).execute(conn).await.unwrap();
}

/// Makes a row for the owner of the kind `memory`, as if this session had just held, with a lease of a second.
async fn live_on(conn: &mut PgConnection) -> i32 {
    sqlx::query_scalar(
        "insert into tidings.worker (worker_id, host, pid, session_pid, session_started_at, joined_at, seen_at, expires_at, groups)
         select distinct s.worker_id, '', 1, a.pid, a.backend_start, t, t, t + interval '1 second', array['memory']
         from tidings.shard s, pg_stat_activity a, clock_timestamp() t
         where s.group_name = 'memory' and a.pid = pg_backend_pid()
         returning session_pid",
    )
    .fetch_one(conn)
    .await
    .unwrap()
}

/// Waits until a session waits for this.
async fn wait_for(world: &World, pid: i32, event: &str) {
    let query = "select wait_event = $2 from pg_stat_activity where pid = $1";
    eventually(SOON, event, async || {
        let waits: Option<bool> =
            sqlx::query_scalar(query).bind(pid).bind(event).fetch_one(&world.pool).await.unwrap();
        (waits == Some(true)).then_some(())
    })
    .await;
}
