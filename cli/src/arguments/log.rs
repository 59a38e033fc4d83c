//! What `event`, `delivery` and `dead` understand.

use clap::{Args, Subcommand, ValueEnum};
use tidings::{log::State, pattern::Pattern, scope::Scope};
use uuid::Uuid;

use super::{Page, subscriber::Tenant};
use crate::moment::Moment;

/// What `event` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// List events, newest first
    List(EventList),
    /// Show one event: its content, what is still to be delivered, what was tried, what was given up
    Show {
        /// Its id
        #[arg(value_name = "EVENT")]
        id: Uuid,
    },
}

/// Which events to list.
#[derive(Args, Debug)]
pub(crate) struct EventList {
    /// Those whose type matches this name or pattern, `order:*` for example
    #[arg(long = "type", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,

    /// Those within this scope, `project=p1` for example
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,

    /// Those of this tenant only
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,

    /// Those registered since then: `1h` ago, or `2026-01-02T03:04:05Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,

    /// Those registered before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Moment>,

    /// Those older than this one, the last of the page before
    #[arg(long, value_name = "EVENT")]
    pub(crate) after: Option<Uuid>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// What `delivery` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveryCommand {
    /// List pending deliveries, oldest first
    List(DeliveryList),
    /// Show one pending delivery and what was tried
    Show {
        /// Its id
        #[arg(value_name = "DELIVERY")]
        id: i64,
    },
    /// Make pending deliveries due now
    Retry {
        /// Their ids
        #[arg(value_name = "DELIVERY", required = true)]
        ids: Vec<i64>,
    },
}

/// Which deliveries to list.
#[derive(Args, Debug)]
pub(crate) struct DeliveryList {
    #[command(flatten)]
    pub(crate) to: To,

    /// Those of this event only
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Option<Uuid>,

    /// Those in this state only
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<Where>,

    /// Those behind this one, the last of the page before
    #[arg(long, value_name = "DELIVERY")]
    pub(crate) after: Option<i64>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// To whom.
#[derive(Args, Debug)]
pub(crate) struct To {
    /// Those to this subscriber only: its name or id
    #[arg(long, value_name = "SUBSCRIBER")]
    pub(crate) subscriber: Option<String>,

    #[command(flatten)]
    pub(crate) tenant: Tenant,
}

/// Where a pending delivery stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Where {
    /// Its time has come.
    Due,
    /// Its time is to come.
    Waiting,
    /// It waits behind the head of its key.
    Parked,
}

/// What `dead` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List dead letters, newest first
    List(DeadList),
    /// Show one dead letter with its copy of the event
    Show {
        /// Its id
        #[arg(value_name = "DEAD")]
        id: i64,
    },
    /// Deliver dead letters again, each under the id of its event
    Replay(Replay),
}

/// Which dead letters to list.
#[derive(Args, Debug)]
pub(crate) struct DeadList {
    #[command(flatten)]
    pub(crate) which: Which,

    /// Those that were replayed too
    #[arg(long)]
    pub(crate) replayed: bool,

    /// Those older than this one, the last of the page before
    #[arg(long, value_name = "DEAD")]
    pub(crate) after: Option<i64>,

    #[command(flatten)]
    pub(crate) page: Page,
}

/// Which dead letters to replay.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Their ids; all of them are replayed or none
    #[arg(value_name = "DEAD", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<i64>,

    /// All that were not replayed yet, as far as the flags below do not narrow it down
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) which: Which,
}

/// Which dead letters.
#[derive(Args, Debug)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) to: To,

    /// Those of this event only
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Option<Uuid>,

    /// Those whose type matches this name or pattern
    #[arg(long = "type", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,

    /// Those that died of this only
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<Reason>,
}

/// Why a delivery was given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// Attempts and age were both exceeded.
    Exhausted,
    /// The destination has refused it for good.
    Refused,
    /// The event was gone.
    EventGone,
    /// Workers died of it.
    WorkerDied,
    /// Its subscriber was stopped for longer than events are kept.
    Retention,
}

impl From<Where> for State {
    fn from(place: Where) -> Self {
        match place {
            Where::Due => Self::Due,
            Where::Waiting => Self::Waiting,
            Where::Parked => Self::Parked,
        }
    }
}

impl Reason {
    /// Returns the word that is stored.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Refused => "refused",
            Self::EventGone => "event_gone",
            Self::WorkerDied => "worker_died",
            Self::Retention => "retention",
        }
    }
}

/// Reads a pattern that may not be given.
pub(crate) fn pattern(text: Option<&str>) -> anyhow::Result<Option<Pattern>> {
    Ok(text.map(Pattern::parse).transpose()?)
}

/// Reads a scope that may not be given.
pub(crate) fn scope(text: Option<&str>) -> anyhow::Result<Option<Scope>> {
    Ok(text.map(Scope::parse).transpose()?)
}
