//! Whatever a receiver asks for, the wait is what it says, and a day at most.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use tidings_worker::webhook::retry_after;

const DAY: Duration = Duration::from_secs(86_400);

/// Seconds since 1970 at which a value is read: then, in 2015, and close to the end of the dates of HTTP.
const CLOCKS: [u64; 3] = [0, 1_445_412_480, 253_402_300_000];

fuzz_target!(|value: &[u8]| {
    let waits = CLOCKS.map(|seconds| {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let wait = retry_after(value, now);
        assert!(wait.is_none_or(|wait| wait <= DAY), "{wait:?}");
        assert_eq!(wait, expected(value, now));
        wait
    });
    // What is a time for one clock is one for all, and never a longer one for a later clock.
    let [first, second, third] = waits;
    assert!(first >= second && second >= third, "{waits:?}");
    assert_eq!(first.is_some(), third.is_some());
});

/// Says what a value means, with the numbers of the standard library.
fn expected(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok().filter(|_| value.len() <= 64)?.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if is_number(whole) && is_number(fraction) {
        let seconds: f64 = text.parse().expect("digits are a number");
        // A fraction that a double cannot tell from none.
        let more = fraction.contains(|c| c != '0');
        let whole: f64 = whole.parse().expect("digits are a number");
        let seconds = if more { seconds.ceil().max(whole + 1.0) } else { seconds };
        return Some(Duration::from_secs_f64(seconds.min(DAY.as_secs_f64())));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(DAY))
}
