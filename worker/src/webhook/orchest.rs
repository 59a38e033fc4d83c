//! The envelope of Orchest: for whom the request is, and the event with its payload's members beside its own.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{
    Deserializer as _,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};
use tidings::{endpoint::Config, subscriber::Subscriber};
use uuid::Uuid;

/// What the ids of subscribers are derived from, so that they are the same on every machine.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_2c1e_6a0d_5b9a_9c43_7d1e_8b2f_4a60);

/// The members of an event that are not its payload's.
const OURS: [&str; 3] = ["uuid", "type", "timestamp"];

/// A subscriber as Orchest's envelope names it.
#[derive(Clone, Debug)]
pub(super) struct Orchest {
    subscriber: String,
    /// The first field of each body, JSON.
    delivered_for: String,
}

/// What an event is: its id, its type and when it happened.
type Head<'a> = (Uuid, &'a str, DateTime<Utc>);

impl Orchest {
    /// The type of the event that a test ping sends.
    pub(super) const PING: &'static str = "ping";

    pub(super) fn of(subscriber: &Subscriber, config: &Config) -> Self {
        let name = format!("subscriber:{}", subscriber.subscriber_id);
        let uuid = Uuid::new_v5(&NAMESPACE, name.as_bytes());
        // Text rather than an object, because the members of an object would be sorted.
        let delivered_for = format!(
            r#"{{"uuid":"{uuid}","type":"webhook","name":{},"verify_ssl":true,"content_type":"{}"}}"#,
            Value::from(subscriber.name.as_str()),
            config.content_type.as_str(),
        );
        Self { subscriber: name, delivered_for }
    }

    /// Returns the id of the delivery of an event: the same on every attempt, and another for each subscriber.
    pub(super) fn delivery_id(&self, event_id: Uuid) -> Uuid {
        Uuid::new_v5(&event_id, self.subscriber.as_bytes())
    }

    /// Returns the two fields of a body, each JSON.
    pub(super) fn fields(&self, head: Head<'_>, payload: &str) -> [(&'static str, String); 2] {
        [("delivered_for", self.delivered_for.clone()), ("event", event(head, payload))]
    }
}

/// Returns the event: its id, type and time, then the members of its payload, verbatim.
///
/// A member of the payload that has the name of one of ours is left out, or a receiver would take it for ours. A payload
/// that is no object has no members and stands whole under `data`.
fn event((uuid, event_type, at): Head<'_>, payload: &str) -> String {
    let (event_type, at) = (json!(event_type), at.format("%Y-%m-%d %H:%M:%S%.6f+00:00"));
    let head = format!(r#""uuid":"{uuid}","type":{event_type},"timestamp":"{at}""#);
    match members(payload) {
        Some(members) if members.is_empty() => format!("{{{head}}}"),
        Some(members) => format!("{{{head},{members}}}"),
        None => format!(r#"{{{head},"data":{payload}}}"#),
    }
}

/// Returns what stands between the braces of an object, but for the members that are ours; `None` if it is no object.
fn members(payload: &str) -> Option<String> {
    let inner = payload.trim().strip_prefix('{')?.strip_suffix('}')?;
    let read = serde_json::Deserializer::from_str(payload).deserialize_map(Members).ok()?;
    if !read.iter().any(|(name, _)| OURS.contains(&name.as_str())) {
        return Some(inner.trim().to_owned());
    }
    let others = read.into_iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    let others = others.map(|(name, value)| format!("{}:{}", Value::from(name), value.get()));
    Some(others.collect::<Vec<_>>().join(","))
}

/// Reads the members of an object in their order, each value as the text that it is.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = r#""uuid":"00000000-0000-0000-0000-000000000007","type":"order:placed","timestamp":"2022-06-02 16:12:25.242592+00:00""#;

    fn of(payload: &str) -> String {
        let at = DateTime::from_timestamp_micros(1_654_186_345_242_592).unwrap();
        event((Uuid::from_u128(7), "order:placed", at), payload)
    }

    #[test]
    fn members_of_the_payload_follow_ours_byte_for_byte() {
        for (payload, expected) in [
            ("{}", ""),
            (" { \n} ", ""),
            (r#"{"b":1.0,  "a" : 1e2}"#, r#","b":1.0,  "a" : 1e2"#),
            (r#"{ "é":"\u00e9\/", "a":{"uuid":1} }"#, r#","é":"\u00e9\/", "a":{"uuid":1}"#),
            (r#"{"a":1,"uuid":"x","type" : [2],"b":{ "c":1.50 }}"#, r#","a":1,"b":{ "c":1.50 }"#),
            (r#"{"timestamp":1}"#, ""),
            (r#"{"\u0075uid":1,"a":2}"#, r#","a":2"#),
            ("[1,\n2]", ",\"data\":[1,\n2]"),
            ("null", r#","data":null"#),
            (r#""{}""#, r#","data":"{}""#),
        ] {
            assert_eq!(of(payload), format!("{{{HEAD}{expected}}}"), "{payload}");
        }
    }

    #[test]
    fn time_without_a_fraction_is_written_with_one() {
        let event = event((Uuid::nil(), "ping", DateTime::UNIX_EPOCH), "{}");
        assert!(event.contains(r#""timestamp":"1970-01-01 00:00:00.000000+00:00""#), "{event}");
    }

    proptest! {
        #[test]
        fn any_object_stays_json_with_our_members_on_top(names in proptest::collection::vec("(uuid|type|timestamp|[a-z\"{},é]{0,6})", 0..6)) {
            let members = names.iter().map(|name| format!("{}:[{{}}]", Value::from(name.as_str())));
            let payload = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
            let value: Value = serde_json::from_str(&of(&payload)).unwrap();
            prop_assert_eq!(&value["type"], "order:placed");
            prop_assert_eq!(&value["uuid"], "00000000-0000-0000-0000-000000000007");
            for name in names.iter().filter(|name| !OURS.contains(&name.as_str())) {
                prop_assert_eq!(&value[name], &json!([{}]));
            }
        }
    }
}
