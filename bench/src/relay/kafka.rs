//! Batches that a relay writes straight to Kafka, which runs beside it.

use std::time::Duration;

use anyhow::{Result, ensure};
use tidings_pipeline::{Log, log::Kafka, topic::Layout};
use tidings_tests::kafka::Kafka as Broker;

use super::{
    CONNECTIONS,
    server::Server,
    wrk::{self, Load, Outcome},
};
use crate::{
    corpus::{self, Corpus, PARTITIONS},
    fixture::{Database, Fixture},
    report::{Report, progress},
    turns::float,
};

/// The rows that are measured together.
pub(crate) const ROWS: [&str; 2] = ["relay.kafka_batches_per_second", "relay.kafka_p99_ms"];

const PREFIX: &str = "relay.";
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(4);

/// Bodies that are sent in turn: of one alone, every copy after the first would compress to nothing.
const BODIES: usize = 256;

/// Measures how many batches are taken in a second, and how long it takes at half of that.
pub(crate) async fn rows(fixture: &Fixture, broker: &Broker, report: &mut Report) -> Result<()> {
    let database = Database::create(fixture, "relay_kafka").await?;
    let brokers = broker.brokers();
    let log = Kafka::builder(&brokers).prefix(PREFIX).build()?;
    log.prepare(&Layout { partitions: PARTITIONS, ..Layout::default() }.specs()).await?;
    let url = fixture.url_of(database.name());
    let arguments = [
        "--json",
        "relay",
        "--anonymous",
        "--listen=127.0.0.1:0",
        &format!("--database-url={url}"),
        "--log=kafka",
        &format!("--kafka-brokers={brokers}"),
        &format!("--log-prefix={PREFIX}"),
    ];
    let relay = Server::start(&std::env::current_exe()?.with_file_name("tidings"), &arguments)?;
    let mut corpus = Corpus::new(19, corpus::now().timestamp_millis());
    let bodies: Vec<_> = (0..BODIES).map(|_| corpus.body()).collect();
    let bytes = bodies.iter().map(String::len).sum::<usize>() / BODIES;
    let body = wrk::prepare(fixture, "bodies.json", &bodies.join("\n"))?;
    let url = format!("{}v1/telemetry", relay.url);
    let load = Load { url, body, connections: CONNECTIONS, time: TURN, rate: None };
    let bar = progress(ROWS[0], 2 * TURNS);
    let (mut rates, mut p99s) = (Vec::new(), Vec::new());
    // One more goes before, which warms up and does not count.
    for turn in 0..=TURNS {
        let taken = send(fixture, &load).await?.per_second;
        if turn > 0 {
            rates.push(taken);
            bar.inc(1);
        }
    }
    let half = rates.iter().sum::<f64>() / 2.0 / float(TURNS as u64);
    let load = Load { rate: Some(half), ..load };
    for _ in 0..TURNS {
        p99s.push(send(fixture, &load).await?.p99_ms);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let note = format!(
        "Sunbird batches of {} events, {bytes} bytes, {CONNECTIONS} connections, {TURNS} turns of {} s, the broker and the load \
         beside it",
        corpus::EVENTS,
        TURN.as_secs()
    );
    report.add(ROWS[0], "batches/s", &rates, note);
    let note = format!("the slowest hundredth at half of that, {half:.0} batches/s, {TURNS} turns");
    report.add(ROWS[1], "ms", &p99s, note);
    drop(relay);
    database.discard(fixture).await
}

async fn send(fixture: &Fixture, load: &Load) -> Result<Outcome> {
    let outcome = load.send(fixture).await?;
    ensure!(outcome.refused == 0, "{} requests were refused", outcome.refused);
    Ok(outcome)
}
