//! The pipeline on a real broker: against a program that makes the same hops without looking into anything, and against
//! Kafka Streams with the steps of DIGIT.
//!
//! Every turn has topics of its own, which are filled before the clock runs and go with it.

mod bare;
mod ground;
mod streams;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tidings_pipeline::{
    Builder,
    log::Kafka,
    settings::Settings,
    sink::{
        self, Ledger,
        files::{self, Codec, Retry, Store},
    },
    steps::Steps,
};
use tidings_tests::{kafka::Kafka as Broker, opensearch::OpenSearch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::{ground::Ground, streams::Streams};
use crate::{
    corpus::{self, Corpus},
    fixture::{Database, Fixture},
    report::Report,
    search,
    turns::{compare, float},
};

pub(crate) const VS_BARE: &str = "pipeline.vs_bare_copy";
pub(crate) const VS_STREAMS: &str = "pipeline.vs_kafka_streams";

const TURNS: usize = 5;
const SINK_TURNS: usize = 3;

/// Events of one turn of the hops: so many that the start, which is measured too, does not count for much.
const EVENTS: u64 = 800_000;

/// Events of one turn with the sinks, of which the engine is the slowest by far.
const SUNK: u64 = 100_000;

/// What the turns run in.
struct Stage<'a> {
    fixture: &'a Fixture,
    broker: &'a Broker,
    database: Database,
    turn: AtomicU32,
}

/// Measures events per second from raw to both sinks, over those of the bare program; and the same of the hops alone.
pub(crate) async fn vs_bare(fixture: &Fixture, broker: &Broker, report: &mut Report) -> Result<()> {
    let stage = Stage::new(fixture, broker, "bare").await?;
    let hops =
        compare(VS_BARE, TURNS, async || stage.hops().await, async || stage.bare_hops().await)
            .await?;
    let node = OpenSearch::start(&[]).await;
    let count = usize::try_from(SUNK)?;
    let documents = Corpus::new(13, corpus::now().timestamp_millis()).unique(count)?;
    let bulk = search::Bare::new(&node, &documents)?;
    let sinks = compare(
        VS_BARE,
        SINK_TURNS,
        async || stage.sinks(&node).await,
        async || stage.bare_sinks(&node, &bulk).await,
    )
    .await?;
    let (low, middle, high) = spread(&hops.ratios);
    let note = format!(
        "{SUNK} events, raw to files in a folder and to one node of OpenSearch, {SINK_TURNS} turns each way; {:.0} against {:.0} \
         events/s. The two hops alone, {EVENTS} events, {TURNS} turns: {:.0} against {:.0} events/s, {middle:.2} ({low:.2} to \
         {high:.2})",
        sinks.ours, sinks.other, hops.ours, hops.other,
    );
    report.add(VS_BARE, "ratio", &sinks.ratios, note);
    stage.database.discard(fixture).await
}

/// Measures events per second of the two hops, over those of Kafka Streams.
pub(crate) async fn vs_streams(
    fixture: &Fixture,
    broker: &Broker,
    report: &mut Report,
) -> Result<()> {
    let stage = Stage::new(fixture, broker, "streams").await?;
    let rival = Streams::start(fixture, broker).await?;
    let turns =
        compare(VS_STREAMS, TURNS, async || stage.hops().await, async || rival.turn(EVENTS).await)
            .await?;
    let note = format!(
        "the two hops, {EVENTS} events in batches of {}, against one topology with exactly_once_v2, 2 threads, a commit each \
         second, and a store in memory; {TURNS} turns each way; {:.0} against {:.0} events/s",
        corpus::EVENTS,
        turns.ours,
        turns.other
    );
    report.add(VS_STREAMS, "ratio", &turns.ratios, note);
    stage.database.discard(fixture).await
}

impl<'a> Stage<'a> {
    async fn new(fixture: &'a Fixture, broker: &'a Broker, database: &'static str) -> Result<Self> {
        let database = Database::create(fixture, database).await?;
        Ok(Self { fixture, broker, database, turn: AtomicU32::new(0) })
    }

