//! What `sink`, `level` and `subject` understand.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use tidings::{
    Level,
    analytics::wire::Vendor,
    endpoint::{TIMEOUT_MAX, TIMEOUT_MIN},
};

use super::pipeline::{LogChoice, Places};
use crate::duration;

const KEPT: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(24 * 365);

const WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

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
    /// Take somebody out of everything that is kept, and keep them out
    ///
    /// A tombstone comes first: what devices have kept offline and send later is not kept.
    /// Then their telemetry is taken out of all registered events and dead letters, and of what the pipeline has kept in
    /// the table, the index and the files; a receipt says of each what was found, and until when the topics have a copy.
    /// It may be stopped and done again; name --files, --search and --log as the pipeline does.
    /// What was sent to others before is with them, and the receipt names them: ask them, each in its own way.
    Erase(Box<Erase>),
}

/// Who is erased, and where.
#[derive(Args, Debug)]
pub(crate) struct Erase {
    /// The keyed hashes under which they stand in events
    ///
    /// One person may have several, one for each hash key there was.
    #[arg(value_name = "SUBJECT", required_unless_present_any = ["users", "actors", "devices"])]
    pub(crate) subjects: Vec<String>,

    /// The id of a user: whom telemetry names as its actor, and registered events by its hash; repeatable
    #[arg(long = "user", value_name = "ID")]
    pub(crate) users: Vec<String>,

    /// The id of an actor of telemetry, the same as --user; repeatable
    #[arg(long = "actor", value_name = "ID")]
    pub(crate) actors: Vec<String>,

    /// The id of a device of telemetry; repeatable
    #[arg(long = "device", value_name = "ID")]
    pub(crate) devices: Vec<String>,

    /// The file with the keys under which ids are hashed, retired ones too; `hash-keys` in the data folder where it is not set
    #[arg(long, env = "TIDINGS_HASH_KEY_FILE", value_name = "FILE")]
    pub(crate) hash_key_file: Option<PathBuf>,

    /// How long it is waited for what is under way in the pipeline, at most 1h
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = duration::within(WAIT))]
    pub(crate) wait: Duration,

    /// How long the pipeline keeps events in the log, which the receipt goes by
    #[arg(long, env = "TIDINGS_TELEMETRY_KEPT", default_value = "7d", value_name = "DURATION", value_parser = duration::within(KEPT))]
    pub(crate) telemetry_kept: Duration,

    /// How long the relay keeps raw telemetry, which the receipt goes by
    #[arg(long, env = "TIDINGS_RELAY_LOG_KEPT", default_value = "7d", value_name = "DURATION", value_parser = duration::within(KEPT))]
    pub(crate) log_kept: Duration,

    #[command(flatten)]
    pub(crate) places: Places,

    #[command(flatten)]
    pub(crate) log: LogChoice,
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
