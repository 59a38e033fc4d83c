//! Measures Tidings against the limit, in one run.
//!
//! Every figure that compares is a ratio of two things measured turn by turn on the same server, with the spread of
//! the turns. Absolute figures stand beside what the machine can do. The rows go to `bench/report.json`; with words
//! as arguments, only what has one of them in its name is measured, and nothing is written.

mod clients;
mod drain;
mod fanout;
mod fixture;
mod register;
mod relay;
mod report;
mod routes;
mod segment;
mod trips;
mod turns;
mod web;

use anyhow::{Context, Result};

use self::{fixture::Fixture, report::Report};

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == relay::bare::WORD) {
        return relay::bare::serve().await;
    }
    let mut report = Report::new();
    let fixture = Fixture::start().await.context("start the server")?;
    report.print_machine(&fixture).await?;
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    if wanted("register.tx_ratio") {
        register::tx_ratio(&fixture, &mut report).await.context("measure register.tx_ratio")?;
    }
    if wanted("register.round_trips") {
        trips::round_trips(&fixture, &mut report).await.context("count register.round_trips")?;
    }
    if wanted("routes.register_ratio") {
        routes::register_ratio(&fixture, &mut report)
            .await
            .context("measure routes.register_ratio")?;
    }
    if wanted("fanout.ratio") || wanted("fanout.register_ratio") {
        fanout::ratios(&fixture, &mut report).await.context("measure fanout.ratio")?;
    }
    if wanted("drain.per_second") {
        drain::per_second(&fixture, &mut report).await.context("measure drain.per_second")?;
    }
    if wanted("breaker.overhead_ratio") {
        drain::breaker_ratio(&fixture, &mut report)
            .await
            .context("measure breaker.overhead_ratio")?;
    }
    if wanted("segment.vs_limit") {
        segment::vs_limit(&fixture, &mut report).await.context("measure segment.vs_limit")?;
    }
    if relay::ROWS.into_iter().any(wanted) {
        relay::rows(&fixture, &mut report).await.context("measure the relay")?;
    }
    if wanted("web.gzip_kb") {
        web::gzip_kb(&mut report).context("measure web.gzip_kb")?;
    }
    if words.is_empty() {
        report.write("bench/report.json").context("write bench/report.json")?;
    }
    fixture.stop().await
}
