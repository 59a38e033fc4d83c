//! What `replay` understands.

use clap::Args;
use uuid::Uuid;

use super::subscriber::Tenant;
use crate::moment::Moment;

/// Which events are delivered again, to whom, and how fast.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Events registered then or later: `1h` ago, or `2026-01-02T03:04:05Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Moment,

    /// Events registered before then; now, where it is not set
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,

    /// Those whose type matches this name or pattern, `order:*` for example
    #[arg(long = "type", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,

    /// Those within this scope, `project=p1` for example
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,

    /// Those of this tenant only, and its subscriber
    #[command(flatten)]
    pub(crate) tenant: Tenant,

    /// To this subscriber only: its name or id
    #[arg(long, value_name = "SUBSCRIBER")]
    pub(crate) subscriber: Option<String>,

    /// This event only; repeatable
    #[arg(long = "event", value_name = "EVENT")]
    pub(crate) events: Vec<Uuid>,

    /// Count what would be delivered, and deliver nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// How many deliveries are made per second, 1 to 100000; as fast as it goes, where it is not set
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: Option<u32>,

    /// Go on behind this event, where a replay was interrupted
    #[arg(long, value_name = "EVENT")]
    pub(crate) after: Option<Uuid>,

    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}
