//! PostHog's capture routes, as its clients send to them, and harmless answers to what else they ask.
//!
//! Events are of the catalogue's types by their names; `$identify`, `$groupidentify`, `$create_alias`, `$pageview` and
//! `$screen` are the one type that is this call.
//! Events that carry Sunbird's `eid` go to the raw log as they came.
//! Everything else is answered as taken and counted as filtered, because these clients would send it for ever.

mod decode;

use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tidings_analytics::{Level, wire::Call};

use crate::{
    body, credential,
    door::Visit,
    identity::{self, Identity},
    incoming::Incoming,
    intake::{self, Happening, Intake},
    json, kind, moment,
    protocol::json_response,
    raw,
    refusal::Refusal,
    segment::{find, report},
};

/// What stands around the events of a batch, and in a single event.
#[derive(Deserialize)]
struct Envelope<'a> {
    api_key: Option<Value>,
    token: Option<Value>,
    #[serde(borrow)]
    batch: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    sent_at: Option<Value>,
}

/// An event, as far as it decides where it goes.
struct Read<'a> {
    raw: &'a RawValue,
    members: Map<String, Value>,
}

/// Takes a request.
pub(crate) async fn take(visit: &mut Visit, body: Incoming) -> Result<Response, Refusal> {
    let limits = &visit.state.limits;
    let (media, body) = body::read(&visit.headers, body, limits, &visit.room).await?;
    let text = decode::decode(media, body, &visit.query, limits, &visit.room)?;
    if json::deeper(&text, limits.depth_max) {
        let message = format!("the body nests deeper than {} levels", limits.depth_max);
        return Err(Refusal::malformed("too_deep", message));
    }
    let (envelope, items) = items(&text)?;
    if items.len() > limits.posthog_events_max {
        let message = format!(
            "the batch has {} events, and {} are taken",
            items.len(),
            limits.posthog_events_max
        );
        return Err(Refusal::too_large("too_many_events", message));
    }
    visit.unfold(&text)?;
    let bytes_max = limits.event_bytes_max;
    let read: Vec<_> = items.into_iter().map(|item| read(item, bytes_max)).collect();
    let key = [&envelope.api_key, &envelope.token].into_iter().flatten().find_map(Value::as_str);
    let key = key.or_else(|| read.iter().flatten().find_map(Read::key));
    let channel = visit.channel(key).await?;
    visit.charge(&channel, read.len())?;

    let sent_at =
        envelope.sent_at.as_ref().and_then(moment::parse).or_else(|| sent_at(&visit.query));
    let mut intake = visit.intake(&channel);
    let mut flattened = Vec::new();
    for event in read {
        match event {
            Ok(event) if !event.is_telemetry() => {
                take_one(visit, &mut intake, event, sent_at).await?;
            }
            Ok(event) if visit.level().allows(event.level()) => flattened.push(event.raw),
            Ok(_) => intake.filter("level", "it is not collected at the level in force"),
            Err(refusal) => intake.reject(refusal),
        }
    }
    let logged = flattened.len();
    if logged > 0 {
        let fresh = raw::append_posthog(visit, &channel, &flattened).await?;
        let outcome = if fresh { "accepted" } else { "repeated" };
        visit.state.metrics.events(visit.route.path, outcome, logged);
    }
    let outcomes = visit.register(intake).await?;
    let mut answer = report(json!({"status": 1}), &outcomes);
    answer["logged"] = logged.into();
    Ok(json_response(StatusCode::OK, &answer))
}

/// Takes the body apart: an event, an array of events, or a batch with an envelope.
fn items(text: &[u8]) -> Result<(Envelope<'_>, Vec<&RawValue>), Refusal> {
    let malformed =
        |error: serde_json::Error| Refusal::malformed("invalid_payload", error.to_string());
    let bare = Envelope { api_key: None, token: None, batch: None, data: None, sent_at: None };
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(Refusal::malformed("empty_body", "the body is empty")),
        Some(b'[') => Ok((bare, serde_json::from_slice(text).map_err(malformed)?)),
        Some(b'{') => {
            let envelope: Envelope<'_> = serde_json::from_slice(text).map_err(malformed)?;
            let items = match envelope.batch.or(envelope.data) {
                Some(batch) => serde_json::from_str(batch.get())
                    .map_err(|_| Refusal::malformed("invalid_batch", "`batch` is not an array"))?,
                None => vec![serde_json::from_slice(text).map_err(malformed)?],
            };
            Ok((envelope, items))
        }
        Some(_) => {
            Err(Refusal::malformed("invalid_payload", "the body is no JSON object or array"))
        }
    }
}

