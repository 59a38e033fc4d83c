use chrono::DateTime;

use super::*;
use crate::{bundle, record::Headers, topic};

fn raw(headers: &[(&'static str, &str)], value: impl Into<Bytes>) -> Record {
    Record {
        partition: 3,
        offset: 1045,
        appended_at: DateTime::UNIX_EPOCH,
        key: None,
        headers: headers.iter().copied().collect(),
        value: value.into(),
    }
}

fn bundles(value: &'static str) -> Vec<(String, Vec<u32>, Vec<String>)> {
    let raw = raw(&[], value);
    let unbundled = unbundle(&raw);
    assert_eq!(unbundled.failed, [], "{value}");
    let text = |event: &&RawValue| event.get().to_owned();
    let seen = |bundle: &Bundle<'_>| {
        let events = bundle.events.iter().map(text).collect();
        (bundle.device.clone().into_owned(), bundle.indexes.clone(), events)
    };
    unbundled.bundles.iter().map(seen).collect()
}

/// Returns path and code of what a whole batch failed by.
fn refusal(headers: &[(&'static str, &str)], value: impl Into<Bytes>) -> (String, String) {
    let raw = raw(headers, value);
    let mut unbundled = unbundle(&raw);
    assert_eq!((unbundled.events, unbundled.bundles.len()), (1, 0), "{raw:?}");
    let failed = unbundled.failed.remove(0);
    assert_eq!((failed.stage, failed.index), (Stage::Check, None));
    assert_eq!(failed.bytes, raw.value);
    (failed.reasons[0].path.to_string(), failed.reasons[0].code.to_string())
}

#[test]
fn events_are_grouped_by_device_and_keep_their_order_and_their_bytes() {
    let found = bundles(
        r#"{"id":"i","events": [ {"context":{"did":"a"}, "n" : 1.0} ,{"context":{"did":"b"}},
            {"actor":{"id":"a"},"x":"\u00e9"},{"actor":{"id":"c"},"context":{}} ]}"#,
    );
    let expected = [
        (
            "a",
            vec![0, 2],
            vec![r#"{"context":{"did":"a"}, "n" : 1.0}"#, r#"{"actor":{"id":"a"},"x":"\u00e9"}"#],
        ),
        ("b", vec![1], vec![r#"{"context":{"did":"b"}}"#]),
        ("c", vec![3], vec![r#"{"actor":{"id":"c"},"context":{}}"#]),
    ];
    let expected = expected.map(|(device, indexes, events)| {
        (device.to_owned(), indexes, events.into_iter().map(str::to_owned).collect())
    });
    assert_eq!(found, expected);
}

#[test]
fn batches_with_ts_are_not_dropped() {
    // Mobile, desktop and archives write `ts`, and DIGIT's collector took only `ets`.
    let text = r#"{"id":"api.telemetry","ver":"1.0","ts":"2020-04-04T12:00:00Z","events":[{"context":{"did":"a"}}]}"#;
    assert_eq!(bundles(text).len(), 1);
    for profile in Profile::ALL {
        let raw = raw(&[("profile", profile.as_str())], text);
        assert_eq!(unbundle(&raw).bundles.len(), 1, "{profile}");
    }
}

#[test]
fn malformed_json_does_not_become_an_empty_map() {
    for text in
        ["", "{", "{\"events\":[{}]} x", "{\"events\":[{]}", "[{}]", "7", "\"events\"", "null"]
    {
        assert_eq!(refusal(&[], text), ("$".into(), "malformed_json".into()), "{text}");
    }
    let no_utf8 = Bytes::from_static(b"{\"events\":[{\"a\":\"\xff\"}]}");
    assert_eq!(refusal(&[], no_utf8), ("$".into(), "not_utf8".into()));
}

#[test]
fn batch_without_events_fails_as_a_whole() {
    for (text, code) in [
        ("{}", "missing"),
        (r#"{"batch":[{}]}"#, "missing"),
        (r#"{"events":[]}"#, "no_events"),
        (r#"{"events":null}"#, "wrong_type"),
        (r#"{"events":{"0":{}}}"#, "wrong_type"),
        (r#"{"events":"[]"}"#, "wrong_type"),
        (r#"{"events":[{}],"events":7}"#, "wrong_type"),
    ] {
        assert_eq!(refusal(&[], text), ("$.events".into(), code.into()), "{text}");
    }
    let many = format!("{{\"events\":[{}]}}", vec!["1"; EVENTS_MAX + 1].join(","));
    assert_eq!(refusal(&[], many), ("$.events".into(), "too_many_events".into()));
}

#[test]
fn strict_profiles_want_the_envelope_of_the_batch() {
    for (text, path) in [
        (r#"{"ver":"3.0","ets":1,"events":[{}]}"#, "$.id"),
        (r#"{"id":"","ver":"3.0","ets":1,"events":[{}]}"#, "$.id"),
        (r#"{"id":"i","ver":3,"ets":1,"events":[{}]}"#, "$.ver"),
        (r#"{"id":"i","ver":"3.0","events":[{}]}"#, "$.ets"),
        (r#"{"id":"i","ver":"3.0","ets":"x","ts":null,"events":[{}]}"#, "$.ets"),
    ] {
        for profile in ["strict-3.0", "strict-3.1"] {
            let found = refusal(&[("profile", profile)], text);
            assert_eq!(found, (path.into(), "missing".into()), "{text}");
        }
        assert_eq!(bundles(text).len(), 1, "{text}");
    }
}

#[test]
fn what_is_no_event_fails_alone() {
    let text = r#"{"events":[7,{"context":{"did":"a"}},null,[{}],"x",{"context":{"did":"\ud800"}},{"context":{"did":"a"}}]}"#;
    let raw = raw(&[("channel", "portal")], text);
    let unbundled = unbundle(&raw);
    assert_eq!(unbundled.events, 7);
    assert_eq!(unbundled.bundles[0].indexes, [1, 6]);
    let failed: Vec<_> = unbundled
        .failed
        .iter()
        .map(|failed| {
            assert_eq!((failed.stage, &*failed.provenance.channel), (Stage::Unbundle, "portal"));
            (failed.index.unwrap(), &*failed.reasons[0].code, &*failed.bytes)
        })
        .collect();
    let expected: [(u32, &str, &[u8]); 5] = [
        (0, "not_an_object", b"7"),
        (2, "not_an_object", b"null"),
        (3, "not_an_object", b"[{}]"),
        (4, "not_an_object", b"\"x\""),
        (5, "malformed_json", br#"{"context":{"did":"\ud800"}}"#),
    ];
    assert_eq!(failed, expected);
}

#[test]
fn device_of_the_batch_goes_along_and_is_not_the_device_of_its_events() {
    // The importer's device took the place of the original one at Sunbird.
    for text in [
        r#"{"did":"x","params":{"did":"b"},"events":[{"actor":{"id":"u"}}]}"#,
        r#"{"did":"b","params":{"did":""},"events":[{"actor":{"id":"u"}}]}"#,
        r#"{"did":"b","params":[1],"events":[{"actor":{"id":"u"}}]}"#,
    ] {
        let raw = raw(&[("x-device-id", "importer")], text);
        let unbundled = unbundle(&raw);
        assert_eq!(unbundled.bundles[0].device, "u");
        assert_eq!(unbundled.provenance.did.as_deref(), Some("b"), "{text}");
        assert_eq!(unbundled.provenance.sender.as_deref(), Some("importer"));
    }
}

#[test]
fn batch_of_posthog_is_taken_apart_too() {
    let text = r#"{"batch":[{"event":"e","distinct_id":"u","properties":{"eid":"START","actor":{"id":"a"}}},
        {"event":"e","distinct_id":"u","properties":{"eid":"START"}},
        {"event":"e","distinct_id":"u","properties":{"eid":"START","context":{"did":"d"}}}]}"#;
    for profile in Profile::ALL {
        let raw = raw(&[("format", "posthog"), ("profile", profile.as_str())], text);
        let unbundled = unbundle(&raw);
        let devices: Vec<_> = unbundled.bundles.iter().map(|bundle| &*bundle.device).collect();
        assert_eq!(devices, ["a", "u", "d"], "{profile}");
    }
}

#[test]
fn bundle_is_read_as_it_was_written() {
    let text = r#"{"x":[1],"events" : [ {"context":{"did":"a"}, "n":[1]} , {"context":{"did":"a"}} ] , "y":["]"]}"#;
    let mixed = r#"{"events":[{"context":{"did":"a"}, "n":[1]},{"actor":{"id":"b"}},7,{"context":{"did":"a"}}]}"#;
    let broken = r#"{"events":[{"context":{"did":"a"}, "n":[1]},7,{"context":{"did":"a"}}]}"#;
    for (text, indexes, value) in [
        (text, [0, 1], r#"[ {"context":{"did":"a"}, "n":[1]} , {"context":{"did":"a"}} ]"#),
        (mixed, [0, 3], r#"[{"context":{"did":"a"}, "n":[1]},{"context":{"did":"a"}}]"#),
        (broken, [0, 2], r#"[{"context":{"did":"a"}, "n":[1]},{"context":{"did":"a"}}]"#),
    ] {
        let raw = raw(&[("channel", "portal"), ("syncts", "12")], text);
        let unbundled = unbundle(&raw);
        let output = unbundled.bundles[0].output(&unbundled.provenance, 16);
        assert_eq!(output.value, value);
        assert_eq!(output.key.as_deref(), Some(&b"a"[..]));
        assert_eq!(
            (&*output.topic, output.partition),
            (topic::EVENTS, identity::partition("a", 16))
        );
        let record = Record { headers: output.headers, value: output.value, ..raw.clone() };
        let read = bundle::read(&record).unwrap();
        assert_eq!(read.iter().map(|(index, _)| *index).collect::<Vec<_>>(), indexes);
        assert_eq!(read[0].1.get(), r#"{"context":{"did":"a"}, "n":[1]}"#);
        assert_eq!(Provenance::of_events(&record), Some(unbundled.provenance.clone()));
    }
}

#[test]
fn array_of_one_device_is_passed_on_without_a_copy() {
    let raw = raw(&[], r#"{"events":[{"context":{"did":"a"}}]}"#);
    let unbundled = unbundle(&raw);
    let output = unbundled.bundles[0].output(&unbundled.provenance, 1);
    assert_eq!(output.value.as_ptr(), raw.value[10..].as_ptr());
}

#[test]
fn record_of_somebody_else_is_no_bundle() {
    let record = |headers: Headers, value| Record { headers, ..raw(&[], value) };
    let code = |record: &Record| bundle::read(record).unwrap_err().code.into_owned();
    assert_eq!(code(&record(Headers::new().with("indexes", "0"), "{}")), "malformed_json");
    assert_eq!(code(&record(Headers::new(), "[{}]")), "wrong_indexes");
    assert_eq!(code(&record(Headers::new().with("indexes", "0-2"), "[{}]")), "wrong_indexes");
}

#[test]
fn time_of_a_batch_is_read_however_it_is_written() {
    const SENT: i64 = 1_586_000_000_000;
    for (time, expected) in [
        (r#""ets":1586000000000"#, Some(SENT)),
        (r#""ets":1.586E12"#, Some(SENT)),
        (r#""ts":1586000000"#, Some(SENT)),
        (r#""ets":null,"ts":"2020-04-04T11:33:20Z""#, Some(SENT)),
        (r#""ets":0,"ts":"today""#, None),
        (r#""x":1"#, None),
    ] {
        let raw = raw(&[], format!("{{{time},\"events\":[{{}}]}}"));
        assert_eq!(unbundle(&raw).provenance.batch_ets, expected, "{time}");
    }
}
