//! What `telemetry` understands.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};
use tidings_pipeline::{Stage, inspect::Place};
use tidings_relay::channel::ANONYMOUS;

use super::pipeline::{LogChoice, Places};
use crate::moment::Moment;

/// What `telemetry` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum TelemetryCommand {
    /// Import offline archives that apps, desktops or browsers have shared: zip or .gsa
    ///
    /// Each batch goes to the raw log as if its device had sent it, with who imported it; importing again adds nothing.
    /// It says of each batch what became of it, and fails if one was refused.
    Import(Import),
    /// Show what became of the telemetry of a day, and whether the numbers agree
    ///
    /// received + derived = unique + duplicate + failed + filtered + pending, and for each sink
    /// unique = stored + already there + rejected + filtered + pending.
    /// It fails if they do not.
    Account(Account),
    /// Show how far the steps and sinks are behind
    ///
    /// For each group its members, what it has not read yet, and the age of the oldest of that.
    Lag(Lag),
    /// Look at what was not taken, and send it again
    #[command(subcommand)]
    Failed(FailedCommand),
    /// Say where an event is: in which topics, and which sinks have taken it
    Where(Where),
    /// Find events in the table of the database, the latest first
    ///
    /// The pipeline keeps them there with --table, and inside of `up`.
    Search(Search),
    /// Send raw batches through the steps again; what is there is not there twice
    ///
    /// For events that were refused by rules that have been corrected since.
    Reprocess(Reprocess),
    /// Send events of the log to one sink again: what it has refused, and what was lost behind it
    ///
    /// What is there already stays as it is, so it can be done again.
    /// For an index and the table the events go by their document ids; of files, each of a complete plan is compared
    /// with what was planned, and those that are missing are made again from the log.
    /// What the sink has not taken yet is left to the sink.
    Resend(Resend),
}

/// Archives, and who imports them.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The archives
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The channel that the events go to
    #[arg(long, default_value = ANONYMOUS, value_name = "CHANNEL")]
    pub(crate) channel: String,

    /// Who imports, as each event will say; the user of this machine where it is not set
    #[arg(long, value_name = "NAME")]
    pub(crate) importer: Option<String>,

    #[command(flatten)]
    pub(crate) log: LogChoice,
}

/// The account of a day.
#[derive(Args, Debug)]
pub(crate) struct Account {
    /// The day, by UTC and by when the relay took the events; today where it is not set
    #[arg(long, value_name = "DATE")]
    pub(crate) day: Option<NaiveDate>,

    /// Show each batch that is not balanced or has pending events too
    #[arg(long)]
    pub(crate) batches: bool,
}

/// How far groups are behind.
#[derive(Args, Debug)]
pub(crate) struct Lag {
    /// Show each partition with its position and its end
    #[arg(long)]
    pub(crate) partitions: bool,

    #[command(flatten)]
    pub(crate) log: LogChoice,
}

/// What `telemetry failed` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum FailedCommand {
    /// List what was not taken, the latest first
    List(FailedList),
    /// Show one with its reasons and bytes
    Show {
        /// Its place, such as 3-1045
        place: Place,

        #[command(flatten)]
        log: LogChoice,
    },
    /// Send one again, or all that a list would show, through the steps
    Replay(FailedReplay),
}

/// Which of what was not taken.
#[derive(Args, Clone, Debug)]
pub(crate) struct Which {
    /// Only what stopped there: check, unbundle, `check_event`, redact, enrich or sink
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<Stage>,

    /// Only what has a reason with this code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,

    /// Only what this sink has rejected
    #[arg(long, value_name = "SINK")]
    pub(crate) sink: Option<String>,

    /// Only what came by this channel
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,

    /// Only what failed then or later: a time, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
}

/// A list of what was not taken.
#[derive(Args, Clone, Debug)]
pub(crate) struct FailedList {
    #[command(flatten)]
    pub(crate) which: Which,

    /// How many to list, 1 to 10000
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) log: LogChoice,
}

/// What is sent again.
#[derive(Args, Clone, Debug)]
pub(crate) struct FailedReplay {
    /// The places, such as 3-1045
    #[arg(value_name = "PLACE", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) places: Vec<Place>,

    /// Everything that a list with the same filters shows
    #[arg(long)]
    pub(crate) all: bool,

    /// The corrected bytes, for one place
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub(crate) corrected: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) list: FailedList,
}

/// Which event is looked for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Where {
    /// The id of the event
    #[arg(value_name = "MID")]
    pub(crate) mid: String,

    /// From when on: a time, or how long ago
    #[arg(long, default_value = "1d", value_name = "TIME")]
    pub(crate) since: Moment,

    #[command(flatten)]
    pub(crate) log: LogChoice,
}

/// Which events are looked for in the table.
#[derive(Args, Clone, Debug)]
pub(crate) struct Search {
    /// Words of the event, all of which it has: of its kind, environment, producer, object and edata
    #[arg(value_name = "TEXT")]
    pub(crate) text: Vec<String>,

    /// Only those of this kind, such as IMPRESSION
    #[arg(long, value_name = "EID")]
    pub(crate) eid: Option<String>,

    /// Only those with this id
    #[arg(long, value_name = "MID")]
    pub(crate) mid: Option<String>,

    /// Only those of this device
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,

    /// Only those that name this channel
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,

    /// Only those that happened then or later: a time, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,

    /// How many to show, 1 to 10000
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

/// Which batches go through the steps again.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reprocess {
    /// The first moment: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Moment,

    /// The moment after the last one
    #[arg(long, default_value = "0s", value_name = "TIME")]
    pub(crate) until: Moment,

    /// Go further back than the keys of dedup reach; what was there will be there twice
    #[arg(long)]
    pub(crate) accept_duplicates: bool,

    /// How far the keys reach back: what the pipeline is set to
    #[arg(long, env = "TIDINGS_PIPELINE_CONFIG", value_name = "FILE")]
    pub(crate) pipeline_config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) log: LogChoice,
}

/// Which events go to a sink again.
#[derive(Args, Clone, Debug)]
pub(crate) struct Resend {
    /// The sink
    #[arg(value_name = "SINK")]
    pub(crate) sink: SinkKind,

    /// The first moment: when the log took an event, or how long ago
    #[arg(long, value_name = "TIME", required_unless_present = "place", conflicts_with_all = ["place", "next"])]
    pub(crate) from: Option<Moment>,

    /// The moment after the last one
    #[arg(long, default_value = "0s", value_name = "TIME", conflicts_with = "place")]
    pub(crate) until: Moment,

    /// The first record, 3-1045 for example, in place of a time; of this partition alone
    #[arg(long, value_name = "PLACE")]
    pub(crate) place: Option<Place>,

    /// The offset after the last record; all that follow where it is not set
    #[arg(long, value_name = "OFFSET", requires = "place", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) next: Option<i64>,

    #[command(flatten)]
    pub(crate) places: Places,

    #[command(flatten)]
    pub(crate) log: LogChoice,
}

/// A sink that events can be sent to again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SinkKind {
    /// The files of --files
    Files,
    /// The index of --search
    Search,
    /// The table of the database
    Table,
}
