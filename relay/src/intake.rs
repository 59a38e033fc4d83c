//! From what a client says to events that are registered, and an outcome for each.
//!
//! The rules that `/analytics`, Segment's and PostHog's routes share.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tidings::register::TELEMETRY_BYTES_MAX;
use tidings_analytics::{HashKeys, Level};
use uuid::Uuid;

use axum::http::StatusCode;

use crate::{
    gather::{Entry, Written},
    identity::Identity,
    protocol,
    refusal::Refusal,
    snapshot::Type,
};

/// The longest message id, in characters.
const MESSAGE_ID_CHARS_MAX: usize = 200;

/// The longest idempotency key, in bytes; a message id that does not fit is hashed.
const KEY_BYTES_MAX: usize = 255;

/// What a client says has happened.
#[derive(Debug, Default)]
pub(crate) struct Happening {
    pub(crate) properties: Map<String, Value>,
    pub(crate) message_id: Option<String>,
    pub(crate) occurred_at: Option<DateTime<Utc>>,
    pub(crate) identity: Identity,
    pub(crate) consent: Option<Map<String, Value>>,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Accepted {
        event_id: Uuid,
        dropped: Vec<String>,
    },
    Repeated {
        event_id: Uuid,
    },
    /// It is well-formed, and is not collected here.
    Filtered {
        code: &'static str,
        message: String,
    },
    Rejected(Refusal),
}

/// The events of one request, in their order.
#[derive(Debug)]
pub(crate) struct Intake {
    channel_id: i32,
    level: Level,
    keys: Option<Arc<HashKeys>>,
    entries: Vec<Entry>,
    /// What is known already; `None` for each of the entries.
    outcomes: Vec<Option<Outcome>>,
    dropped: Vec<Vec<String>>,
}

impl Intake {
    pub(crate) fn new(channel_id: i32, level: Level, keys: Option<Arc<HashKeys>>) -> Self {
        let (entries, outcomes, dropped) = (Vec::new(), Vec::new(), Vec::new());
        Self { channel_id, level, keys, entries, outcomes, dropped }
    }

    /// Takes one event of this type in; `name` is what the client called it.
    pub(crate) fn take(&mut self, name: &str, found: Option<&Type>, happening: Happening) {
        match self.build(name, found, happening) {
            Ok((entry, dropped)) => {
                self.entries.push(entry);
                self.dropped.push(dropped);
                self.outcomes.push(None);
            }
            Err(outcome) => self.outcomes.push(Some(outcome)),
        }
    }

    /// Notes an event that cannot be read.
    pub(crate) fn reject(&mut self, refusal: Refusal) {
        self.outcomes.push(Some(Outcome::Rejected(refusal)));
    }

    /// Notes an event that is not collected.
    pub(crate) fn filter(&mut self, code: &'static str, message: &str) {
        self.outcomes.push(Some(Outcome::Filtered { code, message: message.to_owned() }));
    }

    /// Hands the events out that are to be registered.
    pub(crate) fn entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Returns the outcomes, given what was written.
    ///
    /// # Errors
    ///
    /// 503 where the database has no partition for today: nothing was registered.
    pub(crate) fn finish(self, written: Vec<Written>) -> Result<Vec<Outcome>, Refusal> {
        let is_unready = |written: &Written| matches!(written, Written::Refused(status) if status == "no_partition");
        if written.iter().any(is_unready) {
            let message = "no worker has prepared the database for today; send it again later";
            return Err(Refusal::busy("not_ready", message));
        }
        let mut registered =
            written.into_iter().zip(self.dropped).map(|(written, dropped)| match written {
                Written::Registered(event_id) => Outcome::Accepted { event_id, dropped },
                Written::Repeated(event_id) => Outcome::Repeated { event_id },
                Written::Conflict(_) => Outcome::Rejected(Refusal::new(
                    StatusCode::CONFLICT,
                    "message_id_conflict",
                    "the message id was used for another event; give each event an id of its own",
                )),
                Written::Refused(_) => Outcome::Filtered {
                    code: "unknown_event",
                    message: "its type is not in the catalogue any more".to_owned(),
                },
            });
        let outcomes = self.outcomes.into_iter();
        Ok(outcomes.filter_map(|outcome| outcome.or_else(|| registered.next())).collect())
    }

