//! `tidings up`: the database, its schema, a worker and the telemetry pipeline in one process.

mod server;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::PgPool;

use self::server::Server;
use super::{
    pipeline,
    serve::{self, KINDS, Service},
    sink,
};
use crate::{
    arguments::{
        pipeline::{LogChoice, Places, Work},
        serve::{Serve, Session},
        up::Up,
    },
    connection::{
        Place,
        file::{self, Running, Written},
    },
    context::{Context, Keys},
    output::sheet::Sheet,
    schema,
    signals::Signals,
    telemetry,
    telemetry_log::TelemetryLog,
};

/// What runs where.
#[derive(Debug, Serialize)]
struct Started {
    version: &'static str,
    pid: u32,
    database: Database,
    key: Key,
    worker: String,
    /// The sinks of the pipeline; `None` where it is left out.
    pipeline: Option<Vec<String>>,
    /// Where its metrics are.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
    kinds: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct Database {
    place: String,
    /// `None` for a database that somebody else runs.
    embedded: Option<Embedded>,
}

#[derive(Debug, Serialize)]
struct Embedded {
    postgres_version: String,
    folder: PathBuf,
    log: PathBuf,
    connection_file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    source: String,
}

/// Everything that has been started, in the order in which it stops.
struct Everything {
    service: Service,
    pipeline: Option<pipeline::Service>,
    connection_file: Option<Written>,
    started: Started,
}

/// The key and the password must not get into a repository whose folder is the one of `up`.
const GITIGNORE: &str = "# Made by `tidings up`: data, password and key of this machine.\n*\n";

/// Runs everything until a signal asks it to end.
pub(crate) async fn run(context: &Context, up: &Up) -> Result<()> {
    let mut signals = Signals::listen()?;
    let mut server = tokio::select! {
        server = Server::start(context) => server?,
        signal = signals.next() => {
            telemetry::stopped_early(signal);
            return Ok(());
        }
    };
    let outcome = work(context, up, &mut server, &mut signals).await;
    // The server stops whatever came before; the first error is the one that counts.
    let stopped = server.stop(&outcome).await;
    outcome.and(stopped)
}

/// Works on a database that runs, and drains.
async fn work(
    context: &Context,
    up: &Up,
    server: &mut Server,
    signals: &mut Signals,
) -> Result<()> {
    let everything = tokio::select! {
        everything = start(context, up, server) => everything?,
        signal = signals.next() => {
            telemetry::stopped_early(signal);
            return Ok(());
        }
    };
    context.output.show(&everything.started, || everything.started.sheet())?;
    // One future for both, so that a signal does not stop a server that is just being started again.
    let keep_running = server.keep_running(context);
    tokio::pin!(keep_running);
    let ending = everything.pipeline.as_ref().map(pipeline::Service::shutdown);
    let refining = async {
        match everything.pipeline {
            Some(pipeline) => pipeline.finished().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(refining);
    let signal = tokio::select! {
        signal = signals.next() => signal,
        lost = &mut keep_running => return lost,
        // It does not end by itself, unless a person has to look at something.
        ended = &mut refining => return ended,
    };
    // Commands beside us find nobody from now on.
    drop(everything.connection_file);
    let refined = async {
        match ending {
            Some(ending) => {
                ending.cancel();
                refining.await
            }
            None => Ok(()),
        }
    };
    let drained = async {
        let (drained, refined) =
            tokio::join!(everything.service.drain(context, signal, signals), refined);
        drained.and(refined)
    };
    tokio::select! {
        drained = drained => drained,
        lost = &mut keep_running => lost,
    }
}

async fn start(context: &Context, up: &Up, server: &Server) -> Result<Everything> {
    let serve = &up.serve;
    let place = Place::at(server.url())?;
    // Behind a pooler the schema is somebody else's business: migrating needs a session of its own.
    if server.embedded().is_some() || serve.session == Session::Direct {
        let pool = place.pool(2, false).await?;
        schema::migrate(&pool, &context.output).await?;
        pool.close().await;
    }
    keep_out_of_repositories(&context.global.data)?;
    let keys = context.keys_or_make()?;
    let pool = place.pool(pipeline::CONNECTIONS, serve.session == Session::Pooled).await?;
    let (choice, host) = (LogChoice::database(), serve::name(serve));
    let log = TelemetryLog::choose(&choice, &place, (&pool, serve.session, &host))?;
    let service = Service::start(context, serve, (&place, &log), Some(&keys)).await?;
    let pipeline = if up.no_pipeline {
        None
    } else {
        let pipeline = refine(context, up, (&log, &pool)).await?;
        // Not before it has made the topics: what is delivered would have to wait for them.
        sink::ensure_pipeline(context, &place).await?;
        Some(pipeline)
    };
    let running = Running { url: server.url().to_owned(), pid: std::process::id() };
    let embedded = server.embedded();
    let connection_file =
        embedded.map(|_| file::write(&context.global.data, &running)).transpose()?;
    let sinks = pipeline.as_ref().map(|pipeline| pipeline.sinks.clone());
    let started = Started::new(context, serve, (server, &place), &keys)?;
    let metrics = pipeline.as_ref().and_then(|pipeline| pipeline.metrics.clone());
    let started = Started { pipeline: sinks, metrics, ..started };
    Ok(Everything { service, pipeline, connection_file, started })
}

/// Starts the pipeline on the log in the database, with the table; its files go to a folder beside the data where nothing
/// else is said.
async fn refine(
    context: &Context,
    up: &Up,
    (log, pool): (&TelemetryLog, &PgPool),
) -> Result<pipeline::Service> {
    let folder = || pipeline::sinks::folder_of_up(context);
    let files = up.work.places.files.clone().or_else(|| Some(folder()));
    let places = Places { files, ..up.work.places.clone() };
    let work = Work { places, table: true, ..up.work.clone() };
    let keys = pipeline::hash_keys(context, None)?;
    Box::pin(pipeline::Service::start(context, (&work, 1), (log, pool), keys)).await
}

fn keep_out_of_repositories(data: &Path) -> Result<()> {
    let path = data.join(".gitignore");
    if path.exists() {
        return Ok(());
    }
    let write = || fs::create_dir_all(data).and_then(|()| fs::write(&path, GITIGNORE));
    write().with_context(|| format!("write {}", path.display()))
}

impl Started {
    fn new(
        context: &Context,
        serve: &Serve,
        (server, place): (&Server, &Place),
        keys: &Keys,
    ) -> Result<Self> {
        let embedded = match server.embedded() {
            None => None,
            Some(embedded) => {
                let data = &context.global.data;
                let folder = data
                    .canonicalize()
                    .with_context(|| format!("look at the folder {}", data.display()))?;
                Some(Embedded {
                    postgres_version: embedded.binaries().version.to_string(),
                    log: embedded.log(),
                    connection_file: file::path_in(&folder),
                    folder,
                })
            }
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            database: Database { place: place.shown(), embedded },
            key: Key { id: keys.id().to_string(), source: keys.source.clone() },
            worker: serve::name(serve),
            pipeline: None,
            metrics: None,
            kinds: KINDS,
        })
    }

    fn sheet(&self) -> Sheet {
        let Self { version, pid, database, key, worker, .. } = self;
        let sheet = Sheet::new().heading(format!("tidings {version} is up (pid {pid})"));
        let sheet = match &database.embedded {
            None => sheet.field("database", &database.place),
            Some(embedded) => {
                let Embedded { postgres_version, folder, log, connection_file } = embedded;
                let place = &database.place;
                let connect =
                    format!("set -a; . {}  # sets DATABASE_URL", connection_file.display());
                sheet
                    .field("database", format!("embedded PostgreSQL {postgres_version} at {place}"))
                    .field("folder", folder.display().to_string())
                    .field("log", log.display().to_string())
                    .field("connect", connect)
            }
        };
        sheet
            .field("key", format!("{} from {}", key.id, key.source))
            .field("worker", format!("{worker}, for subscribers of the kinds {}", KINDS.join(", ")))
            .maybe("telemetry", self.pipeline.as_ref().map(|sinks| sinks.join(", ")))
            .maybe("metrics", self.metrics.as_ref())
            .field("stop", "Ctrl-C lets what is in flight finish; a second one stops at once")
    }
}
