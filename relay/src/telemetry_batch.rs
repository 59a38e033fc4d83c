//! Batches of Sunbird's and eGov DIGIT's clients.
//!
//! A batch goes to the raw log as it came, whatever is in its events: what is wrong with one of them is for the
//! pipeline to say, and is told here already as far as a glance shows it.
//! What is above the level in force is left out, and the answer says which events were.

mod glance;
pub(crate) mod sift;

use axum::{http::StatusCode, response::Response};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tidings_analytics::Level;
use uuid::Uuid;

use self::{
    glance::Events,
    sift::{Sifted, sift},
};
use crate::{
    body,
    door::Visit,
    incoming::Incoming,
    json,
    protocol::{json_response, with_headers},
    raw,
    refusal::Refusal,
};

/// The id of every answer.
const ID: &str = "api.telemetry";

/// The version of the answers.
const VERSION: &str = "1.0";

/// What stands around the events; what else there is stays as it is.
#[derive(Deserialize)]
struct Envelope {
    params: Option<Value>,
    mid: Option<Value>,
    events: Option<Events>,
}

/// Takes a batch.
pub(crate) async fn take(visit: &mut Visit, body: Incoming) -> Result<Response, Refusal> {
    let body = body::read_json(&visit.headers, body, &visit.state.limits, &visit.room).await?;
    let channel = visit.channel(None).await?;
    let limits = &visit.state.limits;
    let envelope: Envelope = json::read(&body, limits.depth_max)?;
    let message_id = envelope.message_id();
    let now = visit.state.watcher.now();
    // From here on the answer can repeat the message id.
    let refuse = |refusal: Refusal| {
        let body = refused(&refusal, message_id.as_deref(), now);
        with_headers(json_response(refusal.status, &body), &refusal)
    };
    let events = match envelope.events {
        Some(Events::List(events)) if events.count > 0 => events,
        Some(Events::List(_)) => {
            return Ok(refuse(Refusal::malformed("no_events", "`events` is empty")));
        }
        Some(Events::Other) => {
            return Ok(refuse(Refusal::malformed("invalid_events", "`events` is not an array")));
        }
        None => return Ok(refuse(Refusal::malformed("missing_events", "`events` is missing"))),
    };
    if events.count > limits.telemetry_events_max {
        let message = format!(
            "the batch has {} events, and {} are taken; send smaller ones",
            events.count, limits.telemetry_events_max
        );
        return Ok(refuse(Refusal::too_large("too_many_events", message)));
    }
    let count = |outcome, events| visit.state.metrics.events(visit.route.path, outcome, events);
    if visit.level() == Level::Off {
        // These clients would send it for ever if they were told that it is not wanted.
        count("filtered", events.count);
        let result = json!({"events": events.count, "filtered": events.count, "level": Level::Off});
        return Ok(accepted(&result, message_id.as_deref(), now));
    }
    if let Err(refusal) = visit.charge(&channel, events.count) {
        return Ok(refuse(refusal));
    }
    let level = visit.level();
    let Sifted { body: left, above } = match leave_out(visit, &body, level) {
        Ok(sifted) => sifted,
        Err(refusal) => return Ok(refuse(refusal)),
    };
    let fresh = match left {
        // What was sent is what is known, whatever the level was then.
        Some(left) => {
            raw::append_batch(visit, &channel, message_id.as_deref(), (&body, left)).await
        }
        None => Ok(true),
    };
    let fresh = match fresh {
        Ok(fresh) => fresh,
        Err(refusal) => return Ok(refuse(refusal)),
    };
    count(if fresh { "accepted" } else { "repeated" }, events.count - above.len());
    count("filtered", above.len());
    let mut result = json!({"events": events.count, "repeated": !fresh});
    if !events.problems.is_empty() {
        result["invalid"] = json!(events.problems);
    }
    if !above.is_empty() {
        result["filtered"] = above.len().into();
        result["level"] = json!(level);
        result["above_level"] = above.into();
    }
    Ok(accepted(&result, message_id.as_deref(), now))
}

/// Leaves out what is above the level.
fn leave_out(visit: &Visit, body: &Bytes, level: Level) -> Result<Sifted, Refusal> {
    if level == Level::Full {
        return Ok(Sifted { body: Some(body.clone()), above: Vec::new() });
    }
    visit.room.grow(body.len())?;
    sift(body, level).map_err(|error| Refusal::malformed("malformed_json", error.to_string()))
}

impl Envelope {
    /// Returns the id of the message: that of the parameters, or the batch's own.
    fn message_id(&self) -> Option<String> {
        let places =
            [self.params.as_ref().and_then(|params| params.get("msgid")), self.mid.as_ref()];
        let text = places.into_iter().flatten().find_map(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

/// Writes a success in the envelope.
pub(crate) fn accepted(result: &Value, message_id: Option<&str>, now: DateTime<Utc>) -> Response {
    let params = json!({
        "resmsgid": Uuid::new_v4(), "msgid": message_id, "status": "successful", "err": null, "errmsg": null,
    });
    json_response(StatusCode::OK, &envelope(&params, "SUCCESS", result, now))
}

/// Writes a refusal in the envelope.
pub(crate) fn refused(refusal: &Refusal, message_id: Option<&str>, now: DateTime<Utc>) -> Value {
    let params = json!({
        "resmsgid": Uuid::new_v4(), "msgid": message_id, "status": "failed",
        "err": refusal.code.to_ascii_uppercase(), "errmsg": refusal.message,
    });
    let code = match refusal.status {
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::TOO_MANY_REQUESTS => "TOO_MANY_REQUESTS",
        status if status.is_server_error() => "SERVER_ERROR",
        _ => "CLIENT_ERROR",
    };
    envelope(&params, code, &json!({}), now)
}

fn envelope(params: &Value, code: &str, result: &Value, now: DateTime<Utc>) -> Value {
    json!({
        "id": ID,
        "ver": VERSION,
        "ts": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "ets": now.timestamp_millis(),
        "params": params,
        "responseCode": code,
        "result": result,
    })
}
