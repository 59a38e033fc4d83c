//! What answers mean, with those that clients are known to have misread.

use super::*;

#[test]
fn only_the_services_own_success_is_a_success() {
    let own = [r#"{"success":true}"#, r#"{"status":"Ok"}"#, r#"{"status":1}"#];
    let foreign = [
        "",
        "ok",
        "<html>welcome to the hotel</html>",
        "[]",
        "{}",
        r#"{"success":false}"#,
        r#"{"success":"true"}"#,
        r#"{"status":0}"#,
        r#"{"status":"error"}"#,
        r#"{"results":[]}"#,
    ];
    for (sink, successes) in [(segment(), &own[..1]), (posthog(Protocol::V0), &own[1..])] {
        let batch = batch(&sink, 2);
        for body in own.iter().chain(&foreign) {
            let outcome = classify(&sink, &batch, &response(200, body));
            let expected = if successes.contains(body) { "delivered" } else { "transient" };
            assert_eq!(outcome.as_str(), expected, "{} {body}", sink.vendor().title());
        }
        for status in [201, 202, 204, 301, 302, 307] {
            let outcome = classify(&sink, &batch, &response(status, successes[0]));
            assert_eq!(outcome.as_str(), "transient", "{status}");
        }
    }
}

#[test]
fn foreign_success_is_explained() {
    let sink = segment();
    let outcome =
        classify(&sink, &batch(&sink, 1), &response(200, "<html>hotel phc_s3cr3t</html>"));
    assert_eq!(
        outcome.reason(),
        Some(
            "answered 200: <html>hotel …</html>, which is not an answer of Segment: \
             something between us has spoken"
        )
    );
}

#[test]
fn events_that_are_thrown_away_for_the_bill_are_not_delivered() {
    let sink = posthog(Protocol::V0);
    let body = r#"{"status":1,"quota_limited":["events"]}"#;
    let outcome = classify(&sink, &batch(&sink, 2), &response(200, body));
    assert_eq!(outcome.reason(), Some("out of quota for events"));
    assert_eq!((outcome.as_str(), outcome.pauses_sink()), ("quota_limited", true));

    let none =
        classify(&sink, &batch(&sink, 2), &response(200, r#"{"status":1,"quota_limited":[]}"#));
    assert_eq!(none, Outcome::Delivered);
}

#[test]
fn each_event_gets_its_own_verdict_where_the_service_gives_one() {
    let sink = posthog(Protocol::V1);
    let batch = batch(&sink, 6);
    let ids: Vec<_> = batch.events().iter().map(Encoded::id).collect();
    let results = json!({
        ids[0].to_string(): {"result": "ok"},
        ids[1].to_string(): {"result": "warning", "details": "person_processing_disabled"},
        ids[2].to_string(): {"result": "drop", "details": "event_restriction_drop"},
        ids[3].to_string(): {"result": "retry", "details": null},
        ids[4].to_string(): {"result": "something new"},
        uuid::Uuid::nil().to_string(): {"result": "drop", "details": "not ours"},
    });
    let answer = response(200, &json!({"results": results}).to_string());
    let retry = |reason: &str| Verdict::Retry { reason: reason.to_owned() };
    let expected = [
        Verdict::Delivered,
        Verdict::Delivered,
        Verdict::Rejected { reason: "drop: event_restriction_drop".to_owned() },
        retry("retry: without details"),
        retry("something new: without details"),
        retry("nothing was said about the event"),
    ];
    let expected = ids.into_iter().zip(expected).collect();
    assert_eq!(classify(&sink, &batch, &answer), Outcome::Mixed(expected));
}

#[test]
fn verdicts_that_are_all_good_are_a_delivery_and_none_at_all_is_foreign() {
    let sink = posthog(Protocol::V1);
    let batch = batch(&sink, 1);
    let id = batch.events()[0].id();
    let good = json!({"results": {id.to_string(): {"result": "ok"}}}).to_string();
    assert_eq!(classify(&sink, &batch, &response(200, &good)), Outcome::Delivered);
    for body in [r#"{"status":1}"#, "", "<html>", r#"{"results":{"x":{}}}"#] {
        assert_eq!(classify(&sink, &batch, &response(200, body)).as_str(), "transient", "{body}");
    }
}

#[test]
fn pause_is_as_long_as_asked_up_to_the_maximum_that_is_set() {
    let table = [("7", 7), ("Sun, 22 Nov 2026 03:02:49 GMT", 30), ("86400", 60)];
    let settings = Settings { wait_max: Duration::from_mins(1), ..settings() };
    let sink = Sink::segment(settings).unwrap();
    for (value, seconds) in table {
        let mut answer = response(429, "");
        answer.headers.insert("retry-after", value.parse().unwrap());
        let outcome = classify(&sink, &batch(&sink, 1), &answer);
        let Outcome::Throttled { wait: Some(wait), .. } = outcome else { panic!("{outcome:?}") };
        // A date has no parts of a second.
        assert_eq!(wait.as_millis().div_ceil(1000), seconds, "{value}");
    }
    let outcome = classify(&sink, &batch(&sink, 1), &response(429, ""));
    assert_eq!(outcome, Outcome::Throttled { wait: None, reason: "answered 429".to_owned() });
}

#[test]
fn refused_request_is_split_and_a_refused_key_is_not() {
    for sink in sinks() {
        let table = [
            (400, "rejected", true, false),
            (413, "too_large", true, false),
            (401, "unauthorized", false, true),
            (403, "unauthorized", false, true),
            (402, "quota_limited", false, true),
            (500, "transient", false, false),
            (501, "transient", false, false),
        ];
        for (status, word, splits, pauses) in table {
            let outcome = classify(&sink, &batch(&sink, 2), &response(status, "no"));
            assert_eq!((outcome.as_str(), outcome.splits()), (word, splits), "{status}");
            assert_eq!(outcome.pauses_sink(), pauses, "{status}");
        }
    }
}

proptest! {
    #[test]
    fn any_answer_means_something(status in 100_u16..=999, body in ".{0,400}", wait in "[ -~]{0,40}") {
        for sink in sinks() {
            let mut answer = response(status, &body);
            answer.headers.insert("retry-after", wait.parse().unwrap());
            let outcome = classify(&sink, &batch(&sink, 2), &answer);
            // Nothing random is a success.
            prop_assert_ne!(outcome, Outcome::Delivered);
        }
    }
}
