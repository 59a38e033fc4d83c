//! What time a number or a text says.

use chrono::DateTime;
use serde_json::Number;

use super::flags::Coercion;
use crate::value::Value;

/// The beginning of the year 2000 in milliseconds: there was no telemetry before, and clocks that were never set say
/// 1970.
const FIRST_MS: i64 = 946_684_800_000;

/// The end of the year 9999 in milliseconds, the last that dates are written for.
const LAST_MS: i64 = 253_402_300_799_999;

/// The last number that is taken for seconds: ten digits, up to the year 2286.
const LAST_SECONDS: i64 = 9_999_999_999;

/// A time, and what was done to read it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Moment {
    pub(crate) milliseconds: i64,
    pub(crate) coercion: Option<Coercion>,
}

impl Moment {
    /// Reads a number: milliseconds, or what can only be seconds or microseconds.
    ///
    /// No time of these years in one of the units is one in another.
    pub(crate) fn of(number: &Number) -> Option<Self> {
        let (whole, rounded) = match number.as_i64() {
            Some(whole) => (whole, None),
            None => (rounded(number.as_f64()?)?, Some(Coercion::Rounded)),
        };
        if (FIRST_MS..=LAST_MS).contains(&whole) {
            return Some(Self { milliseconds: whole, coercion: rounded });
        }
        if (FIRST_MS / 1000..=LAST_SECONDS).contains(&whole) {
            let milliseconds = match number.as_f64() {
                // A fraction of a second is not lost.
                Some(seconds) if rounded.is_some() => self::rounded(seconds * 1000.0)?,
                _ => whole * 1000,
            };
            return Some(Self { milliseconds, coercion: Some(Coercion::Seconds) });
        }
        let milliseconds = whole / 1000;
        let coercion = Some(Coercion::Microseconds);
        (FIRST_MS..=LAST_MS).contains(&milliseconds).then_some(Self { milliseconds, coercion })
    }
}

/// Reads a text: an ISO date and time with its zone.
///
/// One without a zone is no time: it may be half a day off either way.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text)
        // As Java writes zones.
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    time.ok().map(|time| time.timestamp_millis())
}

/// Returns the number that a text is.
pub(super) fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    text.parse::<i64>().ok().map(Number::from).or_else(|| {
        // Rust reads `inf` and `nan` too, and numbers that JSON cannot write.
        let is_digit =
            |char: char| char.is_ascii_digit() || matches!(char, '.' | 'e' | 'E' | '+' | '-');
        text.parse().ok().filter(|_| text.chars().all(is_digit)).and_then(Number::from_f64)
    })
}

/// Returns the whole number next to a float.
fn rounded(float: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "it bounds, and nothing is near to it")]
    let bound = LAST_MS as f64 * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is within the bounds of all units")]
    (float.abs() <= bound).then_some(float.round() as i64)
}

/// Returns what a value becomes, if it is a text that is a time or a number.
pub(super) fn of_text(value: &Value<'_>) -> Option<(Value<'static>, Coercion)> {
    let text = value.as_str()?;
    if let Some(number) = number(text) {
        return Some((Value::Number(number), Coercion::ParsedNumber));
    }
    Some((parse(text)?.into(), Coercion::ParsedTime))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Option<(i64, Option<Coercion>)> {
        let moment = Moment::of(&serde_json::from_str(json).unwrap())?;
        Some((moment.milliseconds, moment.coercion))
    }

    #[test]
    fn unit_of_a_time_is_known_by_its_size() {
        for (json, expected) in [
            ("1586000000000", Some((1_586_000_000_000, None))),
            ("946684800000", Some((FIRST_MS, None))),
            ("253402300799999", Some((LAST_MS, None))),
            ("1586000000", Some((1_586_000_000_000, Some(Coercion::Seconds)))),
            ("1586000000.25", Some((1_586_000_000_250, Some(Coercion::Seconds)))),
            ("946684800", Some((FIRST_MS, Some(Coercion::Seconds)))),
            ("1586000000000123", Some((1_586_000_000_000, Some(Coercion::Microseconds)))),
            ("1.586E12", Some((1_586_000_000_000, Some(Coercion::Rounded)))),
            ("1586000000000.7", Some((1_586_000_000_001, Some(Coercion::Rounded)))),
            ("0", None),
            ("-1", None),
            ("946684799", None),
            ("10000000000", None),
            ("946684799999", None),
            ("253402300800000", None),
            ("1e300", None),
            ("-9223372036854775808", None),
            ("18446744073709551615", None),
        ] {
            assert_eq!(of(json), expected, "{json}");
        }
    }

    #[test]
    fn time_as_a_text_has_a_zone() {
        for (text, expected) in [
            ("2020-04-04T11:33:20Z", Some(1_586_000_000_000)),
            ("2020-04-04T11:33:20.5Z", Some(1_586_000_000_500)),
            ("2020-04-04T17:03:20.000+05:30", Some(1_586_000_000_000)),
            ("2020-04-04T17:03:20.000+0530", Some(1_586_000_000_000)),
            ("2020-04-04T11:33:20", None),
            ("2020-04-04", None),
            ("now", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn text_is_a_number_only_as_json_has_them() {
        for (text, expected) in [
            ("0", Some("0")),
            (" -12 ", Some("-12")),
            ("12.5", Some("12.5")),
            ("1e3", Some("1000.0")),
            ("", None),
            ("inf", None),
            ("NaN", None),
            ("1e999", None),
            ("12 s", None),
            ("0x1", None),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(number(text).map(|number| number.to_string()), expected, "{text}");
        }
    }
}
