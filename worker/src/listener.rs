//! Hearing the wake-ups of other processes.
//!
//! A wake-up may be lost at any time, and is lost for certain while the listener reconnects; the scan covers it, and
//! is asked for whenever the listener begins to listen.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tidings::wake;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// How long to wait before listening anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens until `stop` is cancelled.
pub(crate) async fn run(connect: PgConnectOptions, sweep: Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            outcome = listen(connect.clone(), &sweep) => if let Err(error) = outcome {
                telemetry::listening_failed(&error);
            },
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn listen(connect: PgConnectOptions, sweep: &Notify) -> Result<(), sqlx::Error> {
    // A pool of its own: a listener keeps its connection, and the application's pool may have only one.
    let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(connect);
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(wake::CHANNEL).await?;
    sweep.notify_one();
    loop {
        if let Some(notification) = listener.try_recv().await? {
            wake::heard(&wake::parse(notification.payload()));
        } else {
            // The connection was lost and found again, and whatever was sent meanwhile is lost.
            sweep.notify_one();
        }
    }
}
