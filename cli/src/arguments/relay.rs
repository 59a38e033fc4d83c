//! What `relay`, `key` and `channel` understand.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::FalseyValueParser};
use tidings::Level;
use tidings_relay::channel::Profile;

use super::{pipeline::LogChoice, serve::Session};
use crate::duration;

const KEPT: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(24 * 365);

const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

/// The public door.
#[derive(Args, Clone, Debug)]
pub(crate) struct Relay {
    /// Where it listens; `0.0.0.0:8788` is every address of the machine
    #[arg(
        long,
        env = "TIDINGS_RELAY_LISTEN",
        default_value = "127.0.0.1:8788",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,

    /// Take requests without a key too, for the channel `anonymous`
    #[arg(long, env = "TIDINGS_RELAY_ANONYMOUS", value_parser = FalseyValueParser::new())]
    pub(crate) anonymous: bool,

    /// A page whose scripts may send, `https://shop.example` for example; repeatable, or with commas; all where none is set
    #[arg(
        long = "origin",
        env = "TIDINGS_RELAY_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub(crate) origins: Vec<String>,

    /// A web site that the relay stands before, `http://127.0.0.1:3000` for example: it gets every request that the
    /// relay has no route for
    #[arg(long, env = "TIDINGS_RELAY_UPSTREAM", value_name = "URL")]
    pub(crate) upstream: Option<String>,

    /// Put the browser client into the pages of that site
    #[arg(long, env = "TIDINGS_RELAY_INJECT", value_parser = FalseyValueParser::new())]
    pub(crate) inject: bool,

    /// An option of the browser client in those pages, `require-consent=true` or `key=tk_…` for example; repeatable, or with commas
    #[arg(
        long = "inject-option",
        env = "TIDINGS_RELAY_INJECT_OPTIONS",
        value_delimiter = ',',
        value_name = "NAME=VALUE",
        value_parser = option
    )]
    pub(crate) inject_options: Vec<(String, String)>,

    #[command(flatten)]
    pub(crate) log: LogChoice,

    /// The highest level at which this relay collects; that of the installation may be lower
    #[arg(long, env = "TIDINGS_RELAY_LEVEL", default_value = "full", value_name = "LEVEL")]
    pub(crate) level: Level,

    /// The file with the keys under which ids of people are hashed; `hash-keys` in the data folder where it is not set
    #[arg(long, env = "TIDINGS_HASH_KEY_FILE", value_name = "FILE")]
    pub(crate) hash_key_file: Option<PathBuf>,

    /// How the database is reached: directly, or through a pooler in transaction mode
    #[arg(long, env = "TIDINGS_SESSION", default_value = "direct", value_name = "KIND")]
    pub(crate) session: Session,

    /// How long a repeated request is recognised, 1h to 365d
    #[arg(long, env = "TIDINGS_RELAY_REQUESTS_KEPT", default_value = "1d", value_name = "DURATION", value_parser = duration::within(KEPT))]
    pub(crate) requests_kept: Duration,

    /// How long raw telemetry is kept, 1h to 365d, in whole days
    #[arg(long, env = "TIDINGS_RELAY_LOG_KEPT", default_value = "7d", value_name = "DURATION", value_parser = duration::within(KEPT))]
    pub(crate) log_kept: Duration,

    /// How long requests under way may take after Ctrl-C or SIGTERM, at most 1h
    #[arg(long, env = "TIDINGS_DRAIN_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration::within(DRAIN))]
    pub(crate) drain_timeout: Duration,
}

/// What `key` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key with which a relay takes telemetry for a channel; it is shown once
    Add {
        /// The channel, which is added if it is not there
        #[arg(value_name = "CHANNEL")]
        channel: String,
    },
    /// List keys, revoked ones too
    List,
    /// End a key; relays refuse it within seconds
    Revoke {
        /// Its id
        #[arg(value_name = "KEY")]
        id: i32,
    },
}

/// What `channel` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    /// Add a channel, or change what is given of it
    Set(SetChannel),
    /// List channels
    List,
}

/// A channel as it is to be.
#[derive(Args, Debug)]
pub(crate) struct SetChannel {
    /// Its name: letters, digits, `.`, `_` and `-`
    #[arg(value_name = "CHANNEL")]
    pub(crate) name: String,

    /// By which rules Sunbird and DIGIT events are checked: strict-3.0, strict-3.1, lenient, digit or tidings
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<Profile>,

    /// How many events each relay process takes in a minute; 0: as many as it can
    #[arg(long, value_name = "EVENTS_PER_MINUTE")]
    pub(crate) quota: Option<u32>,
}

/// Reads an option of the browser client.
fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or("write NAME=VALUE, `require-consent=true` for example")?;
    Ok((name.to_owned(), value.to_owned()))
}
