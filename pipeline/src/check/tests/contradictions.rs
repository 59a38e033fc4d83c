//! Where the SDKs, the servers and the prose contradict one another, and what devices make of times and ids.

use serde_json::{Value as Json, json};

use super::*;

/// Returns an event with one member, at a pointer, set or (by null) taken out.
fn with(event: &Json, pointer: &str, value: Json) -> Json {
    let mut event = event.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name)
    } else {
        parent.insert(name.to_owned(), value)
    };
    event
}

fn end() -> Json {
    event("END", &json!({"type": "app"}))
}

#[test]
fn timespent_of_a_summary_is_a_text_in_the_sdk_and_a_number_at_the_server() {
    let edata = json!({"type": "session", "starttime": 1, "endtime": 2, "timespent": "12.5", "pageviews": 1, "interactions": "3"});
    let sent = event("SUMMARY", &edata);
    let reasons = ["$.edata.interactions: wrong_type", "$.edata.timespent: wrong_type"];
    assert_eq!(check_as(Profile::Strict30, &sent).unwrap_err(), reasons);
    let expected =
        with(&with(&sent, "/edata/timespent", json!(12.5)), "/edata/interactions", json!(3));
    assert_coerced(
        &sent,
        &expected,
        &["$.edata.interactions: parsed_number", "$.edata.timespent: parsed_number"],
    );
    let soon = with(&sent, "/edata/timespent", json!("soon"));
    let (_, flags) = check_as(Profile::Lenient, &soon).unwrap();
    assert_eq!(flags["mismatched"], json!(["$.edata.timespent: wrong_type"]));
}

#[test]
fn traceid_of_an_error_is_allowed_by_the_sdk_alone() {
    let edata = json!({"err": "e", "errtype": "SYSTEM", "stacktrace": "s", "traceid": "t"});
    assert_mismatch(&event("ERROR", &edata), &["$.edata.traceid: unknown_field"]);
}

#[test]
fn every_generation_of_feedback_passes() {
    for edata in [
        json!({"rating": 3, "comments": "old"}),
        json!({"rating": 3, "commentid": "i", "commenttxt": "new"}),
        json!({}),
    ] {
        let event = event("FEEDBACK", &edata);
        for profile in [Profile::Strict30, Profile::Strict31, Profile::Lenient] {
            assert_eq!(check_as(profile, &event), Ok((event.clone(), json!({}))), "{edata}");
        }
    }
    let sent = event("FEEDBACK", &json!({"rating": "4", "comments": 5}));
    let expected = event("FEEDBACK", &json!({"rating": 4, "comments": "5"}));
    assert_coerced(&sent, &expected, &["$.edata.comments: text", "$.edata.rating: parsed_number"]);
}

#[test]
fn metrics_are_free_in_the_sdk_and_the_prose_and_closed_at_the_server() {
    let free = event("METRICS", &json!({"system": "s", "subsystem": "t", "latency": 5}));
    assert_mismatch(&free, &["$.edata.latency: unknown_field"]);
}

#[test]
fn summary_list_at_the_end_is_what_mobile_calls_its_summary() {
    let sent = event("END", &json!({"type": "app", "summaryList": [{"progress": 1}]}));
    assert_eq!(
        check_as(Profile::Strict31, &sent).unwrap_err(),
        ["$.edata.summaryList: unknown_field"]
    );
    let expected = event("END", &json!({"type": "app", "summary": [{"progress": 1}]}));
    assert_coerced(&sent, &expected, &["$.edata.summary: renamed"]);
    let both = event("END", &json!({"type": "app", "summaryList": [], "summary": [{}]}));
    assert_mismatch(&both, &["$.edata.summaryList: unknown_field"]);
}

#[test]
fn summaries_of_the_prose_are_not_in_the_schemas() {
    let edata = json!({"type": "session", "starttime": 1, "endtime": 2, "timespent": 1, "pageviews": 1, "interactions": 1,
        "envsummary": []});
    assert_mismatch(&event("SUMMARY", &edata), &["$.edata.envsummary: unknown_field"]);
}

#[test]
fn pdata_is_optional_in_the_prose_and_demanded_by_the_schemas() {
    assert_mismatch(&with(&end(), "/context/pdata", Json::Null), &["$.context.pdata: missing"]);
}

