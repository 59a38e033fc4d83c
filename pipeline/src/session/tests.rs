//! Sessions, as the days of devices.

use proptest::prelude::*;

use super::*;

/// A day's morning.
const T: i64 = 1_790_000_000_000;

const SECOND: i64 = 1000;

const MINUTE: i64 = 60 * SECOND;

/// An event of the device `d` at a time after [`T`], which the relay took at once.
fn event(eid: &str, at: i64, edata: &str) -> String {
    sent(eid, at, at, edata)
}

/// An event that the relay took at another time.
fn sent(eid: &str, at: i64, taken: i64, edata: &str) -> String {
    format!(
        r#"{{"eid":"{eid}","ets":{},"syncts":{},"actor":{{"id":"u","type":"User"}},"context":{{"did":"d","channel":"c","pdata":{{"id":"p"}},"env":"home"}},"edata":{edata}}}"#,
        T + at,
        T + taken
    )
}

fn observe(sessions: &mut Sessions, offset: i64, text: &str) -> Vec<Value<'static>> {
    let mut closed = Vec::new();
    sessions.observe(&Value::parse(text.as_bytes()).unwrap(), offset, &mut closed);
    summaries(closed)
}

fn summaries(closed: Vec<Closed>) -> Vec<Value<'static>> {
    closed.into_iter().map(|closed| closed.event).collect()
}

/// Returns the summaries of all events, the last ones closed by a record long after.
fn run(events: &[String]) -> Vec<Value<'static>> {
    let mut sessions = Sessions::new(Settings::default(), None);
    let mut closed = Vec::new();
    for (offset, text) in (0..).zip(events) {
        closed.extend(observe(&mut sessions, offset, text));
    }
    let mut last = Vec::new();
    sessions.advance(T + 1000 * 60 * MINUTE, &mut last);
    assert!(sessions.is_empty() && sessions.by_who.is_empty() && sessions.spells.is_empty());
    closed.extend(summaries(last));
    closed
}

fn number(summary: &Value<'_>, name: &str) -> f64 {
    summary.at(&["edata", name]).and_then(Value::as_f64).unwrap()
}

/// Returns the seconds of each row of a table, by its names.
fn times(summary: &Value<'_>, table: &str) -> Vec<(String, f64)> {
    let rows = summary.at(&["edata", table]).and_then(Value::as_list).unwrap();
    let name = |row: &Value<'_>| {
        let texts = ["type", "id", "env"].map(|name| row.get(name).and_then(Value::as_str));
        texts.into_iter().flatten().collect::<Vec<_>>().join("/")
    };
    rows.iter().map(|row| (name(row), row.get("time_spent").unwrap().as_f64().unwrap())).collect()
}

