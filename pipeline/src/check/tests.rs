//! What Sunbird's and DIGIT's events are, and what went wrong with them.

mod cases;
mod contradictions;
mod documented;
mod producers;

use serde_json::json;

use super::*;
use crate::provenance::{Format, Source};

fn provenance(profile: Profile) -> Provenance {
    Provenance {
        source: Source { partition: 0, offset: 0 },
        format: Format::Sunbird,
        channel: String::new(),
        profile,
        syncts: 1_700_000_000_000,
        message_id: None,
        sender: Some("sender".to_owned()),
        did: None,
        batch_ets: None,
        importer: None,
    }
}

/// Returns an event that keeps to the specification, with these data.
fn event(eid: &str, edata: &serde_json::Value) -> serde_json::Value {
    json!({
        "eid": eid, "ets": 1_586_000_000_000_i64, "ver": "3.0", "mid": format!("{eid}:1"),
        "actor": {"id": "u", "type": "User"},
        "context": {
            "channel": "c", "pdata": {"id": "p", "pid": "", "ver": "1", "platform": "Android"}, "env": "home", "sid": "s",
            "did": "d", "cdata": [{"type": "t", "id": "i"}], "rollup": {"l1": 7}, "other": true,
        },
        "object": {"id": "do_1", "type": "Content", "ver": "1", "rollup": {"l1": "x"}},
        "edata": edata,
        "tags": ["a"],
    })
}

/// What became of an event: what it is now with its flags, or paths and codes of the reasons.
type Outcome = Result<(serde_json::Value, serde_json::Value), Vec<String>>;

fn check_by(provenance: &Provenance, event: &serde_json::Value) -> Outcome {
    let text = event.to_string();
    let mut tree = Value::parse(text.as_bytes()).unwrap();
    match check(&mut tree, provenance) {
        Ok(checked) => {
            let read = |value: &Value<'_>| serde_json::from_slice(&value.to_bytes()).unwrap();
            Ok((read(&tree), read(&Value::Object(checked.flags.to_object()))))
        }
        Err(reasons) => {
            assert!(reasons.iter().all(|reason| !reason.message.is_empty()));
            Err(reasons.iter().map(|reason| format!("{}: {}", reason.path, reason.code)).collect())
        }
    }
}

fn check_as(profile: Profile, event: &serde_json::Value) -> Outcome {
    check_by(&provenance(profile), event)
}

/// Asserts that a strict profile refuses an event for these reasons, and that it is kept under a lenient one and flagged
/// so.
fn assert_mismatch(event: &serde_json::Value, reasons: &[&str]) {
    for profile in [Profile::Strict30, Profile::Strict31] {
        assert_eq!(check_as(profile, event).unwrap_err(), reasons, "{profile} {event}");
    }
    let (kept, flags) = check_as(Profile::Lenient, event).unwrap();
    assert_eq!((&kept, flags), (event, json!({"mismatched": reasons})));
}

/// Asserts what becomes of an event under a lenient profile.
fn assert_coerced(event: &serde_json::Value, expected: &serde_json::Value, flags: &[&str]) {
    let (kept, found) = check_as(Profile::Lenient, event).unwrap();
    assert_eq!((&kept, &found), (expected, &json!({"coerced": flags})), "{event}");
}
