use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tidings::{secret::Secret, subscriber::SigningKey};
use tokio::time::Instant;

use super::{super::sign::Signer, *};

const ID: Uuid = Uuid::from_u128(7);

fn event(payload: &str) -> RegisteredEvent {
    RegisteredEvent {
        event_id: ID,
        event_type: "order:placed".to_owned(),
        version: 1,
        tenant: String::new(),
        scope: String::new(),
        ordering_key: None,
        occurred_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
        payload: payload.to_owned(),
        headers: None,
    }
}

fn subscriber(subscriber_id: i32) -> Subscriber {
    Subscriber {
        subscriber_id,
        tenant: "acme".to_owned(),
        name: "shop".to_owned(),
        kind: "webhook".to_owned(),
        config: Value::Null,
        secrets: Vec::new(),
        credentials: None,
    }
}

fn format(profile: Profile, content_type: ContentType) -> Format {
    let config = Config { profile, content_type, ..Config::new("https://example.com") };
    Format::of(&subscriber(1), &config)
}

fn body(profile: Profile, content_type: ContentType, payload: &str) -> String {
    format(profile, content_type).message(&event(payload)).into_body()
}

/// Returns the headers of an attempt at that second.
fn headers(message: &Message, theirs: &HeaderMap, profile: Profile, second: i64) -> HeaderMap {
    let key = SigningKey::from(Secret::from_bytes(&[1; 32]).unwrap());
    let config = Config { profile, ..Config::new("https://example.com") };
    let signer = Signer::new(&[key], &config).unwrap();
    let now = DateTime::from_timestamp(second, 999_999_999).unwrap();
    message.headers(theirs, &signer.live(Instant::now()).unwrap(), now)
}

