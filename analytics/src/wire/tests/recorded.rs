//! Each call as each sink gets it.

use std::fmt::Write as _;

use super::*;

/// One message of each call, and a few more of what differs by identity.
fn messages() -> Vec<(&'static str, Message)> {
    let identity = Identity {
        user: Some(id("k:ada")),
        anonymous: Some(id("k:device")),
        group: Some(id("k:acme")),
        previous: Some(id("k:before")),
        consent: Some([("Analytics".to_owned(), true), ("Advertising".to_owned(), false)].into()),
    };
    let message = |call, identity| {
        let name = Name::new("order:placed").unwrap();
        let context = Context::new().app("version", crate::Value::name("1.2.0"));
        let mut data = crate::TelemetryData::new();
        data.property(&["order"], "express", &true);
        Message::new(uuid::Uuid::from_u128(1), call, name, identity, at(0))
            .unwrap()
            .with_properties(Properties::of_telemetry("order:placed", &data, &context))
    };
    let mut messages: Vec<_> =
        Call::ALL.map(|call| (call.as_str(), message(call, identity.clone()))).into();
    messages.push(("track, anonymous", message(Call::Track, Identity::anonymous(id("k:device")))));
    let app = App { name: "shop".to_owned(), version: "1.2.0".to_owned() };
    let bare = message(Call::Track, Identity::user(id("k:ada"))).with_app(app);
    messages.push((
        "track, of an app, switched off for a destination",
        bare.with_integration("All", true).with_integration("Mixpanel", false),
    ));
    messages
}

/// Everything that leaves for the messages, in a form that can be read.
fn recording(sink: &Sink) -> String {
    let mut text = String::new();
    for (title, message) in messages() {
        let encoded = sink.encode(&message).unwrap();
        let json: Json = serde_json::from_slice(encoded.bytes()).unwrap();
        writeln!(text, "## {title}\n{json:#}\n").unwrap();
    }
    let request = sink.request(&batch(sink, 2), &attempt(2));
    writeln!(text, "## request, second attempt\nPOST {}", request.url).unwrap();
    let mut headers: Vec<_> = request.headers.iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        writeln!(text, "{name}: {value}").unwrap();
    }
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    writeln!(text, "\n{}", body.replace("},{\"", "},\n{\"")).unwrap();
    text.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn segment_gets_its_specification() {
    insta::assert_snapshot!(recording(&segment()));
}

#[test]
fn posthog_gets_its_own_events_for_each_call() {
    insta::assert_snapshot!(recording(&posthog(Protocol::V0)));
}

#[test]
fn newer_posthog_gets_options_and_headers() {
    insta::assert_snapshot!(recording(&posthog(Protocol::V1)));
}

#[test]
fn only_segment_hears_anew_when_each_attempt_is_made() {
    for sink in sinks() {
        let batch = batch(&sink, 1);
        let [first, second] = [1, 2].map(|number| sink.request(&batch, &attempt(number)));
        let is_segment = sink.vendor() == Vendor::Segment;
        assert_eq!(first.body != second.body, is_segment);
        assert_eq!(first.body.len(), second.body.len());
        if is_segment {
            let sent_at = |request: Request| {
                serde_json::from_slice::<Json>(&request.body).unwrap()["sentAt"].take()
            };
            assert_eq!(sent_at(first), json!("2026-11-22T03:02:18.007Z"));
            assert_eq!(sent_at(second), json!("2026-11-22T03:02:23.007Z"));
        }
    }
}

#[test]
fn historical_migration_is_told_to_posthog() {
    for (protocol, flag) in [(Protocol::V0, Some(true)), (Protocol::V1, Some(true))] {
        let posthog = PostHog { protocol, historical_migration: true, ..PostHog::default() };
        let sink = Sink::posthog(settings(), posthog).unwrap();
        let request = sink.request(&batch(&sink, 1), &attempt(1));
        let body: Json = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["historical_migration"].as_bool(), flag);
    }
}

#[test]
fn property_of_posthogs_own_name_does_not_reach_it() {
    let sink = posthog(Protocol::V0);
    let spoofed = json!({"$lib": "web", "$ip": "192.0.2.1", "$geoip_disable": false, "kept": 1});
    let encoded = sink.encode(&message(1, spoofed)).unwrap();
    let text = str::from_utf8(encoded.bytes()).unwrap();
    assert!(!text.contains("192.0.2.1") && !text.contains("web") && text.contains(r#""kept":1"#));
    assert_eq!(text.matches("$geoip_disable").count(), 1, "{text}");
}

#[test]
fn group_with_a_long_id_has_a_short_one_where_a_person_is_asked_for() {
    let group = Identity::user(id("k:ada")).in_group(id(&"g".repeat(200)));
    let name = Name::new("group:joined").unwrap();
    let message = Message::new(uuid::Uuid::from_u128(1), Call::Group, name, group, at(0)).unwrap();
    let encoded = posthog(Protocol::V1).encode(&message).unwrap();
    let json: Json = serde_json::from_slice(encoded.bytes()).unwrap();
    assert!(json["distinct_id"].as_str().unwrap().starts_with("$company_"));
    assert!(json["distinct_id"].as_str().unwrap().len() <= 200);
    assert_eq!(json["properties"]["$group_key"], "g".repeat(200));
}
