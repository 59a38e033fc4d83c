//! Hashing with the keys of the process, which is why this is one test in a process of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use serde_json::json;
use tidings_analytics::{Anonymous, HashKey, HashKeys, Hashed, TelemetryData, Value};

fn key(id: &str, secret: u8) -> HashKey {
    HashKey::new(id, vec![secret; 32]).unwrap()
}

fn telemetry() -> TelemetryData {
    let mut data = TelemetryData::new();
    data.derived(&[], "name_hashed", &Hashed::new("canary"));
    data
}

#[test]
fn hashed_value_follows_the_keys_of_the_process() {
    let hashed = Hashed::new("canary");
    assert_eq!(format!("{hashed:?}"), "Hashed(..)");

    // Without a key it is left out, and there is no other way for the text to leave.
    assert_eq!(hashed.hash(), None);
    assert_eq!(hashed.to_value(), None);
    assert_eq!(serde_json::to_value(hashed).unwrap(), json!(null));
    assert_eq!(telemetry(), TelemetryData::new());
    assert_eq!(vec![hashed].to_value(), Some(Value::list([None])));

    HashKeys::new(key("2025", 1)).install();
    let first = hashed.hash().unwrap();
    let (id, hash) = first.split_once(':').unwrap();
    assert_eq!((id, hash.len()), ("2025", 22));
    assert_eq!(telemetry().derived_properties()["name_hashed"], json!(first));

    // A rotation takes effect at once, and the earlier hash can be found again.
    let rotated = HashKeys::clone(&HashKeys::installed().unwrap()).rotate(key("2026", 2));
    rotated.install();
    let second = hashed.hash().unwrap();
    assert!(second.starts_with("2026:"));
    assert_eq!(HashKeys::installed().unwrap().hashes(&"canary"), [second, first]);

    HashKeys::uninstall();
    assert_eq!(telemetry(), TelemetryData::new());
}