#[test]
fn payload_is_sent_byte_for_byte() {
    // Key order, spaces, escapes and number forms are those that were stored.
    for payload in ["{}", "{ \"b\":1.0, \"a\" : 1e2 }", r#"{"a":"\u00e9é\/"}"#, "[1,\n2]", "null"]
    {
        let text = body(Profile::Standard, ContentType::Json, payload);
        let expected = format!(
            r#"{{"type":"order:placed","timestamp":"2023-11-14T22:13:20.123456Z","data":{payload}}}"#
        );
        assert_eq!(text, expected);
        assert!(serde_json::from_str::<Value>(&text).is_ok());

        let form = body(Profile::Standard, ContentType::Form, payload);
        let fields: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let expected = [
            ("type", "order:placed"),
            ("timestamp", "2023-11-14T22:13:20.123456Z"),
            ("data", payload),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

fn cloud_event(format: format::Format) -> (Message, HeaderMap) {
    let config = Config { format, ..Config::new("https://example.com") };
    let event = RegisteredEvent {
        tenant: "acme".to_owned(),
        scope: "shop=s 1\u{e9}".to_owned(),
        headers: Some(
            r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#
                .to_owned(),
        ),
        ..event("{ \"b\":1.0 }")
    };
    let message = Format::of(&subscriber(1), &config).message(&event);
    let headers = headers(&message, &HeaderMap::new(), Profile::Standard, 100);
    (message, headers)
}

#[test]
fn binary_cloud_event_has_its_attributes_in_headers_and_the_payload_alone_in_its_body() {
    let (message, headers) = cloud_event(format::Format::CloudEventsBinary);
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "00000000-0000-0000-0000-000000000007"),
        ("ce-source", "/tidings/acme"),
        ("ce-type", "order:placed"),
        ("ce-subject", "shop=s%201%C3%A9"),
        ("ce-time", "2023-11-14T22:13:20.123456Z"),
        ("ce-traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("content-type", "application/json"),
        ("webhook-id", "00000000-0000-0000-0000-000000000007"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(!headers.contains_key("ce-datacontenttype") && !headers.contains_key("ce-data"));
    assert_eq!(message.into_body(), "{ \"b\":1.0 }");
}

#[test]
fn structured_cloud_event_is_told_by_its_media_type_and_has_everything_in_its_body() {
    let (message, headers) = cloud_event(format::Format::CloudEvents);
    assert_eq!(headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert!(!headers.keys().any(|name| name.as_str().starts_with("ce-")));
    let value: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!((&value["subject"], &value["data"]), (&json!("shop=s 1\u{e9}"), &json!({"b": 1.0})));
}

#[test]
fn signature_covers_the_body_of_a_cloud_event_as_of_any_other() {
    for format in [format::Format::CloudEvents, format::Format::CloudEventsBinary] {
        let (message, headers) = cloud_event(format);
        let key = SigningKey::from(Secret::from_bytes(&[1; 32]).unwrap());
        let signer = Signer::new(&[key], &Config::new("https://example.com")).unwrap();
        let live = signer.live(Instant::now()).unwrap();
        let expected = live.sign(message.id, 100, message.body.as_bytes());
        assert_eq!(headers["webhook-signature"].to_str().unwrap(), expected);
    }
}

#[test]
fn ping_is_a_cloud_event_where_events_are() {
    let config =
        Config { format: format::Format::CloudEvents, ..Config::new("https://example.com") };
    let at = DateTime::from_timestamp(100, 0).unwrap();
    let ping = Format::of(&subscriber(1), &config).ping(ID, at, &subscriber(1));
    let value: Value = serde_json::from_str(&ping.body).unwrap();
    assert_eq!((&value["type"], &value["data"]["subscriber"]), (&json!(PING), &json!("shop")));
}

#[test]
fn type_cannot_break_out_of_its_string() {
    let event = RegisteredEvent { event_type: "a\"b\\".to_owned(), ..event("{}") };
    for profile in [Profile::Standard, Profile::Orchest] {
        let message = format(profile, ContentType::Json).message(&event);
        let value: Value = serde_json::from_str(&message.into_body()).unwrap();
        let found =
            if profile == Profile::Orchest { &value["event"]["type"] } else { &value["type"] };
        assert_eq!(found, "a\"b\\");
    }
}

#[test]
fn envelope_of_orchest_has_its_two_fields_and_no_other_in_both_content_types() {
    let payload = r#"{"project":{"uuid":"p1", "n":1.0}}"#;
    let event = r#"{"uuid":"00000000-0000-0000-0000-000000000007","type":"order:placed","timestamp":"2023-11-14 22:13:20.123456+00:00","project":{"uuid":"p1", "n":1.0}}"#;
    for content_type in [ContentType::Json, ContentType::Form] {
        let text = body(Profile::Orchest, content_type, payload);
        let (for_whom, found) = match content_type {
            ContentType::Json => {
                let (head, tail) = text.split_once(r#","event":"#).unwrap();
                (
                    head.strip_prefix(r#"{"delivered_for":"#).unwrap().to_owned(),
                    tail.strip_suffix('}').unwrap().to_owned(),
                )
            }
            ContentType::Form => {
                let fields: Vec<_> = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
                let [(first, for_whom), (second, event)] = &fields[..] else { panic!("{text}") };
                assert_eq!((first.as_str(), second.as_str()), ("delivered_for", "event"));
                (for_whom.clone(), event.clone())
            }
        };
        assert_eq!(found, event);
        let for_whom: Value = serde_json::from_str(&for_whom).unwrap();
        let uuid = for_whom["uuid"].as_str().unwrap().parse::<Uuid>().unwrap();
        assert_eq!(uuid.get_version_num(), 5);
        assert_eq!(
            for_whom,
            json!({
                "uuid": uuid, "type": "webhook", "name": "shop", "verify_ssl": true,
                "content_type": content_type.as_str(),
            })
        );
    }
}

#[test]
fn attempts_share_id_and_body_and_differ_in_timestamp_and_signature() {
    let message = format(Profile::Standard, ContentType::Json).message(&event("{}"));
    let at = |second| headers(&message, &HeaderMap::new(), Profile::Standard, second);
    let (first, second) = (at(100), at(200));
    assert_eq!(first["webhook-id"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(first["webhook-id"], second["webhook-id"]);
    assert_eq!(
        (&first["webhook-timestamp"], &second["webhook-timestamp"]),
        (&"100".parse().unwrap(), &"200".parse().unwrap())
    );
    assert_ne!(first["webhook-signature"], second["webhook-signature"]);
    assert_eq!(first["content-type"], "application/json");
}

#[test]
fn headers_of_orchest_are_the_same_on_every_attempt_and_differ_between_subscribers() {
    let format = format(Profile::Orchest, ContentType::Form);
    let message = format.message(&event("{}"));
    let at = |second| headers(&message, &HeaderMap::new(), Profile::Orchest, second);
    let first = at(100);
    assert_eq!(first, at(200));
    assert_eq!(first["x-orchest-event"], "order:placed");
    assert_eq!(first["user-agent"], "Orchest");
    assert_eq!(first["content-type"], "application/x-www-form-urlencoded");
    assert!(!first.contains_key("webhook-signature"));
    let signature = first["x-hub-signature"].to_str().unwrap();
    assert!(
        signature.len() == 64 && signature.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
    );

    let delivery: Uuid = first["x-orchest-delivery"].to_str().unwrap().parse().unwrap();
    assert_eq!(delivery, Uuid::new_v5(&ID, b"subscriber:1"));
    let config = Config { profile: Profile::Orchest, ..Config::new("https://example.com") };
    let other = Format::of(&subscriber(2), &config).message(&event("{}"));
    assert_ne!(other.id, delivery);
}

#[test]
fn ping_is_told_from_an_event_in_both_profiles() {
    let at = DateTime::from_timestamp(100, 0).unwrap();
    let standard = format(Profile::Standard, ContentType::Json).ping(ID, at, &subscriber(1));
    let value: Value = serde_json::from_str(&standard.body).unwrap();
    assert_eq!((&value["type"], &value["data"]["tenant"]), (&json!(PING), &json!("acme")));

    let orchest = format(Profile::Orchest, ContentType::Json).ping(ID, at, &subscriber(1));
    let value: Value = serde_json::from_str(&orchest.body).unwrap();
    assert_eq!(
        value["event"],
        json!({"uuid": ID, "type": "ping", "timestamp": "1970-01-01 00:01:40.000000+00:00"})
    );
    let headers = headers(&orchest, &HeaderMap::new(), Profile::Orchest, 100);
    assert_eq!((&headers["x-orchest-event"], orchest.id), (&HeaderValue::from_static("ping"), ID));
}

#[test]
fn headers_of_the_subscriber_never_replace_ours() {
    let ours = [
        (
            Profile::Standard,
            &["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"][..],
        ),
        (
            Profile::Orchest,
            &[
                "x-orchest-event",
                "x-orchest-delivery",
                "x-hub-signature",
                "user-agent",
                "content-type",
            ],
        ),
    ];
    for (profile, names) in ours {
        let mut theirs = HeaderMap::new();
        for name in names.iter().chain(&["x-own"]) {
            theirs.append(*name, HeaderValue::from_static("forged"));
            theirs.append(*name, HeaderValue::from_static("forged twice"));
        }
        let message = format(profile, ContentType::Json).message(&event("{}"));
        let headers = headers(&message, &theirs, profile, 100);
        for name in names {
            assert_eq!(headers.get_all(*name).iter().count(), 1, "{name}");
            assert!(!headers[*name].to_str().unwrap().contains("forged"), "{name}");
        }
        assert_eq!(headers["x-own"], "forged");
    }
}
