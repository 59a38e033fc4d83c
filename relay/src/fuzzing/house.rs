//! A relay in memory: a catalogue, a channel, and writers that keep what they are given.

use std::sync::{Arc, Mutex};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request},
};
use bytes::Bytes;
use chrono::DateTime;
use serde_json::{Value, json};
use tidings_analytics::{HashKey, HashKeys, Level};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::Sent;
use crate::{
    Limits,
    channel::ANONYMOUS,
    door::{self, State},
    gate::Gate,
    gather::{Entry, Gatherer, Record, Written},
    metrics::Metrics,
    quota::Quotas,
    raw_log::RawLog,
    route::ROUTES,
    snapshot::Snapshot,
    store::{ChannelRow, TypeRow},
    watch::Watcher,
};

/// When it is, in seconds since 1970.
const NOW: i64 = 1_795_356_000;

/// A relay, and the runtime on which its writers wait.
pub(super) struct House {
    runtime: Runtime,
    state: Arc<State>,
    entries: Arc<Mutex<Vec<Entry>>>,
    records: Arc<Mutex<Vec<Record>>>,
}

/// What is to be seen of a request when it is over.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) retry_after: bool,
    pub(super) body: Bytes,
    pub(super) entries: Vec<Entry>,
    pub(super) records: Vec<Record>,
    /// Requests and bytes that are still counted as being in memory.
    pub(super) held: (usize, usize),
}

impl House {
    /// Does something with the relay of this thread.
    pub(super) fn with<T>(doing: impl FnOnce(&Self) -> T) -> T {
        thread_local! {
            static HOUSE: House = House::new();
        }
        HOUSE.with(doing)
    }

    fn new() -> Self {
        HashKeys::new(HashKey::new("k1", vec![7; 32]).unwrap()).install();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (entries, records) = <(Arc<Mutex<Vec<Entry>>>, Arc<Mutex<Vec<Record>>>)>::default();
        let limits = Limits::default();
        let inside = runtime.enter();
        let state = Arc::new(State {
            gate: Gate::new(limits.buffer_requests_max, limits.buffer_bytes_max),
            limits,
            metrics: Arc::new(Metrics::default()),
            watcher: Arc::new(Watcher::knowing(
                snapshot(),
                DateTime::from_timestamp_secs(NOW).unwrap(),
            )),
            entries: Gatherer::keeping(written, Arc::clone(&entries)),
            raw_log: RawLog::Database(Gatherer::keeping(appended, Arc::clone(&records))),
            quotas: Quotas::default(),
            anonymous: true,
            level_max: Level::Full,
        });
        drop(inside);
        Self { runtime, state, entries, records }
    }

    /// Sends one request through its door.
    pub(super) fn send(&self, sent: &Sent) -> Seen {
        let route = ROUTES.iter().find(|route| route.path == sent.path).unwrap();
        let body = Body::from(sent.body.clone());
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = sent.uri.clone();
        *request.headers_mut() = sent.headers.clone();
        let (parts, body) = self.runtime.block_on(async {
            let response = door::answer(Arc::clone(&self.state), route, request).await;
            let (parts, body) = response.into_parts();
            (parts, to_bytes(body, usize::MAX).await.unwrap())
        });
        Seen {
            status: parts.status.as_u16(),
            retry_after: parts.headers.contains_key("retry-after"),
            body,
            entries: std::mem::take(&mut *self.entries.lock().unwrap()),
            records: std::mem::take(&mut *self.records.lock().unwrap()),
            held: (self.state.gate.requests(), self.state.gate.bytes()),
        }
    }
}

/// Says what became of an entry, by the end of its message id.
pub(super) fn written(entry: &Entry) -> Written {
    match entry.idempotency_key.as_deref().unwrap_or_default().chars().last() {
        Some('r') => Written::Repeated(Uuid::from_u128(1)),
        Some('c') => Written::Conflict(Uuid::from_u128(2)),
        Some('g') => Written::Refused("retired_type".to_owned()),
        _ => Written::Registered(Uuid::from_u128(3)),
    }
}

/// Says whether a record is new.
pub(super) fn appended(record: &Record) -> Option<i64> {
    (!record.key.as_deref().unwrap_or_default().ends_with('r')).then_some(0)
}

fn snapshot() -> Snapshot {
    let view = json!({
        "type": "object", "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "seconds": {"type": "integer", "minimum": 0},
            "nested": {"type": "object", "properties": {"known": {"type": "boolean"}}},
        },
    });
    let open = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let types = vec![
        row("view:loaded", "client", "track", &view),
        row("cart:opened", "client", "track", &open),
        row("user:identified", "client", "identify", &open),
        row("team:joined", "client", "group", &open),
        row("page:viewed", "client", "page", &open),
        row("project:deleted", "telemetry", "track", &open),
        row("schema:broken", "client", "track", &json!({"type": "nonsense"})),
    ];
    let channels = vec![ChannelRow {
        channel_id: 7,
        name: ANONYMOUS.to_owned(),
        profile: "lenient".to_owned(),
        events_per_minute: None,
        keys: Vec::new(),
    }];
    Snapshot::new(types, channels, &Snapshot::default())
}

fn row(name: &str, audience: &str, call: &str, schema: &Value) -> TypeRow {
    TypeRow {
        event_type: name.to_owned(),
        version: 1,
        audience: vec![audience.to_owned()],
        level: "basic".to_owned(),
        call: call.to_owned(),
        schema: schema.to_string(),
    }
}
