//! The time that a receiver asks us to wait.
//!
//! The value is a stranger's: whatever it says, reading it neither panics nor waits for more than a day.

use std::time::{Duration, SystemTime};

use tidings::analytics::wire;

/// The longest wait that is granted; who asks for more is asked again after a day.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// The longest value that is looked at; the longest date has 33 characters.
const CHARS_MAX: usize = 64;

/// Returns how long `value`, that of a `Retry-After` header, asks to wait from `now` on.
///
/// It is a number of seconds (a fraction is tolerated and rounded up) or an HTTP date, past ones being no wait at all.
/// Everything else is no request to wait. The result is at most [`RETRY_AFTER_MAX`].
pub(super) fn parse(value: &[u8], now: SystemTime) -> Option<Duration> {
    if value.len() > CHARS_MAX {
        return None;
    }
    let text = str::from_utf8(value).ok()?.trim();
    wire::retry_after(text, now).map(|wait| wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> SystemTime {
        httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap()
    }

    #[test]
    fn seconds_and_dates_are_read_and_nonsense_is_ignored() {
        let table: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("007", Some(7)),
            ("1.5", Some(2)),
            ("2.000", Some(2)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("1000000000000000", Some(86_400)),
            ("18446744073709551615.9", Some(86_400)),
            ("18446744073709551616", Some(86_400)),
            ("999999999999999999999999999999", Some(86_400)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wednesday, 21-Oct-15 07:28:30 GMT", Some(30)),
            ("Wed Oct 21 07:28:30 2015", Some(30)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(0)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("Fri, 31 Dec 99999 23:59:59 GMT", None),
            ("Wed, 32 Oct 2015 07:28:30 GMT", None),
            ("", None),
            (" ", None),
            (".", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("-0", None),
            ("+5", None),
            ("inf", None),
            ("infinity", None),
            ("NaN", None),
            ("nan", None),
            ("1e15", None),
            ("1e30", None),
            ("0x10", None),
            ("1_000", None),
            ("1,000", None),
            ("1 2", None),
            ("10s", None),
            ("soon", None),
            ("٣", None),
        ];
        for (text, expected) in table {
            let wait = parse(text.as_bytes(), now());
            assert_eq!(wait, expected.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn value_that_is_too_long_or_no_text_is_ignored() {
        assert_eq!(parse("9".repeat(10_240).as_bytes(), now()), None);
        assert_eq!(parse(&[b'1'; 65], now()), None);
        assert_eq!(parse(b"\xff\xfe", now()), None);
        assert_eq!(parse(b"1\x000", now()), None);
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_panic_and_below_the_limit(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(parse(&value, now()).is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }

        #[test]
        fn wait_is_never_shorter_than_asked(seconds in 0_u64..=86_400, thousandths in 0_u32..1_000) {
            let asked = Duration::from_secs(seconds) + Duration::from_millis(u64::from(thousandths));
            let wait = parse(format!("{seconds}.{thousandths:03}").as_bytes(), now()).unwrap();
            prop_assert!(wait >= asked.min(RETRY_AFTER_MAX));
            let date = httpdate::fmt_http_date(now() + Duration::from_secs(seconds));
            prop_assert_eq!(parse(date.as_bytes(), now()), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn any_clock_will_do(before in any::<bool>(), seconds in 0..i64::MAX.unsigned_abs() / 2) {
            let epoch = SystemTime::UNIX_EPOCH;
            let shift = Duration::from_secs(seconds);
            if let Some(now) = if before { epoch.checked_sub(shift) } else { epoch.checked_add(shift) } {
                for date in ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"] {
                    prop_assert!(parse(date.as_bytes(), now).unwrap() <= RETRY_AFTER_MAX);
                }
            }
        }
    }
}
