//! `tidings completions`.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    arguments::{self, paper::Completions},
    context::Context,
};

/// What a shell reads.
#[derive(Debug, Serialize)]
struct Script {
    shell: String,
    script: String,
}

/// Prints what makes a shell complete commands and flags.
pub(crate) fn run(context: &Context, which: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(which.shell, &mut arguments::written(), "tidings", &mut script);
    let script = String::from_utf8(script).context("write the completions")?;
    let script = Script { shell: which.shell.to_string(), script };
    context.output.text(&script, &script.script)
}
