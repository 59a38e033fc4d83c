//! One process of a reporter: it writes down its counters, and reports while it leads.

use std::{sync::Arc, time::Duration};

use tidings::{
    analytics::report::{
        Baseline, Collectors, Environment, Gathered, Moment, Report, Sample, Schedule, Source,
    },
    wake,
};
use tidings_ownership::{Holdings, ShardId};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::event;
use crate::{
    Error, Result,
    session::Database,
    store::report::{self as store, Fence, State, Written},
    telemetry,
};

/// A process of a reporter.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) database: Database,
    pub(super) name: String,
    pub(super) environment: Environment,
    pub(super) schedule: Schedule,
    pub(super) collectors: Collectors,
    pub(super) boot_id: Uuid,
    pub(super) look: Duration,
    pub(super) unchanged_every: Option<Duration>,
}

impl Process {
    pub(super) const fn interval(&self) -> Duration {
        self.schedule.interval()
    }

    /// Looks again and again, until `shutdown` is cancelled.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any time: a report is written by one statement.
    pub(super) async fn run(
        &self,
        shard: &ShardId,
        holdings: watch::Receiver<Arc<Holdings>>,
        shutdown: &CancellationToken,
    ) {
        loop {
            let fence = {
                let held = holdings.borrow();
                let term = held.term(shard).filter(|_| held.is_trusted(Instant::now()));
                term.map(|term| Fence { worker_id: held.worker_id, term })
            };
            let looked = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                looked = self.look(fence) => looked,
            };
            let pause = looked.unwrap_or_else(|error| {
                telemetry::report_failed(&self.name, &error);
                self.look
            });
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        // What it has counted since is in the next report, whoever makes it.
        if let Err(error) = self.note_counters().await {
            telemetry::report_failed(&self.name, &error);
        }
    }

    /// Writes down what this process has counted; makes the report, if this is the leader and one is due. Answers when to
    /// look again.
    async fn look(&self, fence: Option<Fence>) -> Result<Duration> {
        self.note_counters().await?;
        let Some(fence) = fence else { return Ok(self.look) };
        let started = Instant::now();
        let mut state = store::read(&self.database, &self.name).await?;
        if !(state.permitted && state.permitted_throughout) {
            // What was counted while nothing was to be collected is in no report.
            if let Some(baseline) = state.baseline.take() {
                let lanes = self.write(fence, baseline.sequence(), &Written::default()).await?;
                let Some(_) = lanes else { return Ok(self.look) };
            }
            if !state.permitted {
                return Ok(self.look);
            }
        }
        let due = state.baseline.as_ref().map(|baseline| {
            let due = self.schedule.next_after(baseline.window_start());
            (due - state.read_at).to_std().unwrap_or_default()
        });
        let early = due.unwrap_or_default();
        if early.is_zero() || state.requested {
            self.report(fence, &state, started, !early.is_zero()).await?;
            return Ok(self.look);
        }
        Ok(early.min(self.look))
    }

    /// Makes the report that follows the baseline.
    async fn report(
        &self,
        fence: Fence,
        state: &State,
        started: Instant,
        partial: bool,
    ) -> Result<()> {
        let gathered = self.gather().await?;
        let (report, next) = self.next(state, gathered, (started, partial));
        let hash = report.traits_hash();
        let is_group_due = self.unchanged_every.is_none_or(|every| {
            let before = state.baseline.as_ref();
            before.is_none_or(|before| before.is_group_due(&hash, report.window.end, every))
        });
        let next = if is_group_due { next.with_group(hash, report.window.end) } else { next };
        let events = event::events(&report, is_group_due)?;
        let written = Written {
            baseline: Some(
                serde_json::to_value(&next)
                    .map_err(|_| Error::Corrupt { what: "the next baseline of a reporter" })?,
            ),
            report: Some(report.webhook()),
            at: Some(report.window.end),
            events,
        };
        match self.write(fence, report.window.sequence, &written).await? {
            Some(lanes) => {
                wake::note(&lanes);
                wake::wake();
                telemetry::reported(&self.name, &report, written.events.len());
            }
            None => telemetry::report_superseded(&self.name),
        }
        Ok(())
    }

    /// Returns the report that would be made now.
    pub(super) async fn preview(&self) -> Result<Report> {
        let started = Instant::now();
        let state = store::read(&self.database, &self.name).await?;
        let baseline = state.baseline.filter(|_| state.permitted_throughout);
        let early = baseline.as_ref().is_some_and(|baseline| {
            self.schedule.next_after(baseline.window_start()) > state.read_at
        });
        let state = State { baseline, ..state };
        Ok(self.next(&state, self.gather().await?, (started, early)).0)
    }

    fn next(
        &self,
        state: &State,
        gathered: Gathered,
        (started, partial): (Instant, bool),
    ) -> (Report, Baseline) {
        // The database's clock, at the end of collecting.
        let now = state.read_at + started.elapsed();
        let moment = Moment { now, boot_id: self.boot_id, partial };
        let environment = self.environment.clone();
        Report::next(environment, &self.schedule, state.baseline.as_ref(), gathered, moment)
    }

    /// Asks all collectors, and adds what the other processes have written down.
    async fn gather(&self) -> Result<Gathered> {
        let mut gathered = self.collectors.collect(self.boot_id, tokio::time::sleep).await;
        for error in &gathered.errors {
            telemetry::collector_failed(&self.name, error);
        }
        let processes = store::counters(&self.database, &self.name).await?;
        let others = processes.into_iter().filter(|(boot_id, _)| *boot_id != self.boot_id);
        gathered
            .samples
            .extend(others.map(|(id, counters)| Sample { source: Source::Process(id), counters }));
        Ok(gathered)
    }

    async fn note_counters(&self) -> Result<()> {
        let gathered = self.collectors.collect_counters(self.boot_id, tokio::time::sleep).await;
        // Of the leader they are told with its report.
        let mut counters = std::collections::BTreeMap::new();
        let own = gathered.samples.into_iter();
        for sample in own.filter(|sample| sample.source == Source::Process(self.boot_id)) {
            counters.extend(sample.counters);
        }
        if counters.is_empty() {
            return Ok(());
        }
        store::note_counters(&self.database, &self.name, self.boot_id, &counters).await
    }

    async fn write(
        &self,
        fence: Fence,
        sequence: u64,
        written: &Written,
    ) -> Result<Option<Vec<i32>>> {
        store::write(&self.database, &self.name, (fence, sequence), written).await
    }
}
