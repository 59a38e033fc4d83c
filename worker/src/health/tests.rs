use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules(failures: u32) -> Rules {
    let breaker = Breaker { failures, pause: 5 * SECOND, pause_max: 60 * SECOND };
    Rules { breaker: Some(breaker), ..Rules::default() }
}

/// Answers at once, with the least pause.
fn answer(health: &mut Health, sign: Sign, now: Instant) -> Option<Consequence> {
    health.answered(sign, (now, now), 16, 0.0)
}

fn is_well(health: &Health) -> bool {
    health.circuit == Circuit::Closed && health.failing.is_none() && !health.noted
}

fn noted(consequence: Option<Consequence>) -> Note {
    match consequence {
        Some(Consequence::Note(note)) => note,
        other => panic!("no note: {other:?}"),
    }
}

#[test]
fn status_says_whether_the_destination_is_there() {
    let of = |verdict, status: Option<u16>| {
        let answer = Answer::failed(verdict, "");
        Sign::of(&status.map_or(answer.clone(), |status| answer.with_status(status)))
    };
    assert_eq!(Sign::of(&Answer::delivered()), Sign::Well);
    assert_eq!(of(Verdict::Retry, None), Sign::Busy);
    for status in [408, 429, 500, 502, 503, 504, 599] {
        assert_eq!(of(Verdict::Retry, Some(status)), Sign::Busy, "{status}");
        assert_eq!(of(Verdict::RetryAfter(SECOND), Some(status)), Sign::Busy, "{status}");
    }
    for status in [199, 302, 400, 401, 404, 422, 600] {
        assert_eq!(of(Verdict::Retry, Some(status)), Sign::Refusing, "{status}");
    }
    assert_eq!(of(Verdict::Refused, None), Sign::Refusing);
}

#[test]
fn busy_destination_gets_half_and_successes_give_it_back() {
    let mut health = Health::new(rules(100));
    let now = Instant::now();
    assert_eq!(health.slots(16, 0, now), 16);
    answer(&mut health, Sign::Busy, now);
    assert_eq!(health.slots(16, 0, now), 8);
    // What was sent before says nothing new.
    health.answered(Sign::Busy, (now, now + SECOND), 16, 0.0);
    assert_eq!(health.slots(16, 0, now), 8);
    let later = now + 2 * SECOND;
    for expected in [4, 2, 1, 1] {
        answer(&mut health, Sign::Busy, later + SECOND * (5 - expected));
        assert_eq!(health.slots(16, 0, later), expected as usize);
    }
    for _ in 0..8 {
        answer(&mut health, Sign::Well, later);
    }
    assert_eq!(health.slots(16, 0, later), 2);
    for _ in 0..8 * 14 {
        answer(&mut health, Sign::Well, later);
    }
    assert_eq!((health.slots(16, 0, later), health.limit), (16, None));
}

#[test]
fn breaker_opens_after_busy_answers_in_a_row_and_one_probe_decides() {
    let mut health = Health::new(rules(3));
    let now = Instant::now();
    answer(&mut health, Sign::Busy, now);
    answer(&mut health, Sign::Busy, now);
    answer(&mut health, Sign::Refusing, now);
    answer(&mut health, Sign::Busy, now);
    assert!(answer(&mut health, Sign::Busy, now).is_none(), "not in a row");
    let note = noted(answer(&mut health, Sign::Busy, now));
    let trouble = note.trouble.unwrap();
    assert_eq!((trouble.open, trouble.opened, trouble.failures), (Some(5 * SECOND), 1, 6));

    assert_eq!((health.slots(16, 0, now), health.reopens_at(now)), (0, Some(now + 5 * SECOND)));
    let later = now + 5 * SECOND;
    assert_eq!(health.slots(16, 1, later), 0, "what was in flight comes back first");
    assert_eq!(health.slots(16, 0, later), 1);
    health.started();
    assert_eq!(health.slots(16, 0, later), 0, "one probe");
    let note = noted(answer(&mut health, Sign::Busy, later));
    assert_eq!(note.trouble.unwrap().open, Some(10 * SECOND), "twice as long");

    let later = later + 10 * SECOND;
    health.started();
    health.unattempted(later);
    assert_eq!(health.slots(16, 0, later), 1, "it was not attempted");
    health.started();
    let note = noted(answer(&mut health, Sign::Well, later));
    assert_eq!((note.turn, note.trouble), (Some(Turn::Recovered), None));
    assert_eq!(health.slots(16, 0, later), 1, "slowly");
    assert!(is_well(&health));
}

#[test]
fn refusal_closes_the_breaker_and_does_not_end_a_failure() {
    let mut health = Health::new(rules(1));
    let now = Instant::now();
    answer(&mut health, Sign::Busy, now);
    health.started();
    answer(&mut health, Sign::Refusing, now + 5 * SECOND);
    assert_eq!(health.circuit, Circuit::Closed);
    assert_eq!(health.failing.unwrap().failures, 2);
}

#[test]
fn pause_doubles_to_its_limit() {
    let mut health = Health::new(rules(1));
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..40 {
        let note = noted(answer(&mut health, Sign::Busy, now));
        let pause = note.trouble.unwrap().open.unwrap();
        pauses.push(pause.as_secs());
        now += pause;
        health.started();
    }
    assert_eq!(pauses[..6], [5, 10, 20, 40, 60, 60]);
    assert_eq!(pauses[39], 60);
}

