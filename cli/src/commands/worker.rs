//! `tidings worker`.

use anyhow::Result;
use serde::Serialize;

use super::serve::{self, KINDS, Service};
use crate::{
    arguments::{serve::Session, worker::Worker},
    connection::Place,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::sheet::Sheet,
    postgres::Location,
    signals::Signals,
    telemetry,
    telemetry_log::TelemetryLog,
};

/// What writing to the log in the database borrows.
const CONNECTIONS: u32 = 4;

/// What runs where.
#[derive(Debug, Serialize)]
struct Started {
    version: &'static str,
    pid: u32,
    database: String,
    worker: String,
    kinds: &'static [&'static str],
    key_id: Option<String>,
}

/// Runs a worker until a signal asks it to end.
pub(crate) async fn run(context: &Context, arguments: &Worker) -> Result<()> {
    let serve = &arguments.serve;
    let mut signals = Signals::listen()?;
    let Location::Server(url) = crate::connection::location(&context.global)? else {
        return Err(Coded::new(Exit::Usage, "start a worker: DATABASE_URL is not set")
            .hint("set it, or run `tidings up`, which has a database of its own")
            .into());
    };
    let place = Place::at(&url)?;
    telemetry::database_found(&place.shown());
    let keys = context.keys()?;
    let start = async {
        let pool = place.pool(CONNECTIONS, serve.session == Session::Pooled).await?;
        let host = serve::name(serve);
        let log = TelemetryLog::choose(&arguments.log(), &place, (&pool, serve.session, &host))?;
        Service::start(context, serve, (&place, &log), keys.as_ref()).await
    };
    let service = tokio::select! {
        started = start => started?,
        signal = signals.next() => {
            telemetry::stopped_early(signal);
            return Ok(());
        }
    };
    let started = Started {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        database: place.shown(),
        worker: serve::name(serve),
        kinds: KINDS,
        key_id: keys.map(|keys| keys.id().to_string()),
    };
    context.output.show(&started, || started.sheet())?;
    let signal = signals.next().await;
    service.drain(context, signal, &mut signals).await
}

impl Started {
    fn sheet(&self) -> Sheet {
        Sheet::new()
            .heading(format!("tidings {} works (pid {})", self.version, self.pid))
            .field("database", &self.database)
            .field(
                "worker",
                format!("{}, for subscribers of the kinds {}", self.worker, KINDS.join(", ")),
            )
            .field("key", self.key_id.as_deref().unwrap_or("none"))
    }
}
