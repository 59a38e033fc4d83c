//! The least that a relay does: a route that reads the same bodies into typed values, and keeps nothing.

use std::collections::BTreeMap;

use anyhow::Result;
use axum::{Json, Router, http::StatusCode, routing::post};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// The word with which this program is started to serve the bare routes.
pub(crate) const WORD: &str = "bare-routes";

macro_rules! typed {
    ($($name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Deserialize)]
        #[expect(dead_code, reason = "reading them is what is measured")]
        struct $name { $($field: $type),* }
    )*};
}

typed! {
    Batch { id: String, ver: String, ets: i64, params: Params, events: Vec<Event> }
    Params { msgid: String }
    Event {
        eid: String, ets: i64, ver: String, mid: String, actor: Reference, context: Context, object: Reference,
        edata: Map<String, Value>, tags: Vec<String>,
    }
    Reference { id: String, r#type: String }
    Context {
        channel: String, pdata: Producer, env: String, sid: String, did: String, cdata: Vec<Reference>,
        rollup: BTreeMap<String, String>,
    }
    Producer { id: String, ver: String, pid: String }
    Single { event: String, properties: Properties }
    Properties { name: String, referrer: String, width: u32, height: u32, seconds: f64 }
}

/// Serves until the process is ended.
#[expect(clippy::print_stdout, reason = "whoever has started it reads the address")]
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({"url": format!("http://{}/", listener.local_addr()?)}));
    let batch = async |Json(batch): Json<Batch>| {
        std::hint::black_box(&batch);
        (StatusCode::OK, Json(json!({"events": batch.events.len()})))
    };
    let single = async |Json(single): Json<Single>| {
        std::hint::black_box(&single);
        (StatusCode::OK, Json(json!({"event": single.event})))
    };
    let router =
        Router::new().route("/v1/telemetry", post(batch)).route("/analytics", post(single));
    Ok(axum::serve(listener, router).await?)
}
