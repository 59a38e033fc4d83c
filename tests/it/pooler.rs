//! The harness's pooler is a real one: sessions are shared between transactions, and an application registers behind it.

use std::{collections::BTreeSet, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{
    Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tidings::{Event, catalogue, commit, deliverer::Memory, register_event, register_events};
use tidings_ownership::BEGIN_POOLED;
use tidings_tests::{Database, Pooler, World, find_pgbouncer};
use uuid::Uuid;

/// How an application begins a transaction behind a pooler, in the words of `events/README.md`.
const BEGIN: &str = "begin; deallocate all";

/// An order has been placed.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct OrderPlaced {
    order: i32,
}

#[tokio::test]
async fn transaction_runs_through_the_pooler() {
    let database = Database::new().await;
    let pooler = Pooler::start(&database, 2).await;
    let mut conn = PgConnection::connect(&pooler.url()).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    let row = sqlx::query("select current_database()::text, $1::int + 1")
        .persistent(false)
        .bind(41)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), database.name());
    assert_eq!(row.get::<i32, _>(1), 42);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn clients_share_sessions_and_wait_for_a_free_one() {
    let database = Database::new().await;
    let pooler = Pooler::start(&database, 1).await;
    let mut first = PgConnection::connect(&pooler.url()).await.unwrap();
    let mut second = PgConnection::connect(&pooler.url()).await.unwrap();
    let mut tx = first.begin().await.unwrap();
    let one = session(&mut tx).await;
    let mut begin = Box::pin(second.begin());
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut begin).await;
    assert!(waited.is_err(), "the only session is taken");
    tx.commit().await.unwrap();
    let mut tx = begin.await.unwrap();
    assert_eq!(session(&mut tx).await, one, "two clients, one session");
}

#[test]
fn missing_pgbouncer_names_the_package() {
    let advice = find_pgbouncer(&[]).unwrap_err();
    assert!(advice.contains("Debian, Ubuntu: apt-get install pgbouncer"), "{advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applications_register_through_one_session_of_the_pooler_and_everything_arrives() {
    assert_eq!(BEGIN, BEGIN_POOLED, "what the worker does is what applications are told to do");
    let world = World::new(&[]).await;
    world.subscriber("one", "order:placed").await;
    world.execute("create table placed (order_id int)").await;
    let pooler = Pooler::start(&world.database, 1).await;
    // Both at once: their transactions take turns on the one session, where each finds names of statements that the
    // other has used.
    let (one, two) = tokio::join!(run_application(&pooler), run_application(&pooler));
    assert_eq!(one.sessions.union(&two.sessions).count(), 1, "two applications, one session");
    let mut registered: Vec<Uuid> = one.events.into_iter().chain(two.events).collect();
    assert_eq!(registered.len(), 60, "three events in each of twenty transactions");
    assert_eq!(world.value::<i64>("select count(*) from placed").await, 20);

    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let deliveries = memory.deliveries();
    let mut delivered: Vec<Uuid> =
        deliveries.iter().map(|delivery| delivery.event.event_id).collect();
    registered.sort_unstable();
    delivered.sort_unstable();
    assert_eq!(delivered, registered);
}

/// What an application has registered, and through which sessions of the server.
#[derive(Default)]
struct Registered {
    events: Vec<Uuid>,
    sessions: BTreeSet<i32>,
}

/// Runs an application with a pool of its own, which syncs its catalogue and then registers in ten transactions.
async fn run_application(pooler: &Pooler) -> Registered {
    let options: PgConnectOptions = pooler.url().parse().unwrap();
    let options = options.statement_cache_capacity(0);
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
    let mut tx = pool.begin_with(BEGIN).await.unwrap();
    catalogue![OrderPlaced].unwrap().sync(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    let mut registered = Registered::default();
    for order in 0..10 {
        let mut tx = pool.begin_with(BEGIN).await.unwrap();
        registered.sessions.insert(session(&mut tx).await);
        let insert = sqlx::query("insert into placed (order_id) values ($1)").bind(order);
        insert.execute(&mut *tx).await.unwrap();
        let event = OrderPlaced { order };
        let one = register_event(&mut tx, &event).await.unwrap();
        let more = register_events(&mut tx, &[&event, &event]).await.unwrap();
        registered.events.extend([one].iter().chain(&more).map(|event| event.event_id));
        commit(tx).await.unwrap();
    }
    registered
}

async fn session(conn: &mut PgConnection) -> i32 {
    let query = sqlx::query_scalar("select pg_backend_pid()").persistent(false);
    query.fetch_one(conn).await.unwrap()
}
