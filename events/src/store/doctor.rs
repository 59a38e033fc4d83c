//! What the doctor reads. Nothing here writes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Error, Result, doctor::Called};

/// How the server is set up.
#[derive(Debug)]
pub(crate) struct ServerRow {
    pub(crate) read_only: bool,
    /// Settings that are off and should not be.
    pub(crate) reckless: Vec<String>,
    pub(crate) synchronous_commit: String,
    pub(crate) autovacuum: bool,
    pub(crate) connections_max: i32,
    pub(crate) connections: i32,
    pub(crate) hidden: i32,
    pub(crate) role: String,
    pub(crate) database: String,
}

/// A day without a partition.
#[derive(Debug)]
pub(crate) struct PartitionRow {
    pub(crate) parent: String,
    pub(crate) days_ahead: i32,
}

/// A table of ours.
#[derive(Debug)]
pub(crate) struct TableRow {
    pub(crate) name: String,
    pub(crate) age: i32,
    pub(crate) age_max: i32,
    pub(crate) dead_rows: i64,
    pub(crate) live_rows: i64,
    pub(crate) options: Vec<String>,
}

/// An index that is not as it should be.
#[derive(Debug)]
pub(crate) struct IndexRow {
    pub(crate) name: String,
    pub(crate) there: bool,
}

/// A session with an old transaction.
#[derive(Debug)]
pub(crate) struct TransactionRow {
    pub(crate) pid: i32,
    pub(crate) application: String,
    pub(crate) role: String,
    pub(crate) state: String,
    pub(crate) age_s: f64,
    pub(crate) writes: bool,
}

/// A prepared transaction.
#[derive(Debug)]
pub(crate) struct PreparedRow {
    pub(crate) gid: String,
    pub(crate) role: String,
    pub(crate) age_s: f64,
}

/// A slot that nobody reads, or a standby that looks back.
#[derive(Debug)]
pub(crate) struct ReplicaRow {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) age: Option<i32>,
    pub(crate) held_bytes: Option<i64>,
}

/// A kind, and who serves it.
#[derive(Debug)]
pub(crate) struct KindRow {
    pub(crate) kind: String,
    pub(crate) subscribers: i32,
    pub(crate) workers: i32,
    pub(crate) waiting: i32,
    pub(crate) waiting_s: Option<f64>,
}

/// A worker whose lease is over.
#[derive(Debug)]
pub(crate) struct WorkerRow {
    pub(crate) worker_id: Uuid,
    pub(crate) host: String,
    pub(crate) pid: i32,
    pub(crate) silent_s: f64,
}

/// A shard without an owner, or with one after another.
#[derive(Debug)]
pub(crate) struct ShardRow {
    pub(crate) group_name: String,
    pub(crate) shard: i16,
    pub(crate) held: bool,
    pub(crate) deaths: i16,
}

/// A lane that does not go on.
#[derive(Debug)]
pub(crate) struct LaneRow {
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) waiting_s: f64,
    pub(crate) in_flight_max: Option<i32>,
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) host: String,
    pub(crate) pid: i32,
}

/// A lane in which keys wait for nothing.
#[derive(Debug)]
pub(crate) struct ParkedRow {
    pub(crate) name: String,
    pub(crate) subscriber_id: i32,
    pub(crate) keys: i32,
}

/// A removed subscriber that still has deliveries.
#[derive(Debug)]
pub(crate) struct OrphanRow {
    pub(crate) subscriber_id: i32,
    pub(crate) name: String,
}

/// A fan-out that does not go on.
#[derive(Debug)]
pub(crate) struct ExpansionRow {
    pub(crate) event_id: Uuid,
    pub(crate) expanded: i32,
    pub(crate) waiting_s: f64,
    pub(crate) pending: bool,
}

/// A subscriber that gets nothing for now.
#[derive(Debug)]
pub(crate) struct SubscriberRow {
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) paused_s: Option<f64>,
    pub(crate) disabled_s: Option<f64>,
    pub(crate) disabled_reason: Option<String>,
    pub(crate) held_back_s: Option<f64>,
    pub(crate) open: bool,
}

/// The beginning of sealed secrets, which names their key.
#[derive(Debug)]
pub(crate) struct KeyRow {
    pub(crate) header: Vec<u8>,
    pub(crate) subscribers: i32,
    pub(crate) name: String,
}

/// A pattern that nothing matches.
#[derive(Debug)]
pub(crate) struct PatternRow {
    pub(crate) pattern: String,
    pub(crate) subscriptions: i32,
    pub(crate) name: String,
}

/// Dead letters of one subscriber and reason.
#[derive(Debug)]
pub(crate) struct DeadRow {
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) count: i32,
}

pub(crate) async fn server(conn: &mut PgConnection) -> Result<ServerRow> {
    sqlx::query_file_as!(ServerRow, "src/queries/doctor_server.sql")
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("examine the server"))
}

