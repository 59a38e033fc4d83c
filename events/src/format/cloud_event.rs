//! `CloudEvents` 1.0: an event with its attributes, structured as JSON or binary.
//!
//! | Attribute | Is |
//! |---|---|
//! | `specversion` | `1.0` |
//! | `id` | the event id, the same on every attempt and every replay |
//! | `source` | `/tidings`, or `/tidings/<tenant>` |
//! | `type` | the event type, `order:placed` for example |
//! | `subject` | the scope path; absent at the root |
//! | `time` | when it happened |
//! | `datacontenttype` | `application/json` |
//! | `partitionkey` | the ordering key; absent where there is none |
//! | `traceparent`, `tracestate` | the trace that it was registered in, if any |
//!
//! Ids are unique across installations, so `source` need not tell one from another.
//! A binding (HTTP, Kafka) puts the attributes of a binary event into its own headers, under its own prefix.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::Value;

use super::timestamp;
use crate::{delivery::RegisteredEvent, scope::percent_encode};

/// The media type of a structured event.
pub const STRUCTURED_MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// The media type of the data.
pub const DATA_MEDIA_TYPE: &str = "application/json";

/// Where events come from, without a tenant.
const SOURCE: &str = "/tidings";

/// An event as `CloudEvents` sees it.
#[derive(Clone, Copy, Debug)]
pub struct CloudEvent<'a> {
    event: &'a RegisteredEvent,
}

impl<'a> CloudEvent<'a> {
    /// Returns `event` as `CloudEvents` sees it.
    #[must_use]
    pub const fn new(event: &'a RegisteredEvent) -> Self {
        Self { event }
    }

    /// Returns the attributes but for `datacontenttype`, each by its name; none of them is empty.
    #[must_use]
    pub fn attributes(&self) -> Vec<(&'static str, Cow<'a, str>)> {
        let event = self.event;
        let trace = event.trace();
        let optional = [
            ("subject", Some(text(&event.scope))),
            ("partitionkey", event.ordering_key.as_deref().map(text)),
            ("traceparent", trace.as_ref().map(|trace| trace.traceparent().to_owned().into())),
            (
                "tracestate",
                trace.as_ref().and_then(|trace| trace.tracestate()).map(|it| it.to_owned().into()),
            ),
        ];
        let mut attributes = vec![
            ("specversion", Cow::Borrowed("1.0")),
            ("id", event.event_id.to_string().into()),
            ("source", source(&event.tenant)),
            ("type", text(&event.event_type)),
            ("time", timestamp(event.occurred_at).into()),
        ];
        let there = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        attributes.extend(there.filter(|(_, value)| !value.is_empty()));
        attributes
    }

    /// Returns the structured form, a JSON document of [`STRUCTURED_MEDIA_TYPE`], with the payload as it stands.
    #[must_use]
    pub fn structured(&self) -> String {
        let mut json = String::with_capacity(self.event.payload.len() + 512);
        json.push('{');
        for (name, value) in self.attributes() {
            // Writing to a string cannot fail.
            write!(json, r#""{name}":{},"#, Value::from(value)).ok();
        }
        let data = &self.event.payload;
        write!(json, r#""datacontenttype":"{DATA_MEDIA_TYPE}","data":{data}}}"#).ok();
        json
    }
}

/// Returns the value of an attribute as a header of HTTP carries it: printable ASCII, the rest percent-encoded.
#[must_use]
pub fn http_value(value: &str) -> Cow<'_, str> {
    // HTTP binding, 3.1.3.2.
    percent_encode(value, |char| !char.is_ascii_graphic() || matches!(char, '"' | '%'))
}

fn source(tenant: &str) -> Cow<'static, str> {
    if tenant.is_empty() {
        return SOURCE.into();
    }
    // RFC 3986, section 2.3: what stands for itself wherever it is.
    let is_unreserved =
        |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_' | '~');
    format!("{SOURCE}/{}", percent_encode(tenant, |char| !is_unreserved(char))).into()
}

/// Returns a text as an attribute of the type String: control characters and what is no character are percent-encoded.
fn text(value: &str) -> Cow<'_, str> {
    percent_encode(value, is_forbidden)
}

