//! A registered event as an event of the pipeline.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tidings::{
    analytics::wire::Identity,
    deliverer::{Answer, Verdict},
    delivery::RegisteredEvent,
};
use uuid::Uuid;

use super::CHANNEL;
use crate::identity;

/// Over how many devices the events of an installation are spread.
///
/// A device stays in one partition, and so would all events of one installation; more than there are partitions as a
/// rule, so that each gets about as much. Never changed: an event that comes again under another device is another one.
const DEVICES: i32 = 256;

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
/// Its device follows from the installation and its id, and is the same whenever it comes.
///
/// # Errors
///
/// The answer to one that is not sent: it cannot be, or a category of `consent` was not agreed to.
pub(super) fn event(
    event: &RegisteredEvent,
    installation: Uuid,
    consent: &BTreeSet<String>,
) -> Result<String, Answer> {
    let View { event_properties, derived_properties } = serde_json::from_str(&event.payload)
        .map_err(|_| {
            refused("it has no telemetry view; only a sink can be of the kind pipeline")
        })?;
    let beside = event.headers.as_deref().map_or(Ok(Beside::default()), serde_json::from_str);
    let Beside { analytics: identity } =
        beside.map_err(|_| refused("the identity beside the event cannot be read"))?;
    if let Some(category) = identity.refused(consent) {
        let reason = format!("there is no consent to {category}, which the sink needs");
        return Err(Answer::filtered(reason));
    }
    let actor = match identity.distinct_id() {
        Some(id) => json!({"id": id.as_str(), "type": "User"}),
        None => json!({"id": installation, "type": "System"}),
    };
    let event_type = &event.event_type;
    let environment = event_type.split(':').next().unwrap_or_default();
    let (id, at) = (event.event_id, event.occurred_at.timestamp_millis());
    let context = json!({
        "channel": CHANNEL,
        "pdata": {"id": CHANNEL, "pid": installation},
        "env": environment,
        "did": device(id, installation),
    });
    let event_type = json!(event_type);
    Ok(format!(
        r#"{{"eid":"AUDIT","ets":{at},"ver":"3.1","mid":"{id}","actor":{actor},"context":{context},"object":{{"id":"{id}","type":{event_type}}},"edata":{{"type":{event_type},"event_properties":{event_properties},"derived_properties":{derived_properties}}}}}"#
    ))
}

fn refused(reason: &str) -> Answer {
    Answer::failed(Verdict::Refused, reason)
}

/// Returns the device that an event of an installation is of.
///
/// It follows from the id alone: an ordering key may say what telemetry must not.
fn device(event_id: Uuid, installation: Uuid) -> String {
    let number = identity::partition(&event_id.to_string(), DEVICES);
    format!("{installation}-{number:02x}")
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

    fn sent(registered: &RegisteredEvent) -> Result<String, Answer> {
        event(registered, INSTALLATION, &BTreeSet::new())
    }

    #[test]
    fn event_of_nobody_is_the_installations_and_keeps_its_properties_as_stored() {
        let payload = r#"{"event_properties":{"n": 1.0},"derived_properties":{"b":2,"a":[ ]}}"#;
        let text = sent(&registered(payload, None)).unwrap();
        assert!(text.contains(r#""event_properties":{"n": 1.0},"#), "{text}");
        let found: Value = serde_json::from_str(&text).unwrap();
        let (id, installation) = (Uuid::from_u128(7).to_string(), INSTALLATION.to_string());
        let expected = json!({
            "eid": "AUDIT", "ets": 1_700_000_000_123_u64, "ver": "3.1", "mid": id,
            "actor": {"id": installation, "type": "System"},
            "context": {
                "channel": "tidings", "pdata": {"id": "tidings", "pid": installation}, "env": "order",
                "did": format!("{installation}-82"),
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
            let text = sent(&registered(payload, Some(headers))).unwrap();
            let found: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(found["actor"], json!({"id": actor, "type": "User"}));
            assert_eq!(found["context"]["pdata"]["pid"], INSTALLATION.to_string());
        }
    }

    #[test]
    fn events_of_an_installation_are_spread_evenly_and_each_stays_where_it_is() {
        let mut counts = [0_usize; 16];
        for number in 0..16_000 {
            let id = Uuid::from_u128(number);
            let partition = identity::partition(&device(id, INSTALLATION), 16);
            assert_eq!(partition, identity::partition(&device(id, INSTALLATION), 16));
            counts[usize::try_from(partition).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (400..2500).contains(count)), "{counts:?}");
    }

    #[test]
    fn ordering_key_changes_nothing_of_the_event() {
        let payload = r#"{"event_properties":{},"derived_properties":{}}"#;
        let plain = registered(payload, None);
        let ordered = RegisteredEvent { ordering_key: Some("ann".to_owned()), ..plain.clone() };
        assert_eq!(sent(&plain), sent(&ordered));
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
            let answer = sent(&registered(payload, None)).unwrap_err();
            assert_eq!(answer.verdict, Verdict::Refused);
            assert!(answer.error.as_deref().unwrap().contains("only a sink"), "{answer:?}");
        }
    }

    #[test]
    fn unreadable_identity_is_a_reason() {
        let payload = r#"{"event_properties":{},"derived_properties":{}}"#;
        let found = sent(&registered(payload, Some(r#"{"analytics":7}"#)));
        assert_eq!(found, Err(refused("the identity beside the event cannot be read")));
    }

    #[test]
    fn event_of_somebody_who_has_refused_is_not_sent_and_no_failure() {
        let payload = r#"{"event_properties":{},"derived_properties":{}}"#;
        let needed = ["Analytics".to_owned()].into();
        for (consent, is_sent) in [(r#"{"Analytics":true}"#, true), ("{}", false)] {
            let headers = format!(r#"{{"analytics":{{"user":"k:1","consent":{consent}}}}}"#);
            let registered = registered(payload, Some(&headers));
            let verdict =
                event(&registered, INSTALLATION, &needed).map_err(|answer| answer.verdict);
            assert_eq!(verdict.is_ok(), is_sent);
            assert!(is_sent || verdict == Err(Verdict::Filtered));
            assert!(sent(&registered).is_ok(), "a sink that needs no consent");
        }
    }
}
