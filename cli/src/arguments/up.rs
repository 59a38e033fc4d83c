//! What `up` understands.

use clap::{Args, builder::FalseyValueParser};

use super::{pipeline::Work, serve::Serve};

/// Everything in one process.
#[derive(Args, Clone, Debug)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) serve: Serve,

    /// Leave the telemetry pipeline out
    #[arg(long, env = "TIDINGS_NO_PIPELINE", value_parser = FalseyValueParser::new())]
    pub(crate) no_pipeline: bool,

    #[command(flatten)]
    pub(crate) work: Work,
}
