//! Times for people: the instant, and how far away it is.
//!
//! `now` is the database's clock, so that an age is right on a machine whose own clock is not.

use chrono::{DateTime, TimeDelta, Utc};

/// Returns the instant in UTC, to the second.
pub(crate) fn absolute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Returns how far `at` is from `now`: `now`, `5s ago`, `in 3m`, `2h ago`, `4d ago`.
pub(crate) fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let distance = at - now;
    let size = span(distance.abs());
    match distance {
        _ if size == "0s" => "now".to_owned(),
        distance if distance < TimeDelta::zero() => format!("{size} ago"),
        _ => format!("in {size}"),
    }
}

/// Returns both: `2026-01-02 03:04:05Z (5s ago)`.
pub(crate) fn both(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} ({})", absolute(at), relative(at, now))
}

/// Returns the size of a span in its largest unit.
fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_told_in_its_largest_unit_and_direction() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let table = [
            (0, "now"),
            (-5, "5s ago"),
            (5, "in 5s"),
            (-90, "1m ago"),
            (3700, "in 1h"),
            (-172_799, "47h ago"),
            (-400_000, "4d ago"),
        ];
        for (seconds, expected) in table {
            assert_eq!(relative(now + TimeDelta::seconds(seconds), now), expected);
        }
        assert_eq!(both(now, now), "2023-11-14 22:13:20Z (now)");
    }
}
