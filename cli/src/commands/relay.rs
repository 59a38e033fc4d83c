//! `tidings relay`.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::PgPool;
use tidings::analytics::HashKeys;
use tidings_pipeline::{log::Appender, topic};
use tidings_relay::Front;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::{relay::Relay, serve::Session},
    connection::Place,
    context::Context,
    environment,
    exit::Exit,
    failure::Coded,
    hash_keys,
    output::sheet::Sheet,
    signals::Signals,
    telemetry,
    telemetry_log::{TelemetryLog, on_log},
};

/// What the relay borrows: its writers, the look for changes, and the keeping of its tables.
const CONNECTIONS: u32 = 8;

/// Where it listens, and for whom.
#[derive(Debug, Serialize)]
struct Started {
    version: &'static str,
    pid: u32,
    url: String,
    database: String,
    anonymous: bool,
    /// The web site behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    /// Whether its pages get the browser client.
    injects: bool,
    /// Whether ids of people are kept, as keyed hashes.
    hashes: bool,
}

/// Runs a relay until a signal asks it to end.
pub(crate) async fn run(context: &Context, arguments: &Relay) -> Result<()> {
    let mut signals = Signals::listen()?;
    let front = front(arguments)?;
    let place = Place::find(&context.global)?;
    let hashes = install_hash_keys(context, arguments)?;
    // Says what is wrong with the schema before anybody sends anything.
    place.open().await?.close().await?;
    let pool = place.pool(CONNECTIONS, arguments.session == Session::Pooled).await?;
    let shutdown = CancellationToken::new();
    let mut builder = tidings_relay::Relay::builder(pool.clone())
        .anonymous(arguments.anonymous)
        .level(arguments.level)
        .requests_kept(arguments.requests_kept)
        .log_kept(arguments.log_kept);
    if let Some(front) = front {
        builder = builder.front(front);
    }
    if let Some(log) = elsewhere(arguments, &place, &pool).await? {
        builder = builder.log(log);
    }
    if !arguments.origins.is_empty() {
        builder = builder.origins(arguments.origins.clone());
    }
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("listen on {}", arguments.listen))?;
    let url = format!("http://{}/", listener.local_addr().context("look where it listens")?);
    let relay = builder.build(shutdown.clone());
    let serving = tidings_relay::serve(listener, relay.router(), shutdown.clone());
    let serving = tokio::spawn(serving);
    let started = Started {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        url,
        database: place.shown(),
        anonymous: arguments.anonymous,
        upstream: arguments.upstream.clone(),
        injects: arguments.inject,
        hashes,
    };
    context.output.show(&started, || started.sheet())?;

    let signal = signals.next().await;
    telemetry::draining(signal, arguments.drain_timeout);
    shutdown.cancel();
    let drained = tokio::select! {
        drained = tokio::time::timeout(arguments.drain_timeout, async {
            relay.finished().await;
            serving.await
        }) => drained.is_ok(),
        _ = signals.next() => false,
    };
    pool.close().await;
    if drained {
        return Ok(());
    }
    let message = "drain: not every request was answered in time";
    Err(Coded::new(Exit::Undrained, message).hint("raise --drain-timeout").into())
}

/// Returns the log that raw telemetry goes to, where that is not the database's own.
async fn elsewhere(
    arguments: &Relay,
    place: &Place,
    pool: &PgPool,
) -> Result<Option<Arc<dyn Appender>>> {
    let choice = &arguments.log;
    if choice.is_database() {
        return Ok(None);
    }
    let host = environment::machine();
    let log = TelemetryLog::choose(choice, place, (pool, arguments.session, &host))?;
    let log: Arc<dyn Appender> = on_log!(log, log => Arc::new(log));
    // Said now, and not to the first client; it may appear later.
    if let Err(error) = log.partitions(topic::RAW).await {
        telemetry::no_topic(&error.into());
    }
    Ok(Some(log))
}

/// Returns the web site that is to be behind the relay.
fn front(arguments: &Relay) -> Result<Option<Front>> {
    let refuse = |message: &'static str, hint: &'static str| {
        Err(Coded::new(Exit::Usage, message).hint(hint).into())
    };
    let Some(upstream) = &arguments.upstream else {
        if arguments.inject {
            return refuse("there is no site to inject into", "add --upstream URL");
        }
        return Ok(None);
    };
    let has_key = arguments.inject_options.iter().any(|(name, _)| name == "key");
    if arguments.inject && !arguments.anonymous && !has_key {
        let hint = "add --inject-option key=tk_…, or --anonymous";
        return refuse("the pages would send without a key, and the relay would refuse them", hint);
    }
    if !arguments.inject && !arguments.inject_options.is_empty() {
        return refuse("nothing is injected that could have options", "add --inject");
    }
    let front = Front::new(upstream)?;
    if !arguments.inject {
        return Ok(Some(front));
    }
    Ok(Some(front.inject(arguments.inject_options.iter().map(|(name, value)| (name, value)))?))
}

/// Makes the hash keys those of the process; answers whether there are any.
fn install_hash_keys(context: &Context, arguments: &Relay) -> Result<bool> {
    match hash_keys::find(&context.global.data, arguments.hash_key_file.as_deref())? {
        Some(keys) => keys.install(),
        None => telemetry::no_hash_keys(),
    }
    Ok(HashKeys::installed().is_some())
}

impl Started {
    fn sheet(&self) -> Sheet {
        let keys = if self.anonymous {
            "asked for, and missing ones taken as anonymous"
        } else {
            "asked for"
        };
        let people =
            if self.hashes { "kept as keyed hashes" } else { "left out, without hash keys" };
        let mut sheet = Sheet::new()
            .heading(format!("tidings {} relays (pid {})", self.version, self.pid))
            .field("listening", &self.url)
            .field("database", &self.database);
        if let Some(upstream) = &self.upstream {
            let client = if self.injects { ", with the browser client in its pages" } else { "" };
            sheet = sheet.field("site", format!("{upstream}{client}"));
        }
        sheet
            .field("keys", keys)
            .field("ids of people", people)
            .field("stop", "Ctrl-C lets what is under way finish; a second one stops at once")
    }
}
