//! What `completions` and `man` understand: the command line, written down for others.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// For which shell.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Which page, or where all of them go.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The command whose page is printed, `subscriber add` for example; that of `tidings` itself without one
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    pub(crate) command: Vec<String>,

    /// Write one page per command into this folder, which is made if it is missing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
}
