//! How long a service asks to be left alone.
//!
//! The values are a stranger's: whatever they say, reading them neither panics nor waits for longer than allowed.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// Segment's header with the time at which its limit begins anew.
const RATE_LIMIT_RESET: &str = "x-ratelimit-reset";

/// The longest value that is looked at; the longest date has 33 characters.
const CHARS_MAX: usize = 64;

/// From here on a number is a Unix time and not a delay: nobody asks for a wait of thirty years.
const UNIX_TIME_MIN: u64 = 1_000_000_000;

/// Returns how long the headers ask to wait from `now` on, at most `max`.
///
/// `Retry-After` holds seconds (a fraction is rounded up) or an HTTP date; without it, `X-RateLimit-Reset` counts.
/// Nonsense and no wait at all are `None`.
pub(super) fn asked(headers: &HeaderMap, now: SystemTime, max: Duration) -> Option<Duration> {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.trim();
        (value.len() <= CHARS_MAX).then_some(value)
    };
    let until = |time: SystemTime| time.duration_since(now).unwrap_or_default();
    let retry_after = text(RETRY_AFTER.as_str()).and_then(|value| retry_after(value, now));
    let reset = || {
        let number = seconds(text(RATE_LIMIT_RESET)?)?;
        if number < UNIX_TIME_MIN {
            return Some(Duration::from_secs(number));
        }
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(number));
        Some(time.map_or(Duration::MAX, until))
    };
    let wait = retry_after.or_else(reset)?.min(max);
    (!wait.is_zero()).then_some(wait)
}

/// Returns how long `value`, that of a `Retry-After` header, asks to wait from `now` on, however long that is.
///
/// It is a number of seconds (a fraction is tolerated and rounded up) or an HTTP date, past ones being no wait at all.
/// Everything else is no request to wait.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    seconds(value).map(Duration::from_secs).or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

/// Reads digits, and perhaps a full stop and digits; `inf`, `1e30`, signs and the like are no number here.
fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // More digits than fit are more seconds than anybody waits.
    let seconds = whole.parse::<u64>().unwrap_or(u64::MAX);
    let rounded = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    Some(seconds.saturating_add(rounded))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: Duration = Duration::from_mins(5);

    fn now() -> SystemTime {
        httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap()
    }

    type Pairs<'a> = &'a [(&'static str, &'a str)];

    fn headers(pairs: Pairs<'_>) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn both_forms_of_retry_after_are_read_and_capped() {
        let table: &[(Pairs<'_>, Option<u64>)] = &[
            (&[("retry-after", "7")], Some(7)),
            (&[("retry-after", " 1.5 ")], Some(2)),
            (&[("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT")], Some(30)),
            (&[("retry-after", "Wed, 21 Oct 2015 07:27:30 GMT")], None),
            (&[("retry-after", "Thu, 22 Oct 2015 07:28:00 GMT")], Some(300)),
            (&[("retry-after", "99999999999999999999999")], Some(300)),
            (&[("retry-after", "0")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1e3")], None),
            (&[("retry-after", "soon")], None),
            (&[("x-ratelimit-reset", "12")], Some(12)),
            (&[("x-ratelimit-reset", "1445412490")], Some(10)),
            (&[("retry-after", "7"), ("x-ratelimit-reset", "12")], Some(7)),
            (&[("retry-after", "soon"), ("x-ratelimit-reset", "12")], Some(12)),
            (&[], None),
        ];
        for (pairs, seconds) in table {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(asked(&headers(pairs), now(), MAX), expected, "{pairs:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_waits_for_longer_than_allowed(
            retry_after in "[ -~]{0,70}",
            reset in "[0-9]{0,30}",
            max in 1_u64..100_000,
        ) {
            let headers = headers(&[("retry-after", &retry_after), ("x-ratelimit-reset", &reset)]);
            let max = Duration::from_secs(max);
            prop_assert!(asked(&headers, now(), max).unwrap_or_default() <= max);
        }
    }
}