    fn build(
        &self,
        name: &str,
        found: Option<&Type>,
        happening: Happening,
    ) -> Result<(Entry, Vec<String>), Outcome> {
        let found = found.ok_or_else(|| unknown(name))?;
        if !found.for_clients {
            let message = format!("`{}` is not sent by clients", found.name);
            return Err(Outcome::Filtered { code: "not_for_clients", message });
        }
        if !self.level.allows(found.level) {
            let message = format!("`{}` is not collected at the level in force", found.name);
            return Err(Outcome::Filtered { code: "level", message });
        }
        let idempotency_key = happening
            .message_id
            .map(|message_id| self.key(&message_id))
            .transpose()
            .map_err(Outcome::Rejected)?;
        let Some(schema) = &found.schema else {
            let message = format!("the schema of `{}` cannot be used", found.name);
            return Err(Outcome::Rejected(Refusal::invalid("unusable_schema", message)));
        };
        let admitted = schema.admit(happening.properties).map_err(|violations| {
            let message = format!("the properties do not fit the schema of `{}`", found.name);
            let refusal = Refusal::invalid("invalid_properties", message);
            Outcome::Rejected(Refusal { violations, ..refusal })
        })?;
        let payload = Value::Object(admitted.properties);
        let mut event_properties = payload.clone();
        event_properties["type"] = Value::from(&*found.name);
        let telemetry = json!({"event_properties": event_properties, "derived_properties": {}});
        let telemetry = telemetry.to_string();
        if telemetry.len() > TELEMETRY_BYTES_MAX {
            return Err(Outcome::Rejected(too_large(telemetry.len(), TELEMETRY_BYTES_MAX)));
        }
        let headers = happening.identity.headers(self.keys.as_deref(), happening.consent.as_ref());
        let entry = Entry {
            event_type: Arc::clone(&found.name),
            version: found.version,
            payload: payload.to_string(),
            telemetry,
            headers,
            idempotency_key,
            occurred_at: happening.occurred_at,
        };
        Ok((entry, admitted.dropped))
    }

    /// Returns the idempotency key of a message: ids of one channel do not meet those of another.
    fn key(&self, message_id: &str) -> Result<String, Refusal> {
        if message_id.is_empty() || message_id.chars().count() > MESSAGE_ID_CHARS_MAX {
            let message = format!("a message id has 1 to {MESSAGE_ID_CHARS_MAX} characters");
            return Err(Refusal::invalid("bad_message_id", message));
        }
        let channel_id = self.channel_id;
        let key = format!("relay:{channel_id}:{message_id}");
        if key.len() <= KEY_BYTES_MAX && !message_id.contains('\0') {
            return Ok(key);
        }
        let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(message_id));
        Ok(format!("relay:{channel_id}:sha256:{hash}"))
    }
}

impl Outcome {
    /// Returns the word for metrics and answers.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Repeated { .. } => "repeated",
            Self::Filtered { .. } => "filtered",
            Self::Rejected(_) => "rejected",
        }
    }

    /// Writes it as a member of an answer, for the event at place `index`.
    pub(crate) fn to_json(&self, index: usize) -> Value {
        let mut result = json!({"index": index, "status": self.as_str()});
        match self {
            Self::Accepted { event_id, dropped } => {
                result["event_id"] = json!(event_id);
                if !dropped.is_empty() {
                    result["dropped_properties"] = json!(dropped);
                }
            }
            Self::Repeated { event_id } => result["event_id"] = json!(event_id),
            Self::Filtered { code, message } => {
                result["error"] = json!({"code": code, "message": message});
            }
            Self::Rejected(refusal) => result["error"] = protocol::error(refusal),
        }
        result
    }
}

