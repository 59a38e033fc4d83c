//! Segment's calls, as its clients send them.
//!
//! A track call is the event type of its name; the other calls are the one client type of the catalogue that is this
//! call, or of several the one whose name the call gives.
//! Ids leave as keyed hashes, properties and traits as far as the schema names them, and of the context only the group
//! and the consent.
//! Clients take 200 for an end of the matter and 400 for a mistake of theirs, so what is not collected is answered with
//! 200 and counted as filtered.

use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tidings_analytics::wire::Call;

use crate::{
    body,
    door::Visit,
    identity::{self, Identity},
    incoming::Incoming,
    intake::{self, Happening, Intake, Outcome},
    json, moment,
    protocol::json_response,
    refusal::Refusal,
    snapshot::{Snapshot, Type},
};

/// How many results are told one by one; the counts hold for all.
const RESULTS_MAX: usize = 100;

/// What stands around the calls of a batch, and in a single call.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    batch: Option<&'a RawValue>,
    #[serde(rename = "writeKey")]
    write_key: Option<Value>,
    #[serde(rename = "sentAt")]
    sent_at: Option<Value>,
    context: Option<Value>,
}

/// Takes a request: a batch, or the call of its route.
pub(crate) async fn take(
    visit: &mut Visit,
    call: Option<Call>,
    body: Incoming,
) -> Result<Response, Refusal> {
    let limits = &visit.state.limits;
    let body = body::read_json(&visit.headers, body, limits, &visit.room).await?;
    if body.len() > limits.segment_body_bytes_max {
        let message = format!(
            "the body has {} bytes, and {} are taken",
            body.len(),
            limits.segment_body_bytes_max
        );
        return Err(Refusal::too_large("body_too_large", message));
    }
    let envelope: Envelope<'_> = json::read(&body, limits.depth_max)?;
    let channel = visit.channel(envelope.write_key.as_ref().and_then(Value::as_str)).await?;
    let limits = &visit.state.limits;
    let items: Vec<&RawValue> = match (call, envelope.batch) {
        (Some(_), _) => vec![json::read(&body, limits.depth_max)?],
        (None, Some(batch)) => serde_json::from_str(batch.get())
            .map_err(|_| Refusal::malformed("invalid_batch", "`batch` is not an array"))?,
        (None, None) => return Err(Refusal::malformed("missing_batch", "`batch` is missing")),
    };
    if items.len() > limits.segment_calls_max {
        let message = format!(
            "the batch has {} calls, and {} are taken",
            items.len(),
            limits.segment_calls_max
        );
        return Err(Refusal::too_large("too_many_events", message));
    }
    visit.charge(&channel, items.len())?;
    visit.unfold(&body)?;
    let sent_at = envelope.sent_at.as_ref().and_then(moment::parse);
    let mut intake = visit.intake(&channel);
    for item in &items {
        match read(item, call, envelope.context.as_ref(), limits_of(visit)) {
            Ok(read) => take_one(visit, &mut intake, read, sent_at).await?,
            Err(refusal) => intake.reject(refusal),
        }
    }
    let outcomes = visit.register(intake).await?;
    match (call, &outcomes[..]) {
        // A single call that is wrong is answered as such; in a batch the others are not to suffer for it.
        (Some(_), [Outcome::Rejected(refusal)]) => Err(Refusal {
            status: match refusal.status {
                StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                status => status,
            },
            ..refusal.clone()
        }),
        _ => Ok(json_response(StatusCode::OK, &report(json!({"success": true}), &outcomes))),
    }
}

fn limits_of(visit: &Visit) -> usize {
    visit.state.limits.event_bytes_max
}

/// Adds to an answer how many events became what, and what is to be said of those that were not taken.
pub(crate) fn report(mut answer: Value, outcomes: &[Outcome]) -> Value {
    for (word, count) in intake::count(outcomes) {
        answer[word] = count.into();
    }
    let is_told = |outcome: &Outcome| match outcome {
        Outcome::Accepted { dropped, .. } => !dropped.is_empty(),
        Outcome::Repeated { .. } => false,
        Outcome::Filtered { .. } | Outcome::Rejected(_) => true,
    };
    let told = outcomes.iter().enumerate().filter(|(_, outcome)| is_told(outcome));
    let results: Vec<_> =
        told.take(RESULTS_MAX).map(|(index, outcome)| outcome.to_json(index)).collect();
    if !results.is_empty() {
        answer["results"] = results.into();
    }
    answer
}

