//! The 17 kinds, and what every one of them has in common.

use serde_json::{Value as Json, json};

use super::*;
use crate::check::{
    kinds::KINDS,
    shape::{Shape, Type},
};

const STRICT: [Profile; 2] = [Profile::Strict30, Profile::Strict31];

/// Data with every field of the specification, by kind.
fn full() -> Vec<(&'static str, Json)> {
    let target = json!({"id": "i", "ver": "1", "type": "t", "parent": {"id": "p", "type": "t"}});
    let plugin = json!({"id": "i", "ver": "1", "category": "c"});
    vec![
        (
            "START",
            json!({"type": "app", "loc": "l", "mode": "play", "duration": 1.5, "pageid": "p",
            "dspec": {"os": "o", "make": "m", "id": "i", "mem": -1, "idisk": 0, "edisk": 1.5, "scrn": 2, "camera": "c",
                "cpu": "c", "sims": -1, "cap": ["a"], "other": []},
            "uaspec": {"agent": "a", "ver": "v", "system": "s", "platform": "p", "raw": "r", "other": 1}}),
        ),
        (
            "IMPRESSION",
            json!({"type": "list", "pageid": "p", "uri": "u", "subtype": "s", "duration": 1,
            "visits": [{"objid": "o", "objtype": "t", "objver": "1", "section": "s", "index": 0}]}),
        ),
        (
            "INTERACT",
            json!({"type": "TOUCH", "id": "i", "subtype": "s", "pageid": "p", "duration": 1,
            "target": target, "plugin": plugin, "extra": {"pos": [{"x": 1}], "any": null}}),
        ),
        (
            "ASSESS",
            json!({"pass": "Yes", "score": 1, "resvalues": [{}], "duration": 3, "index": 1,
            "item": {"id": "i", "maxscore": 1, "exlength": 2, "params": [{}], "uri": "u", "desc": "d", "title": "t",
                "mmc": ["m"], "mc": [], "type": "mcq"}}),
        ),
        ("RESPONSE", json!({"type": "CHOOSE", "target": target, "values": [{"a": 1}]})),
        ("INTERRUPT", json!({"type": "background", "pageid": "p"})),
        ("FEEDBACK", json!({"rating": 4.5, "comments": "c", "commentid": "i", "commenttxt": "t"})),
        (
            "SHARE",
            json!({"dir": "In", "type": "File", "items": [{"id": "i", "type": "t", "ver": "1", "params": [{}],
            "origin": {"id": "i", "type": "t"}, "to": {"id": "i", "type": "t", "other": 1}}]}),
        ),
        (
            "AUDIT",
            json!({"type": "t", "props": ["a"], "state": "s", "prevstate": "p", "duration": 1}),
        ),
        (
            "ERROR",
            json!({"err": "e", "errtype": "UNAUTHORIZED_ACCESS", "stacktrace": "s", "pageid": "p", "plugin": plugin,
            "object": {"id": "i", "type": "t", "ver": "1", "subtype": "s", "name": "n", "code": "c",
                "parent": {"id": "p", "type": "t"}}}),
        ),
        ("HEARTBEAT", json!({"anything": [1, null]})),
        (
            "LOG",
            json!({"type": "api_call", "level": "info", "message": "m", "pageid": "p", "params": [{"a": 1}]}),
        ),
        (
            "SEARCH",
            json!({"query": "q", "size": 1, "topn": [{}], "type": "t", "filters": {}, "sort": {},
            "correlationid": "c"}),
        ),
        (
            "METRICS",
            json!({"system": "s", "subsystem": "u", "metrics": [{"metric": "m", "value": 1, "other": 1}]}),
        ),
        (
            "SUMMARY",
            json!({"type": "session", "starttime": 1, "endtime": 2, "timespent": 0.5, "pageviews": 1,
            "interactions": 0, "mode": "m", "extra": [{"id": "i", "value": "v"}]}),
        ),
        ("EXDATA", json!({"type": "partnerdata", "data": "d"})),
        (
            "END",
            json!({"type": "app", "mode": "play", "duration": 10, "pageid": "p", "summary": [{"progress": 100}]}),
        ),
    ]
}

