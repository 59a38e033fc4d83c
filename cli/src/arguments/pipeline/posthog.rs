//! What the pipeline's sink to PostHog understands.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tidings::analytics::wire;

/// Where telemetry goes at PostHog, and as what.
#[derive(Args, Clone, Debug)]
pub(crate) struct Posthog {
    /// Send telemetry events to a PostHog: us, eu, or the URL of yours
    #[arg(
        id = "telemetry_posthog",
        long = "telemetry-posthog",
        env = "TIDINGS_TELEMETRY_POSTHOG",
        value_name = "HOST"
    )]
    pub(crate) host: Option<String>,

    /// The token of the project
    #[arg(
        id = "telemetry_posthog_key",
        long = "telemetry-posthog-key",
        env = "TIDINGS_TELEMETRY_POSTHOG_KEY",
        hide_env_values = true,
        value_name = "KEY",
        conflicts_with = "telemetry_posthog_key_file"
    )]
    pub(crate) key: Option<String>,

    /// The file with the token of the project
    #[arg(
        id = "telemetry_posthog_key_file",
        long = "telemetry-posthog-key-file",
        env = "TIDINGS_TELEMETRY_POSTHOG_KEY_FILE",
        value_name = "FILE"
    )]
    pub(crate) key_file: Option<PathBuf>,

    /// What an event is called there: text with paths into the event in braces, such as `{context.env}-{edata.type}`
    #[arg(
        id = "telemetry_posthog_event",
        long = "telemetry-posthog-event",
        env = "TIDINGS_TELEMETRY_POSTHOG_EVENT",
        default_value = "{eid}",
        value_name = "TEMPLATE"
    )]
    pub(crate) event: String,

    /// v0, which every PostHog has, or v1, which says of each event what became of it
    #[arg(
        id = "telemetry_posthog_protocol",
        long = "telemetry-posthog-protocol",
        env = "TIDINGS_TELEMETRY_POSTHOG_PROTOCOL",
        default_value = "v0",
        value_name = "PROTOCOL"
    )]
    pub(crate) protocol: Protocol,
}

/// Which of PostHog's protocols is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Protocol {
    /// One answer for all events of a request.
    V0,
    /// One for each.
    V1,
}

impl From<Protocol> for wire::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::V0 => Self::V0,
            Protocol::V1 => Self::V1,
        }
    }
}
