//! What `telemetry` understands.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tidings_relay::channel::ANONYMOUS;

/// What `telemetry` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum TelemetryCommand {
    /// Import offline archives that apps, desktops or browsers have shared: zip or .gsa
    ///
    /// Each batch goes to the raw log as if its device had sent it, with who imported it; importing again adds nothing.
    /// It says of each batch what became of it, and fails if one was refused.
    Import(Import),
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
}
