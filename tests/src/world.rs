//! A small world for journeys: types, subscribers and events, made in as few words as possible.
//!
//! Rows are made through the same functions that applications use, so that what a journey stands on is real.

pub mod held;
pub mod owner;

use std::time::Duration;

use sqlx::{PgPool, types::Json};
use tidings::{
    Deliverer,
    secret::{Keyring, Secret},
    wake,
};
use tidings_worker::{Builder, Running, Worker};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Database;

/// Long enough for anything that works, on a machine that is busy with something else.
pub const SOON: Duration = Duration::from_secs(20);

/// A database with what a journey needs.
#[derive(Debug)]
pub struct World {
    /// The database.
    pub database: Database,
    /// Its pool.
    pub pool: PgPool,
}

/// An event as a journey registers it.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The type.
    pub event_type: &'a str,
    /// The notification view.
    pub payload: serde_json::Value,
    /// The scope.
    pub scope: &'a str,
    /// The ordering key.
    pub key: Option<&'a str>,
    /// How long it is delayed.
    pub delay: Duration,
}

impl<'a> Draft<'a> {
    /// Returns an event of that type, without scope, key or delay.
    #[must_use]
    pub fn new(event_type: &'a str) -> Self {
        let payload = serde_json::json!({"n": 1});
        Self { event_type, payload, scope: "", key: None, delay: Duration::ZERO }
    }

    /// Sets the ordering key.
    #[must_use]
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the scope.
    #[must_use]
    pub fn scope(mut self, scope: &'a str) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the payload to `{"n": n}`.
    #[must_use]
    pub fn number(mut self, n: u64) -> Self {
        self.payload = serde_json::json!({"n": n});
        self
    }

    /// Registers in the caller's transaction, through the function that is there for every language.
    pub async fn register(&self, conn: &mut sqlx::PgConnection) -> Uuid {
        sqlx::query_scalar(
            "select tidings.register_event($1, $2::text::json, scope => $3, ordering_key => $4, delay => $5 * interval '1 second')",
        )
        .bind(self.event_type)
        .bind(self.payload.to_string())
        .bind(self.scope)
        .bind(self.key)
        .bind(self.delay.as_secs_f64())
        .fetch_one(conn)
        .await
        .unwrap()
    }
}

impl World {
    /// Returns a world that knows these event types.
    pub async fn new(types: &[&str]) -> Self {
        Self::on(Database::new().await, types).await
    }

    /// Returns a world on this database that knows these event types.
    pub async fn on(database: Database, types: &[&str]) -> Self {
        let world = Self { pool: database.pool().clone(), database };
        world.types(types).await;
        world
    }

    /// Adds event types.
    pub async fn types(&self, types: &[&str]) {
        let types: Vec<_> = types
            .iter()
            .map(|name| {
                serde_json::json!({
                    "type": name, "version": 1, "audience": ["notification"], "scopes": [],
                    "level": "basic", "schema": {}, "documentation": "",
                })
            })
            .collect();
        sqlx::query("select tidings.sync_catalogue_v1($1::json)")
            .bind(Json(types))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Adds a subscriber of kind `memory` that is subscribed to `pattern`, and returns its id.
    pub async fn subscriber(&self, name: &str, pattern: &str) -> i32 {
        let id = self.bare_subscriber(name, "memory", serde_json::json!({})).await;
        self.subscribe(id, pattern, "", false).await;
        id
    }

    /// Adds a subscriber without a subscription.
    pub async fn bare_subscriber(&self, name: &str, kind: &str, config: serde_json::Value) -> i32 {
        sqlx::query_scalar(
            "insert into tidings.subscriber (name, kind, shard, config)
             select $1, $2, (abs(hashtext($1)) % count(*))::smallint, $3 from tidings.shard where group_name = $2
             returning subscriber_id",
        )
        .bind(name)
        .bind(kind)
        .bind(config)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// Adds a webhook with a signing secret and without a subscription, and returns its id and the secret's text.
    pub async fn webhook(&self, keyring: &Keyring, name: &str, url: &str) -> (i32, String) {
        let id = self.bare_subscriber(name, "webhook", serde_json::json!({"url": url})).await;
        let secret = Secret::generate(&mut rand::rng());
        let owner = format!("subscriber:{id}");
        let sealed = keyring.seal(&mut rand::rng(), secret.as_bytes(), owner.as_bytes());
        sqlx::query("insert into tidings.secret (subscriber_id, sealed) values ($1, $2)")
            .bind(id)
            .bind(sealed)
            .execute(&self.pool)
            .await
            .unwrap();
        (id, secret.to_text().to_string())
    }

    /// Subscribes, and returns the subscription's id.
    pub async fn subscribe(&self, id: i32, pattern: &str, scope: &str, ordered: bool) -> i32 {
        sqlx::query_scalar("select subscription_id from tidings.subscribe_v1($1, $2, '', $3, $4)")
            .bind(id)
            .bind(pattern)
            .bind(scope)
            .bind(ordered)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, id: i32) {
        sqlx::query("select tidings.unsubscribe_v1($1)")
            .bind(id)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Registers and commits, without a wake-up.
    pub async fn register(&self, draft: Draft<'_>) -> Uuid {
        let mut conn = self.pool.acquire().await.unwrap();
        draft.register(&mut conn).await
    }

    /// Starts a worker with that deliverer.
    pub async fn worker(&self, deliverer: impl Deliverer) -> Guard {
        self.worker_with(Worker::builder(self.pool.clone()).deliverer(deliverer)).await
    }

    /// Starts a worker.
    pub async fn worker_with(&self, builder: Builder) -> Guard {
        let shutdown = CancellationToken::new();
        let running = builder.spawn(shutdown.clone()).await.unwrap();
        wake::wake();
        Guard { running, shutdown }
    }

    /// Returns how many deliveries are pending.
    pub async fn pending(&self) -> i64 {
        sqlx::query_scalar("select count(*) from tidings.delivery")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Waits until nothing is pending.
    pub async fn drained(&self) {
        crate::eventually(SOON, "every delivery is settled", || async {
            (self.pending().await == 0).then_some(())
        })
        .await;
    }

    /// Runs statements.
    pub async fn execute(&self, statements: &'static str) {
        sqlx::raw_sql(statements).execute(&self.pool).await.unwrap();
    }

    /// Sets how many deliveries of a subscriber may be in flight.
    pub async fn set_in_flight_max(&self, id: i32, max: i32) {
        sqlx::query("update tidings.subscriber set in_flight_max = $2 where subscriber_id = $1")
            .bind(id)
            .bind(max)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Sets when failed deliveries of a subscriber come again.
    pub async fn set_retry(&self, id: i32, retry: &str) {
        sqlx::query("update tidings.subscriber set retry = $2::jsonb where subscriber_id = $1")
            .bind(id)
            .bind(retry)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// Says of the lanes that something was written to them, as a commit through the library does.
    pub fn wake(&self, lanes: &[i32]) {
        wake::note(lanes);
        wake::wake();
    }

    /// Reads one value.
    pub async fn value<T>(&self, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }
}

/// A worker that is told to stop when the journey ends.
#[derive(Debug)]
pub struct Guard {
    /// The worker.
    pub running: Running,
    shutdown: CancellationToken,
}

impl Guard {
    /// Tells the worker to stop, and answers whether it had drained.
    pub async fn stop(mut self) -> bool {
        self.shutdown.cancel();
        self.running.finished().await
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
