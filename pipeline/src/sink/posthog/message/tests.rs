//! Names, people and sessions.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidings_analytics::{
    HashKey,
    wire::{Host, Key, Settings},
};

use super::*;

const ETS: i64 = 1_700_000_000_000;

fn options() -> Options {
    let key = HashKey::new("k1", vec![7; 32]).unwrap();
    let settings = Settings::new(Host::Us, Key::new("phc").unwrap(), "1");
    Options::new("ph", settings, HashKeys::new(key), Arc::new(|| DateTime::UNIX_EPOCH))
}

fn event(actor: &str, device: &str, sid: &str) -> Json {
    json!({"eid": "INTERACT", "ets": ETS, "actor": {"id": actor}, "edata": {"type": "click"},
        "context": {"did": device, "sid": sid, "env": "nipunhp", "pdata": {"id": "esamwad"}}})
}

fn told(event: &Json, options: &Options) -> Message {
    message(event.to_string().as_bytes(), b"doc1", options).unwrap()
}

#[test]
fn person_is_the_hash_of_the_actor_unless_nobody_in_particular() {
    let options = options();
    let hash = |text: &str| Some(Id::new(options.keys.hash(&text).unwrap()).unwrap());
    let long = "x".repeat(300);
    let table = [
        ("ada", "d1", hash("ada"), None),
        (&*long, "d1", hash(&long), None),
        ("", "d1", None, hash("d1")),
        (" Anonymous ", "d1", None, hash("d1")),
        ("null", "d1", None, hash("d1")),
        ("d1", "d1", None, hash("d1")),
        ("", "", None, hash("doc1")),
        ("guest", "undefined", None, hash("doc1")),
        // Redacted before.
        ("k0:AAAAAAAAAAAAAAAAAAAAAA", "d1", Id::new("k0:AAAAAAAAAAAAAAAAAAAAAA").ok(), None),
    ];
    for (actor, device, user, anonymous) in table {
        let message = told(&event(actor, device, ""), &options);
        let identity = message.identity();
        assert_eq!((&identity.user, &identity.anonymous), (&user, &anonymous), "{actor} {device}");
        let text = serde_json::to_string(&message).unwrap();
        assert!(!text.contains("ada") && !text.contains("\"d1\""), "{text}");
    }
}

#[test]
fn name_follows_from_the_template() {
    let mut options = options();
    assert_eq!(told(&event("a", "d", ""), &options).name().as_str(), "INTERACT");
    options.event_name = "{context.pdata.id}-{context.env}-{edata.type}".to_owned();
    let message = told(&event("a", "d", ""), &options);
    assert_eq!(message.name().as_str(), "esamwad-nipunhp-click");
    assert_eq!(message.properties().as_map()["edata.type"], "click");
    options.event_name = "{nothing.there}".to_owned();
    let refused = message_of(&event("a", "d", ""), &options).unwrap_err();
    assert_eq!(refused.code, "not_sent");
    options.event_name = "a {eid".to_owned();
    assert_eq!(told(&event("a", "d", ""), &options).name().as_str(), "a INTERACT");
}

fn message_of(event: &Json, options: &Options) -> Result<Message, Reason> {
    message(event.to_string().as_bytes(), b"doc1", options)
}

#[test]
fn session_is_one_that_posthog_takes_and_the_same_for_the_same_day() {
    let options = options();
    let session = |event: &Json| {
        let message = told(event, &options);
        let text = message.properties().as_map()["$session_id"].as_str().unwrap().to_owned();
        Uuid::parse_str(&text).unwrap()
    };
    let first = session(&event("a", "d", "s1"));
    assert_eq!(first.get_version_num(), 7);
    let (seconds, _) = first.get_timestamp().unwrap().to_unix();
    assert_eq!(i64::try_from(seconds).unwrap(), ETS / 86_400_000 * 86_400);
    assert_eq!(session(&event("a", "d", "s1")), first);
    assert_ne!(session(&event("a", "d", "s2")), first);
    assert_ne!(session(&event("a", "e", "s1")), first);
    let mut later = event("a", "d", "s1");
    later["ets"] = json!(ETS + 86_400_000);
    assert_ne!(session(&later), first);
    let own = "018bcfe5-6800-7000-8000-000000000001";
    assert_eq!(session(&event("a", "d", own)).to_string(), own);
}

#[test]
fn same_document_has_the_same_id_and_the_time_of_the_event() {
    let options = options();
    let message = told(&event("a", "d", ""), &options);
    assert_eq!(message.id(), Uuid::new_v5(&NAMESPACE, b"doc1"));
    assert_eq!(message.occurred_at().timestamp_millis(), ETS);
    let refused = message_of(&json!({"eid": "LOG", "ets": "soon"}), &options).unwrap_err();
    assert_eq!((refused.path.as_ref(), refused.code.as_ref()), ("$.ets", "unreadable"));
}
