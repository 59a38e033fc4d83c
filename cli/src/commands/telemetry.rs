//! `tidings telemetry`: what devices and front ends report, on its way through the pipeline.

mod import;

use anyhow::Result;

use crate::{arguments::telemetry::TelemetryCommand, context::Context};

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &TelemetryCommand) -> Result<()> {
    match command {
        TelemetryCommand::Import(arguments) => import::run(context, arguments).await,
    }
}