pub(crate) async fn clock(conn: &mut PgConnection) -> Result<DateTime<Utc>> {
    sqlx::query_file_scalar!("src/queries/doctor_clock.sql")
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("read the clock of the database"))
}

pub(crate) async fn partitions(
    conn: &mut PgConnection,
    days_ahead: i32,
) -> Result<Vec<PartitionRow>> {
    sqlx::query_file_as!(PartitionRow, "src/queries/doctor_partitions.sql", days_ahead)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the partitions"))
}

pub(crate) async fn tables(conn: &mut PgConnection) -> Result<Vec<TableRow>> {
    sqlx::query_file_as!(TableRow, "src/queries/doctor_tables.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the tables"))
}

pub(crate) async fn indexes(conn: &mut PgConnection, names: &[String]) -> Result<Vec<IndexRow>> {
    sqlx::query_file_as!(IndexRow, "src/queries/doctor_indexes.sql", names)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the indexes"))
}

pub(crate) async fn transactions(
    conn: &mut PgConnection,
    age_s: f64,
) -> Result<Vec<TransactionRow>> {
    sqlx::query_file_as!(TransactionRow, "src/queries/doctor_transactions.sql", age_s)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the open transactions"))
}

pub(crate) async fn prepared(conn: &mut PgConnection, age_s: f64) -> Result<Vec<PreparedRow>> {
    sqlx::query_file_as!(PreparedRow, "src/queries/doctor_prepared.sql", age_s)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the prepared transactions"))
}

pub(crate) async fn replicas(conn: &mut PgConnection, age_max: i32) -> Result<Vec<ReplicaRow>> {
    sqlx::query_file_as!(ReplicaRow, "src/queries/doctor_replicas.sql", age_max)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine what replication keeps"))
}

pub(crate) async fn kinds(conn: &mut PgConnection) -> Result<Vec<KindRow>> {
    sqlx::query_file_as!(KindRow, "src/queries/doctor_kinds.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine who serves which kind"))
}

pub(crate) async fn workers(conn: &mut PgConnection) -> Result<Vec<WorkerRow>> {
    sqlx::query_file_as!(WorkerRow, "src/queries/doctor_workers.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the workers"))
}

pub(crate) async fn shards(conn: &mut PgConnection, settled_s: f64) -> Result<Vec<ShardRow>> {
    sqlx::query_file_as!(ShardRow, "src/queries/doctor_shards.sql", settled_s)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the shards"))
}

pub(crate) async fn lanes(conn: &mut PgConnection, stuck_s: f64) -> Result<Vec<LaneRow>> {
    sqlx::query_file_as!(LaneRow, "src/queries/doctor_lanes.sql", stuck_s)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the lanes"))
}

pub(crate) async fn parked(conn: &mut PgConnection) -> Result<Vec<ParkedRow>> {
    sqlx::query_file_as!(ParkedRow, "src/queries/doctor_parked.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine what is parked"))
}

pub(crate) async fn orphans(conn: &mut PgConnection, removed_s: f64) -> Result<Vec<OrphanRow>> {
    sqlx::query_file_as!(OrphanRow, "src/queries/doctor_orphans.sql", removed_s)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine what is left of removed subscribers"))
}

pub(crate) async fn expansions(conn: &mut PgConnection, stuck_s: f64) -> Result<Vec<ExpansionRow>> {
    sqlx::query_file_as!(ExpansionRow, "src/queries/doctor_expansions.sql", stuck_s)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the large fan-outs"))
}

pub(crate) async fn subscribers(conn: &mut PgConnection) -> Result<Vec<SubscriberRow>> {
    sqlx::query_file_as!(SubscriberRow, "src/queries/doctor_subscribers.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the subscribers"))
}

pub(crate) async fn endpoints(
    conn: &mut PgConnection,
    after: i32,
    limit: i64,
) -> Result<Vec<Called>> {
    sqlx::query_file_as!(Called, "src/queries/doctor_endpoints.sql", after, limit)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("read the endpoints"))
}

pub(crate) async fn keys(conn: &mut PgConnection) -> Result<Vec<KeyRow>> {
    sqlx::query_file_as!(KeyRow, "src/queries/doctor_keys.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine under which keys secrets are sealed"))
}

pub(crate) async fn patterns(conn: &mut PgConnection) -> Result<Vec<PatternRow>> {
    sqlx::query_file_as!(PatternRow, "src/queries/doctor_patterns.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the subscriptions"))
}

pub(crate) async fn types(conn: &mut PgConnection) -> Result<Vec<String>> {
    sqlx::query_file_scalar!("src/queries/doctor_types.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("examine the event types"))
}

pub(crate) async fn dead(conn: &mut PgConnection) -> Result<Vec<DeadRow>> {
    sqlx::query_file_as!(DeadRow, "src/queries/doctor_dead.sql")
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("count the dead letters"))
}
