//! The harness's pooler is a real one: sessions are shared between transactions.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use tidings_tests::{Database, Pooler, find_pgbouncer};

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

async fn session(conn: &mut PgConnection) -> i32 {
    let query = sqlx::query_scalar("select pg_backend_pid()").persistent(false);
    query.fetch_one(conn).await.unwrap()
}
