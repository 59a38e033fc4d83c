//! A registered event as an event of the pipeline.

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tidings::{analytics::wire::Identity, delivery::RegisteredEvent};
use uuid::Uuid;

use super::CHANNEL;

/// The telemetry view, and nothing else: a notification may say what nobody has agreed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct View<'a> {
    #[serde(borrow)]
    event_properties: &'a RawValue,
    #[serde(borrow)]
    derived_properties: &'a RawValue,
}

/// What stands beside an event that is of interest here.
#[derive(Default, Deserialize)]
struct Beside {
    #[serde(default)]
    analytics: Identity,
}

/// Returns the event as JSON, with its properties as they were stored.
///
/// # Errors
///
/// What is wrong with it, for people.
pub(super) fn event(event: &RegisteredEvent, installation: Uuid) -> Result<String, &'static str> {
    let View { event_properties, derived_properties } = serde_json::from_str(&event.payload)
        .map_err(|_| "it has no telemetry view; only a sink can be of the kind pipeline")?;
    let beside = event.headers.as_deref().map_or(Ok(Beside::default()), serde_json::from_str);
    let Beside { analytics: identity } =
        beside.map_err(|_| "the identity beside the event cannot be read")?;
    let actor = match identity.distinct_id() {
        Some(id) => json!({"id": id.as_str(), "type": "User"}),
        None => json!({"id": installation, "type": "System"}),
    };
    let event_type = &event.event_type;
    let environment = event_type.split(':').next().unwrap_or_default();
    let context = json!({
        "channel": CHANNEL,
        "pdata": {"id": CHANNEL},
        "env": environment,
        "did": installation,
    });
    let (id, at) = (event.event_id, event.occurred_at.timestamp_millis());
    let event_type = json!(event_type);
    Ok(format!(
        r#"{{"eid":"AUDIT","ets":{at},"ver":"3.1","mid":"{id}","actor":{actor},"context":{context},"object":{{"id":"{id}","type":{event_type}}},"edata":{{"type":{event_type},"event_properties":{event_properties},"derived_properties":{derived_properties}}}}}"#
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tidings::delivery::RegisteredEvent;

    use super::*;

    const INSTALLATION: Uuid = Uuid::from_u128(9);

    fn registered(payload: &str, headers: Option<&str>) -> RegisteredEvent {
        RegisteredEvent {
            event_id: Uuid::from_u128(7),
            event_type: "order:placed".to_owned(),
            version: 1,
            tenant: String::new(),
            scope: String::new(),
            ordering_key: None,
            occurred_at: chrono::DateTime::from_timestamp_millis(1_700_000_000_123).unwrap(),
            payload: payload.to_owned(),
            headers: headers.map(str::to_owned),
        }
    }

    #[test]
    fn event_of_nobody_is_the_installations_and_keeps_its_properties_as_stored() {
        let payload = r#"{"event_properties":{"n": 1.0},"derived_properties":{"b":2,"a":[ ]}}"#;
        let text = event(&registered(payload, None), INSTALLATION).unwrap();
        assert!(text.contains(r#""event_properties":{"n": 1.0},"#), "{text}");
        let found: Value = serde_json::from_str(&text).unwrap();
        let (id, installation) = (Uuid::from_u128(7).to_string(), INSTALLATION.to_string());
        let expected = json!({
            "eid": "AUDIT", "ets": 1_700_000_000_123_u64, "ver": "3.1", "mid": id,
            "actor": {"id": installation, "type": "System"},
            "context": {
                "channel": "tidings", "pdata": {"id": "tidings"}, "env": "order",
                "did": installation,
            },
            "object": {"id": id, "type": "order:placed"},
            "edata": {
                "type": "order:placed", "event_properties": {"n": 1.0},
                "derived_properties": {"b": 2, "a": []},
            },
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn event_of_somebody_has_their_keyed_hash_as_its_actor() {
        let payload = r#"{"event_properties":{},"derived_properties":{}}"#;
        for (headers, actor) in [
            (r#"{"analytics":{"user":"k:1","anonymous":"k:2"}}"#, "k:1"),
            (r#"{"analytics":{"anonymous":"k:2"},"traceparent":"x"}"#, "k:2"),
        ] {
            let text = event(&registered(payload, Some(headers)), INSTALLATION).unwrap();
            let found: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(found["actor"], json!({"id": actor, "type": "User"}));
            assert_eq!(found["context"]["did"], INSTALLATION.to_string());
        }
    }

    #[test]
    fn notification_is_never_taken_for_telemetry() {
        for payload in [
            "{}",
            r#"{"order":{"email":"a@example.com"}}"#,
            r#"{"event_properties":{},"derived_properties":{},"email":"a@example.com"}"#,
            r#"{"event_properties":{}}"#,
            "null",
            "[]",
        ] {
            let reason = event(&registered(payload, None), INSTALLATION).unwrap_err();
            assert!(reason.contains("only a sink"), "{reason}");
        }
    }

    #[test]
    fn unreadable_identity_is_a_reason() {
        let payload = r#"{"event_properties":{},"derived_properties":{}}"#;
        let found = event(&registered(payload, Some(r#"{"analytics":7}"#)), INSTALLATION);
        assert_eq!(found, Err("the identity beside the event cannot be read"));
    }
}
