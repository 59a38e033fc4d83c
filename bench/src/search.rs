//! The sink of a search engine against a bare loop that sends the same documents.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use reqwest::{Client, Method, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tidings_pipeline::{
    Log, Output,
    log::Memory,
    sink::{
        Ledger,
        search::{Options, Sink},
    },
    topic::Layout,
};
use tidings_tests::opensearch::OpenSearch;
use tokio_util::sync::CancellationToken;

use crate::{
    corpus::{self, Corpus, PARTITIONS},
    report::Report,
    turns::{compare, float},
};

const ROW: &str = "sink.opensearch_ratio";
const TURNS: usize = 5;

/// How soon the bare loop asks a node again that has too much to do.
const BUSY: Duration = Duration::from_millis(20);

/// Documents of one turn.
const DOCUMENTS: usize = 60_000;

/// Documents of one request, and how many requests are under way: those of the sink.
pub(crate) const REQUEST: usize = 2_000;
pub(crate) const IN_FLIGHT: usize = 2;

/// The node, and what is sent to it.
struct Stage {
    node: OpenSearch,
    events: Vec<Output>,
    turn: AtomicU32,
}

/// Measures documents per second of the sink, over those of the bare loop.
pub(crate) async fn ratio(report: &mut Report) -> Result<()> {
    let node = OpenSearch::start(&[]).await;
    let events = Corpus::new(13, corpus::now().timestamp_millis()).unique(DOCUMENTS)?;
    let stage = Stage { node, events, turn: AtomicU32::new(0) };
    let bare = Bare::new(&stage.node, &stage.events)?;
    let turns = compare(
        ROW,
        TURNS,
        async || stage.sink().await,
        async || {
            let index = format!("turn-telemetry-bare-{}", stage.turn.load(Ordering::Relaxed));
            let rate = bare.send(&index).await?;
            stage.node.call(Method::DELETE, &index, &Value::Null).await;
            Ok(rate)
        },
    )
    .await?;
    let note = format!(
        "{DOCUMENTS} events of {} bytes from memory to one node of OpenSearch on this machine, {REQUEST} in a request, \
         {IN_FLIGHT} requests at a time, {TURNS} turns each way; {:.0} against {:.0} documents/s",
        corpus::bytes(stage.events.iter().map(|event| &event.value)) / DOCUMENTS,
        turns.ours,
        turns.other
    );
    report.add(ROW, "ratio", &turns.ratios, note);
    Ok(())
}

impl Stage {
    async fn sink(&self) -> Result<f64> {
        self.turn.fetch_add(1, Ordering::Relaxed);
        let log = Memory::new();
        log.set_clock(corpus::now());
        let layout = Layout { partitions: PARTITIONS, ..Layout::default() };
        log.prepare(&layout.specs()).await?;
        log.append(self.events.clone()).await?;
        let mut options = Options::new("bench", self.node.url().parse()?);
        "turn-".clone_into(&mut options.prefix);
        let sink = Arc::new(Sink::new(options)?);
        let (metrics, shutdown) = (sink.metrics(), CancellationToken::new());
        let began = Instant::now();
        let running = {
            let shutdown = shutdown.clone();
            tokio::spawn(async move { sink.run(&log, Arc::new(Ledger), &shutdown).await })
        };
        while metrics.stored.load(Ordering::Relaxed) < DOCUMENTS as u64 && !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = began.elapsed().as_secs_f64();
        shutdown.cancel();
        running.await??;
        let stored = metrics.stored.load(Ordering::Relaxed);
        ensure!(stored == DOCUMENTS as u64, "{stored} documents were stored");
        let day = corpus::now().format("%Y.%m.%d");
        self.node.call(Method::DELETE, &format!("turn-telemetry-{day}"), &Value::Null).await;
        Ok(float(DOCUMENTS as u64) / took)
    }
}

/// Sends documents, and looks only whether all were taken.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    client: Client,
    url: String,
    bodies: Vec<Bytes>,
}

impl Bare {
    /// Returns what sends these events, its requests made beforehand.
    pub(crate) fn new(node: &OpenSearch, events: &[Output]) -> Result<Self> {
        // Whoever comes second finds it installed; nothing here is encrypted.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().no_proxy().build()?;
        let bodies = events.chunks(REQUEST).map(body).collect::<Result<_>>()?;
        Ok(Self { client, url: node.url(), bodies })
    }

    /// Returns the requests.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.bodies.clone()
    }

    /// Sends everything to an index, and returns how many documents were taken in a second.
    async fn send(&self, index: &str) -> Result<f64> {
        let (began, next) = (Instant::now(), AtomicUsize::new(0));
        let sender = async || {
            while let Some(body) = self.bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.send_one(index, body.clone()).await?;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(sender(), sender())?;
        Ok(float(DOCUMENTS as u64) / began.elapsed().as_secs_f64())
    }

    /// Sends one request, again if the node has too much to do.
    pub(crate) async fn send_one(&self, index: &str, body: Bytes) -> Result<()> {
        let url = format!("{}/{index}/_bulk?filter_path=errors", self.url);
        let answer = loop {
            let request = self.client.post(&url).header(CONTENT_TYPE, "application/x-ndjson");
            let answer = request.body(body.clone()).send().await?;
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                break answer.error_for_status()?.bytes().await?;
            }
            tokio::time::sleep(BUSY).await;
        };
        ensure!(&answer[..] == br#"{"errors":false}"#, "documents were refused");
        Ok(())
    }
}

/// Returns a request that creates documents under the ids that they name.
fn body(events: &[Output]) -> Result<Bytes> {
    let mut body = Vec::new();
    for event in events {
        let parsed: Value = serde_json::from_slice(&event.value)?;
        let id = parsed["metadata"]["id"].as_str().context("an event has an id")?;
        body.extend_from_slice(format!("{{\"create\":{{\"_id\":\"{id}\"}}}}\n").as_bytes());
        body.extend_from_slice(&event.value);
        body.push(b'\n');
    }
    Ok(body.into())
}
