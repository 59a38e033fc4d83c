//! From topic to topic: what a step reads, what it writes, and the position it has reached are committed together.
//!
//! ```text
//! join ──▶ changed ──▶ process ──▶ commit ──▶ committed ──▶ process …
//!   ▲                                 ├─ aborted ──▶ the same records again
//!   └───────── everything known is dropped ── fenced
//! ```
//!
//! No transaction is ever open while the log is asked for more, so a partition can never be lost in the middle of one.

pub(crate) mod refine;
pub(crate) mod sessions;
pub(crate) mod unbundle;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    Error, Log, Result,
    log::{Change, Limits, Member, Outcome, Position, Turn},
    metrics::Group,
    record::{Output, Record},
    telemetry,
};

/// The longest pause before a step that was thrown back begins again.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The first one; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// How often something is thrown back before it is said again.
const SAID_EVERY: u32 = 10;

/// What a group reads, and how much at once.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    /// The group's name.
    pub(crate) group: &'static str,
    /// The topic that it reads.
    pub(crate) topic: &'static str,
    /// How much goes into one transaction.
    pub(crate) limits: Limits,
    /// Where it is counted.
    pub(crate) meter: Arc<Group>,
}

/// What a step writes although nothing has come.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    pub(crate) outputs: Vec<Output>,
    /// The partitions that it is about, which stay where they are.
    pub(crate) positions: Vec<Position>,
}

/// What a step does with records.
pub(crate) trait Step: Send + 'static {
    /// Takes over what was gained, and forgets what was lost.
    fn changed(&mut self, change: &Change) -> impl Future<Output = Result<()>> + Send;

    /// Returns what is to be written although nothing has come, if anything is; asked between any two turns.
    ///
    /// It is kept or forgotten like what [`process`](Self::process) returns.
    fn tick(&mut self) -> impl Future<Output = Result<Option<Tick>>> + Send {
        std::future::ready(Ok(None))
    }

    /// Fetches what is needed for these records, if anything is; returns whether to go on, which is not so if the
    /// shutdown has come meanwhile.
    fn prepare(&mut self, records: &[Record]) -> impl Future<Output = Result<bool>> + Send;

    /// Turns records into what is written for them; pure, but for what the step remembers.
    fn process(&mut self, records: Vec<Record>) -> Vec<Output>;

    /// Keeps what the last call of [`process`](Self::process) or [`tick`](Self::tick) has noted.
    fn committed(&mut self);

    /// Forgets it: the same records come again.
    fn aborted(&mut self);
}

/// Runs a step until the shutdown; whatever throws it back, it begins again with a fresh one.
///
/// # Errors
///
/// What a person has to see to first, such as records that are gone.
pub(crate) async fn run<L: Log, S: Step>(
    log: &L,
    station: Station,
    mut fresh: impl FnMut() -> S + Send,
    shutdown: &CancellationToken,
) -> Result<()> {
    let mut retreat = Retreat::default();
    while !shutdown.is_cancelled() {
        let mut commits = 0;
        let served = serve(log, &station, fresh(), &mut commits, shutdown).await;
        match served {
            Ok(()) => break,
            Err(error) => {
                station.meter.restarted();
                retreat.after(station.group, error, commits, shutdown).await?;
            }
        }
    }
    Ok(())
}

/// The pauses of something that is thrown back and begins again.
#[derive(Debug)]
pub(crate) struct Retreat {
    pause: Duration,
    /// How often it was thrown back since it last got somewhere.
    times: u32,
}

impl Default for Retreat {
    fn default() -> Self {
        Self { pause: PAUSE_MIN, times: 0 }
    }
}

impl Retreat {
    /// Waits, if what has thrown a group back may pass; what got somewhere before begins again soon.
    ///
    /// # Errors
    ///
    /// It will not pass.
    pub(crate) async fn after(
        &mut self,
        group: &str,
        error: Error,
        commits: u64,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        if self.note(commits) {
            telemetry::thrown_back(group, &error);
        } else {
            telemetry::thrown_back_again(group, &error);
        }
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = shutdown.cancelled() => {}
        }
        Ok(())
    }

    /// Finds the next pause; returns whether it is said aloud: the first time, and then every few minutes.
    fn note(&mut self, commits: u64) -> bool {
        if commits > 0 {
            *self = Self::default();
        } else if self.times > 0 {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        let aloud = self.times.is_multiple_of(SAID_EVERY);
        self.times = self.times.saturating_add(1);
        aloud
    }
}

async fn serve<L: Log, S: Step>(
    log: &L,
    station: &Station,
    mut step: S,
    commits: &mut u64,
    shutdown: &CancellationToken,
) -> Result<()> {
    let mut member = log.join(station.group, station.topic).await?;
    let mut seat = station.meter.seat();
    while !shutdown.is_cancelled() {
        if let Some(Tick { outputs, positions }) = step.tick().await? {
            let begun = Instant::now();
            let outcome = member.commit(outputs, &positions).await?;
            settle(&mut step, station, (outcome, 0, begun), commits);
        }
        let records = match member.next(station.limits).await? {
            Turn::Idle => continue,
            Turn::Changed(change) => {
                telemetry::changed(station.group, &change);
                seat.changed(&change);
                step.changed(&change).await?;
                continue;
            }
            Turn::Records(records) => records,
        };
        let (positions, count) = (positions(&records), records.len() as u64);
        if !step.prepare(&records).await? {
            break;
        }
        // Away from the tasks that wait for the network.
        let processed = tokio::task::spawn_blocking(move || {
            let outputs = step.process(records);
            (step, outputs)
        });
        let Ok((back, outputs)) = processed.await else {
            // It has panicked; a fresh one reads the same records again.
            return Err(Error::Fenced { group: station.group.to_owned() });
        };
        step = back;
        let begun = Instant::now();
        let outcome = member.commit(outputs, &positions).await?;
        settle(&mut step, station, (outcome, count, begun), commits);
    }
    member.leave().await;
    Ok(())
}

/// Tells a step what became of a commit of so many records that has begun then.
fn settle<S: Step>(
    step: &mut S,
    station: &Station,
    (outcome, records, begun): (Outcome, u64, Instant),
    commits: &mut u64,
) {
    match outcome {
        Outcome::Committed => {
            *commits += 1;
            station.meter.committed(records, begun.elapsed());
            step.committed();
        }
        Outcome::Aborted => {
            telemetry::aborted(station.group);
            station.meter.aborted();
            step.aborted();
        }
    }
}

/// Does something that is not to fail whatever it is given; `None` if it has a fault of its own and panics.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What is changed by halves is thrown away by the caller.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// Returns where each partition is read on after these records.
pub(crate) fn positions(records: &[Record]) -> Vec<Position> {
    let mut positions: Vec<Position> = Vec::new();
    for record in records {
        let next = Position { partition: record.partition, offset: record.offset + 1 };
        match positions.iter_mut().find(|at| at.partition == record.partition) {
            Some(at) => *at = next,
            None => positions.push(next),
        }
    }
    positions
}

#[cfg(test)]
pub(crate) mod tests;
