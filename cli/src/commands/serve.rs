//! A worker in this process, from its start to its drain: what `up` and `worker` have in common.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tidings::{privacy, subscriber};
use tidings_pipeline::{
    deliver::{Raw, raw},
    log::Appender,
};
use tidings_worker::{Running, Worker, analytics, chat, report};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::sink;
use crate::{
    arguments::serve::{Serve, Session},
    connection::Place,
    context::{Context, Keys},
    environment,
    exit::Exit,
    failure::Coded,
    signals::Signals,
    telemetry,
    telemetry_log::{TelemetryLog, on_log},
};

/// The kinds that the binary serves.
pub(super) const KINDS: &[&str] = &[
    "webhook",
    "slack",
    "teams",
    "discord",
    "segment",
    "posthog",
    #[cfg(feature = "kafka")]
    "kafka",
    raw::KIND,
];

/// What the worker borrows beside the connections of its own.
const CONNECTIONS: u32 = 10;

/// How many subscribers are looked at before the start: enough to notice a wrong key.
const LOOKED_AT: u32 = 1000;

/// How often the progress of a drain is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Every so many looks, a log line tells the progress where there is no terminal.
const LOOKS_PER_LINE: u32 = 25;

/// How long closing connections may take at the end.
const CLOSE: Duration = Duration::from_secs(2);

/// A worker in this process.
#[derive(Debug)]
pub(super) struct Service {
    running: Running,
    reporter: Option<report::Running>,
    shutdown: CancellationToken,
    pool: PgPool,
    patience: Duration,
}

impl Service {
    /// Starts a worker on the database at `place`; its sinks of the kind `pipeline` write to `log`.
    ///
    /// # Errors
    ///
    /// The database cannot be reached or used.
    pub(super) async fn start(
        context: &Context,
        serve: &Serve,
        (place, log): (&Place, &TelemetryLog),
        keys: Option<&Keys>,
    ) -> Result<Self> {
        let webhook = context.webhook(Some(serve))?;
        check_keys(place, keys).await?;
        let pool = place.pool(CONNECTIONS, serve.session == Session::Pooled).await?;
        let mut builder = Worker::builder(pool.clone())
            .deliverer(webhook.clone())
            .session(serve.session.into())
            .lease(serve.lease)
            .attempt_log(serve.attempt_log.into())
            .durable_settlements(serve.durable_settlements)
            .pumps(serve.pumps.into())
            .host(name(serve))
            .retention(serve.retention())
            .drain_max(serve.drain_timeout)
            .health(serve.health());
        for chat in chat::all(&webhook) {
            builder = builder.deliverer(chat);
        }
        let installation = installation(place).await?;
        for sink in analytics::all(&webhook, installation) {
            builder = builder.deliverer(sink);
        }
        let log: Arc<dyn Appender> = on_log!(log.clone(), log => Arc::new(log));
        builder = builder.deliverer(Raw::new(log, installation, clock));
        #[cfg(feature = "kafka")]
        {
            builder = builder.deliverer(serve.kafka.deliverer());
        }
        if let Some(keys) = keys {
            builder = builder.keyring(keys.keyring.clone());
        }
        let shutdown = CancellationToken::new();
        let running = builder.spawn(shutdown.clone()).await?;
        let reporter = reporter(serve, installation, (&pool, &running), shutdown.clone());
        let reporter = Box::pin(reporter).await?;
        telemetry::worker_started(&name(serve), &KINDS.join(", "));
        if let Err(error) = sink::ensure(context, &serve.sinks, place, (keys, &webhook)).await {
            shutdown.cancel();
            return Err(error);
        }
        Ok(Self { running, reporter, shutdown, pool, patience: serve.drain_timeout })
    }