#[test]
fn subscriber_is_disabled_by_time_and_number_with_a_warning_before() {
    let mut health = Health::new(Rules { breaker: None, ..Rules::default() });
    let start = Instant::now();
    let hours = |hours: u64| start + Duration::from_hours(hours);
    for n in 0..50 {
        let consequence = answer(&mut health, Sign::Refusing, start + n * SECOND);
        assert!(
            !matches!(consequence, Some(Consequence::Disable { .. })),
            "many, but not for long"
        );
    }
    assert_eq!(noted(answer(&mut health, Sign::Busy, hours(60))).turn, Some(Turn::Warned));
    assert_eq!(noted(answer(&mut health, Sign::Busy, hours(119))).turn, None, "warned once");
    let disabled = answer(&mut health, Sign::Busy, hours(120));
    let failing = Duration::from_hours(120);
    assert_eq!(disabled, Some(Consequence::Disable { failures: 53, failing }));

    let mut health = Health::new(Rules::default());
    for n in 0..19 {
        let consequence = answer(&mut health, Sign::Refusing, hours(n * 24));
        assert!(!matches!(consequence, Some(Consequence::Disable { .. })), "long, but few");
    }
    let consequence = answer(&mut health, Sign::Refusing, hours(19 * 24));
    assert!(matches!(consequence, Some(Consequence::Disable { failures: 20, .. })));
}

#[test]
fn success_resets_the_count_and_sporadic_failures_are_never_written_down() {
    let mut health = Health::new(Rules::default());
    let start = Instant::now();
    for n in 0..2000 {
        let now = start + Duration::from_hours(n);
        assert_eq!(answer(&mut health, Sign::Busy, now), None);
        assert_eq!(answer(&mut health, Sign::Well, now), None);
    }
    assert!(is_well(&health));
}

#[test]
fn count_is_written_down_at_each_doubling_and_after_an_hour() {
    let mut health = Health::new(Rules { breaker: None, ..Rules::default() });
    let start = Instant::now();
    let mut written = Vec::new();
    for n in 1..=100 {
        if answer(&mut health, Sign::Refusing, start + SECOND).is_some() {
            written.push(n);
        }
    }
    assert_eq!(written, [8, 16, 32, 64]);
    assert!(answer(&mut health, Sign::Refusing, start + Duration::from_mins(59)).is_none());
    assert!(answer(&mut health, Sign::Refusing, start + Duration::from_mins(61)).is_some());
}

#[test]
fn new_owner_starts_from_what_the_one_before_has_written_down() {
    let now = Instant::now() + Duration::from_hours(200);
    let trouble = Trouble {
        open: Some(3 * SECOND),
        opened: 2,
        failures: 19,
        failing: Some(Duration::from_hours(120)),
        warned: true,
    };
    let mut health = Health::resume(rules(3), Some(&trouble), now);
    assert_eq!(health.reopens_at(now), Some(now + 3 * SECOND));
    let later = now + 3 * SECOND;
    assert_eq!(health.slots(16, 0, later), 1);
    health.started();
    let consequence = answer(&mut health, Sign::Busy, later);
    assert!(matches!(consequence, Some(Consequence::Disable { failures: 20, .. })));

    let mut health = Health::resume(rules(3), Some(&trouble), now);
    health.started();
    assert_eq!(noted(answer(&mut health, Sign::Well, later)).turn, Some(Turn::Recovered));
    assert!(is_well(&Health::resume(rules(3), None, now)));
}

#[test]
fn nothing_is_done_where_the_rules_are_off() {
    let mut health = Health::new(Rules::OFF);
    let now = Instant::now();
    for n in 0..100 {
        assert_eq!(answer(&mut health, Sign::Busy, now + n * Duration::from_hours(24)), None);
    }
    assert_eq!(health.slots(16, 0, now), 16);
}

proptest! {
    #[test]
    fn lane_is_never_stuck_and_never_above_its_limit(
        steps in proptest::collection::vec((0_u8..4, 0_u64..400, 0.0_f64..1.0), 0..300),
        max in 1_usize..40,
        failures in 1_u32..5,
    ) {
        let mut health = Health::new(rules(failures));
        let (mut now, mut in_flight) = (Instant::now(), 0_usize);
        for (step, seconds, random) in steps {
            now += Duration::from_secs(seconds);
            let slots = health.slots(max, in_flight, now);
            prop_assert!(slots <= max);
            if slots > in_flight {
                in_flight += 1;
                health.started();
            } else if in_flight == 0 {
                // Nothing may start: then it is said when.
                prop_assert!(health.reopens_at(now).is_some_and(|at| at > now));
                continue;
            }
            if step == 3 {
                in_flight -= 1;
                health.unattempted(now);
            } else {
                let sign = [Sign::Well, Sign::Refusing, Sign::Busy][usize::from(step)];
                in_flight -= 1;
                health.answered(sign, (now, now), max, random);
            }
        }
        // Whatever happened: after the longest pause something may start.
        prop_assert!(health.slots(max, 0, now + Duration::from_mins(2)) >= 1);
    }
}
