//! Durations as people write them: `500ms`, `10s`, `1m30s`, `2h`, `30d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// The units, from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        let message =
            "is no duration; write it like \"500ms\", \"10s\", \"1m30s\", \"2h\" or \"30d\"";
        de::Error::custom(format!("`{text}` {message}"))
    })
}

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = (!rest.is_empty()).then_some(0_u64)?;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit())?);
        let end = behind.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = behind;
    }
    Some(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_read_as_people_write_it() {
        let cases = [
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            (" 3d ", Some(259_200_000)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1 s", None),
            ("99999999999999999999d", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
