//! The sink of files against its codec alone, over the same events.

mod columns;

use std::{
    fs,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tidings_pipeline::{
    Log, Output,
    log::Memory,
    sink::{
        Ledger,
        files::{Codec, GZIP_LEVEL, Options, Retry, Sink, Store},
    },
    topic::Layout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    corpus::{self, Corpus, PARTITIONS},
    fixture::{Database, Fixture},
    report::Report,
    turns::{compare, float},
};

/// The rows, and what is measured in them.
pub(crate) const ROWS: [(&str, Codec); 2] =
    [("sink.gzip_ratio", Codec::JsonlGzip), ("sink.parquet_ratio", Codec::Parquet)];

const TURNS: usize = 7;

const EVENTS: usize = 300_000;

/// How much is handed to the codec at once: it costs more per call than per byte.
const CHUNK: usize = 128 * 1024;

/// What is measured of each codec.
struct Stage<'a> {
    fixture: &'a Fixture,
    database: &'a Database,
    codec: Codec,
    events: &'a [Output],
    turn: AtomicU32,
}

/// Measures bytes of events per second that become files, over those that the codec takes.
pub(crate) async fn ratios(
    fixture: &Fixture,
    report: &mut Report,
    wanted: impl Fn(&str) -> bool,
) -> Result<()> {
    let database = Database::create(fixture, "files").await?;
    let events = Corpus::new(11, corpus::now().timestamp_millis()).unique(EVENTS)?;
    let events = by_partition(events);
    for (row, codec) in ROWS {
        if !wanted(row) {
            continue;
        }
        let turn = AtomicU32::new(0);
        let stage = Stage { fixture, database: &database, codec, events: &events, turn };
        let alone = match codec {
            Codec::Parquet => Alone::Columns(Arc::new(columns::of(&events)?)),
            _ => Alone::Lines(lines(&events).into()),
        };
        let turns =
            compare(row, TURNS, async || stage.sink().await, async || alone.encode().await).await?;
        let note = format!(
            "{EVENTS} events of {} bytes from memory to a folder, {TURNS} turns each way; {:.0} against {:.0} MB/s",
            stage.bytes() / EVENTS,
            turns.ours,
            turns.other
        );
        report.add(row, "ratio", &turns.ratios, note);
    }
    database.discard(fixture).await
}

/// What the codec alone takes: one file for each partition.
enum Alone {
    /// As lines, in pieces.
    Lines(Arc<[Vec<u8>]>),
    /// As columns.
    Columns(Arc<columns::Files>),
}

impl Alone {
    /// Returns millions of bytes of events per second.
    async fn encode(&self) -> Result<f64> {
        match self {
            Self::Lines(files) => {
                let files = Arc::clone(files);
                tokio::task::spawn_blocking(move || {
                    let began = Instant::now();
                    for file in &*files {
                        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
                        for chunk in file.chunks(CHUNK) {
                            encoder.write_all(chunk)?;
                        }
                        std::hint::black_box(encoder.finish()?);
                    }
                    let bytes: usize = files.iter().map(Vec::len).sum();
                    Ok(float((bytes - EVENTS) as u64) / 1e6 / began.elapsed().as_secs_f64())
                })
                .await?
            }
            Self::Columns(files) => {
                let files = Arc::clone(files);
                tokio::task::spawn_blocking(move || files.encode()).await?
            }
        }
    }
}

impl Stage<'_> {
    /// Returns millions of bytes of events per second.
    async fn sink(&self) -> Result<f64> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let log = Memory::new();
        log.set_clock(corpus::now());
        let layout = Layout { partitions: PARTITIONS, ..Layout::default() };
        log.prepare(&layout.specs()).await?;
        log.append(self.events.to_vec()).await?;
        let folder = self.fixture.file(&format!("files-{turn}"));
        fs::create_dir_all(&folder)?;
        let store = Store::open(&format!("file://{}", folder.display()), &[], Retry::default())?;
        let name = format!("{}-{turn}", self.codec.as_str().replace('.', "-"));
        let mut options = Options::new(name, self.fixture.file("spool"));
        options.codec = self.codec;
        let sink = Arc::new(Sink::new(options, store, self.database.pool.clone()));
        let (metrics, shutdown) = (sink.metrics(), CancellationToken::new());
        let began = Instant::now();
        let running = {
            let shutdown = shutdown.clone();
            tokio::spawn(async move { sink.run(&log, Arc::new(Ledger), &shutdown).await })
        };
        while metrics.taken.load(Ordering::Relaxed) < EVENTS as u64 && !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        shutdown.cancel();
        running.await??;
        let took = began.elapsed().as_secs_f64();
        let stored = metrics.stored.load(Ordering::Relaxed);
        ensure!(stored == EVENTS as u64, "{stored} events are in files");
        fs::remove_dir_all(&folder).context("remove the files")?;
        Ok(float(self.bytes() as u64) / 1e6 / took)
    }

    fn bytes(&self) -> usize {
        corpus::bytes(self.events.iter().map(|event| &event.value))
    }
}

/// Returns events with those of a partition side by side, as a log hands them out.
fn by_partition(mut events: Vec<Output>) -> Vec<Output> {
    events.sort_by_key(|event| event.partition);
    events
}

fn lines(events: &[Output]) -> Vec<Vec<u8>> {
    let file = |events: &[Output]| {
        let line = |event: &Output| [event.value.clone(), Bytes::from_static(b"\n")].concat();
        events.iter().flat_map(line).collect()
    };
    events.chunk_by(|one, next| one.partition == next.partition).map(file).collect()
}