/// When the request was sent: the parameter that the browser client adds.
fn sent_at(query: &str) -> Option<DateTime<Utc>> {
    let milliseconds: i64 = credential::of_query(query, "_")?.parse().ok()?;
    moment::parse(&milliseconds.into())
}

fn read(raw: &RawValue, bytes_max: usize) -> Result<Read<'_>, Refusal> {
    if raw.get().len() > bytes_max {
        return Err(intake::too_large(raw.get().len(), bytes_max));
    }
    let members = serde_json::from_str(raw.get())
        .map_err(|_| Refusal::invalid("invalid_event", "an event is a JSON object"))?;
    Ok(Read { raw, members })
}

impl Read<'_> {
    fn property(&self, name: &str) -> Option<&Value> {
        self.members.get("properties")?.get(name)
    }

    /// Clients that send bare events put the key among the properties.
    fn key(&self) -> Option<&str> {
        let places = [self.members.get("api_key"), self.property("token")];
        places.into_iter().flatten().find_map(Value::as_str)
    }

    /// Returns whether it is a Sunbird event in the form of PostHog's.
    fn is_telemetry(&self) -> bool {
        self.telemetry("eid").is_some_and(Value::is_string)
    }

    /// Returns a member of a Sunbird event, which may lie among the properties.
    fn telemetry(&self, name: &str) -> Option<&Value> {
        self.property(name).or_else(|| self.members.get(name))
    }

    /// Returns the lowest level at which a Sunbird event is collected.
    fn level(&self) -> Level {
        let eid = self.telemetry("eid").and_then(Value::as_str).unwrap_or_default();
        let part = self.telemetry("edata").and_then(|edata| edata.get("type"));
        kind::required(eid, part.and_then(Value::as_str))
    }
}

async fn take_one(
    visit: &mut Visit,
    intake: &mut Intake,
    event: Read<'_>,
    sent_at: Option<DateTime<Utc>>,
) -> Result<(), Refusal> {
    let Some(name) = event.members.get("event").and_then(Value::as_str).map(str::to_owned) else {
        intake.reject(Refusal::invalid("missing_event_name", "`event` is missing, or no text"));
        return Ok(());
    };
    let (call, name) = match name.as_str() {
        "$identify" => (Call::Identify, None),
        "$groupidentify" => (Call::Group, None),
        "$create_alias" => (Call::Alias, None),
        "$pageview" => (Call::Page, None),
        "$screen" => (Call::Screen, None),
        _ => (Call::Track, Some(name)),
    };
    let happening = happening(call, event, sent_at, visit.state.watcher.now());
    if find(&visit.snapshot, call, name.as_deref()).is_none() {
        // The catalogue may have been synced a moment ago.
        visit.look_again().await?;
    }
    let found = find(&visit.snapshot, call, name.as_deref());
    intake.take(name.as_deref().unwrap_or(call.as_str()), found, happening);
    Ok(())
}

fn happening(
    call: Call,
    mut event: Read<'_>,
    sent_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Happening {
    let mut properties = match event.members.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let distinct = identity::id(event.members.get("distinct_id"))
        .or_else(|| identity::id(properties.get("distinct_id")));
    let identity = Identity {
        user: distinct,
        group: identity::id(properties.get("$group_key")).or_else(|| first_group(&properties)),
        previous: ["alias", "$anon_distinct_id"]
            .into_iter()
            .find_map(|name| identity::id(properties.get(name))),
        anonymous: None,
    };
    let traits = match call {
        Call::Identify => event.members.remove("$set").or_else(|| properties.remove("$set")),
        Call::Group => properties.remove("$group_set"),
        _ => None,
    };
    let at = event.members.get("timestamp").and_then(moment::parse);
    let at = at
        .map(|at| moment::corrected(at, sent_at, now))
        .or_else(|| moment::before(event.members.get("offset")?.as_i64()?, None, now));
    let uuid = event.members.get("uuid").and_then(Value::as_str);
    Happening {
        properties: match traits {
            Some(Value::Object(traits)) => traits,
            _ => properties,
        },
        message_id: uuid.filter(|uuid| !uuid.is_empty()).map(str::to_owned),
        occurred_at: at,
        identity,
        consent: None,
    }
}

/// Returns the key of the first group that an event belongs to.
fn first_group(properties: &Map<String, Value>) -> Option<String> {
    identity::id(properties.get("$groups")?.as_object()?.values().next())
}