#[test]
fn session_is_summed_up_with_the_measures_of_sunbird() {
    let closed = run(&[
        event("START", 0, r#"{"type":"app"}"#),
        event("IMPRESSION", 10 * SECOND, r#"{"pageid":"home"}"#),
        event("INTERACT", 40 * SECOND, r#"{"pageid":"home"}"#),
        event("IMPRESSION", 70 * SECOND, r#"{"pageid":"book"}"#),
        event("INTERACT", 130 * SECOND, r#"{"pageid":"book"}"#),
    ]);
    assert_eq!(closed.len(), 1);
    let text = String::from_utf8(closed[0].to_bytes()).unwrap();
    let mid = closed[0].get("mid").and_then(Value::as_str).unwrap();
    assert_eq!(mid.len(), KIND.len() + 33);
    let expected = r#"{"eid":"ME_SESSION_SUMMARY","ets":1790000130000,"ver":"3.0","mid":"MID","actor":{"id":"u","type":"User"},"context":{"channel":"c","pdata":{"id":"p"},"env":"session","did":"d"},"edata":{"type":"session","start_time":1790000000000,"end_time":1790000130000,"time_spent":130.0,"time_diff":130.0,"interact_events_count":2,"interact_events_per_min":0.92,"page_summary":[{"id":"home","time_spent":60.0,"visit_count":1},{"id":"book","time_spent":60.0,"visit_count":1}],"section_summary":[{"type":"app","id":"","time_spent":130.0,"visit_count":1}],"env_summary":[{"env":"home","time_spent":130.0,"visit_count":1}],"events_summary":[{"id":"START","count":1},{"id":"IMPRESSION","count":2},{"id":"INTERACT","count":2}]},"@timestamp":"2026-09-21T14:15:30.000Z","syncts":1790000130000,"metadata":{"id":"ID","source":""}}"#;
    let id = closed[0].at(&["metadata", "id"]).and_then(Value::as_str).unwrap();
    assert_eq!(id.len(), 40);
    assert_eq!(text, expected.replace("MID", mid).replace("ID\"", &format!("{id}\"")));
}

#[test]
fn idle_time_of_more_than_ten_minutes_is_not_counted() {
    let closed = run(&[
        event("IMPRESSION", 0, r#"{"pageid":"a"}"#),
        event("INTERACT", 600 * SECOND, "{}"),
        event("INTERACT", 600 * SECOND + 600_001, "{}"),
    ]);
    assert_eq!(closed.len(), 1);
    assert_eq!(number(&closed[0], "time_spent").to_bits(), 600_f64.to_bits());
    assert_eq!(number(&closed[0], "time_diff").to_bits(), 1200.001_f64.to_bits());
}

#[test]
fn another_session_begins_after_a_pause_of_more_than_half_an_hour() {
    let at = |minutes: i64, more: i64| event("INTERACT", minutes * MINUTE + more, "{}");
    assert_eq!(run(&[at(0, 0), at(30, 0)]).len(), 1);
    let closed = run(&[at(0, 0), at(30, 1)]);
    assert_eq!(closed.len(), 2);
    assert_ne!(closed[0].get("mid"), closed[1].get("mid"));
}

#[test]
fn session_over_midnight_is_not_cut() {
    let to_midnight = 86_400_000 - T % 86_400_000;
    let closed = run(&[
        event("INTERACT", to_midnight - MINUTE, "{}"),
        event("INTERACT", to_midnight + MINUTE, "{}"),
    ]);
    assert_eq!(closed.len(), 1);
    assert_eq!(number(&closed[0], "time_spent").to_bits(), 120_f64.to_bits());
}

#[test]
fn page_that_holds_a_form_does_not_take_the_duration_of_the_form() {
    let page = r#"{"type":"page","url":"https://a.org/p?x=1"}"#;
    let form = r#"{"type":"form","url":"https://a.org/p?x=1","formKey":"f"}"#;
    let closed = run(&[
        event("START", 0, page),
        event("START", 10 * SECOND, form),
        // The page ends first: a stack would give it the ten seconds of the form.
        event("END", 40 * SECOND, r#"{"type":"page","url":"https://a.org/p"}"#),
        event("END", 50 * SECOND, form),
        event("END", 60 * SECOND, r#"{"type":"form","formKey":"never begun"}"#),
    ]);
    assert_eq!(
        times(&closed[0], "section_summary"),
        [("page/https://a.org/p".to_owned(), 40.0), ("form/f".to_owned(), 40.0)]
    );
}

#[test]
fn log_audit_search_and_what_is_derived_are_no_part_of_a_session() {
    for eid in ["LOG", "AUDIT", "SEARCH", "SHARE_ITEM", KIND] {
        assert_eq!(run(&[event(eid, 0, "{}")]), [], "{eid}");
    }
    let nobody = r#"{"eid":"START","ets":1,"syncts":1,"context":{},"edata":{}}"#;
    assert_eq!(run(&[nobody.to_owned()]), []);
}

#[test]
fn time_in_the_background_is_not_counted() {
    let closed = run(&[
        event("IMPRESSION", 0, r#"{"pageid":"a"}"#),
        event("INTERRUPT", 10 * SECOND, r#"{"type":"background"}"#),
        event("INTERRUPT", 100 * SECOND, r#"{"type":"resume"}"#),
        event("INTERACT", 110 * SECOND, "{}"),
    ]);
    assert_eq!(number(&closed[0], "time_spent").to_bits(), 20_f64.to_bits());
    assert_eq!(times(&closed[0], "page_summary"), [("a".to_owned(), 20.0)]);
}

#[test]
fn channels_producers_and_devices_have_sessions_of_their_own() {
    let text = event("INTERACT", 0, "{}");
    let closed = run(&[
        text.clone(),
        text.replace(r#""did":"d""#, r#""did":"e""#),
        text.replace(r#""channel":"c""#, r#""channel":"x""#),
        text.replace(r#"{"id":"p"}"#, r#"{"id":"q"}"#),
    ]);
    let mut ids: Vec<_> = closed.iter().map(|event| event.get("mid").unwrap().to_bytes()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn what_a_device_sends_late_goes_to_its_own_time_and_cuts_nothing() {
    let day = 24 * 60 * MINUTE;
    let closed = run(&[
        event("INTERACT", day, "{}"),
        sent("INTERACT", 0, day + SECOND, "{}"),
        event("INTERACT", day + MINUTE, "{}"),
        sent("INTERACT", MINUTE, day + 2 * MINUTE, "{}"),
    ]);
    assert_eq!(closed.len(), 2);
    for summary in &closed {
        assert_eq!(number(summary, "time_spent").to_bits(), 60_f64.to_bits());
    }
}

#[test]
fn event_out_of_order_counts_and_adds_no_time() {
    let closed = run(&[
        event("INTERACT", 0, "{}"),
        event("INTERACT", MINUTE, "{}"),
        sent("INTERACT", 30 * SECOND, MINUTE, "{}"),
    ]);
    assert_eq!(number(&closed[0], "time_spent").to_bits(), 60_f64.to_bits());
    assert_eq!(number(&closed[0], "interact_events_count").to_bits(), 3_f64.to_bits());
}

#[test]
fn session_is_over_when_the_log_has_moved_on_and_says_where_a_rebuild_begins() {
    let mut sessions = Sessions::new(Settings::default(), None);
    assert_eq!(observe(&mut sessions, 7, &event("INTERACT", 0, "{}")), []);
    assert_eq!(sessions.checkpoint(), Checkpoint { offset: Some(7), watermark: T });
    let other = |at| event("INTERACT", at, "{}").replace(r#""did":"d""#, r#""did":"e""#);
    assert_eq!(observe(&mut sessions, 8, &other(60 * MINUTE - 1)), []);
    assert_eq!(observe(&mut sessions, 9, &other(60 * MINUTE)).len(), 1);
    let watermark = T + 60 * MINUTE - 1;
    assert_eq!(sessions.checkpoint(), Checkpoint { offset: Some(8), watermark });
    assert_eq!(sessions.len(), 1);
}

#[test]
fn memory_is_bounded_and_what_is_cut_off_says_so() {
    let settings = Settings { open_max: 10, ..Settings::default() };
    let mut sessions = Sessions::new(settings, None);
    let mut closed = Vec::new();
    for device in 0..100 {
        let text = event("INTERACT", device, "{}").replace(r#""d""#, &format!("\"{device}\""));
        closed.extend(observe(&mut sessions, device, &text));
        assert!(sessions.len() <= 10);
    }
    assert_eq!(closed.len(), 90);
    assert!(closed.iter().all(|event| event.at(&["edata", "cut"]) == Some(&Value::Bool(true))));
    let days: Vec<_> =
        (0..20).map(|day| sent("INTERACT", day * 24 * 60 * MINUTE, 0, "{}")).collect();
    let mut sessions = Sessions::new(Settings::default(), None);
    for text in &days {
        drop(observe(&mut sessions, 0, text));
    }
    assert_eq!(sessions.len(), PER_DEVICE_MAX);
}

/// A small world: two devices, a few pages, times that jump.
fn world() -> impl Strategy<Value = Vec<String>> {
    let kinds = prop::sample::select(vec!["START", "END", "IMPRESSION", "INTERACT", "LOG"]);
    let early = prop_oneof![4 => -MINUTE..MINUTE, 1 => -200 * MINUTE..0];
    let step = (kinds, 0..3_i64, -5 * MINUTE..50 * MINUTE, early, any::<bool>());
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut now = 0;
        let event = |(eid, page, passed, early, other): (&str, i64, i64, i64, bool)| {
            now += passed;
            let edata = format!(r#"{{"type":"page","pageid":"{page}"}}"#);
            let text = sent(eid, now + early, now, &edata);
            if other { text.replace(r#""did":"d""#, r#""did":"e""#) } else { text }
        };
        steps.into_iter().map(event).collect()
    })
}

proptest! {
    #[test]
    fn second_run_says_the_same_and_no_id_twice(events in world()) {
        let closed = run(&events);
        prop_assert_eq!(&closed, &run(&events));
        let mut ids: Vec<_> = closed.iter().map(|event| event.get("mid").unwrap().to_bytes()).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), closed.len());
    }

    #[test]
    fn rebuilt_machine_goes_on_as_the_one_before(events in world(), at in 0_usize..60) {
        let at = at.min(events.len());
        let mut first = Sessions::new(Settings::default(), None);
        for (offset, text) in (0..).zip(&events[..at]) {
            drop(observe(&mut first, offset, text));
        }
        let checkpoint = first.checkpoint();
        let mut second = Sessions::new(Settings::default(), Some(checkpoint));
        let from = checkpoint.offset.map_or(at, |offset| usize::try_from(offset).unwrap());
        for (offset, text) in (0..).zip(&events[..at]).skip(from) {
            drop(observe(&mut second, offset, text));
        }
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for (offset, text) in (0..).zip(&events).skip(at) {
            one.extend(observe(&mut first, offset, text));
            two.extend(observe(&mut second, offset, text));
        }
        let key = |event: &Value<'_>| event.to_bytes();
        one.sort_by_key(key);
        two.sort_by_key(key);
        prop_assert_eq!(one, two);
    }

    #[test]
    fn no_more_time_is_spent_than_has_passed(events in world()) {
        for summary in run(&events) {
            let spent = number(&summary, "time_spent");
            prop_assert!(spent <= number(&summary, "time_diff"));
            let pages: f64 = times(&summary, "page_summary").iter().map(|(_, time)| time).sum();
            prop_assert!(pages <= spent + 0.001);
        }
    }
}
