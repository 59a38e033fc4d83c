//! What `report` understands, and `up` and `worker` of reports.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use clap::{Args, Subcommand};

use crate::duration;

const INTERVAL: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(31 * 24);

/// What `report` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Show the reporters: who leads, what was reported last, and when the next report is due
    Show {
        /// The reporter, which has the name of its application; all of them where none is named
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Print what the next report of Tidings itself would say; nothing is changed, and nothing is sent
    ///
    /// It says what `tidings worker --report` would report, message by message, with the ids that they would have.
    Preview(Reports),
    /// Ask for a report now, before its time
    ///
    /// The process that leads makes it within a minute, and the next window begins there.
    Now {
        /// The reporter, which has the name of its application
        #[arg(value_name = "NAME", default_value = "tidings")]
        name: String,
    },
}

/// As whom an installation reports, and how often.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reports {
    /// How often a report is made, 1m to 31d
    #[arg(long = "report-interval", env = "TIDINGS_REPORT_INTERVAL", default_value = "1h", value_name = "DURATION", value_parser = duration::within(INTERVAL))]
    pub(crate) interval: Duration,

    /// The organization that reports are about: a UUID or a keyed hash; the random name of the installation where it is
    /// not set
    #[arg(long = "report-organization", env = "TIDINGS_REPORT_ORGANIZATION", value_name = "ID")]
    pub(crate) organization: Option<String>,

    /// Where the installation runs, as provider and region: `aws/us-east-1` for example
    #[arg(
        long = "report-place",
        env = "TIDINGS_REPORT_PLACE",
        default_value = "local/local",
        value_name = "PROVIDER/REGION"
    )]
    pub(crate) place: Place,
}

/// A provider, and a region of it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) provider: String,
    pub(crate) region: String,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').filter(|(provider, region)| {
            !provider.is_empty() && !region.is_empty() && !region.contains('/')
        });
        let (provider, region) = parts.ok_or_else(|| {
            format!("`{text}` is no place; write the provider and the region, like aws/us-east-1")
        })?;
        Ok(Self { provider: provider.to_owned(), region: region.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_a_provider_and_a_region() {
        let place: Place = "aws/us-east-1".parse().unwrap();
        assert_eq!((place.provider.as_str(), place.region.as_str()), ("aws", "us-east-1"));
        for text in ["", "aws", "/us-east-1", "aws/", "aws/us/east"] {
            assert!(text.parse::<Place>().unwrap_err().contains("like aws/us-east-1"), "{text}");
        }
    }
}
