//! Durations as people write them: `500ms`, `10s`, `1m30s`, `2h`, `30d`.

use std::{ops::RangeInclusive, time::Duration};

/// The units, from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration: whole numbers, each with its unit.
///
/// # Errors
///
/// What is wrong, and what it should look like.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like 500ms, 10s, 1m30s, 2h or 30d");
    let mut rest = text.trim();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*factor))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
        rest = behind;
    }
    Ok(Duration::from_millis(total))
}

/// Returns a parser that refuses what lies outside `range`.
pub(crate) fn within(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    move |text| {
        let duration = parse(text)?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let (from, to) = (format(*range.start()), format(*range.end()));
        Err(format!("{text} is outside the range from {from} to {to}"))
    }
}

/// Writes a duration the way [`parse`] reads it, to the millisecond.
pub(crate) fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let parts = UNITS.into_iter().map(|(unit, factor)| {
        let count = rest / factor;
        rest %= factor;
        if count == 0 { String::new() } else { format!("{count}{unit}") }
    });
    let text: String = parts.collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        let table = [
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("30d", 2_592_000_000),
            (" 5m ", 300_000),
        ];
        for (text, expected_ms) in table {
            let duration = parse(text).unwrap();
            assert_eq!(duration, Duration::from_millis(expected_ms), "{text}");
            assert_eq!(format(duration), text.trim());
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in [
            "",
            "10",
            "s",
            "10 s",
            "1.5s",
            "-1s",
            "10x",
            "99999999999999999999s",
            "9999999999999d",
            "é",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("write it like 500ms"), "{error}");
        }
    }

    #[test]
    fn range_is_named_in_the_refusal() {
        let parse = within(Duration::from_secs(1)..=Duration::from_mins(10));
        assert_eq!(parse("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(parse("11m").unwrap_err(), "11m is outside the range from 1s to 10m");
        assert!(parse("999ms").is_err());
    }
}
