//! `tidings pipeline`, and the pipeline inside of `tidings up`.

mod metrics;
pub(super) mod sinks;

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::PgPool;
use tidings::analytics::HashKeys;
use tidings_pipeline::{
    Builder, Log, Running, metrics::Metrics, settings::Settings, steps::Steps, topic::Layout,
};
use tokio_util::sync::CancellationToken;

use self::{metrics::Listener, sinks::Sinks};
use crate::{
    arguments::pipeline::{LogKind, Pipeline, Work},
    connection::Place,
    context::Context,
    exit::Exit,
    failure::Coded,
    hash_keys,
    output::sheet::Sheet,
    signals::Signals,
    telemetry,
    telemetry_log::{TelemetryLog, on_log},
};

/// What the pipeline borrows of the database: its members, the ledger and the sinks.
pub(super) const CONNECTIONS: u32 = 16;

/// What runs where.
#[derive(Debug, Serialize)]
struct Started {
    version: &'static str,
    pid: u32,
    log: LogKind,
    database: String,
    partitions: i32,
    members: u16,
    sinks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
}

/// A pipeline in this process.
#[derive(Debug)]
pub(super) struct Service {
    running: Running,
    shutdown: CancellationToken,
    pub(super) sinks: Vec<String>,
    /// Where its metrics are.
    pub(super) metrics: Option<String>,
}

/// Runs a pipeline until a signal asks it to end, or it cannot go on.
pub(crate) async fn run(context: &Context, arguments: &Pipeline) -> Result<()> {
    let mut signals = Signals::listen()?;
    let place = Place::find(&context.global)?;
    // Says what is wrong with the schema before anything is read.
    place.open().await?.close().await?;
    let pooled = arguments.session == crate::arguments::serve::Session::Pooled;
    let pool = place.pool(CONNECTIONS, pooled).await?;
    let host = crate::environment::machine();
    let log = TelemetryLog::choose(&arguments.log, &place, (&pool, arguments.session, &host))?;
    let keys = hash_keys(context, arguments.hash_key_file.as_deref())?;
    let members = usize::from(arguments.members);
    let service = tokio::select! {
        service = Service::start(context, (&arguments.work, members), (&log, &pool), keys) => service?,
        signal = signals.next() => {
            telemetry::stopped_early(signal);
            return Ok(());
        }
    };
    let started = Started {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        log: arguments.log.place.kind,
        database: place.shown(),
        partitions: arguments.work.partitions,
        members: arguments.members,
        sinks: service.sinks.clone(),
        metrics: service.metrics.clone(),
    };
    context.output.show(&started, || started.sheet())?;
    let Service { running, shutdown, .. } = service;
    let finished = running.finished();
    tokio::pin!(finished);
    let signal = tokio::select! {
        ended = &mut finished => return ended.context("run the pipeline"),
        signal = signals.next() => signal,
    };
    telemetry::draining(signal, arguments.drain_timeout);
    shutdown.cancel();
    tokio::select! {
        ended = tokio::time::timeout(arguments.drain_timeout, &mut finished) => match ended {
            Ok(ended) => ended.context("run the pipeline"),
            Err(_) => Err(undrained().into()),
        },
        _ = signals.next() => Err(undrained().into()),
    }
}

fn undrained() -> Coded {
    let message = "drain: the pipeline did not end in time; what is committed is safe";
    Coded::new(Exit::Undrained, message).hint("raise --drain-timeout")
}

/// Returns the keys under which ids are hashed, where there are any.
pub(super) fn hash_keys(context: &Context, file: Option<&Path>) -> Result<Option<Arc<HashKeys>>> {
    Ok(hash_keys::find(&context.global.data, file)?.map(Arc::new))
}

impl Service {
    /// Starts a pipeline on a log.
    ///
    /// # Errors
    ///
    /// Rules that cannot be used, topics with another number of partitions, or what does not answer.
    pub(super) async fn start(
        context: &Context,
        (work, members): (&Work, usize),
        (log, pool): (&TelemetryLog, &PgPool),
        keys: Option<Arc<HashKeys>>,
    ) -> Result<Self> {
        let service = on_log!(
            log,
            log => Self::start_on(context, (work, members), (log.clone(), pool), keys).await
        )?;
        match log {
            TelemetryLog::Postgres(log) => {
                let (log, shutdown) = (log.clone(), service.shutdown());
                tokio::spawn(async move { log.keep(shutdown).await });
            }
            #[cfg(feature = "kafka")]
            // Its brokers drop what is old.
            TelemetryLog::Kafka(_) => {}
        }
        Ok(service)
    }

    async fn start_on<L: Log>(
        context: &Context,
        (work, members): (&Work, usize),
        (log, pool): (L, &PgPool),
        keys: Option<Arc<HashKeys>>,
    ) -> Result<Self> {
        let metrics_listener = Listener::open(work.metrics_listen).await?;
        let metrics = Arc::new(Metrics::default());
        let settings = settings(work)?;
        let steps = Steps::compile(&settings, keys.clone())?;
        let shutdown = CancellationToken::new();
        let layout = Layout {
            partitions: work.partitions,
            retention: work.telemetry_kept,
            quarantine: work.telemetry_kept,
            window: settings.dedup.window,
        };
        let memory = usize::try_from(settings.dedup.memory_mib).unwrap_or(usize::MAX);
        let builder = Builder::new(log, pool.clone(), steps)
            .layout(layout)
            .keys_bytes_max(memory.saturating_mul(1024 * 1024))
            .members(members)
            .sessions(settings.sessions.clone());
        let made = Sinks { context, work, pool, keys };
        let (mut builder, sinks) = made.add_to(builder, &metrics)?;
        if metrics_listener.is_some() {
            builder = builder.metrics(Arc::clone(&metrics));
        }
        let running = builder.start(shutdown.clone()).await?;
        let metrics = metrics_listener.map(|listener| listener.show(metrics, shutdown.clone()));
        Ok(Self { running, shutdown, sinks, metrics })
    }

    /// Waits until it has ended, by itself or after [`shutdown`](Self::shutdown) was cancelled.
    pub(super) async fn finished(self) -> Result<()> {
        self.running.finished().await.context("run the pipeline")
    }

    /// Returns what ends it.
    pub(super) fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }
}

fn settings(work: &Work) -> Result<Settings> {
    let Some(path) = &work.config else { return Ok(Settings::default()) };
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Settings::parse(&text).with_context(|| format!("read {}", path.display()))
}

impl Started {
    fn sheet(&self) -> Sheet {
        let sinks = if self.sinks.is_empty() { "none".to_owned() } else { self.sinks.join(", ") };
        Sheet::new()
            .heading(format!("tidings {} refines telemetry (pid {})", self.version, self.pid))
            .field("log", format!("{}, {} partitions", self.log, self.partitions))
            .field("database", &self.database)
            .field("sinks", sinks)
            .maybe("metrics", self.metrics.as_ref())
            .field("stop", "Ctrl-C lets what is under way finish; a second one stops at once")
    }
}
