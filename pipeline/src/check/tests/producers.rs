//! Events of DIGIT, of PostHog's form, and registered ones.

use serde_json::{Value as Json, json};

use super::*;

/// What the client of DIGIT sends on three pages: for each page and each form on it its start, summary and end.
fn digit() -> Vec<Json> {
    let mut events = Vec::new();
    for (page, city) in [("inbox", "pb.amritsar"), ("complaint", "pb.jalandhar"), ("profile", "")] {
        for part in ["page", "form"] {
            let mut common = json!({"type": part, "url": format!("https://digit.example/{page}?id=1"),
                "userAgent": "Mozilla/5.0", "web-browser": "Chrome", "platform": "Linux", "cityId": city});
            if part == "form" {
                common["formKey"] = page.into();
            }
            let with = |more: Json| {
                let mut edata = common.clone();
                edata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                edata
            };
            events.push(event(
                "START",
                &with(json!({"mode": "play", "stageid": "", "duration": "0"})),
            ));
            let fields = json!([{"fieldKey": "name", "fieldDataLength": 5, "timeSpent": 1200, "numberOfInteractions": 2}]);
            let summary = json!({"startTimeArray": [1_586_000_000_000_i64], "endTimeArray": [1_586_000_001_000_i64],
                "timeSpent": 1000, "fieldSummary": fields, "submit": true});
            events.push(event("SUMMARY", &with(summary)));
            events.push(event("END", &with(json!({"duration": 1000}))));
        }
    }
    events
}

#[test]
fn all_18_events_of_digit_pass_their_profile_and_fail_the_specification() {
    let events = digit();
    assert_eq!(events.len(), 18);
    for event in events {
        assert_eq!(check_as(Profile::Digit, &event), Ok((event.clone(), json!({}))));
        assert!(check_as(Profile::Strict30, &event).is_err());
        let (kept, flags) = check_as(Profile::Lenient, &event).unwrap();
        assert!(!flags["mismatched"].as_array().unwrap().is_empty(), "{kept}");
    }
}

#[test]
fn profile_of_digit_has_the_envelope_of_the_specification_and_its_other_kinds() {
    let mut sent = digit().remove(0);
    sent["edata"]["duration"] = 0.into();
    sent["edata"].as_object_mut().unwrap().remove("url");
    let (kept, flags) = check_as(Profile::Digit, &sent).unwrap();
    assert_eq!(kept["edata"]["duration"], "0");
    assert_eq!(
        flags,
        json!({"coerced": ["$.edata.duration: text"], "mismatched": ["$.edata.url: missing"]})
    );
    let log = event("LOG", &json!({"type": "t", "level": "l"}));
    let (_, flags) = check_as(Profile::Digit, &log).unwrap();
    assert_eq!(flags, json!({"mismatched": ["$.edata.message: missing"]}));
}

fn samagra() -> Json {
    json!({
        "event": "esamwad-nipunhp-click", "distinct_id": "u1", "uuid": "0190-1", "timestamp": "2020-04-04T11:33:20.000Z",
        "properties": {
            "actor": {"id": "u2", "type": "Teacher"},
            "context": {"channel": "esamwad", "pdata": {"id": "e", "ver": "1"}, "env": "prod", "cdata": [{"id": "1", "type": "School"}]},
            "eData": {"id": "click", "type": "CLICK"}, "eid": "INTERACT", "object": {"id": "o"}, "ver": "3.1",
            "eventType": "User Action", "page": "home", "product": "nipun",
        },
    })
}

