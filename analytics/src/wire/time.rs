//! Times as they are sent: UTC, milliseconds, always 24 characters.
//!
//! The fixed width is why the size of a body is known before it is sent, whatever the clock says by then.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

/// Returns whether `time` has four digits of a year, and lies in the time of computers.
pub(super) fn is_fit(time: DateTime<Utc>) -> bool {
    (1970..=9999).contains(&time.year())
}

/// Returns `time` as text; a clock that says something impossible is sent as the beginning of time.
pub(super) fn text(time: DateTime<Utc>) -> String {
    let time = if is_fit(time) { time } else { DateTime::UNIX_EPOCH };
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_the_same_width() {
        let times = [
            DateTime::UNIX_EPOCH,
            DateTime::<Utc>::MIN_UTC,
            DateTime::<Utc>::MAX_UTC,
            DateTime::from_timestamp_millis(1_795_316_533_007).unwrap(),
        ];
        for time in times {
            assert_eq!(text(time).len(), 24, "{time}");
        }
        assert_eq!(text(times[3]), "2026-11-22T03:02:13.007Z");
    }
}
