//! What each service takes, refuses, and takes and throws away.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use hyper::header::{HeaderName, HeaderValue};

use super::*;

const UUID: &str = "0193a5b0-0000-7000-8000-000000000001";

fn place(path: &str) -> Place {
    Place::at(path).unwrap()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

/// Those of a Segment client with the key `0123456789abcdef`.
fn basic() -> HeaderMap {
    headers(&[("authorization", "Basic MDEyMzQ1Njc4OWFiY2RlZjo=")])
}

/// Those of a client of PostHog's newer protocol.
fn bearer() -> HeaderMap {
    headers(&[
        ("authorization", "Bearer phc_0123456789"),
        ("posthog-sdk-info", "x/1"),
        ("posthog-attempt", "1"),
        ("posthog-request-id", UUID),
        ("posthog-request-timestamp", "2026-11-22T10:00:00Z"),
    ])
}

/// Returns why the message of a Segment call is thrown away.
fn thrown_away(call: &Value) -> Option<String> {
    let body = json!({"batch": [call]}).to_string();
    let reading = read(place("/v1/batch"), &basic(), body.as_bytes()).unwrap();
    assert_eq!(reading.answer, json!({"success": true}));
    reading.messages.into_iter().next().unwrap().discarded
}

/// Returns status and code of a refusal, and checks that it is written as `path` would have it.
fn refused(path: &str, headers: &HeaderMap, body: impl AsRef<[u8]>) -> (u16, &'static str) {
    let refusal = read(place(path), headers, body.as_ref()).unwrap_err();
    let written = refusal.body(Some(place(path))).to_string();
    assert!(written.contains(refusal.code), "{written}");
    (refusal.status, refusal.code)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn segment_call_is_read_whole() {
    let call = json!({
        "type": "track", "event": "order:placed", "userId": "u", "anonymousId": "a", "messageId": "m",
        "timestamp": "2026-11-22T10:00:00.500Z", "context": {"groupId": "g"}, "properties": {"items": 3},
    });
    let plain = json!({"batch": [call]}).to_string();
    let mut compressed = basic();
    compressed.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    for (headers, body) in [(basic(), plain.clone().into_bytes()), (compressed, gzip(&plain))] {
        let reading = read(place("/v1/batch"), &headers, &body).unwrap();
        assert_eq!(reading.key, "012345…");
        let message = &reading.messages[0];
        assert_eq!((message.call, message.discarded.as_deref()), ("track", None));
        let found = [&message.event, &message.user, &message.anonymous, &message.group];
        let found = found.map(|it| it.as_deref().unwrap());
        assert_eq!(found, ["order:placed", "u", "a", "g"]);
        assert_eq!(message.id.as_deref(), Some("m"));
        assert_eq!(message.size_bytes, call.to_string().len());
        assert_eq!(message.occurred_at.unwrap().timestamp_millis(), 1_795_341_600_500);
    }
    let single = json!({"groupId": "g", "userId": 7, "traits": {}, "writeKey": "short"});
    let reading =
        read(place("/v1/group"), &HeaderMap::new(), single.to_string().as_bytes()).unwrap();
    assert_eq!((reading.key.as_str(), reading.messages[0].call), ("sh…", "group"));
    assert_eq!(reading.messages[0].user.as_deref(), Some("7"));
}

#[test]
fn segment_takes_what_it_throws_away_and_the_recorder_says_so() {
    let long = "x".repeat(101);
    for (call, reason) in [
        (json!({"type": "track", "event": "e"}), "neither a `userId` nor an `anonymousId`"),
        (json!({"type": "track", "event": "e", "userId": ""}), "neither a `userId`"),
        (json!({"type": "track", "userId": "u"}), "no `event`"),
        (json!({"type": "group", "userId": "u"}), "no `groupId`"),
        (json!({"type": "alias", "userId": "u"}), "no `previousId`"),
        (json!({"type": "identify", "userId": "u", "traits": []}), "no object"),
        (
            json!({"type": "track", "event": "e", "userId": "u", "messageId": long}),
            "100 characters",
        ),
        (json!({"type": "nonsense", "userId": "u"}), "none of track"),
        (json!({"userId": "u"}), "none of track"),
        (json!(7), "no JSON object"),
        (
            json!({"type": "track", "event": "e", "userId": "u", "properties": {"x": "x".repeat(33_000)}}),
            "larger than 32 KB",
        ),
    ] {
        let found = thrown_away(&call).unwrap_or_else(|| panic!("{call} is kept"));
        assert!(found.contains(reason), "{found}");
    }
    let good = json!({"type": "track", "event": "e", "anonymousId": "a", "properties": null});
    assert_eq!(thrown_away(&good), None);
    let many = json!({"batch": vec![good; 2501]}).to_string();
    let reading = read(place("/v1/batch"), &basic(), many.as_bytes()).unwrap();
    let reason = reading.messages[2500].discarded.as_deref();
    assert_eq!(reason, Some("a batch has at most 2500 calls"));
    assert_eq!(reading.messages[2499].discarded, None);
}

#[test]
fn segment_refuses_what_it_cannot_read() {
    let batch = r#"{"batch":[]}"#;
    assert_eq!(refused("/v1/batch", &HeaderMap::new(), batch), (401, "unauthorized"));
    for (path, body, code) in [
        ("/v1/batch", "{".to_owned(), "invalid_json"),
        ("/v1/batch", "{}".to_owned(), "invalid_json"),
        ("/v1/track", "[]".to_owned(), "invalid_json"),
        ("/v1/batch", format!("{{\"batch\":[]{}}}", " ".repeat(512_000)), "too_large"),
        ("/v1/track", format!("{{{}}}", " ".repeat(32_768)), "too_large"),
    ] {
        assert_eq!(refused(path, &basic(), body), (400, code), "{path}");
    }
    let mut broken = basic();
    broken.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(refused("/v1/batch", &broken, batch), (400, "invalid_gzip"));
    broken.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
    assert_eq!(refused("/v1/batch", &broken, batch), (400, "unsupported_encoding"));
    // A bomb is never unpacked whole.
    let bomb = gzip(&" ".repeat(50 << 20));
    assert_eq!(refused("/v1/batch", &basic(), bomb), (400, "too_large"));
}

#[test]
fn posthog_reads_every_form_of_its_clients() {
    let event = json!({
        "event": "order:placed", "distinct_id": "u", "uuid": UUID, "timestamp": "2026-11-22T10:00:00Z",
        "properties": {"token": "phc_0123456789", "$groups": {"company": "g"}},
    });
    let batch = json!({"api_key": "phc_0123456789", "batch": [event]});
    for (path, body) in [
        ("/batch/", batch.to_string().into_bytes()),
        ("/i/v0/e/", gzip(&batch.to_string())),
        ("/e/", json!([event]).to_string().into_bytes()),
        ("/capture/", event.to_string().into_bytes()),
    ] {
        let reading = read(place(path), &HeaderMap::new(), &body).unwrap();
        assert_eq!((reading.key.as_str(), &reading.answer), ("phc_01…", &json!({"status": 1})));
        let message = &reading.messages[0];
        let found = [&message.event, &message.user, &message.group, &message.id];
        assert_eq!(found.map(|it| it.as_deref().unwrap()), ["order:placed", "u", "g", UUID]);
    }
    for (name, call) in [
        ("$identify", "identify"),
        ("$groupidentify", "group"),
        ("$create_alias", "alias"),
        ("$pageview", "page"),
        ("$screen", "screen"),
    ] {
        let body = json!({"api_key": "k", "event": name, "distinct_id": "u"}).to_string();
        let reading = read(place("/capture/"), &HeaderMap::new(), body.as_bytes()).unwrap();
        assert_eq!(reading.messages[0].call, call);
    }
}

#[test]
fn posthog_refuses_a_batch_for_one_bad_event() {
    let none = HeaderMap::new();
    let good = json!({"event": "e", "distinct_id": "u"});
    let with = |bad: Value| json!({"api_key": "k", "batch": [good, bad]}).to_string();
    for (body, expected) in [
        (json!({"batch": [good]}).to_string(), (401, "invalid_api_key")),
        (json!({"api_key": "k", "batch": []}).to_string(), (400, "empty_batch")),
        (with(json!(7)), (400, "invalid_payload")),
        (with(json!({"distinct_id": "u"})), (400, "missing_event_name")),
        (with(json!({"event": "e"})), (400, "missing_distinct_id")),
        (with(json!({"event": "e", "distinct_id": "u", "uuid": "7"})), (400, "invalid_uuid")),
        (
            with(json!({"event": "e", "distinct_id": "u", "properties": []})),
            (400, "invalid_payload"),
        ),
        ("{".to_owned(), (400, "invalid_json")),
    ] {
        assert_eq!(refused("/batch/", &none, &body), expected, "{body}");
    }
    let large = vec![b' '; (2 << 20) + 1];
    assert_eq!(refused("/i/v0/e/", &none, &large), (413, "payload_too_large"));
    let huge = json!({"api_key": "k", "event": "e", "distinct_id": "u",
        "properties": {"x": "x".repeat(1 << 20)}});
    let reading = read(place("/batch/"), &none, huge.to_string().as_bytes()).unwrap();
    assert_eq!(reading.messages[0].discarded.as_deref(), Some("it is larger than 1 MB"));
}

#[test]
fn newer_protocol_of_posthog_answers_for_each_event() {
    let path = "/i/v1/analytics/events";
    let event = |name: &str, distinct: &str, uuid: Value| json!({"event": name, "distinct_id": distinct, "uuid": uuid, "timestamp": "2026-11-22T10:00:00Z"});
    let batch = |events: &[Value]| json!({"batch": events}).to_string();
    let good = event("e", "u", json!(UUID));
    let reading = read(place(path), &bearer(), batch(std::slice::from_ref(&good)).as_bytes());
    assert_eq!(reading.unwrap().answer, json!({"results": {UUID: {"result": "ok"}}}));
    for (events, code) in [
        (vec![good.clone(), good.clone()], "duplicate_event_uuid"),
        (vec![event("e", "u", Value::Null)], "missing_event_uuid"),
        (vec![event(&"e".repeat(201), "u", json!(UUID))], "event_name_too_long"),
        (vec![event("e", "Anonymous", json!(UUID))], "malformed_distinct_id"),
        (vec![event("e", &"u".repeat(201), json!(UUID))], "malformed_distinct_id"),
    ] {
        assert_eq!(refused(path, &bearer(), batch(&events)), (400, code));
    }
    let mut fewer = bearer();
    fewer.remove("posthog-attempt");
    assert_eq!(refused(path, &fewer, batch(&[good])), (400, "missing_header"));
    let mut nobody = bearer();
    nobody.remove(AUTHORIZATION);
    assert_eq!(refused(path, &nobody, batch(&[json!({})])), (401, "unauthorized"));
}
