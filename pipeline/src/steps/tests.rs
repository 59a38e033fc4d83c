//! The steps together.

use proptest::prelude::*;
use tidings_analytics::HashKey;

use super::*;
use crate::{
    Profile,
    provenance::{Format, Provenance, Source},
    value::Object,
};

const SETTINGS: &str = r#"
    [[redact.rule]]
    preset = "digit"
    [[redact.rule]]
    path = "$.metadata.sender"
    action = "hash"
    [[enrich.lookup]]
    preset = "user"
    table = "person"
    [route]
    preset = "sunbird"
"#;

fn keys() -> Arc<HashKeys> {
    Arc::new(HashKeys::new(HashKey::new("k1", vec![7; 32]).unwrap()))
}

fn provenance() -> Provenance {
    Provenance {
        source: Source { partition: 0, offset: 1 },
        format: Format::Sunbird,
        channel: "portal".to_owned(),
        profile: Profile::Lenient,
        syncts: 2,
        message_id: None,
        sender: Some("lovelace's phone".to_owned()),
        did: None,
        batch_ets: None,
        importer: None,
    }
}

fn stamp(provenance: &Provenance) -> Stamp<'_> {
    Stamp {
        provenance,
        index: 0,
        ets_ms: 1,
        batch_ets_ms: None,
        document_id: "d".to_owned(),
        flags: Object::new(),
    }
}

/// Runs an event through; returns it and what is derived from it, with their topics.
fn run(steps: &Steps, text: &str) -> Result<Vec<(String, Vec<String>)>, Reason> {
    let (provenance, snapshot) =
        (provenance(), Snapshot::of(&[("lovelace", r#"{"state":"Goa"}"#)]));
    let mut event = Value::parse(text.as_bytes()).unwrap();
    let mut gathered = Vec::new();
    steps.gather(&event, &provenance.channel, &mut gathered);
    let keys = &gathered[0];
    steps.redact(&mut event, Facts { channel: "portal", keys, snapshot: &snapshot })?;
    let mut done = Vec::new();
    let derived = steps.derive(&event);
    assert_eq!(derived.events.len(), gathered.len() - 1);
    let mut finish = |mut event, keys: &Keys<'_>| {
        steps.enrich(&mut event, keys, &snapshot, stamp(&provenance))?;
        let topics = steps.router().topics(&event, "portal").map(str::to_owned).collect();
        done.push((String::from_utf8(event.to_bytes()).unwrap(), topics));
        Ok::<_, Reason>(())
    };
    for item in derived.events {
        let keys = steps.keys_of_derived(&item, &event, keys, "portal");
        finish(item, &keys)?;
    }
    finish(event, keys)?;
    Ok(done)
}

#[test]
fn derived_event_is_looked_up_by_the_plain_key_and_leaves_without_it() {
    let steps = Steps::compile(&Settings::parse(SETTINGS).unwrap(), Some(keys())).unwrap();
    let text = r#"{"eid":"SHARE","mid":"m","actor":{"id":"lovelace","type":"User"},"edata":{"dir":"In","items":[{"id":"a"}]}}"#;
    let done = run(&steps, text).unwrap();
    assert_eq!(done.len(), 2);
    assert_eq!(done[0].1, ["telemetry.secondary"]);
    assert_eq!(done[1].1, ["telemetry.primary"]);
    for (text, _) in done {
        assert!(!text.contains("lovelace"), "{text}");
        let event = Value::parse(text.as_bytes()).unwrap();
        assert_eq!(event.at(&["userdata", "state"]).and_then(Value::as_str), Some("Goa"), "{text}");
        assert!(text.contains(r#""flags":{"user_denorm":true}"#), "{text}");
    }
}

proptest! {
    #[test]
    fn steps_do_the_same_to_the_same_event(
        eid in "SHARE|START|ASSESS|LOG",
        id in "lovelace|[a-z]{0,3}",
        url in "(https://a\\.org/)?[a-z?#&=]{0,8}",
        items in 0_usize..3,
    ) {
        let steps = Steps::compile(&Settings::parse(SETTINGS).unwrap(), Some(keys())).unwrap();
        let items = vec![r#"{"id":"x"}"#; items].join(",");
        let text = format!(
            r#"{{"eid":"{eid}","mid":"m","actor":{{"id":"{id}","type":"User"}},"edata":{{"url":"{url}","items":[{items}]}}}}"#
        );
        prop_assert_eq!(run(&steps, &text), run(&steps, &text));
    }
}
