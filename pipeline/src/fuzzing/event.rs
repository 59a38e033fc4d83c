//! A batch through both checks under every profile, with what holds of every batch.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::DateTime;
use serde_json::value::RawValue;

use crate::{
    Bundle, Failed, Profile, Record, Stage, bundle,
    check::{Checked, check},
    identity::{self, Fingerprint, Scratch},
    provenance::Provenance,
    record::{Headers, Output},
    unbundle::{Unbundled, unbundle},
    value::{Object, Value},
};

/// Takes a batch through unbundling and the check of its events, under every profile, and returns 200 if an event was
/// accepted and 400 if none was.
///
/// Input: headers as `name: value`, an empty line, the batch.
pub fn events(input: &[u8]) -> u16 {
    let at = input.windows(2).position(|window| window == b"\n\n");
    let (head, batch) = at.map_or((&[][..], input), |at| (&input[..at], &input[at + 2..]));
    let head = String::from_utf8_lossy(head);
    let headers: Vec<_> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut accepted = BTreeMap::new();
    for profile in Profile::ALL {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers: Headers = headers.collect();
        let raw = Record {
            partition: 1,
            offset: 2,
            appended_at: DateTime::UNIX_EPOCH,
            key: None,
            headers: headers.with("profile", profile.as_str()),
            value: Bytes::copy_from_slice(batch),
        };
        accepted.insert(profile.as_str(), through(&raw));
    }
    // Whatever the specification has is taken where it is taken less strictly.
    for (strict, lenient) in
        [("strict-3.0", "strict-3.1"), ("strict-3.1", "lenient"), ("lenient", "digit")]
    {
        let (strict, lenient) = (&accepted[strict], &accepted[lenient]);
        assert!(strict.iter().all(|index| lenient.contains(index)), "{strict:?} {lenient:?}");
    }
    if accepted.values().all(Vec::is_empty) { 400 } else { 200 }
}

/// Takes a batch through, and returns the places of the events that were accepted.
fn through(raw: &Record) -> Vec<u32> {
    let unbundled = unbundle(raw);
    let bundled: usize = unbundled.bundles.iter().map(|bundle| bundle.events.len()).sum();
    assert_eq!(bundled + unbundled.failed.len(), unbundled.events);
    for failed in &unbundled.failed {
        assert!(matches!(failed.stage, Stage::Check | Stage::Unbundle));
        assert_kept(failed);
    }
    let mut accepted = Vec::new();
    let mut scratch = Scratch::default();
    for bundle in &unbundled.bundles {
        let record = carried(&unbundled, bundle);
        let provenance = Provenance::of_events(&record).unwrap();
        assert_eq!(provenance, unbundled.provenance);
        for (index, event) in bundle::read(&record).unwrap() {
            let passed = one(event, &bundle.device, &provenance, &mut scratch);
            match passed {
                Ok(()) => accepted.push(index),
                Err(reasons) => {
                    let bytes = Bytes::copy_from_slice(event.get().as_bytes());
                    let of = provenance.clone();
                    assert_kept(&Failed::event(of, Stage::CheckEvent, index, reasons, bytes));
                }
            }
        }
    }
    accepted.sort_unstable();
    accepted
}

/// Writes a bundle as the record that it travels as, with the same events at the same places.
fn carried(unbundled: &Unbundled<'_>, bundle: &Bundle<'_>) -> Record {
    assert_eq!(bundle.indexes.len(), bundle.events.len());
    let output = bundle.output(&unbundled.provenance, 16);
    assert_eq!(output.partition, identity::partition(&bundle.device, 16));
    let record = record(output);
    let read = bundle::read(&record).unwrap();
    assert!(read.iter().map(|(index, _)| index).eq(&bundle.indexes));
    assert!(read.iter().map(|(_, event)| event.get()).eq(bundle.events.iter().map(|e| e.get())));
    record
}

/// Asserts that what failed is read from its record, and says why.
fn assert_kept(failed: &Failed) {
    let read = Failed::read(&record(failed.output(3))).unwrap();
    assert_eq!((&read.bytes, read.index, read.stage), (&failed.bytes, failed.index, failed.stage));
    assert!(!read.reasons.is_empty());
    for reason in &read.reasons {
        assert!(reason.path.starts_with('$') && !reason.message.is_empty(), "{reason:?}");
    }
}

fn record(output: Output) -> Record {
    let Output { partition, key, headers, value, .. } = output;
    Record { partition, offset: 0, appended_at: DateTime::UNIX_EPOCH, key, headers, value }
}

/// Checks one event, and what holds of it.
fn one(
    event: &RawValue,
    device: &str,
    provenance: &Provenance,
    scratch: &mut Scratch,
) -> Result<(), Vec<crate::reason::Reason>> {
    let Ok(mut tree) = Value::parse(event.get().as_bytes()) else {
        return Err(vec![crate::reason::Reason::new("$", "malformed_json", "write JSON")]);
    };
    assert_eq!(identity::device(&tree, scratch), device);
    let fingerprint = Fingerprint::of(&tree, scratch);
    assert_eq!(Fingerprint::of(&turned(&tree), scratch), fingerprint);
    let mut sent_on = tree.clone();
    sent_on.as_object_mut().unwrap().set("syncts", 7_i64);
    assert_eq!(Fingerprint::of(&sent_on, scratch), fingerprint);

    let checked = check(&mut tree, provenance)?;
    let Checked { eid, mid, ets_ms, flags } = &checked;
    assert!(!eid.is_empty() && !mid.is_empty());
    assert!((946_684_800_000..=253_402_300_799_999).contains(ets_ms));
    let text = |name| tree.get(name).and_then(Value::as_str);
    assert_eq!((text("eid"), text("mid")), (Some(&**eid), Some(&**mid)));
    assert_eq!(tree.get("ets").and_then(Value::as_i64), Some(*ets_ms));
    if !matches!(provenance.profile, Profile::Lenient | Profile::Digit) {
        assert!(flags.mismatched.is_empty() && !flags.unknown_kind && flags.coerced.len() < 2);
    }
    let mut again = tree.clone();
    let twice = check(&mut again, provenance).unwrap();
    assert_eq!(again, tree);
    assert_eq!((&twice.eid, &twice.mid, twice.ets_ms), (eid, mid, *ets_ms));
    assert_eq!((&twice.flags.coerced[..], &twice.flags.mismatched), (&[][..], &flags.mismatched));
    Ok(())
}

/// Returns the same with the members of every object the other way round.
fn turned<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::List(list) => Value::List(list.iter().map(turned).collect()),
        Value::Object(object) => {
            let members: Vec<_> =
                object.iter().map(|(name, value)| (name, turned(value))).collect();
            let turned = members.into_iter().rev().map(|(name, value)| (name.to_owned(), value));
            Value::Object(turned.collect::<Object<'a>>())
        }
        leaf => leaf.clone(),
    }
}