/// Whether an attribute may not have it: U+0000–001F, U+007F–009F, and what Unicode says is no character.
fn is_forbidden(char: char) -> bool {
    let code = u32::from(char);
    char.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::scope::percent_decode;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn event() -> RegisteredEvent {
        RegisteredEvent {
            event_id: Uuid::from_u128(7),
            event_type: "order:placed".to_owned(),
            version: 1,
            tenant: String::new(),
            scope: "project=p1/job=j1".to_owned(),
            ordering_key: Some("o7".to_owned()),
            occurred_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            payload: r#"{ "n":1.0 }"#.to_owned(),
            headers: Some(format!(r#"{{"traceparent":"{TRACE}","tracestate":"a=1"}}"#)),
        }
    }

    fn attributes(event: &RegisteredEvent) -> BTreeMap<&'static str, String> {
        let attributes = CloudEvent::new(event).attributes();
        attributes.into_iter().map(|(name, value)| (name, value.into_owned())).collect()
    }

    #[test]
    fn required_and_optional_attributes_are_there() {
        let expected = [
            ("specversion", "1.0"),
            ("id", "00000000-0000-0000-0000-000000000007"),
            ("source", "/tidings"),
            ("type", "order:placed"),
            ("time", "2023-11-14T22:13:20.123456Z"),
            ("subject", "project=p1/job=j1"),
            ("partitionkey", "o7"),
            ("traceparent", TRACE),
            ("tracestate", "a=1"),
        ];
        assert_eq!(attributes(&event()), expected.map(|(n, v)| (n, v.to_owned())).into());
    }

    #[test]
    fn optional_attribute_is_absent_rather_than_empty() {
        let bare = RegisteredEvent {
            scope: String::new(),
            ordering_key: Some(String::new()),
            headers: Some(r#"{"traceparent":"garbage"}"#.to_owned()),
            ..event()
        };
        let names: Vec<_> = attributes(&bare).into_keys().collect();
        assert_eq!(names, ["id", "source", "specversion", "time", "type"]);
    }

    #[test]
    fn attribute_names_are_lower_case_letters_and_digits() {
        for name in attributes(&event()).keys() {
            let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            assert!(name.bytes().all(is_good) && name.len() <= 20, "{name}");
        }
    }

    #[test]
    fn source_is_a_uri_reference_whatever_the_tenant_is_called() {
        for (tenant, source) in
            [("acme", "/tidings/acme"), ("a/b c", "/tidings/a%2Fb%20c"), ("é", "/tidings/%C3%A9")]
        {
            let event = RegisteredEvent { tenant: tenant.to_owned(), ..event() };
            assert_eq!(attributes(&event)["source"], source);
        }
    }

    #[test]
    fn text_with_control_characters_or_noncharacters_is_encoded() {
        for (key, expected) in [
            ("a\u{7}b", "a%07b"),
            ("a\u{85}b", "a%C2%85b"),
            ("a\u{fffe}\u{fdd0}", "a%EF%BF%BE%EF%B7%90"),
            ("a b\u{e9}%", "a b\u{e9}%"),
        ] {
            let event = RegisteredEvent { ordering_key: Some(key.to_owned()), ..event() };
            assert_eq!(attributes(&event)["partitionkey"], expected);
        }
    }

    #[test]
    fn structured_event_has_the_payload_byte_for_byte_and_not_in_a_string() {
        let json = CloudEvent::new(&event()).structured();
        assert!(json.ends_with(r#","datacontenttype":"application/json","data":{ "n":1.0 }}"#));
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["data"]["n"], 1.0);
        for (name, text) in attributes(&event()) {
            assert_eq!(value[name], text);
        }
    }

    #[test]
    fn header_of_http_is_encoded_as_the_binding_shows() {
        let shown = "Euro \u{20ac} \u{1f600}";
        assert_eq!(http_value(shown), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(http_value("100%\"x\""), "100%25%22x%22");
        assert_eq!(http_value("!#[]~a=b/c"), "!#[]~a=b/c");
    }

    proptest! {
        #[test]
        fn any_value_comes_back_from_a_header(value in ".{0,40}") {
            let header = http_value(&value);
            prop_assert!(header.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
            prop_assert_eq!(percent_decode(&header).unwrap(), value.as_str());
        }

        #[test]
        fn any_event_is_one_json_document(key in ".{0,20}", tenant in ".{0,20}", kind in ".{1,20}") {
            let event = RegisteredEvent { tenant, event_type: kind, ordering_key: Some(key), ..event() };
            let value: Value = serde_json::from_str(&CloudEvent::new(&event).structured()).unwrap();
            for (name, text) in attributes(&event) {
                prop_assert!(!text.is_empty() && !text.contains(is_forbidden));
                prop_assert_eq!(&value[name], &text);
            }
        }
    }
}