/// A call that has been read.
struct Read {
    call: Call,
    name: Option<String>,
    members: Map<String, Value>,
    identity: Identity,
    consent: Option<Map<String, Value>>,
}

fn read(
    item: &RawValue,
    call: Option<Call>,
    context: Option<&Value>,
    bytes_max: usize,
) -> Result<Read, Refusal> {
    if item.get().len() > bytes_max {
        return Err(intake::too_large(item.get().len(), bytes_max));
    }
    let members: Map<String, Value> = serde_json::from_str(item.get())
        .map_err(|_| Refusal::invalid("invalid_event", "a call is a JSON object"))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let call =
        call.or_else(|| text("type").and_then(|call| call.parse().ok())).ok_or_else(|| {
            Refusal::invalid(
                "invalid_type",
                "`type` is none of track, identify, group, page, screen, alias",
            )
        })?;
    let name = text(if call == Call::Track { "event" } else { "name" });
    let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    if call == Call::Track && name.is_none() {
        return Err(Refusal::invalid("missing_event", "a track call has an `event`"));
    }
    let own = members.get("context");
    let of_context = |pointer: &str| {
        own.and_then(|own| own.pointer(pointer)).or_else(|| context?.pointer(pointer))
    };
    let identity = Identity {
        user: identity::id(members.get("userId")),
        anonymous: identity::id(members.get("anonymousId")),
        group: identity::id(members.get("groupId"))
            .or_else(|| identity::id(of_context("/groupId"))),
        previous: identity::id(members.get("previousId")),
    };
    let missing = match call {
        Call::Group if identity.group.is_none() => Some("a group call has a `groupId`"),
        Call::Alias if identity.previous.is_none() => Some("an alias call has a `previousId`"),
        _ if identity.user.is_none() && identity.anonymous.is_none() => {
            Some("a call has a `userId` or an `anonymousId`")
        }
        _ => None,
    };
    if let Some(message) = missing {
        return Err(Refusal::invalid("missing_id", message));
    }
    let consent = identity::consent(of_context("/consent/categoryPreferences"));
    Ok(Read { call, name, members, identity, consent })
}

async fn take_one(
    visit: &mut Visit,
    intake: &mut Intake,
    mut read: Read,
    sent_at: Option<DateTime<Utc>>,
) -> Result<(), Refusal> {
    let place = match read.call {
        Call::Identify | Call::Group => "traits",
        Call::Track | Call::Page | Call::Screen | Call::Alias => "properties",
    };
    let properties = match read.members.remove(place) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(properties)) => properties,
        Some(_) => {
            let message = format!("`{place}` is not a JSON object");
            intake.reject(Refusal::invalid("invalid_properties", message));
            return Ok(());
        }
    };
    let message_id = read.members.get("messageId").and_then(Value::as_str);
    let message_id = message_id.filter(|message_id| !message_id.is_empty()).map(str::to_owned);
    let at = ["timestamp", "originalTimestamp"].map(|name| read.members.get(name));
    let at = at.into_iter().flatten().find_map(moment::parse);
    // A single call says for itself when it was sent.
    let sent_at = sent_at.or_else(|| read.members.get("sentAt").and_then(moment::parse));
    let happening = Happening {
        properties: with_name(read.call, properties, &mut read.members),
        message_id,
        occurred_at: at.map(|at| moment::corrected(at, sent_at, visit.state.watcher.now())),
        identity: read.identity,
        consent: read.consent,
    };
    if find(&visit.snapshot, read.call, read.name.as_deref()).is_none() {
        // The catalogue may have been synced a moment ago.
        visit.look_again().await?;
    }
    let found = find(&visit.snapshot, read.call, read.name.as_deref());
    intake.take(read.name.as_deref().unwrap_or(read.call.as_str()), found, happening);
    Ok(())
}

/// A page or screen has its name and category beside its properties; the schema decides about them as about the rest.
fn with_name(
    call: Call,
    mut properties: Map<String, Value>,
    members: &mut Map<String, Value>,
) -> Map<String, Value> {
    if matches!(call, Call::Page | Call::Screen) {
        for name in ["name", "category"] {
            if let (Some(value), None) = (members.remove(name), properties.get(name)) {
                properties.insert(name.to_owned(), value);
            }
        }
    }
    properties
}

/// Finds the type of a call.
pub(crate) fn find<'a>(snapshot: &'a Snapshot, call: Call, name: Option<&str>) -> Option<&'a Type> {
    let named = name.and_then(|name| snapshot.named(name, None));
    match call {
        Call::Track => named,
        _ => named.filter(|named| named.call == call).or_else(|| snapshot.only(call)),
    }
}
