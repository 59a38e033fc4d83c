//! When an event happened, by the clock of whoever sent it and by ours.

use chrono::{DateTime, Datelike, TimeDelta, Utc};

/// Reads a time of a client: RFC 3339, or milliseconds since 1970.
pub(crate) fn parse(value: &serde_json::Value) -> Option<DateTime<Utc>> {
    let parsed = match value {
        serde_json::Value::String(text) => DateTime::parse_from_rfc3339(text).ok()?.to_utc(),
        serde_json::Value::Number(number) => DateTime::from_timestamp_millis(number.as_i64()?)?,
        _ => return None,
    };
    Some(parsed).filter(is_storable)
}

/// Corrects a time by how far the sender's clock is from ours: `sent_at` is its time of sending, `now` ours of receiving.
pub(crate) fn corrected(
    at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let Some(sent_at) = sent_at else {
        return at;
    };
    now.checked_sub_signed(sent_at - at).filter(is_storable).unwrap_or(at)
}

/// Returns the time that is `age_ms` before `sent_at`, or before `now` where that is not said.
pub(crate) fn before(
    age_ms: i64,
    sent_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let age = TimeDelta::try_milliseconds(age_ms)?;
    sent_at.unwrap_or(now).checked_sub_signed(age).filter(is_storable)
}

/// What Postgres and every receiver can read.
fn is_storable(at: &DateTime<Utc>) -> bool {
    (1..=9999).contains(&at.year())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        parse(&json!(text)).unwrap()
    }

    #[test]
    fn clock_of_the_sender_is_corrected_by_ours() {
        let (happened, sent) = (at("2030-01-01T00:00:00Z"), at("2030-01-01T00:00:05Z"));
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(corrected(happened, Some(sent), now), at("2026-11-22T09:59:55Z"));
        assert_eq!(corrected(happened, None, now), happened);
        assert_eq!(before(1500, None, now), Some(at("2026-11-22T09:59:58.500Z")));
    }

    #[test]
    fn time_that_cannot_be_stored_is_none() {
        for value in [
            json!("yesterday"),
            json!("+12026-01-01T00:00:00Z"),
            json!(i64::MAX),
            json!(true),
            json!(1.5),
        ] {
            assert_eq!(parse(&value), None, "{value}");
        }
        assert_eq!(parse(&json!(1_000)), Some(at("1970-01-01T00:00:01Z")));
        let (first, last) = (at("0001-01-01T00:00:00Z"), at("9999-12-31T23:59:59Z"));
        assert_eq!(corrected(first, Some(last), first), first);
        assert_eq!(before(i64::MAX, None, last), None);
    }
}
