//! What `sink`, `level` and `subject` understand.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tidings::{
    Level,
    analytics::wire::Vendor,
    endpoint::{TIMEOUT_MAX, TIMEOUT_MIN},
};

use crate::duration;

/// What `sink` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SinkCommand {
    /// Add a sink: a subscriber that gets the telemetry view of events, never the notification
    ///
    /// It is told of every type that has telemetry, of every tenant, as far as the level permits.
    /// `tidings subscriber` lists, shows, pings, pauses and removes it like any other.
    Add(AddSink),
}

/// A sink that is to be added.
#[derive(Args, Debug)]
pub(crate) struct AddSink {
    /// The name that people use: letters, digits, `.`, `_` and `-`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The service, or the telemetry pipeline of this installation
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Kind,

    /// The write key of the source, or the token of the project; `-` reads it from standard input
    #[arg(long, value_name = "KEY", hide_env_values = true, required_if_eq_any([
        ("kind", "segment"), ("kind", "posthog"),
    ]))]
    pub(crate) key: Option<String>,

    /// Where it is: us, which is the default, eu, or the URL of a server that speaks its protocol
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// A category of consent that it needs; repeatable, and all of them are needed
    #[arg(long = "consent", value_name = "CATEGORY")]
    pub(crate) consent: Vec<String>,

    /// Compress bodies of 1 KiB and more
    #[arg(long)]
    pub(crate) gzip: bool,

    /// How long one request may take, 1s to 1m
    #[arg(long, value_name = "DURATION", value_parser = duration::within(TIMEOUT_MIN..=TIMEOUT_MAX))]
    pub(crate) timeout: Option<Duration>,

    /// Of PostHog: v0, which every PostHog has, or v1, which says of each event what became of it
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) protocol: Option<String>,

    /// Of PostHog: what its groups are of, company for example
    #[arg(long, value_name = "TYPE")]
    pub(crate) group_type: Option<String>,

    /// A type or pattern that it is told of; repeatable, and everything where it is not set
    #[arg(
        long = "subscribe",
        value_name = "PATTERN",
        default_value = "**",
        hide_default_value = true
    )]
    pub(crate) patterns: Vec<String>,
}

/// Where telemetry goes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Segment, and what speaks its protocol
    Segment,
    /// PostHog
    Posthog,
    /// The telemetry pipeline of this installation
    Pipeline,
}

impl Kind {
    /// Returns the service; `None` for the pipeline.
    pub(crate) const fn vendor(self) -> Option<Vendor> {
        match self {
            Self::Segment => Some(Vendor::Segment),
            Self::Posthog => Some(Vendor::PostHog),
            Self::Pipeline => None,
        }
    }
}

impl AddSink {
    /// Returns the first flag that is given and of use to a service alone.
    pub(crate) fn of_a_service(&self) -> Option<&'static str> {
        let flags = [
            ("--key", self.key.is_some()),
            ("--host", self.host.is_some()),
            ("--gzip", self.gzip),
            ("--timeout", self.timeout.is_some()),
            ("--protocol", self.protocol.is_some()),
            ("--group-type", self.group_type.is_some()),
        ];
        flags.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

/// What is collected.
#[derive(Args, Debug)]
pub(crate) struct SetLevel {
    /// The new level: off, security, basic, enhanced or full; without it, the one in force is shown
    #[arg(value_name = "LEVEL")]
    pub(crate) level: Option<Level>,
}

/// What `subject` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SubjectCommand {
    /// Collect nothing of somebody any more, nor send what is waiting
    Suppress(Subjects),
    /// Collect of somebody again
    Release(Subjects),
    /// Suppress somebody, and take their telemetry out of all events and dead letters
    ///
    /// It reads every day of events that is kept, and prints a receipt.
    /// What was sent before is with the sinks, which the receipt names: ask them, each in its own way.
    Erase(Subjects),
}

/// Whom.
#[derive(Args, Debug)]
pub(crate) struct Subjects {
    /// The keyed hashes under which they stand in events
    ///
    /// One person may have several, one for each hash key there was.
    #[arg(value_name = "SUBJECT", required = true)]
    pub(crate) subjects: Vec<String>,
}