/// How many events of a request became what.
pub(crate) fn count(outcomes: &[Outcome]) -> [(&'static str, usize); 4] {
    ["accepted", "repeated", "filtered", "rejected"]
        .map(|word| (word, outcomes.iter().filter(|outcome| outcome.as_str() == word).count()))
}

/// Refuses an event that is too large.
pub(crate) fn too_large(bytes: usize, max: usize) -> Refusal {
    let message = format!("the event has {bytes} bytes, and {max} are taken; send less of it");
    Refusal::too_large("event_too_large", message)
}

fn unknown(name: &str) -> Outcome {
    // What a client calls its event is not repeated at length.
    let name: String = name.chars().take(100).collect();
    let message = format!("`{name}` is not in the catalogue");
    Outcome::Filtered { code: "unknown_event", message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Snapshot, tests::row};

    fn snapshot() -> Snapshot {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let rows = vec![
            row("view:loaded", 1, "client", &schema),
            row("project:deleted", 1, "telemetry", &schema),
        ];
        Snapshot::new(rows, Vec::new(), &Snapshot::default())
    }

    fn taken(name: &str, happening: Happening) -> (Vec<Entry>, Option<Outcome>) {
        let snapshot = snapshot();
        let mut intake = Intake::new(7, Level::Full, None);
        intake.take(name, snapshot.named(name, None), happening);
        (intake.entries(), intake.outcomes.pop().flatten())
    }

    fn properties(value: &Value) -> Happening {
        Happening { properties: value.as_object().unwrap().clone(), ..Happening::default() }
    }

    #[test]
    fn type_of_the_client_is_overridden_and_derived_properties_are_empty() {
        let said = json!({"name": "/home", "type": "something else", "email": "x@y.z"});
        let (entries, _) = taken("view:loaded", properties(&said));
        assert_eq!(entries[0].payload, r#"{"name":"/home"}"#);
        let telemetry: Value = serde_json::from_str(&entries[0].telemetry).unwrap();
        assert_eq!(
            telemetry,
            json!({"event_properties": {"name": "/home", "type": "view:loaded"}, "derived_properties": {}})
        );
    }

    #[test]
    fn what_is_not_for_clients_is_not_registered() {
        for (name, code) in
            [("project:deleted", "not_for_clients"), ("nobody:knows", "unknown_event")]
        {
            let (entries, outcome) = taken(name, Happening::default());
            assert!(entries.is_empty());
            assert!(
                matches!(outcome, Some(Outcome::Filtered { code: found, .. }) if found == code)
            );
        }
        let snapshot = snapshot();
        let mut intake = Intake::new(7, Level::Security, None);
        intake.take("view:loaded", snapshot.named("view:loaded", None), Happening::default());
        assert!(matches!(intake.outcomes[..], [Some(Outcome::Filtered { code: "level", .. })]));
    }

    #[test]
    fn message_ids_of_two_channels_do_not_meet() {
        let key = |channel_id, message_id: &str| {
            Intake::new(channel_id, Level::Full, None)
                .key(message_id)
                .map_err(|refusal| refusal.code)
        };
        assert_eq!(key(7, "m1"), Ok("relay:7:m1".to_owned()));
        assert_ne!(key(7, "m1"), key(8, "m1"));
        assert!(key(7, "a\0b").unwrap().starts_with("relay:7:sha256:"));
        assert!(key(7, &"é".repeat(200)).unwrap().len() <= KEY_BYTES_MAX);
        assert_eq!(key(7, ""), Err("bad_message_id"));
        assert_eq!(key(7, &"x".repeat(201)), Err("bad_message_id"));
    }

    #[test]
    fn outcomes_stand_in_the_order_of_the_events() {
        let snapshot = snapshot();
        let mut intake = Intake::new(7, Level::Full, None);
        let view = snapshot.named("view:loaded", None);
        intake.take("view:loaded", view, Happening::default());
        intake.reject(Refusal::invalid("x", "y"));
        intake.take("view:loaded", view, Happening::default());
        intake.take("view:loaded", view, Happening::default());
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let written =
            vec![Written::Registered(one), Written::Repeated(two), Written::Conflict(two)];
        let outcomes = intake.finish(written).unwrap();
        let words: Vec<_> = outcomes.iter().map(Outcome::as_str).collect();
        assert_eq!(words, ["accepted", "rejected", "repeated", "rejected"]);
        assert_eq!(
            count(&outcomes),
            [("accepted", 1), ("repeated", 1), ("filtered", 0), ("rejected", 2)]
        );
    }
}
