//! The bytes that leave, and what answers mean, for each sink.

use std::time::Duration;

use chrono::DateTime;
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

mod answers;
mod recorded;
mod sizes;

const SECRET: &str = "phc_s3cr3t";

fn settings() -> Settings {
    Settings::new(Host::Us, Key::new(SECRET).unwrap(), "subscriber-1")
}

fn segment() -> Sink {
    Sink::segment(settings()).unwrap()
}

fn posthog(protocol: Protocol) -> Sink {
    Sink::posthog(settings(), PostHog { protocol, ..PostHog::default() }).unwrap()
}

fn sinks() -> [Sink; 3] {
    [segment(), posthog(Protocol::V0), posthog(Protocol::V1)]
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn at(millis: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_millis(1_795_316_533_007 + millis).unwrap()
}

fn message(number: u128, properties: Json) -> Message {
    let name = Name::new("order:placed").unwrap();
    let identity = Identity::user(id("k:ada"));
    Message::new(uuid::Uuid::from_u128(number), Call::Track, name, identity, at(0))
        .unwrap()
        .with_properties(properties.try_into().unwrap())
}

fn attempt(number: u32) -> Attempt {
    let mut attempt = Attempt::first(uuid::Uuid::from_u128(0xa), at(5_000));
    while attempt.number < number {
        attempt = attempt.next(at(5_000 * i64::from(attempt.number + 1)));
    }
    attempt
}

fn batch(sink: &Sink, count: u128) -> Batch {
    let mut batch = sink.batch();
    for number in 1..=count {
        batch.push(sink.encode(&message(number, json!({"n": 1}))).unwrap()).unwrap();
    }
    batch
}

fn response(status: u16, body: &str) -> Response {
    Response { status, headers: HeaderMap::new(), body: body.to_owned().into() }
}

fn classify(sink: &Sink, batch: &Batch, response: &Response) -> Outcome {
    sink.classify(batch, response, at(6_000))
}

#[test]
fn event_has_another_id_at_each_sink_and_the_same_one_for_ever() {
    let event = uuid::Uuid::from_u128(1);
    // Written down, because a change would let events that are sent again count twice.
    assert_eq!(segment().message_id(event).to_string(), "5cff8143-61fa-5cb1-ad07-c61fa835f89a");
    assert_eq!(
        posthog(Protocol::V0).message_id(event).to_string(),
        "54f683f3-1e1d-5f22-859e-f4f3aa8f4105"
    );
    assert_eq!(posthog(Protocol::V0).message_id(event), posthog(Protocol::V1).message_id(event));

    let other = Settings { instance: "subscriber-2".to_owned(), ..settings() };
    assert_ne!(Sink::segment(other).unwrap().message_id(event), segment().message_id(event));
    let eu = Settings { host: Host::Eu, ..settings() };
    assert_ne!(Sink::segment(eu).unwrap().message_id(event), segment().message_id(event));
}

#[test]
fn key_is_in_the_request_and_nowhere_that_is_printed() {
    for sink in sinks() {
        let batch = batch(&sink, 1);
        let request = sink.request(&batch, &attempt(1));
        let printed = format!("{sink:?} {batch:?} {request:?} {:?}", settings());
        assert!(!printed.contains(SECRET), "{printed}");
        assert!(!printed.contains("cGhjX3MzY3IzdDo"), "{printed}");
        assert!(!request.url.as_str().contains(SECRET));
        let sent = request.headers.get("authorization").map_or(&b""[..], |value| value.as_bytes());
        let sent = [sent, request.body.as_ref()].concat();
        let sent = String::from_utf8(sent).unwrap();
        assert!(sent.contains(SECRET) || sent.contains("cGhjX3MzY3IzdDo="), "{sent}");
    }
}

#[test]
fn sink_that_cannot_work_is_refused_when_it_is_made() {
    let wide = Settings { limits: Some(Limits::POSTHOG), ..settings() };
    assert!(matches!(Sink::segment(wide), Err(Error::Limit { name: "event_bytes_max", .. })));
    let host = Host::Custom("ftp://t.example".parse().unwrap());
    assert!(matches!(Sink::segment(Settings { host, ..settings() }), Err(Error::Host { .. })));
    for group_type in ["", "Company", "com pany", &"c".repeat(65)] {
        let posthog = PostHog { group_type: group_type.to_owned(), ..PostHog::default() };
        assert_eq!(Sink::posthog(settings(), posthog).unwrap_err(), Error::GroupType);
    }
}
