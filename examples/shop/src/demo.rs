//! The demo: customers in the shop, guests in its page, phones with its app, two subscribers, one of them with an
//! outage, analytics, a telemetry pipeline, and an audit at the end.
//!
//! ```text
//! customers ──HTTP──▶ shop ───▶ Postgres ──▶ worker ──signed webhooks──▶ warehouse, accounting
//! guests ──page─┴───▶ relay ──────┘ │ │         └──anonymous telemetry──▶ recorder
//! phones ──batches──────┘           │ └─▶ pipeline ──unique events──▶ files, table
//!                                   └───────────────── audit ─────────────────┘
//! ```

mod audit;
mod customer;
mod files;
mod guest;
mod keep;
pub(crate) mod live;
mod outage;
pub(crate) mod paint;
mod phone;
mod pipeline;
mod receipts;
mod receiver;
mod recorder;
mod report;
mod stage;
mod summary;
mod telemetry;

use std::{
    io::{self, Write},
    pin::pin,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use self::{
    customer::{Crowd, Tally},
    live::Live,
    paint::Paint,
    phone::Phones,
    report::Report,
    stage::Stage,
};

/// How often the database and the receivers are looked at: some ten milliseconds' work.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The last retries are due two seconds after the end of the outage, and the last files when they are two seconds old;
/// more than this is a failure.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// How a demo ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Every event reached every subscriber, and every one of telemetry a file and the table.
    Good,
    /// It did not; the summary says what is missing.
    Bad,
    /// Somebody pressed Ctrl-C before it was known.
    Interrupted,
}

/// How the demo is shown, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Show {
    /// The live view.
    pub(crate) live: Live,
    /// The colours of the summary.
    pub(crate) paint: Paint,
    /// Whether everything stays up after the summary, until `shutdown`.
    pub(crate) keep: bool,
}

/// Runs the demo, and stops everything that it has started.
///
/// # Errors
///
/// Something does not start, or the database fails in the middle.
pub(crate) async fn run(show: Show, shutdown: CancellationToken) -> Result<Ending> {
    show.live
        .begin("starting PostgreSQL, two receivers, a recorder, a worker, a pipeline and the shop");
    let Some(stage) = shutdown.run_until_cancelled(Stage::set()).await else {
        show.live.end();
        return Ok(Ending::Interrupted);
    };
    let stage = stage?;
    let played = shutdown.run_until_cancelled(play(&stage, &show.live)).await;
    show.live.end();
    let ended = match played {
        Some(Ok(report)) => conclude(&stage, &show, &report, &shutdown).await,
        Some(Err(error)) => Err(error),
        None => Ok(Ending::Interrupted),
    };
    let struck = stage.strike().await;
    let ending = ended?;
    struck.map(|()| ending)
}

/// Lets the customers in, and returns how things stand when nothing is on its way any more.
async fn play(stage: &Stage, live: &Live) -> Result<Report> {
    let (tally, began) = (Tally::default(), Instant::now());
    stage.begin();
    live.begin("customers are in the shop, guests in its page, and phones tell what they do");
    let mut visit = pin!(async {
        let customers = Crowd::of_the_demo().visit(&stage.shop_url, &tally);
        let guests = stage.guests.visit(&stage.shop_url, stage.folder());
        tokio::try_join!(customers, guests, Phones.tell(&stage.shop_url))
    });
    let mut left_at = None;
    let mut looks = interval_at(began + LOOK_EVERY, LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            left = &mut visit, if left_at.is_none() => {
                left?;
                left_at = Some(Instant::now());
                live.begin("waiting for the last deliveries and files");
            }
            _ = looks.tick() => {
                let elapsed = began.elapsed();
                let mut report =
                    Report::gather(stage, tally.told(), elapsed).await?;
                let is_over =
                    left_at.is_some_and(|at| report.is_settled() || at.elapsed() > SETTLED_WITHIN);
                if is_over {
                    report.mismatched = audit::mismatched_orders(&stage.pool).await?;
                    report.telemetry.compare(&stage.pool, &stage.pipeline).await?;
                    return Ok(report);
                }
                live.show(&report);
            }
        }
    }
}

/// Shows the summary, and keeps everything up if that was asked for.
async fn conclude(
    stage: &Stage,
    show: &Show,
    report: &Report,
    shutdown: &CancellationToken,
) -> Result<Ending> {
    print(&summary::render(report, &stage.pipeline.folder, show.paint))?;
    if show.keep {
        print(&keep::invitation(stage, show.paint))?;
        keep::narrate(stage, shutdown).await?;
    }
    Ok(if report.complaints().is_empty() { Ending::Good } else { Ending::Bad })
}

/// Writes to standard output; a reader that has gone away is no error.
fn print(said: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(said.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}
