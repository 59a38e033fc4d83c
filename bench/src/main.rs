//! Measures Tidings against the limit, in one run.
//!
//! Every figure that compares is a ratio of two things measured turn by turn on the same server, with the spread of
//! the turns. Absolute figures stand beside what the machine can do. The rows go to `bench/report.json`; with words
//! as arguments, only what has one of them in its name is measured, and nothing is written.

mod clients;
mod corpus;
mod dedup;
mod drain;
mod fanout;
mod files;
mod fixture;
mod log;
mod pipeline;
mod register;
mod relay;
mod report;
mod routes;
mod search;
mod segment;
mod steps;
mod trips;
mod turns;
mod web;

use anyhow::{Context, Result};
use tidings_tests::kafka::Kafka as Broker;

use self::{fixture::Fixture, report::Report};

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == relay::bare::WORD) {
        return relay::bare::serve().await;
    }
    if words.first().is_some_and(|word| word == dedup::WORD) {
        return dedup::fill();
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
    telemetry(&fixture, &mut report, wanted).await?;
    if words.is_empty() {
        report.write("bench/report.json").context("write bench/report.json")?;
    }
    fixture.stop().await
}

/// Measures the pipeline of telemetry, and its parts.
async fn telemetry(
    fixture: &Fixture,
    report: &mut Report,
    wanted: impl Fn(&str) -> bool + Copy,
) -> Result<()> {
    if steps::ROWS.into_iter().any(wanted) {
        steps::cpu(report).context("measure the steps")?;
    }
    if wanted("dedup.bytes_per_key") {
        dedup::bytes_per_key(report).await.context("measure dedup.bytes_per_key")?;
    }
    if wanted("log.postgres_ratio") {
        log::postgres_ratio(fixture, report).await.context("measure log.postgres_ratio")?;
    }
    if files::ROWS.into_iter().any(|(row, _)| wanted(row)) {
        files::ratios(fixture, report, wanted).await.context("measure the sink of files")?;
    }
    if wanted("sink.opensearch_ratio") {
        search::ratio(report).await.context("measure sink.opensearch_ratio")?;
    }
    let rows = ["dedup.rebuild_s", pipeline::VS_BARE, pipeline::VS_STREAMS];
    if !rows.into_iter().chain(relay::kafka::ROWS).any(wanted) {
        return Ok(());
    }
    let broker = Broker::start_for_measuring().await;
    if wanted("dedup.rebuild_s") {
        dedup::rebuild(&broker, report).await.context("measure dedup.rebuild_s")?;
    }
    if relay::kafka::ROWS.into_iter().any(wanted) {
        relay::kafka::rows(fixture, &broker, report).await.context("measure the relay to Kafka")?;
    }
    if wanted(pipeline::VS_BARE) {
        pipeline::vs_bare(fixture, &broker, report).await.context(pipeline::VS_BARE)?;
    }
    if wanted(pipeline::VS_STREAMS) {
        pipeline::vs_streams(fixture, &broker, report).await.context(pipeline::VS_STREAMS)?;
    }
    Ok(())
}
