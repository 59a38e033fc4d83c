//! Acts on every message once, although it may come several times.
//!
//! Senders deliver at least once: an answer that gets lost, or a crash between the delivery and its settlement, brings the
//! message again, under the same id. A handler that records the id in the transaction in which it acts cannot act twice:
//!
//! ```rust,no_run
//! use sqlx::PgPool;
//! use tidings_receiver::inbox;
//!
//! # struct Order { number: i64 }
//! async fn take(pool: &PgPool, id: &str, order: &Order) -> sqlx::Result<()> {
//!     let mut tx = pool.begin().await?;
//!     if inbox::once(&mut tx, id).await? {
//!         sqlx::query("insert into invoice (order_number) values ($1)")
//!             .bind(order.number)
//!             .execute(&mut *tx)
//!             .await?;
//!     }
//!     // Both, or neither. Answer 2xx only after this.
//!     tx.commit().await
//! }
//! ```
//!
//! What it guarantees, for what the handler does **in that transaction**: of all transactions with the same id that commit, one
//! was told `true`. One that rolls back leaves nothing, so the next one is the first again. A second one that comes while the
//! first is open waits for it, and goes by how it ends: `false` after a commit, `true` after a rollback. In `repeatable read` and
//! `serializable`, the second one gets a serialization failure (40001) instead of `false`; answer 503, and the sender tries again.
//!
//! What it does not: an e-mail or a request to somebody else is not in the transaction. Do that later, from a row which the
//! transaction has written. And once [`prune`] has removed an id, its message would be taken again.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, PgTransaction};

/// The consumer of [`once`], for applications that have one.
const DEFAULT_CONSUMER: &str = "";

/// What [`create`] locks: a number that nobody else in the database uses, drawn once.
const CREATE_LOCK: i64 = 7_242_911_603_558_134_027;

/// The table, for an application that keeps its own migrations; [`create`] runs it.
///
/// It names no schema, so the table comes to be where the application's search path begins.
pub const CREATE: &str = "\
create table if not exists webhook_inbox (
  consumer text not null default '',
  webhook_id text not null,
  received_at timestamptz not null default now(),
  primary key (consumer, webhook_id)
)";

/// Makes the table, unless it is there.
///
/// # Errors
///
/// The role may not create tables, or the database does not answer.
pub async fn create(conn: &mut PgConnection) -> sqlx::Result<()> {
    // Two processes that start at the same time would both see no table, and one of them would fail. Statements in one message
    // are one transaction, so the lock is held until the table is there.
    let statements = format!("select pg_advisory_xact_lock({CREATE_LOCK}); {CREATE}");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(conn).await.map(|_| ())
}

/// Records the id of a message in the caller's transaction, and says whether this is the first time.
///
/// Call it before anything else in the transaction: a second one with the same id waits here for the first to end.
///
/// # Errors
///
/// The table is not there, or the database does not answer. Roll back, and answer 503.
pub async fn once(tx: &mut PgTransaction<'_>, webhook_id: &str) -> sqlx::Result<bool> {
    once_for(tx, DEFAULT_CONSUMER, webhook_id).await
}

/// Does the same for one of several consumers in one database, each of which acts on a message once.
///
/// An event has one id, whoever gets it: two endpoints that subscribe to the same events, or two senders, are two consumers.
///
/// # Errors
///
/// Those of [`once`].
pub async fn once_for(
    tx: &mut PgTransaction<'_>,
    consumer: &str,
    webhook_id: &str,
) -> sqlx::Result<bool> {
    let query =
        "insert into webhook_inbox (consumer, webhook_id) values ($1, $2) on conflict do nothing";
    let inserted = sqlx::query(query).bind(consumer).bind(webhook_id).execute(&mut **tx).await?;
    Ok(inserted.rows_affected() == 1)
}

/// Removes the ids of messages that came longer ago than `older_than`, and returns how many.
///
/// Keep them for longer than the sender may try, and than somebody may send again by hand: Tidings gives up after about three days
/// and keeps dead letters for 90, each unless it is set otherwise. Run it once a day; it reads the whole table.
///
/// # Errors
///
/// The table is not there, or the database does not answer.
pub async fn prune(conn: &mut PgConnection, older_than: Duration) -> sqlx::Result<u64> {
    let query = "delete from webhook_inbox where received_at < now() - $1 * interval '1 second'";
    let deleted = sqlx::query(query).bind(older_than.as_secs_f64()).execute(conn).await?;
    Ok(deleted.rows_affected())
}
