//! The call by which shards change hands, made by hand.

use std::time::Duration;

use sqlx::{FromRow, PgConnection};
use tidings_tests::{Database, clock::advance_leases};
use uuid::Uuid;

use super::GROUP;

/// One hold.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) worker: Uuid,
    pub(super) joining: bool,
    pub(super) pooled: bool,
    pub(super) draining: bool,
    pub(super) lease_ms: i32,
    pub(super) groups: &'a [&'a str],
    /// What is given back: group, shard and term.
    pub(super) releases: Vec<(&'a str, i16, i64)>,
}

/// A row of the answer.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Row {
    pub(super) alive: bool,
    pub(super) shard: Option<i16>,
    pub(super) term: Option<i64>,
    pub(super) deaths: Option<i16>,
    pub(super) give_up: Option<bool>,
}

impl<'a> Ask<'a> {
    /// Joins under a new id, on a session of its own.
    pub(super) fn joining(groups: &'a [&'a str]) -> Self {
        Self {
            worker: Uuid::new_v4(),
            joining: true,
            pooled: false,
            draining: false,
            lease_ms: 10_000,
            groups,
            releases: Vec::new(),
        }
    }

    /// Holds again, under the same id.
    pub(super) fn again(&self) -> Self {
        Self { joining: false, ..self.clone() }
    }
}

/// Holds once.
pub(super) async fn hold(conn: &mut PgConnection, ask: &Ask<'_>) -> Vec<Row> {
    let groups: Vec<&str> = ask.releases.iter().map(|(group, _, _)| *group).collect();
    let shards: Vec<i16> = ask.releases.iter().map(|(_, shard, _)| *shard).collect();
    let terms: Vec<i64> = ask.releases.iter().map(|(_, _, term)| *term).collect();
    sqlx::query_as(
        "select alive, shard, term, deaths, give_up
         from tidings.hold_v1($1, $2, 'by hand', 1, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(ask.worker)
    .bind(ask.joining)
    .bind(ask.pooled)
    .bind(ask.draining)
    .bind(ask.lease_ms)
    .bind(ask.groups)
    .bind(groups)
    .bind(shards)
    .bind(terms)
    .fetch_all(conn)
    .await
    .unwrap()
}

#[tokio::test]
async fn deaths_count_owners_in_a_row_that_died_young() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    let mut owner = Ask { lease_ms: 1000, ..Ask::joining(&["system"]) };
    for deaths in 0..=3 {
        let rows = hold(&mut conn, &owner).await;
        assert_eq!((rows[0].term, rows[0].deaths), (Some(i64::from(deaths) + 1), Some(deaths)));
        if deaths < 3 {
            // It is not heard of again.
            advance_leases(database.pool(), Duration::from_secs(2)).await;
            owner = Ask { lease_ms: 1000, ..Ask::joining(&["system"]) };
        }
    }

    let releases = vec![("system", 0, 4)];
    let rows = hold(&mut conn, &Ask { releases, draining: true, ..owner.again() }).await;
    assert_eq!((rows[0].alive, rows[0].shard), (true, None));
    let rows = hold(&mut conn, &Ask::joining(&["system"])).await;
    assert_eq!((rows[0].term, rows[0].deaths), (Some(5), Some(0)), "it was given back in peace");
}

#[tokio::test]
async fn owner_that_has_lived_for_a_minute_clears_the_name_of_its_shard() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    hold(&mut conn, &Ask::joining(&["system"])).await;
    advance_leases(database.pool(), Duration::from_secs(20)).await;
    let owner = Ask::joining(&["system"]);
    assert_eq!(hold(&mut conn, &owner).await[0].deaths, Some(1));
    advance_leases(database.pool(), Duration::from_secs(59)).await;
    assert_eq!(hold(&mut conn, &owner.again()).await[0].deaths, Some(1));
    advance_leases(database.pool(), Duration::from_secs(1)).await;
    assert_eq!(hold(&mut conn, &owner.again()).await[0].deaths, Some(0));
    // Nor does it count when such an owner dies.
    advance_leases(database.pool(), Duration::from_secs(20)).await;
    assert_eq!(hold(&mut conn, &Ask::joining(&["system"])).await[0].deaths, Some(0));
}

#[tokio::test]
async fn release_counts_only_for_the_owner_and_the_term() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    let owner = Ask::joining(&["system"]);
    hold(&mut conn, &owner).await;
    let stranger = Ask { releases: vec![("system", 0, 1)], ..Ask::joining(&["system"]) };
    assert_eq!(hold(&mut conn, &stranger).await[0].shard, None);
    let late = Ask { releases: vec![("system", 0, 0), ("maintenance", 0, 0)], ..owner.again() };
    assert_eq!(hold(&mut conn, &late).await[0].term, Some(1));
}

#[tokio::test]
async fn worker_without_a_row_is_told_that_it_was_declared_dead() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    let unknown = Ask::joining(&[GROUP]).again();
    let rows = hold(&mut conn, &unknown).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].alive, rows[0].shard), (false, None));
}

#[tokio::test]
async fn term_is_durable_whatever_the_default_of_the_role() {
    let database = Database::new().await;
    let mut tx = database.pool().begin().await.unwrap();
    sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await.unwrap();
    hold(&mut tx, &Ask::joining(&[GROUP])).await;
    let setting: String =
        sqlx::query_scalar("show synchronous_commit").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(setting, "on");
}
