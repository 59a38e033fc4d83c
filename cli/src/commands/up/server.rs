//! The database of `up`: one that is given, or the embedded one, which is started again if it ends by itself.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::{
    context::Context,
    exit::Exit,
    failure::Coded,
    postgres::{Embedded, Ending, Location, Options, Search},
    telemetry,
};

/// A server that ends more often than this within [`RESTART_WINDOW`] is not started again.
const RESTARTS_MAX: usize = 3;

const RESTART_WINDOW: Duration = Duration::from_mins(5);

/// The database of `up`.
#[derive(Debug)]
pub(super) struct Server {
    url: String,
    local: Option<Local>,
}

/// An embedded server, and how to start it again.
#[derive(Debug)]
struct Local {
    search: Search,
    /// `None` only while it is started again, or after that has failed.
    embedded: Option<Embedded>,
    restarts: Vec<Instant>,
}

impl Server {
    /// Finds the database that is given, or starts the embedded one.
    ///
    /// # Errors
    ///
    /// Another process uses the data folder, or the server does not start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends whatever it has started.
    pub(super) async fn start(context: &Context) -> Result<Self> {
        let search = match crate::connection::location(&context.global)? {
            Location::Server(url) => {
                telemetry::database_found(&crate::connection::Place::at(&url)?.shown());
                return Ok(Self { url, local: None });
            }
            Location::Embedded(search) => search,
        };
        let embedded = embedded(context, &search).await?;
        let url = embedded.url();
        let local = Local { search, embedded: Some(embedded), restarts: Vec::new() };
        Ok(Self { url, local: Some(local) })
    }

    /// Returns the URL of the database, password included.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the embedded server, if it is one.
    pub(super) fn embedded(&self) -> Option<&Embedded> {
        self.local.as_ref()?.embedded.as_ref()
    }

    /// Starts the embedded server again whenever it ends by itself; returns only when that does not help.
    pub(super) async fn keep_running(&mut self, context: &Context) -> Result<()> {
        let Some(local) = &mut self.local else { return std::future::pending().await };
        loop {
            local.restart_after_end(context).await?;
            if local.embedded.as_ref().is_some_and(|embedded| embedded.url() != self.url) {
                bail!("start the embedded PostgreSQL again: somebody has taken its port meanwhile");
            }
        }
    }

    /// Stops an embedded server: in order, or at once if the work has not ended in order either.
    pub(super) async fn stop(self, outcome: &Result<()>) -> Result<()> {
        let Some(embedded) = self.local.and_then(|local| local.embedded) else { return Ok(()) };
        if outcome.is_err() {
            // Dropping stops it at once; nothing that was committed is lost.
            drop(embedded);
            return Ok(());
        }
        let ending = embedded.stop().await?;
        telemetry::database_stopped(match ending {
            Ending::Clean => "in order",
            Ending::Immediate => "at once, because it took too long; it recovers at its next start",
            Ending::Killed => "by force, because it took too long; it recovers at its next start",
            Ending::Earlier(_) => "by itself before",
        });
        Ok(())
    }
}

impl Local {
    async fn restart_after_end(&mut self, context: &Context) -> Result<()> {
        let Some(embedded) = &self.embedded else {
            return std::future::pending().await;
        };
        let status = embedded.exited().await?;
        telemetry::database_lost(&status.to_string(), &embedded.log().with_extension("log.old"));
        self.restarts.retain(|at| at.elapsed() < RESTART_WINDOW);
        if self.restarts.len() >= RESTARTS_MAX {
            let log = embedded.log();
            bail!(
                "the embedded PostgreSQL has ended {} times within {}; see {}",
                RESTARTS_MAX + 1,
                crate::duration::format(RESTART_WINDOW),
                log.display()
            );
        }
        self.restarts.push(Instant::now());
        // Its end gives the folder free for the next one.
        drop(self.embedded.take());
        self.embedded = Some(self::embedded(context, &self.search).await?);
        Ok(())
    }
}

async fn embedded(context: &Context, search: &Search) -> Result<Embedded> {
    let data = &context.global.data;
    let began = Instant::now();
    let progress = context.output.progress("starting the embedded PostgreSQL");
    let started = Embedded::start(search, Options::new(data)).await;
    drop(progress);
    let embedded = started.map_err(|error| {
        if is_taken(data) {
            Coded::new(Exit::Running, "start the embedded database").because(error).into()
        } else {
            error.context("start the embedded database")
        }
    })?;
    let (version, port) = (embedded.binaries().version, embedded.port());
    telemetry::database_started(
        &version.to_string(),
        &format!("127.0.0.1:{port}"),
        began.elapsed(),
    );
    Ok(embedded)
}

/// Says whether another process uses the data folder.
fn is_taken(data: &Path) -> bool {
    File::open(data.join("lock"))
        .is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}
