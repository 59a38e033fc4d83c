//! What `explain-route` understands.

use clap::Args;
use uuid::Uuid;

use super::subscriber::Tenant;

/// An event that might be registered, or one that was.
#[derive(Args, Debug)]
pub(crate) struct ExplainRoute {
    /// The event type
    #[arg(value_name = "TYPE", required_unless_present = "event", conflicts_with = "event")]
    pub(crate) event_type: Option<String>,

    /// The scope of the event, `project=p1/job=j1` for example
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "SCOPE",
        conflicts_with = "event"
    )]
    pub(crate) scope: String,

    #[command(flatten)]
    pub(crate) tenant: Tenant,

    /// The notification of the event, which filters look at: JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON", conflicts_with = "event")]
    pub(crate) payload: Option<String>,

    /// Only this subscriber: why it would be notified, or why not
    #[arg(long, value_name = "NAME")]
    pub(crate) subscriber: Option<String>,

    /// An event that is stored: its type, scope, tenant and payload
    #[arg(long, value_name = "EVENT", conflicts_with = "tenant")]
    pub(crate) event: Option<Uuid>,
}
