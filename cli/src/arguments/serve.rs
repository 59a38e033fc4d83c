//! What `up` and `worker` understand.

use std::{ops::RangeInclusive, time::Duration};

use clap::{Args, ValueEnum, builder::FalseyValueParser};
use tidings::analytics::wire::Vendor;
use tidings_worker::{AttemptLog, Retention, health};

use super::{kafka::Brokers, report::Reports};
use crate::duration;

/// A lease, as the worker takes it.
const LEASE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

const CONNECT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);

const DISABLE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24 * 365);

/// What a webhook's own timeout may be, for all that have none.
const WEBHOOK: RangeInclusive<Duration> =
    tidings::endpoint::TIMEOUT_MIN..=tidings::endpoint::TIMEOUT_MAX;

/// How a worker works.
#[derive(Args, Clone, Debug)]
pub(crate) struct Serve {
    /// How the database is reached: directly, or through a pooler in transaction mode
    #[arg(long, env = "TIDINGS_SESSION", default_value = "direct", value_name = "KIND")]
    pub(crate) session: Session,

    /// How long the database believes in a worker that is not heard of, 1s to 10m
    #[arg(long, env = "TIDINGS_LEASE", default_value = "10s", value_name = "DURATION", value_parser = duration::within(LEASE))]
    pub(crate) lease: Duration,

    /// Which attempts are written down
    #[arg(long, env = "TIDINGS_ATTEMPT_LOG", default_value = "all", value_name = "WHICH")]
    pub(crate) attempt_log: Attempts,

    /// Settlements survive a crash of the database; without, a few may be undone and their deliveries repeated
    #[arg(long, env = "TIDINGS_DURABLE_SETTLEMENTS", value_parser = FalseyValueParser::new())]
    pub(crate) durable_settlements: bool,

    /// How many tasks share the worker's lanes, 1 to 16; each has a connection of its own
    #[arg(long, env = "TIDINGS_PUMPS", default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) pumps: u8,

    /// How long what is in flight may take after Ctrl-C or SIGTERM, at most 1h
    #[arg(long, env = "TIDINGS_DRAIN_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration::within(DRAIN))]
    pub(crate) drain_timeout: Duration,

    /// After how many attempts in a row that found a destination overloaded or away deliveries to it pause, at most
    /// 1000; 0: never
    #[arg(long, env = "TIDINGS_BREAKER_FAILURES", default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) breaker_failures: u16,

    /// After how long without a delivery, although at least 20 attempts were made, a subscriber is disabled, at most
    /// 365d; 0s: never
    #[arg(long, env = "TIDINGS_DISABLE_AFTER", default_value = "5d", value_name = "DURATION", value_parser = duration::within(DISABLE))]
    pub(crate) disable_after: Duration,

    /// How long one attempt of a webhook may take where the subscriber does not say, 1s to 1m
    #[arg(long, env = "TIDINGS_WEBHOOK_TIMEOUT", default_value = "15s", value_name = "DURATION", value_parser = duration::within(WEBHOOK))]
    pub(crate) webhook_timeout: Duration,

    /// How long connecting to a webhook may take, name and TLS included, 100ms to 1m
    #[arg(long, env = "TIDINGS_WEBHOOK_CONNECT_TIMEOUT", default_value = "5s", value_name = "DURATION", value_parser = duration::within(CONNECT))]
    pub(crate) webhook_connect_timeout: Duration,

    /// How many days events are kept; one with a pending delivery is kept longer
    #[arg(long, env = "TIDINGS_RETENTION_DAYS", default_value_t = 30, value_name = "DAYS", value_parser = days())]
    pub(crate) retention_days: u16,

    /// How many days attempts are kept
    #[arg(long, env = "TIDINGS_ATTEMPT_RETENTION_DAYS", default_value_t = 30, value_name = "DAYS", value_parser = days())]
    pub(crate) attempt_retention_days: u16,

    /// How many days dead letters are kept
    #[arg(long, env = "TIDINGS_DEAD_RETENTION_DAYS", default_value_t = 90, value_name = "DAYS", value_parser = days())]
    pub(crate) dead_retention_days: u16,

