//! What `template` understands.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use tidings_worker::chat;
use uuid::Uuid;

use super::subscriber::{Tenant, json};

/// What `template` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the message that an event would become; with --json, the body of the request
    ///
    /// Nothing is posted.
    /// Without --template it is the default message; with --subscriber, what that subscriber would get.
    Preview(Preview),
}

/// Which message.
#[derive(Args, Debug)]
pub(crate) struct Preview {
    /// The chat service
    #[arg(
        long,
        value_name = "KIND",
        required_unless_present = "subscriber",
        conflicts_with = "subscriber"
    )]
    pub(crate) kind: Option<Kind>,

    /// The template; `@FILE` reads a file
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "subscriber")]
    pub(crate) template: Option<String>,

    /// A subscriber whose templates are used, by name or id
    #[arg(long, value_name = "SUBSCRIBER")]
    pub(crate) subscriber: Option<String>,

    #[command(flatten)]
    pub(crate) tenant: Tenant,

    /// An event that was registered, by its id
    #[arg(
        long,
        value_name = "EVENT",
        required_unless_present = "event_type",
        conflicts_with = "event_type"
    )]
    pub(crate) event: Option<Uuid>,

    /// The type of an event that is made up
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,

    /// The content of an event that is made up, a JSON object
    #[arg(long, value_name = "JSON", value_parser = json, conflicts_with = "event")]
    pub(crate) payload: Option<Value>,

    /// The scope of an event that is made up, `project=p1/job=j1` for example
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "SCOPE",
        conflicts_with = "event"
    )]
    pub(crate) scope: String,
}

/// A chat service.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Slack
    Slack,
    /// Microsoft Teams
    Teams,
    /// Discord
    Discord,
}

impl From<Kind> for chat::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Slack => Self::Slack,
            Kind::Teams => Self::Teams,
            Kind::Discord => Self::Discord,
        }
    }
}
