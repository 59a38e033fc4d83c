//! Measures Tidings against the limit, in one run.
//!
//! Every figure that compares is a ratio of two things measured turn by turn on the same server, with the spread of
//! the turns. Absolute figures stand beside what the machine can do. The rows go to `bench/report.json`.

mod drain;
mod fixture;
mod register;
mod report;
mod trips;

use anyhow::{Context, Result};

use self::{fixture::Fixture, report::Report};

#[tokio::main]
async fn main() -> Result<()> {
    let mut report = Report::new();
    let fixture = Fixture::start().await.context("start the server")?;
    report.print_machine(&fixture).await?;
    register::tx_ratio(&fixture, &mut report).await.context("measure register.tx_ratio")?;
    trips::round_trips(&fixture, &mut report).await.context("count register.round_trips")?;
    drain::per_second(&fixture, &mut report).await.context("measure drain.per_second")?;
    report.write("bench/report.json").context("write bench/report.json")?;
    fixture.stop().await
}