    /// Lets what is in flight finish, and shows how far it is.
    ///
    /// # Errors
    ///
    /// It did not finish in time, or a second signal asked to stop at once.
    pub(super) async fn drain(
        mut self,
        context: &Context,
        signal: &'static str,
        signals: &mut Signals,
    ) -> Result<()> {
        telemetry::draining(signal, self.patience);
        self.shutdown.cancel();
        let before = settled(&self.running);
        let progress = context.output.progress("draining");
        let mut looks = interval(LOOK);
        let mut count = 0_u32;
        let drained = loop {
            tokio::select! {
                drained = self.running.finished() => break drained,
                again = signals.next() => {
                    let message = format!("drain: stopped at once by a second signal ({again})");
                    return Err(undrained(message).into());
                }
                _ = looks.tick() => {
                    let shards = self.running.holdings().borrow().shards.len();
                    let fresh = settled(&self.running).saturating_sub(before);
                    let detail = format!("{fresh} deliveries settled, {shards} shards to give back");
                    count = count.wrapping_add(1);
                    if count.is_multiple_of(LOOKS_PER_LINE) { progress.say(&detail) } else { progress.set(&detail) }
                }
            }
        };
        drop(progress);
        if let Some(mut reporter) = self.reporter {
            reporter.finished().await;
        }
        telemetry::stopped(self.running.counts(), drained);
        // Whoever is stuck in a statement is not waited for.
        drop(tokio::time::timeout(CLOSE, self.pool.close()).await);
        if drained {
            return Ok(());
        }
        let patience = crate::duration::format(self.patience);
        let message = format!("drain: not everything in flight finished within {patience}");
        Err(undrained(message).hint("raise --drain-timeout").into())
    }
}

/// Starts to report, if that is wanted.
async fn reporter(
    serve: &Serve,
    installation: Uuid,
    (pool, running): (&PgPool, &Running),
    shutdown: CancellationToken,
) -> Result<Option<report::Running>> {
    if !serve.report {
        return Ok(None);
    }
    if environment::do_not_track() {
        telemetry::not_to_be_tracked();
        return Ok(None);
    }
    let builder = super::report::builder(&serve.reports, installation, pool)?;
    let builder = builder.host(name(serve)).collector(running.collector());
    Ok(Some(builder.spawn(shutdown).await?))
}

/// Returns the name of the installation, under which events of nobody in particular are sent.
pub(super) async fn installation(place: &Place) -> Result<Uuid> {
    let mut database = place.open().await?;
    let mut tx = database.begin().await?;
    let installation = privacy::installation(&mut tx).await?;
    tx.rollback().await.context("read the installation")?;
    database.close().await?;
    Ok(installation)
}

/// Returns the name that people see in the list of workers.
pub(super) fn name(serve: &Serve) -> String {
    serve.worker_name.clone().unwrap_or_else(environment::machine)
}

/// The clock that batches of telemetry are stamped with.
#[expect(clippy::disallowed_methods, reason = "a batch is taken when this machine writes it")]
fn clock() -> DateTime<Utc> {
    Utc::now()
}

fn undrained(message: String) -> Coded {
    Coded::new(Exit::Undrained, message)
        .because(anyhow::anyhow!("what was in flight will be delivered again by the next worker"))
}

fn settled(running: &Running) -> u64 {
    let counts = running.counts();
    counts.delivered + counts.retried + counts.buried
}

/// Warns if secrets cannot be opened, before the first delivery has to wait for them.
async fn check_keys(place: &Place, keys: Option<&Keys>) -> Result<()> {
    let mut database = place.open().await?;
    let mut tx = database.begin().await?;
    let filter = subscriber::Filter { limit: LOOKED_AT, ..subscriber::Filter::default() };
    let found = subscriber::list(&mut tx, &filter).await.context("look at the subscribers")?;
    let ids: Vec<i32> = found.iter().map(|summary| summary.subscriber_id).collect();
    let keyring = keys.map(|keys| &keys.keyring);
    let lanes = subscriber::lanes(&mut tx, keyring, &ids).await.context("open the secrets")?;
    tx.rollback().await.context("look at the subscribers")?;
    database.close().await?;
    let closed: Vec<_> = lanes.into_iter().filter_map(|lane| lane.subscriber.err()).collect();
    let count = closed.len();
    if let Some(first) = closed.into_iter().next() {
        telemetry::secrets_closed(count, &anyhow::Error::from(first));
    }
    if keys.is_none() {
        telemetry::no_key();
    }
    Ok(())
}
