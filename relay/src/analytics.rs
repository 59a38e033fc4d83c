//! `POST /analytics`: events of the catalogue's client types, one or many.
//!
//! `{"event": "view:loaded", "properties": {…}}`, or `{"batch": [{…}, …]}`.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tidings_analytics::Level;

use crate::{
    body,
    door::Visit,
    identity::{self, Identity},
    incoming::Incoming,
    intake::{self, Happening, Intake, Outcome},
    json, moment,
    protocol::json_response,
    refusal::Refusal,
};

/// What may stand around events.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    batch: Option<&'a RawValue>,
    sent_at: Option<Value>,
    consent: Option<Value>,
}

/// What holds for all events of a request.
struct Common {
    sent_at: Option<DateTime<Utc>>,
    consent: Option<Map<String, Value>>,
}

/// Takes a request.
pub(crate) async fn take(visit: &mut Visit, body: Incoming) -> Result<Response, Refusal> {
    let limits = &visit.state.limits;
    let body = body::read_json(&visit.headers, body, limits, &visit.room).await?;
    let channel = visit.channel(None).await?;
    if visit.level() == Level::Off {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let limits = &visit.state.limits;
    let envelope: Envelope<'_> = json::read(&body, limits.depth_max)?;
    let common = Common {
        sent_at: envelope.sent_at.as_ref().and_then(moment::parse),
        consent: identity::consent(envelope.consent.as_ref()),
    };
    let items: Vec<&RawValue> = match envelope.batch {
        Some(batch) => serde_json::from_str(batch.get())
            .map_err(|_| Refusal::invalid("invalid_batch", "`batch` is not an array"))?,
        None => vec![json::read(&body, limits.depth_max)?],
    };
    if items.is_empty() {
        return Err(Refusal::invalid("empty_batch", "`batch` has no events"));
    }
    if items.len() > limits.analytics_events_max {
        let message = format!(
            "the batch has {} events, and {} are taken; send smaller ones",
            items.len(),
            limits.analytics_events_max
        );
        return Err(Refusal::too_large("too_many_events", message));
    }
    visit.charge(&channel, items.len())?;
    visit.unfold(&body)?;
    let mut intake = visit.intake(&channel);
    for item in items {
        take_one(visit, &mut intake, item, &common).await?;
    }
    let outcomes = visit.register(intake).await?;
    Ok(if envelope.batch.is_some() { many(&outcomes) } else { one(outcomes)? })
}

async fn take_one(
    visit: &mut Visit,
    intake: &mut Intake,
    item: &RawValue,
    common: &Common,
) -> Result<(), Refusal> {
    let max = visit.state.limits.event_bytes_max;
    let read = if item.get().len() > max {
        Err(intake::too_large(item.get().len(), max))
    } else {
        read(item, common, visit.state.watcher.now())
    };
    let (name, version, happening) = match read {
        Ok(read) => read,
        Err(refusal) => {
            intake.reject(refusal);
            return Ok(());
        }
    };
    if visit.snapshot.named(&name, version).is_none() {
        // The catalogue may have been synced a moment ago.
        visit.look_again().await?;
    }
    intake.take(&name, visit.snapshot.named(&name, version), happening);
    Ok(())
}

/// Reads one event.
fn read(
    item: &RawValue,
    common: &Common,
    now: DateTime<Utc>,
) -> Result<(String, Option<i16>, Happening), Refusal> {
    let mut members: Map<String, Value> = serde_json::from_str(item.get())
        .map_err(|_| Refusal::invalid("invalid_event", "an event is a JSON object"))?;
    let Some(Value::String(name)) = members.remove("event") else {
        return Err(Refusal::invalid("missing_event", "`event` is missing, or no text"));
    };
    let properties = match members.remove("properties") {
        None => Map::new(),
        Some(Value::Object(properties)) => properties,
        Some(_) => {
            let message = "`properties` is not a JSON object; leave it out if there are none";
            return Err(Refusal::invalid("invalid_properties", message));
        }
    };
    let version = match members.get("version") {
        None | Some(Value::Null) => None,
        Some(version) => {
            Some(version.as_i64().and_then(|version| version.try_into().ok()).ok_or_else(|| {
                Refusal::invalid("invalid_version", "`version` is not the version of a type")
            })?)
        }
    };
    let message_id = match members.remove("message_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(message_id)) => Some(message_id),
        Some(_) => {
            return Err(Refusal::invalid("bad_message_id", "`message_id` is not text"));
        }
    };
    let occurred_at = match members.get("timestamp") {
        None | Some(Value::Null) => None,
        Some(timestamp) => {
            let at = moment::parse(timestamp).ok_or_else(|| {
                let message = "`timestamp` is not a time such as 2026-11-22T10:00:00.000Z";
                Refusal::invalid("invalid_timestamp", message)
            })?;
            Some(moment::corrected(at, common.sent_at, now))
        }
    };
    let consent = identity::consent(members.get("consent")).or_else(|| common.consent.clone());
    let identity = Identity {
        user: identity::id(members.get("user_id")),
        anonymous: identity::id(members.get("anonymous_id")),
        ..Identity::default()
    };
    let happening = Happening { properties, message_id, occurred_at, identity, consent };
    Ok((name, version, happening))
}

/// Answers a single event.
fn one(outcomes: Vec<Outcome>) -> Result<Response, Refusal> {
    match outcomes.into_iter().next() {
        Some(outcome @ (Outcome::Accepted { .. } | Outcome::Repeated { .. })) => {
            let mut body = outcome.to_json(0);
            if let Some(members) = body.as_object_mut() {
                members.remove("index");
            }
            Ok(json_response(StatusCode::OK, &body))
        }
        Some(Outcome::Filtered { code: "level", .. }) | None => {
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Some(Outcome::Filtered { code, message }) => {
            let status = match code {
                "not_for_clients" => StatusCode::FORBIDDEN,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            Err(Refusal::new(status, code, message))
        }
        Some(Outcome::Rejected(refusal)) => Err(refusal),
    }
}

/// Answers a batch: 200 if anything of it was taken, and what became of each.
fn many(outcomes: &[Outcome]) -> Response {
    let mut body = json!({});
    for (word, count) in intake::count(outcomes) {
        body[word] = count.into();
    }
    let results: Vec<_> =
        outcomes.iter().enumerate().map(|(index, outcome)| outcome.to_json(index)).collect();
    body["results"] = results.into();
    let refused = outcomes.iter().all(|outcome| match outcome {
        Outcome::Accepted { .. } | Outcome::Repeated { .. } => false,
        Outcome::Filtered { code, .. } => *code != "level",
        Outcome::Rejected(_) => true,
    });
    let status = if refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    json_response(status, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_person_and_a_device_are_read_beside_the_properties() {
        let common = Common { sent_at: None, consent: None };
        let read = |item: &str| {
            let item = RawValue::from_string(item.to_owned()).unwrap();
            super::read(&item, &common, DateTime::UNIX_EPOCH).unwrap().2
        };
        let happening = read(r#"{"event": "cart:opened", "anonymous_id": "d1", "user_id": 7}"#);
        assert_eq!(happening.identity.anonymous.as_deref(), Some("d1"));
        assert_eq!(happening.identity.user.as_deref(), Some("7"));
        let happening = read(r#"{"event": "cart:opened", "anonymous_id": {}, "user_id": ""}"#);
        assert_eq!(happening.identity, Identity::default());
    }
}
