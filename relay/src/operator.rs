//! What is answered without a look at the body: what operators ask, and what clients ask before they send.

use axum::{
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    door::State,
    openapi,
    protocol::{content, json_response},
    refusal::Refusal,
    route::{Operation, Operator},
    script,
};

/// How long a browser gathers before it sends, and how many events.
const FLUSH_INTERVAL_MS: u32 = 5000;
const FLUSH_COUNT: u32 = 20;

/// What PostHog's browser SDK loads as a script, with a place for the settings.
const REMOTE_CONFIG_SCRIPT: &str = include_str!("posthog/config.js");

/// Answers such a question; `None` for everything else.
pub(crate) fn answer(state: &State, operation: Operation, asked: &HeaderMap) -> Option<Response> {
    let Operation::Operator(operator) = operation else {
        return None;
    };
    Some(match operator {
        Operator::Health => json_response(StatusCode::OK, &json!({"status": "ok"})),
        Operator::Ready => ready(state),
        Operator::Metrics => {
            let page = state.metrics.render(&state.gate);
            content(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
        }
        Operator::OpenApi => json_response(StatusCode::OK, &openapi()),
        Operator::Collection => json_response(StatusCode::OK, &collection(state)),
        Operator::Script => script::answer(asked),
        Operator::Flags => json_response(StatusCode::OK, &flags()),
        Operator::RemoteConfig => json_response(StatusCode::OK, &remote_config()),
        Operator::RemoteConfigScript => {
            let script = REMOTE_CONFIG_SCRIPT.replace("__CONFIG__", &remote_config().to_string());
            content(StatusCode::OK, "text/javascript; charset=utf-8", script)
        }
        Operator::Ignored => json_response(StatusCode::OK, &json!({"status": 1, "ignored": true})),
    })
}

fn ready(state: &State) -> Response {
    let problem = if state.gate.is_closed() {
        "the relay is shutting down"
    } else if state.raw_log.is_failing() {
        "the log has not taken the last telemetry"
    } else if state.watcher.is_fresh() {
        return json_response(StatusCode::OK, &json!({"status": "ready"}));
    } else {
        "the database has not answered lately"
    };
    let refusal = Refusal::busy("not_ready", problem);
    json_response(refusal.status, &json!({"status": "not_ready", "reason": refusal.message}))
        .into_response()
}

/// What a browser has to know before it collects.
fn collection(state: &State) -> Value {
    json!({
        "level": state.level(),
        "sample": 1.0,
        "flush": {"interval_ms": FLUSH_INTERVAL_MS, "count": FLUSH_COUNT},
    })
}

/// No feature is on, no session is recorded, nothing is collected beyond what the page says.
fn flags() -> Value {
    json!({
        "featureFlags": {},
        "featureFlagPayloads": {},
        "flags": {},
        "errorsWhileComputingFlags": false,
        "sessionRecording": false,
        "autocapture_opt_out": true,
        "capturePerformance": false,
        "config": {"enable_collect_everything": false},
        "heatmaps": false,
        "isAuthenticated": false,
        "siteApps": [],
        "supportedCompression": ["gzip", "gzip-js"],
        "surveys": false,
        "toolbarParams": {},
    })
}

fn remote_config() -> Value {
    json!({
        "autocapture_opt_out": true,
        "autocaptureExceptions": false,
        "capturePerformance": false,
        "defaultIdentifiedOnly": true,
        "hasFeatureFlags": false,
        "heatmaps": false,
        "sessionRecording": false,
        "siteApps": [],
        "supportedCompression": ["gzip", "gzip-js"],
        "surveys": false,
    })
}