#[test]
fn every_kind_with_every_field_passes_every_profile_without_a_flag() {
    let full = full();
    assert_eq!(
        full.iter().map(|(eid, _)| *eid).collect::<Vec<_>>(),
        KINDS.each_ref().map(|kind| kind.eid)
    );
    for (eid, edata) in full {
        let event = event(eid, &edata);
        for profile in [Profile::Strict30, Profile::Strict31, Profile::Lenient] {
            assert_eq!(
                check_as(profile, &event),
                Ok((event.clone(), json!({}))),
                "{profile} {eid}"
            );
        }
        let shape = kinds::find(&KINDS, eid).unwrap();
        let mut names: Vec<_> = shape.fields.iter().map(|field| field.name).collect();
        names.sort_unstable();
        let found: Vec<_> = edata.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(shape.fields.is_empty() || names == found, "{eid}: {names:?} {found:?}");
    }
}

#[test]
fn every_field_is_checked_in_every_place() {
    for (eid, edata) in full() {
        let shape = kinds::find(&KINDS, eid).unwrap();
        let mut changes = Vec::new();
        collect(shape, &edata, &mut vec!["edata".to_owned()], &mut changes);
        for (pointer, change, reason) in changes {
            let mut event = event(eid, &edata);
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            match change {
                Some(value) => drop(parent.insert(name.to_owned(), value)),
                None => drop(parent.remove(name)),
            }
            assert_mismatch(&event, &[&reason]);
        }
    }
}

/// Collects what breaks one rule of a table each: where, the value that does it (none: left out), and the reason.
fn collect(
    shape: &Shape,
    value: &Json,
    place: &mut Vec<String>,
    changes: &mut Vec<(String, Option<Json>, String)>,
) {
    let at = |place: &[String], name: &str| {
        let path = place.iter().fold("$".to_owned(), |path, part| match part.parse::<usize>() {
            Ok(index) => format!("{path}[{index}]"),
            Err(_) => format!("{path}.{part}"),
        });
        (format!("/{}/{name}", place.join("/")), format!("{path}.{name}"))
    };
    for field in shape.fields {
        let (pointer, path) = at(place, field.name);
        if field.required {
            changes.push((pointer.clone(), None, format!("{path}: missing")));
        }
        changes.push((pointer.clone(), Some(json!([[]])), wrong(&field.is, &path)));
        if let Type::NumberFrom(_) = field.is {
            changes.push((pointer, Some(json!(-2)), format!("{path}: too_small")));
        }
        place.push(field.name.to_owned());
        match (&field.is, &value[field.name]) {
            (Type::Record(inner), value) => collect(inner, value, place, changes),
            (Type::ListOf(Type::Record(inner)), list) => {
                place.push("0".to_owned());
                collect(inner, &list[0], place, changes);
                place.pop();
            }
            _ => {}
        }
        place.pop();
    }
    if !shape.open {
        let (pointer, path) = at(place, "unheard_of");
        changes.push((pointer, Some(Json::Null), format!("{path}: unknown_field")));
    }
}

/// Returns the reason for which a list in a list is refused.
fn wrong(is: &Type, path: &str) -> String {
    match is {
        Type::ListOf(_) => format!("{path}[0]: wrong_type"),
        _ => format!("{path}: wrong_type"),
    }
}

#[test]
fn envelope_is_checked_and_every_reason_is_told_at_once() {
    let event = json!({"ver": "2.2", "actor": {"id": 7}, "context": {"channel": "", "pdata": [], "cdata": [{"id": "i", "x": 1}]},
        "object": {"rollup": {"l1": []}}, "edata": "e", "tags": "t"});
    let expected = [
        "$.actor.id: wrong_type",
        "$.actor.type: missing",
        "$.context.cdata[0].x: unknown_field",
        "$.context.cdata[0].type: missing",
        "$.context.channel: empty",
        "$.context.pdata: wrong_type",
        "$.context.env: missing",
        "$.edata: wrong_type",
        "$.object.rollup.l1: wrong_type",
        "$.tags: wrong_type",
        "$.ver: unknown_version",
        "$.eid: missing",
        "$.ets: missing",
        "$.mid: missing",
    ];
    for profile in STRICT {
        assert_eq!(check_as(profile, &event).unwrap_err(), expected);
    }
    assert_eq!(
        check_as(Profile::Lenient, &event).unwrap_err(),
        ["$.eid: missing", "$.ets: missing"]
    );
}