#[test]
fn values_of_the_prose_are_any_text_in_the_schemas() {
    let edata =
        json!({"item": {"id": "i"}, "pass": "yes", "score": 7, "resvalues": [], "duration": -1});
    assert!(check_as(Profile::Strict30, &event("ASSESS", &edata)).is_ok());
    let mut passed = edata;
    passed["pass"] = true.into();
    let sent = event("ASSESS", &passed);
    assert_eq!(check_as(Profile::Strict30, &sent).unwrap_err(), ["$.edata.pass: wrong_type"]);
    assert_coerced(&sent, &with(&sent, "/edata/pass", json!("true")), &["$.edata.pass: text"]);
}

#[test]
fn a_day_is_never_1970() {
    for (ets, code) in [
        (json!(0), "out_of_range"),
        (json!(-1), "out_of_range"),
        (json!(86_400_000), "out_of_range"),
        (json!(1e300), "out_of_range"),
        (json!(253_402_300_800_000_i64), "out_of_range"),
        (json!({}), "wrong_type"),
    ] {
        for profile in Profile::ALL {
            let reasons = check_as(profile, &with(&end(), "/ets", ets.clone())).unwrap_err();
            assert!(reasons.contains(&format!("$.ets: {code}")), "{profile} {ets} {reasons:?}");
        }
    }
}

#[test]
fn seconds_and_fractions_are_read_as_what_they_are_in_every_profile() {
    let milliseconds = with(&end(), "/ets", json!(1_586_000_000_000_i64));
    for (ets, flag) in [
        (json!(1_586_000_000), "$.ets: seconds"),
        (json!(1.586E12), "$.ets: rounded"),
        (json!(1_586_000_000_000.3), "$.ets: rounded"),
        (json!(1_586_000_000_000_000_i64), "$.ets: microseconds"),
    ] {
        let sent = with(&end(), "/ets", ets);
        for profile in [Profile::Strict30, Profile::Strict31, Profile::Lenient, Profile::Digit] {
            let (kept, flags) = check_as(profile, &sent).unwrap();
            assert_eq!(kept, milliseconds);
            assert_eq!(flags["coerced"], json!([flag]), "{profile}");
        }
    }
}

#[test]
fn time_may_be_a_text_or_have_another_name_in_lenient_profiles() {
    let expected = end();
    for (ets, flags) in [
        (json!("2020-04-04T11:33:20Z"), &["$.ets: parsed_time"][..]),
        (json!("1586000000000"), &["$.ets: parsed_number"]),
        (json!("1586000000"), &["$.ets: parsed_number", "$.ets: seconds"]),
        (json!("1.586E12"), &["$.ets: parsed_number", "$.ets: rounded"]),
    ] {
        let sent = with(&end(), "/ets", ets.clone());
        assert_eq!(check_as(Profile::Strict30, &sent).unwrap_err(), ["$.ets: wrong_type"]);
        assert_coerced(&sent, &expected, flags);
        let moved = with(&with(&end(), "/ets", Json::Null), "/ts", ets);
        let renamed: Vec<_> = ["$.ets: renamed"].iter().chain(flags).copied().collect();
        assert_coerced(&moved, &expected, &renamed);
        assert_eq!(check_as(Profile::Strict31, &moved).unwrap_err(), ["$.ets: missing"]);
    }
    let both = with(&end(), "/ts", json!("2021-01-01T00:00:00Z"));
    assert_coerced_nothing(&both);
    for ets in ["yesterday", "2020-04-04T11:33:20", ""] {
        let reasons = check_as(Profile::Lenient, &with(&end(), "/ets", json!(ets))).unwrap_err();
        assert_eq!(reasons.len(), 1, "{ets}: {reasons:?}");
    }
}

fn assert_coerced_nothing(event: &Json) {
    assert_eq!(check_as(Profile::Lenient, event), Ok((event.clone(), json!({}))));
}

