//! The example shop: a web application whose orders are events, and a demo that proves that none is lost.
//!
//! [`shop`] is what you would write yourself.
//! [`demo`] is the world around it: a database, two subscribers, customers, and an audit at the end.

mod demo;
mod shop;

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use self::demo::{Ending, Show, live::Live, paint::Paint};

const USAGE: &str = "\
Runs the example shop with a database, two webhook subscribers, a telemetry pipeline and simulated customers.

Usage: tidings-example-shop [--keep]

  --keep    stays up after the summary, until Ctrl-C
  --help    says this

Ends with 0 if every registered event reached every subscriber, and every event of telemetry a file and the table;
with 1 if not, with 130 after Ctrl-C.
";

/// What is logged unless `RUST_LOG` says otherwise. After Ctrl-C in the middle of a transaction, PostgreSQL notices that
/// there is nothing to roll back.
const QUIET: &str = "warn,sqlx::postgres::notice=error";

/// What a shell makes of a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let keep = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--keep"] => true,
        ["--help" | "-h"] => {
            drop(io::stdout().write_all(USAGE.as_bytes()));
            return ExitCode::SUCCESS;
        }
        _ => {
            drop(io::stderr().write_all(USAGE.as_bytes()));
            return ExitCode::from(2);
        }
    };
    match run(keep) {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::Bad) => ExitCode::FAILURE,
        Ok(Ending::Interrupted) => {
            drop(writeln!(io::stderr(), "Stopped before the end, and everything with it."));
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{} {error:#}", paint(&io::stderr()).bad("error:")));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(keep: bool) -> Result<Ending> {
    let live = Live::new(paint(&io::stderr()));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(QUIET));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(paint(&io::stderr()).colours)
        .with_writer(live.clone())
        .init();
    let shutdown = CancellationToken::new();
    listen(shutdown.clone())?;
    demo::run(Show { live, paint: paint(&io::stdout()), keep }, shutdown).await
}

/// Stops the demo in order at the first Ctrl-C, and at once at the second.
fn listen(shutdown: CancellationToken) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if shutdown.is_cancelled() {
                leave();
            }
            shutdown.cancel();
        }
    });
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "somebody is impatient; the guard of the database sees our end and cleans up"
)]
fn leave() -> ! {
    std::process::exit(INTERRUPTED.into())
}

fn paint(output: &impl IsTerminal) -> Paint {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let wanted = set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb");
    Paint { colours: wanted && output.is_terminal() }
}
