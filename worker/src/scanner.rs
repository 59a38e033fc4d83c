//! Finding lanes with pending deliveries: at the start, after a takeover, and as the safety net of every wake-up.
//!
//! A scan costs a probe per lane that has rows, and goes over at most so many lanes a pass, round and round.
//! While it finds new work it comes again after 10 ms, else after twice the time, up to a second; and never more
//! often than its own cost allows.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tidings_ownership::Holdings;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Result,
    pump::Message,
    session::Database,
    store::{self, Pending},
    telemetry,
};

/// The shortest pause.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The most lanes of a pass.
const LANES_MAX: i32 = 2000;

/// A scan may take this part of the time.
const COST_FACTOR: u32 = 20;

/// A scan that was slow once does not put the next one off for longer.
const COST_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Scans until `stop` is cancelled, and at once when a sweep is asked for.
pub(crate) async fn run(
    database: Database,
    mut holdings: watch::Receiver<Arc<Holdings>>,
    pumps: Vec<mpsc::UnboundedSender<Message>>,
    sweep: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut after = -1;
    let mut pause = PAUSE_MIN;
    let mut known = HashSet::new();
    let mut held = 0;
    loop {
        let mut cost = Duration::ZERO;
        match scan(&database, after).await {
            Ok((pending, took)) => {
                cost = took;
                let round = pending.len() < usize::try_from(LANES_MAX).unwrap_or(usize::MAX);
                after = if round { -1 } else { pending.last().map_or(-1, |row| row.lane) };
                let due: HashSet<i32> = pending
                    .iter()
                    .filter(|row| row.due_in_ms.is_none_or(|ms| ms <= 0))
                    .map(|row| row.lane)
                    .collect();
                let news = !round || due.iter().any(|lane| !known.contains(lane));
                pause = if news { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                known = due;
                let pending: Arc<[Pending]> = pending.into();
                for pump in &pumps {
                    drop(pump.send(Message::Found(Arc::clone(&pending))));
                }
            }
            Err(error) => {
                telemetry::scan_failed(&error);
                pause = PAUSE_MAX;
            }
        }
        let pause = spread(pause.max((cost * COST_FACTOR).min(COST_PAUSE_MAX)));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = shards_taken(&mut holdings, &mut held) => known.clear(),
            () = sweep.notified() => known.clear(),
        }
    }
}

/// Waits until shards have come: their lanes may have work that a scan found for another owner.
async fn shards_taken(holdings: &mut watch::Receiver<Arc<Holdings>>, held: &mut usize) {
    loop {
        if holdings.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let now = holdings.borrow_and_update().shards.len();
        let more = now > *held;
        *held = now;
        if more {
            return;
        }
    }
}

/// Answers what it has found, and what it has cost the database; waiting for a connection costs nothing.
async fn scan(database: &Database, after: i32) -> Result<(Vec<Pending>, Duration)> {
    let mut tx = database.begin().await.map_err(Error::unanswered("scan for lanes"))?;
    let began = Instant::now();
    let pending = store::scan(&mut tx, after, LANES_MAX).await?;
    tx.commit().await.map_err(Error::unanswered("scan for lanes"))?;
    Ok((pending, began.elapsed()))
}

/// Workers that started together do not scan together.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.9..1.1))
}