#[test]
fn missing_mid_does_not_kill_the_stream() {
    // At DIGIT it was thrown, again and again.
    for mid in [json!(null), json!(""), json!({"a": 1}), json!([]), json!(false)] {
        let mut sent = end();
        sent["mid"] = mid.clone();
        for profile in [Profile::Strict30, Profile::Strict31, Profile::Tidings] {
            assert!(check_as(profile, &sent).is_err());
        }
        let (kept, flags) = check_as(Profile::Lenient, &sent).unwrap();
        assert_eq!(flags["coerced"], json!(["$.mid: made"]), "{mid}");
        assert_eq!(kept["mid"].as_str().unwrap().len(), 32);
    }
}

#[test]
fn null_mid_is_no_duplicate() {
    let made = |event: &Json| check_as(Profile::Lenient, event).unwrap().0["mid"].clone();
    let mut first = end();
    first["mid"] = Json::Null;
    let mut second = first.clone();
    second["edata"]["type"] = "session".into();
    assert_ne!(made(&first), made(&second));
    // What is sent again is the same, whatever was written on it on the way.
    let mut again = first.clone();
    again["syncts"] = 7.into();
    again["flags"] = json!({"ex_processed": true});
    assert_eq!(made(&first), made(&again));
}

#[test]
fn mid_that_is_a_number_is_its_text() {
    assert_coerced(
        &with(&end(), "/mid", json!(7)),
        &with(&end(), "/mid", json!("7")),
        &["$.mid: text"],
    );
}

#[test]
fn edata_may_have_a_capital_d() {
    let mut sent = end();
    sent["eData"] = sent["edata"].take();
    sent.as_object_mut().unwrap().remove("edata");
    assert_coerced(&sent, &end(), &["$.edata: renamed"]);
}

#[test]
fn device_and_channel_are_filled_where_the_event_has_none() {
    let bare = with(&with(&end(), "/context/did", Json::Null), "/context/channel", Json::Null);
    let mut from = provenance(Profile::Lenient);
    // Who sent it is not whose it is.
    from.sender = Some("importer".to_owned());
    let (kept, _) = check_by(&from, &bare).unwrap();
    assert_eq!(kept["context"].get("did"), None);
    from.did = Some("phone".to_owned());
    from.channel = "portal".to_owned();
    let (kept, flags) = check_by(&from, &bare).unwrap();
    let expected =
        with(&with(&end(), "/context/did", json!("phone")), "/context/channel", json!("portal"));
    assert_eq!(kept, expected);
    assert_eq!(
        flags,
        json!({"coerced": ["$.context.did: batch_did", "$.context.channel: key_channel"]})
    );
    assert_eq!(check_by(&from, &end()), Ok((end(), json!({}))));
}

#[test]
fn what_the_preprocessor_of_sunbird_corrects_is_corrected_and_flagged() {
    for (id, expected) in [
        ("f:5a8a:u-1", Some("u-1")),
        ("f:a:b:c", Some("c")),
        ("f:u", None),
        ("f:r:", None),
        ("x:f:u", None),
    ] {
        let sent = with(&end(), "/actor/id", json!(id));
        match expected {
            Some(user) => assert_coerced(
                &sent,
                &with(&end(), "/actor/id", json!(user)),
                &["$.actor.id: realm"],
            ),
            None => assert_coerced_nothing(&sent),
        }
        assert_eq!(check_as(Profile::Strict30, &sent), Ok((sent.clone(), json!({}))));
    }
    for kind in ["DialCode", "qr", "QR"] {
        let sent = with(&with(&end(), "/object/type", json!(kind)), "/object/id", json!("ab1é"));
        assert_coerced(
            &sent,
            &with(&sent, "/object/id", json!("AB1é")),
            &["$.object.id: upper_case"],
        );
    }
    let search = |name: &str| {
        event("SEARCH", &json!({"query": "q", "size": 0, "topn": [], "filters": {name: ["A1"]}}))
    };
    assert_coerced(
        &search("dialCodes"),
        &search("dialcodes"),
        &["$.edata.filters.dialcodes: renamed"],
    );
}

#[test]
fn negative_memory_other_than_unknown_is_too_small() {
    let dspec = |mem: i64| event("START", &json!({"type": "app", "dspec": {"mem": mem}}));
    assert!(check_as(Profile::Strict30, &dspec(-1)).is_ok());
    assert_mismatch(&dspec(-2), &["$.edata.dspec.mem: too_small"]);
}