    /// Returns topics that no turn has had before, with so many events in the raw one.
    async fn ground(&self, events: u64) -> Result<Ground> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Ground::fill(self.broker, &format!("{}{turn}.", self.database.name()), events).await
    }

    /// Returns how many events a second our two hops bring from raw to unique.
    async fn hops(&self) -> Result<f64> {
        let ground = self.ground(EVENTS).await?;
        let (shutdown, began) = (CancellationToken::new(), Instant::now());
        let running = self.builder(&ground)?.start(shutdown.clone()).await?;
        let mut finished = tokio::spawn(running.finished());
        until(&mut finished, ground.unique(EVENTS)).await?;
        let took = began.elapsed();
        shutdown.cancel();
        finished.await??;
        ground.discard().await?;
        Ok(float(EVENTS) / took.as_secs_f64())
    }

    async fn bare_hops(&self) -> Result<f64> {
        let ground = self.ground(EVENTS).await?;
        let began = Instant::now();
        let hops = bare::Hops::start(&ground);
        ground.unique(EVENTS).await?;
        let took = began.elapsed();
        hops.stop().await?;
        ground.discard().await?;
        Ok(float(EVENTS) / took.as_secs_f64())
    }

    /// Returns how many events a second we bring from raw to files and to an index.
    async fn sinks(&self, node: &OpenSearch) -> Result<f64> {
        let ground = self.ground(SUNK).await?;
        let folder = self.fixture.file("sink");
        fs::create_dir_all(&folder)?;
        let store = Store::open(&format!("file://{}", folder.display()), &[], Retry::default())?;
        let mut options = files::Options::new(
            format!("files-{}", self.turn.load(Ordering::Relaxed)),
            self.fixture.file("spool"),
        );
        options.codec = Codec::JsonlGzip;
        let files = files::Sink::new(options, store, self.database.pool.clone());
        let mut options = sink::search::Options::new("search", node.url().parse()?);
        "turn-".clone_into(&mut options.prefix);
        let search = sink::search::Sink::new(options)?;
        let (filed, found) = (files.metrics(), search.metrics());
        let builder = self
            .builder(&ground)?
            .sink("files", move |log, shutdown| async move {
                files.run(&log, Arc::new(Ledger), &shutdown).await
            })
            .sink("search", move |log, shutdown| async move {
                search.run(&log, Arc::new(Ledger), &shutdown).await
            });
        let (shutdown, began) = (CancellationToken::new(), Instant::now());
        let running = builder.start(shutdown.clone()).await?;
        let arrived = async {
            while filed.taken.load(Ordering::Relaxed) < SUNK
                || found.stored.load(Ordering::Relaxed) < SUNK
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        };
        let mut finished = tokio::spawn(running.finished());
        until(&mut finished, arrived).await?;
        // Files that are open go up now.
        shutdown.cancel();
        finished.await??;
        let took = began.elapsed();
        let stored = filed.stored.load(Ordering::Relaxed);
        ensure!(stored == SUNK, "{stored} events are in files");
        fs::remove_dir_all(&folder).context("remove the files")?;
        ground.discard().await?;
        node.call(reqwest::Method::DELETE, "turn-telemetry-*", &serde_json::Value::Null).await;
        Ok(float(SUNK) / took.as_secs_f64())
    }

    async fn bare_sinks(&self, node: &OpenSearch, bulk: &search::Bare) -> Result<f64> {
        let ground = self.ground(SUNK).await?;
        let path = self.fixture.file("bare-sink");
        let began = Instant::now();
        let hops = bare::Hops::start(&ground);
        let file = tokio::task::spawn_blocking({
            let (ground, path) = (ground.clone(), path.clone());
            move || bare::file(&ground, &path, SUNK)
        });
        let index = format!("turn-telemetry-bare-{}", self.turn.load(Ordering::Relaxed));
        bare::bulk(&ground, bulk, &index).await?;
        file.await??;
        let took = began.elapsed();
        hops.stop().await?;
        fs::remove_file(&path).context("remove the file")?;
        ground.discard().await?;
        node.call(reqwest::Method::DELETE, &index, &serde_json::Value::Null).await;
        Ok(float(SUNK) / took.as_secs_f64())
    }

    fn builder(&self, ground: &Ground) -> Result<Builder<Kafka>> {
        let steps = Steps::compile(&Settings::default(), None)?;
        let builder = Builder::new(ground.log.clone(), self.database.pool.clone(), steps);
        Ok(builder.layout(ground.layout))
    }
}

/// Waits for something while a pipeline runs, and fails when that ends before.
async fn until(
    finished: &mut JoinHandle<tidings_pipeline::Result<()>>,
    done: impl Future<Output = Result<()>>,
) -> Result<()> {
    tokio::select! {
        done = done => done,
        ended = finished => {
            ended?.context("run the pipeline")?;
            bail!("the pipeline has ended by itself")
        }
    }
}

fn spread(ratios: &[f64]) -> (f64, f64, f64) {
    let mut sorted = ratios.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    (at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1)))
}
