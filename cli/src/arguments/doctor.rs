//! What `doctor` understands.

use std::{ops::RangeInclusive, time::Duration};

use clap::Args;

use super::pipeline::LogChoice;
use crate::duration;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);

const AGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24 * 30);

/// What the doctor goes by.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// How long one check may take, 100ms to 10m
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = duration::within(TIMEOUT))]
    pub(crate) timeout: Duration,

    /// From which age on an open transaction is reported, at most 30d
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = duration::within(AGE))]
    pub(crate) transaction_age: Duration,

    /// How long a delivery may be due before it is reported as stuck, at most 30d
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = duration::within(AGE))]
    pub(crate) stuck_after: Duration,

    /// How old telemetry may be that a step or sink has not taken before that is reported, at most 30d
    ///
    /// Files go up when they are --files-age old, so it is to be more than that.
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = duration::within(AGE))]
    pub(crate) behind_after: Duration,

    #[command(flatten)]
    pub(crate) log: LogChoice,
}
