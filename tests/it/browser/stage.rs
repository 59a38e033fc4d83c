//! A stage for pages in a browser: a real relay before a database, which a test in Node starts, kills and looks into.
//!
//! | Request | What it does |
//! |---|---|
//! | `GET /` | Says where the relay is, and with which key |
//! | `POST /relay/up`, `/relay/full`, `/relay/away` | Starts the program, one that has no room, or none |
//! | `POST /front` | Starts another one before a site, with the script in its pages, and says where |
//! | `GET /log`, `/registered` | What has arrived: the events of the raw log, and those of the catalogue |

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use serde_json::{Value, json};
use tidings_relay::{Limits, Relay};
use tidings_tests::{Database, Process};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::binary::{on, run};

/// The stage of one test.
#[derive(Debug)]
pub(super) struct Stage {
    database: Database,
    /// Where the relay is, also after it was started again.
    relay: SocketAddr,
    key: String,
    running: Mutex<Running>,
    fronts: Mutex<Vec<Process>>,
}

/// What is at the relay's address.
#[derive(Debug)]
enum Running {
    Away,
    Up(Process),
    /// A relay that has no room for anybody.
    Full(CancellationToken, JoinHandle<()>),
}

impl Stage {
    /// Opens a stage with a relay that takes requests without a key too, and returns the address of its control.
    pub(super) async fn open() -> String {
        let database = Database::new().await;
        declare(&database).await;
        let added = run(&on(&database).args(["key", "add", "shop", "--json"])).await.json();
        let key = added["key"].as_str().unwrap().to_owned();
        // Bound once, so that it is the same after a restart.
        let relay = bind("127.0.0.1:0").await.local_addr().unwrap();
        let stage = Arc::new(Self {
            database,
            relay,
            key,
            running: Mutex::new(Running::Away),
            fronts: Mutex::default(),
        });
        stage.set("up").await;
        let control = bind("127.0.0.1:0").await;
        let url = format!("http://{}", control.local_addr().unwrap());
        let router = Router::new()
            .route("/", get(async |State(stage): State<Arc<Self>>| Json(stage.described())))
            .route("/log", get(async |State(stage): State<Arc<Self>>| Json(stage.log().await)))
            .route(
                "/registered",
                get(async |State(stage): State<Arc<Self>>| Json(stage.registered().await)),
            )
            .route(
                "/relay/{what}",
                post(async |State(stage): State<Arc<Self>>, Path(what): Path<String>| {
                    stage.set(&what).await;
                }),
            )
            .route(
                "/front",
                post(async |State(stage): State<Arc<Self>>, body: String| {
                    Json(stage.front(&serde_json::from_str(&body).unwrap()).await)
                }),
            )
            .with_state(stage);
        tokio::spawn(axum::serve(control, router).into_future());
        url
    }

    fn described(&self) -> Value {
        json!({"relay": format!("http://{}", self.relay), "key": self.key})
    }

    /// Ends what is at the relay's address, and puts something else there.
    async fn set(&self, what: &str) {
        let mut running = self.running.lock().await;
        match std::mem::replace(&mut *running, Running::Away) {
            Running::Away => {}
            Running::Up(process) => process.kill().await,
            Running::Full(shutdown, served) => {
                shutdown.cancel();
                served.await.unwrap();
            }
        }
        *running = match what {
            "up" => {
                let listen = self.relay.to_string();
                let launch = on(&self.database).args(["relay", "--anonymous", "--listen", &listen]);
                let process = launch.start();
                process.line("listening", crate::binary::PATIENCE).await;
                Running::Up(process)
            }
            "full" => {
                let shutdown = CancellationToken::new();
                let limits = Limits { buffer_requests_max: 0, ..Limits::default() };
                let builder = Relay::builder(self.database.pool().clone()).limits(limits);
                let relay = builder.anonymous(true).build(shutdown.clone());
                let listener = bind(self.relay).await;
                let ended = shutdown.clone().cancelled_owned();
                let served = axum::serve(listener, relay.router()).with_graceful_shutdown(ended);
                Running::Full(shutdown, tokio::spawn(async { served.await.unwrap() }))
            }
            "away" => Running::Away,
            other => panic!("a relay cannot be {other}"),
        };
    }

    /// Starts a relay before a site, and returns where it is.
    async fn front(&self, asked: &Value) -> String {
        let launch = on(&self.database).args(["relay", "--anonymous", "--listen", "127.0.0.1:0"]);
        let launch = launch.args(["--inject", "--upstream", asked["upstream"].as_str().unwrap()]);
        let options = asked["options"].as_array().unwrap().iter();
        let process = options
            .fold(launch, |launch, option| {
                launch.args(["--inject-option", option.as_str().unwrap()])
            })
            .start();
        let line = process.line("listening", crate::binary::PATIENCE).await;
        self.fronts.lock().await.push(process);
        line.split_whitespace().last().unwrap().trim_end_matches('/').to_owned()
    }

    /// Returns every event of the raw log, with the channel of its record.
    async fn log(&self) -> Vec<Value> {
        let query =
            "select headers->>'channel', convert_from(value, 'UTF8') from tidings.log_record
             order by appended_at, partition, record_offset";
        let records: Vec<(String, String)> =
            sqlx::query_as(query).fetch_all(self.database.pool()).await.unwrap();
        let events = records.into_iter().flat_map(|(channel, text)| {
            let batch: Value = serde_json::from_str(&text).unwrap();
            let events = batch["events"].as_array().unwrap().clone();
            events.into_iter().map(move |event| json!({"channel": channel, "event": event}))
        });
        events.collect()
    }

    /// Returns every event of a client type.
    async fn registered(&self) -> Vec<Value> {
        let query =
            "select json_build_object('type', type, 'telemetry', telemetry) from tidings.event
             where telemetry is not null order by event_id";
        sqlx::query_scalar(query).fetch_all(self.database.pool()).await.unwrap()
    }
}

async fn bind(address: impl tokio::net::ToSocketAddrs) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

/// Makes known what a shop's pages send.
async fn declare(database: &Database) {
    let schema = json!({"type": "object", "required": ["lines"], "properties": {"lines": {"type": "integer"}}});
    let types = json!([{"type": "cart:opened", "version": 1, "audience": ["telemetry", "client"],
        "scopes": [], "level": "basic", "schema": schema, "documentation": ""}]);
    sqlx::query("select tidings.sync_catalogue_v1($1::text::json)")
        .bind(types.to_string())
        .execute(database.pool())
        .await
        .unwrap();
}