    /// What the worker is called in lists; the name of the machine where it is not set
    #[arg(long, env = "TIDINGS_WORKER_NAME", value_name = "NAME")]
    pub(crate) worker_name: Option<String>,

    /// Where the topics are of subscribers that do not say it.
    #[command(flatten)]
    pub(crate) kafka: Brokers,

    /// The sinks that are there by themselves.
    #[command(flatten)]
    pub(crate) sinks: Sinks,

    /// Report what this installation does and has, in numbers and ranges, to the sinks that there are
    #[arg(long, env = "TIDINGS_REPORT", value_parser = FalseyValueParser::new())]
    pub(crate) report: bool,

    /// As whom, and how often.
    #[command(flatten)]
    pub(crate) reports: Reports,
}

/// Analytics services that every event with telemetry goes to, without a command that adds them.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sinks {
    /// The write key of a Segment source: the sink `segment` is added, or kept at it
    #[arg(long, env = "TIDINGS_SEGMENT_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) segment_key: Option<String>,

    /// Where Segment is: us, eu, or the URL of a server that speaks its protocol
    #[arg(long, env = "TIDINGS_SEGMENT_HOST", default_value = "us", value_name = "HOST")]
    pub(crate) segment_host: String,

    /// The token of a PostHog project: the sink `posthog` is added, or kept at it
    #[arg(long, env = "TIDINGS_POSTHOG_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) posthog_key: Option<String>,

    /// Where PostHog is: us, eu, or the URL of yours
    #[arg(long, env = "TIDINGS_POSTHOG_HOST", default_value = "us", value_name = "HOST")]
    pub(crate) posthog_host: String,
}

/// How the database is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Session {
    /// Directly: a dead worker is noticed within two seconds.
    Direct,
    /// Through a pooler in transaction mode: a dead worker is noticed when its lease is over.
    Pooled,
}

/// Which attempts are written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Attempts {
    /// None.
    None,
    /// Those that did not deliver.
    Failures,
    /// Every one.
    All,
}

impl Serve {
    /// Returns what is done about destinations that are not well.
    pub(crate) fn health(&self) -> health::Rules {
        let failures = u32::from(self.breaker_failures);
        let breaker = health::Breaker { failures, ..health::Breaker::default() };
        let disable = health::Disable { after: self.disable_after, ..health::Disable::default() };
        health::Rules {
            breaker: Some(breaker).filter(|breaker| breaker.failures > 0),
            disable: Some(disable).filter(|disable| !disable.after.is_zero()),
            ..health::Rules::default()
        }
    }

    /// Returns how long things are kept.
    pub(crate) fn retention(&self) -> Retention {
        let days = |days: u16| Duration::from_hours(24 * u64::from(days));
        Retention {
            events: days(self.retention_days),
            attempts: days(self.attempt_retention_days),
            dead: days(self.dead_retention_days),
        }
    }
}

impl Sinks {
    /// Returns the sinks that are wanted, each with its key and host.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (Vendor, &str, &str)> {
        let all = [
            (Vendor::Segment, &self.segment_key, &self.segment_host),
            (Vendor::PostHog, &self.posthog_key, &self.posthog_host),
        ];
        all.into_iter().filter_map(|(vendor, key, host)| {
            let key = key.as_deref().map(str::trim).filter(|key| !key.is_empty())?;
            Some((vendor, key, host.as_str()))
        })
    }
}

impl From<Session> for tidings_worker::Session {
    fn from(session: Session) -> Self {
        match session {
            Session::Direct => Self::Direct,
            Session::Pooled => Self::Pooled,
        }
    }
}

impl From<Attempts> for AttemptLog {
    fn from(attempts: Attempts) -> Self {
        match attempts {
            Attempts::None => Self::None,
            Attempts::Failures => Self::Failures,
            Attempts::All => Self::All,
        }
    }
}

/// One day at least, ten years at most.
fn days() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=3650)
}
