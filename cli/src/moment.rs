//! Instants as people give them: `1h` ago, or a time.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};

use crate::duration;

/// An instant on the database's clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(DateTime<Utc>),
}

impl Moment {
    /// Returns the instant; before the beginning of all time is that beginning.
    pub(crate) fn at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(duration) => now
                .checked_sub_signed(
                    chrono::TimeDelta::from_std(duration).unwrap_or(chrono::TimeDelta::MAX),
                )
                .unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = text.trim().trim_end_matches("ago").trim_end();
        if let Ok(duration) = duration::parse(ago) {
            return Ok(Self::Ago(duration));
        }
        DateTime::parse_from_rfc3339(text.trim()).map(|at| Self::At(at.to_utc())).map_err(|_| {
            format!("`{text}` is no time; write how long ago, such as 90s, 1h or 2d, or 2026-01-02T03:04:05Z")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_or_distance_is_taken() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let at = |text: &str| text.parse::<Moment>().unwrap().at(now).timestamp();
        assert_eq!(at("1h"), 1_699_996_400);
        assert_eq!(at("1m30s ago"), 1_699_999_910);
        assert_eq!(at("2023-11-14T23:13:20+01:00"), 1_700_000_000);
        assert_eq!(at("99999999d"), 0);
        let error = "yesterday".parse::<Moment>().unwrap_err();
        assert!(error.contains("how long ago"), "{error}");
    }
}