#[test]
fn event_in_the_form_of_posthog_becomes_one_of_the_specification() {
    let expected = json!({
        "event": "esamwad-nipunhp-click", "distinct_id": "u1", "mid": "0190-1", "ets": 1_586_000_000_000_i64,
        "actor": {"id": "u2", "type": "Teacher"},
        "context": {"channel": "esamwad", "pdata": {"id": "e", "ver": "1"}, "env": "prod", "cdata": [{"id": "1", "type": "School"}]},
        "edata": {"id": "click", "type": "CLICK"}, "eid": "INTERACT", "object": {"id": "o"}, "ver": "3.1",
        "properties": {"eventType": "User Action", "page": "home", "product": "nipun"},
    });
    assert_coerced(
        &samagra(),
        &expected,
        &["$: posthog", "$.edata: renamed", "$.ets: parsed_time"],
    );
    for profile in [Profile::Strict30, Profile::Strict31, Profile::Tidings] {
        assert!(check_as(profile, &samagra()).unwrap_err().contains(&"$.eid: missing".to_owned()));
    }
}

#[test]
fn what_posthog_says_of_itself_fills_what_the_event_lacks() {
    let mut sent = samagra();
    let properties = sent["properties"].as_object_mut().unwrap();
    properties.remove("actor");
    properties.insert("mid".to_owned(), json!("m"));
    properties.insert("ets".to_owned(), json!(1_586_000_000_001_i64));
    let (kept, _) = check_as(Profile::Lenient, &sent).unwrap();
    assert_eq!(kept["actor"], json!({"id": "u1", "type": "User"}));
    assert_eq!((&kept["mid"], &kept["ets"]), (&json!("m"), &json!(1_586_000_000_001_i64)));
    sent["properties"]["actor"] = json!({"type": "Teacher"});
    assert_eq!(
        check_as(Profile::Lenient, &sent).unwrap().0["actor"],
        json!({"id": "u1", "type": "Teacher"})
    );
    // A null among the properties hides nothing.
    sent["properties"]["mid"] = Json::Null;
    sent["mid"] = json!("top");
    assert_eq!(check_as(Profile::Lenient, &sent).unwrap().0["mid"], "top");
    sent["mid"] = Json::Null;
    assert_eq!(check_as(Profile::Lenient, &sent).unwrap().0["mid"], "0190-1");
    sent["uuid"] = Json::Null;
    let (kept, flags) = check_as(Profile::Lenient, &sent).unwrap();
    assert_eq!(kept["mid"].as_str().unwrap().len(), 32);
    assert!(flags["coerced"].as_array().unwrap().contains(&json!("$.mid: made")));
}

#[test]
fn properties_of_an_event_that_has_an_eid_are_its_own() {
    let mut sent = event("INTERRUPT", &json!({"type": "background"}));
    sent["properties"] = json!({"eid": "START", "page": "home"});
    assert_eq!(check_as(Profile::Lenient, &sent), Ok((sent.clone(), json!({}))));
}

fn registered() -> Json {
    json!({"eid": "AUDIT", "ets": 1_586_000_000_000_i64, "mid": "0190-2", "ver": "3.1",
        "edata": {"type": "order:placed", "version": 1, "event_properties": {"a": {"b": 1}}, "derived_properties": {}}})
}

#[test]
fn registered_event_is_an_audit_with_its_telemetry() {
    let event = registered();
    assert_eq!(check_as(Profile::Tidings, &event), Ok((event.clone(), json!({}))));
    for (pointer, value, reason) in [
        ("/eid", json!("LOG"), "$.eid: unknown_word"),
        ("/mid", json!(""), "$.mid: empty"),
        ("/ets", json!("1586000000000"), "$.ets: wrong_type"),
        ("/edata", json!([]), "$.edata: wrong_type"),
        ("/edata/event_properties", json!(null), "$.edata.event_properties: wrong_type"),
        ("/edata/derived_properties", json!([]), "$.edata.derived_properties: wrong_type"),
        ("/edata/type", json!(""), "$.edata.type: empty"),
    ] {
        let mut event = registered();
        *event.pointer_mut(pointer).unwrap() = value;
        assert_eq!(check_as(Profile::Tidings, &event).unwrap_err(), [reason]);
    }
    let mut event = registered();
    event["edata"] = json!({"event_properties": {}, "other": 1});
    let reasons = ["$.edata.other: unknown_field", "$.edata.derived_properties: missing"];
    assert_eq!(check_as(Profile::Tidings, &event).unwrap_err(), reasons);
}