#[test]
fn version_3_1_is_one_of_3_1_alone() {
    let mut event = event("INTERRUPT", &json!({"type": "background"}));
    event["ver"] = "3.1".into();
    assert!(check_as(Profile::Strict31, &event).is_ok());
    assert!(check_as(Profile::Lenient, &event).is_ok());
    assert_eq!(check_as(Profile::Strict30, &event).unwrap_err(), ["$.ver: unknown_version"]);
}

#[test]
fn whatever_is_no_object_is_no_event() {
    for text in ["null", "7", "[]", "\"eid\"", "true"] {
        for profile in Profile::ALL {
            let event = serde_json::from_str(text).unwrap();
            assert_eq!(check_as(profile, &event).unwrap_err(), ["$: not_an_object"]);
        }
    }
}

#[test]
fn event_without_eid_goes_to_failed() {
    // At Sunbird it ended the job, until a fix sent it on.
    for eid in [json!(null), json!(""), json!(7), json!(["START"])] {
        let mut event = event("START", &json!({"type": "app"}));
        event["eid"] = eid.clone();
        for profile in Profile::ALL {
            let reasons = check_as(profile, &event).unwrap_err();
            assert!(
                reasons.iter().any(|reason| reason.starts_with("$.eid: ")),
                "{profile} {eid} {reasons:?}"
            );
        }
        event.as_object_mut().unwrap().remove("eid");
        for profile in Profile::ALL {
            let reasons = check_as(profile, &event).unwrap_err();
            assert!(reasons.contains(&"$.eid: missing".to_owned()), "{profile} {reasons:?}");
        }
    }
}

#[test]
fn kinds_that_the_platform_derives_and_unknown_ones_are_refused_or_kept_and_flagged() {
    for eid in ["SHARE_ITEM", "ME_WORKFLOW_SUMMARY", "METRIC", "start", "CB_AUDIT"] {
        let event = event(eid, &json!({"anything": 1}));
        for profile in STRICT {
            assert_eq!(check_as(profile, &event).unwrap_err(), ["$.eid: unknown_kind"]);
        }
        for profile in [Profile::Lenient, Profile::Digit] {
            assert_eq!(
                check_as(profile, &event),
                Ok((event.clone(), json!({"unknown_kind": true})))
            );
        }
    }
}

#[test]
fn null_is_a_wrong_type_in_strict_profiles_and_nothing_elsewhere() {
    let event = event("LOG", &json!({"type": "t", "level": "l", "message": null, "pageid": null}));
    for profile in STRICT {
        let reasons = ["$.edata.message: wrong_type", "$.edata.pageid: wrong_type"];
        assert_eq!(check_as(profile, &event).unwrap_err(), reasons);
    }
    let flags = json!({"mismatched": ["$.edata.message: missing"]});
    assert_eq!(check_as(Profile::Lenient, &event), Ok((event.clone(), flags)));
}

#[test]
fn reasons_and_flags_of_an_event_are_bounded() {
    let edata: Json =
        (0..1000).map(|n| (format!("x{n}"), Json::Null)).collect::<serde_json::Map<_, _>>().into();
    let event = event("LOG", &edata);
    let refused = check_as(Profile::Strict30, &event).unwrap_err();
    assert_eq!(refused.len(), crate::failed::REASONS_MAX + 1);
    let (_, flags) = check_as(Profile::Lenient, &event).unwrap();
    assert_eq!(flags["mismatched"].as_array().unwrap().len(), 16);
    assert_eq!(flags["more"], 1003 - 16);
}
