//! The relay: what it takes, what it refuses and how, and that 200 means committed.

mod analytics;
mod door;
mod durability;
mod front;
mod keys;
mod losses;
mod nonsense;
mod posthog;
mod segment;
mod telemetry;

use std::net::SocketAddr;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::types::Json;
use tidings_relay::{Builder, Relay};
use tidings_tests::World;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A relay on a socket, before a database with the types of a shop.
struct Door {
    world: World,
    address: SocketAddr,
    client: Client,
    relay: Relay,
    shutdown: CancellationToken,
}

impl Door {
    /// Opens a relay that takes requests without a key.
    async fn open() -> Self {
        Self::with(|builder| builder.anonymous(true)).await
    }

    async fn with(set: impl FnOnce(Builder) -> Builder) -> Self {
        let world = World::new(&["order:placed"]).await;
        declare(&world).await;
        Self::before(world, set).await
    }

    async fn before(world: World, set: impl FnOnce(Builder) -> Builder) -> Self {
        let shutdown = CancellationToken::new();
        let relay = set(Relay::builder(world.pool.clone())).build(shutdown.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (router, stopped) = (relay.router(), shutdown.clone());
        tokio::spawn(async move {
            let served = axum::serve(listener, router);
            served.with_graceful_shutdown(stopped.cancelled_owned()).await.unwrap();
        });
        // Whoever comes second finds it installed; nothing here is encrypted.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().no_proxy().build().unwrap();
        Self { world, address, client, relay, shutdown }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path)).header("content-type", "application/json")
    }

    /// Posts JSON, and returns status and answer.
    async fn send(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.post(path).body(body.to_string()).send().await.unwrap()).await
    }

    /// Posts a text as it is.
    async fn send_text(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        read(self.post(path).body(body).send().await.unwrap()).await
    }

    /// Returns the events of client types in their order: type, payload, telemetry and headers.
    async fn events(&self) -> Vec<Value> {
        sqlx::query_scalar(
            "select json_build_object('type', type, 'payload', payload, 'telemetry', telemetry, 'headers', headers)
             from tidings.event order by event_id",
        )
        .fetch_all(&self.world.pool)
        .await
        .unwrap()
    }

    /// Returns the records of the raw log in their order.
    async fn records(&self) -> Vec<(i64, Option<String>, Value, String)> {
        sqlx::query_as(
            "select record_offset, key, headers, convert_from(value, 'UTF8')
             from tidings.log_record order by appended_at, partition, record_offset",
        )
        .fetch_all(&self.world.pool)
        .await
        .unwrap()
    }

    /// Reads a value from the metrics; 0 if it is not there.
    async fn metric(&self, line: &str) -> u64 {
        let page =
            self.client.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let found = page.lines().find_map(|found| found.strip_prefix(line));
        found.map_or(0, |value| value.trim().parse().unwrap())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Reads an answer; null where it has no body.
async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"))
    };
    (status, body)
}

/// Declares the types of a shop: three that clients send, one that they do not.
async fn declare(world: &World) {
    let view = json!({
        "type": "object", "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "seconds": {"type": "integer", "minimum": 0},
            "nested": {"type": "object", "properties": {"known": {"type": "boolean"}}},
        },
    });
    let open = json!({"type": "object", "properties": {"plan": {"type": "string"}, "name": {"type": "string"}}});
    let types = json!([
        {"type": "view:loaded", "version": 1, "audience": ["notification", "telemetry", "client"], "scopes": [], "level": "basic",
         "schema": view, "documentation": ""},
        {"type": "cart:opened", "version": 1, "audience": ["client"], "scopes": [], "level": "enhanced",
         "schema": open, "documentation": ""},
        {"type": "project:deleted", "version": 1, "audience": ["notification", "telemetry"], "scopes": [],
         "level": "basic", "schema": open, "documentation": ""},
    ]);
    sqlx::query("select tidings.sync_catalogue_v1($1::json)")
        .bind(Json(types))
        .execute(&world.pool)
        .await
        .unwrap();
}

/// Says that a header is there, and what it is.
fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// What clients take for success.
const OK: u16 = StatusCode::OK.as_u16();
