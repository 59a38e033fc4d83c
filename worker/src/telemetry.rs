//! Everything that this crate says about itself: log lines, and counters.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tidings::{
    analytics::report::{Collected, CollectorError, Report, Statistics},
    subscriber::Note,
};
use tidings_ownership::ShardId;

use crate::{
    Error,
    roster::chain,
    settlement::{Action, Read},
    store::{Summary, Work},
};

/// What a worker has done since it started. Counters only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Deliveries started.
    pub fetched: AtomicU64,
    /// Attempts that delivered.
    pub delivered: AtomicU64,
    /// Deliveries that were not sent on purpose.
    pub filtered: AtomicU64,
    /// Attempts that failed and come again.
    pub retried: AtomicU64,
    /// Deliveries buried.
    pub buried: AtomicU64,
    /// Calls that settled and fetched.
    pub calls: AtomicU64,
    /// Settlements refused because the term was gone.
    pub settled_lost: AtomicU64,
    /// Settlements whose row was gone or had moved.
    pub settled_missing: AtomicU64,
    /// Attempts that could not be logged.
    pub unlogged: AtomicU64,
    /// Rows that only a sweep found; it should be none.
    pub sweep_found: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// See [`Counters::fetched`].
    pub fetched: u64,
    /// See [`Counters::delivered`].
    pub delivered: u64,
    /// See [`Counters::filtered`].
    pub filtered: u64,
    /// See [`Counters::retried`].
    pub retried: u64,
    /// See [`Counters::buried`].
    pub buried: u64,
    /// See [`Counters::calls`].
    pub calls: u64,
    /// See [`Counters::settled_lost`].
    pub settled_lost: u64,
    /// See [`Counters::settled_missing`].
    pub settled_missing: u64,
    /// See [`Counters::unlogged`].
    pub unlogged: u64,
    /// See [`Counters::sweep_found`].
    pub sweep_found: u64,
}

impl Counters {
    /// Reads the counters.
    #[must_use]
    pub fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            fetched: read(&self.fetched),
            delivered: read(&self.delivered),
            filtered: read(&self.filtered),
            retried: read(&self.retried),
            buried: read(&self.buried),
            calls: read(&self.calls),
            settled_lost: read(&self.settled_lost),
            settled_missing: read(&self.settled_missing),
            unlogged: read(&self.unlogged),
            sweep_found: read(&self.sweep_found),
        }
    }
}

impl Statistics for Counts {
    const NAMES: &'static [&'static str] =
        &["deliveries_delivered", "deliveries_retried", "deliveries_filtered", "deliveries_buried"];

    fn tell(&self, collected: &mut Collected) {
        collected
            .statistic("deliveries_delivered", self.delivered)
            .statistic("deliveries_retried", self.retried)
            .statistic("deliveries_filtered", self.filtered)
            .statistic("deliveries_buried", self.buried);
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

/// Notes a delivery that was settled without an attempt, because there was nothing to send.
pub(crate) fn withheld(counters: &Counters, action: &Action) {
    match action {
        Action::Filtered => add(&counters.filtered, 1),
        _ => add(&counters.buried, 1),
    }
}

pub(crate) fn fetched(counters: &Counters, count: usize) {
    add(&counters.fetched, count);
}

pub(crate) fn attempted(counters: &Counters, read: &Read, action: &Action, elapsed: Duration) {
    tracing::trace!(
        delivery.id = read.delivery_id,
        event.id = %read.event_id,
        subscriber.id = read.lane,
        outcome = action.as_str(),
        elapsed_ms = elapsed.as_millis(),
        "attempt returned"
    );
    match action {
        Action::Delivered => add(&counters.delivered, 1),
        Action::Filtered => add(&counters.filtered, 1),
        Action::Retry(_) => add(&counters.retried, 1),
        Action::Bury(_) => add(&counters.buried, 1),
        Action::Defer(_) => {}
    }
}

pub(crate) fn settled(counters: &Counters, work: &Work, summary: &Summary) {
    add(&counters.calls, 1);
    add(&counters.settled_lost, summary.lost.len());
    add(&counters.settled_missing, summary.missing.len());
    if summary.unlogged > 0 {
        add(&counters.unlogged, usize::try_from(summary.unlogged).unwrap_or(0));
        tracing::warn!(
            count = summary.unlogged,
            "attempts could not be logged; is a partition of tidings.attempt missing?"
        );
    }
    if !summary.lost.is_empty() {
        tracing::warn!(
            count = summary.lost.len(),
            "settlements refused: their term is gone, another worker has taken over"
        );
    }
    tracing::debug!(settled = work.settlements.len(), lanes = work.readings.len(), "call answered");
}

pub(crate) fn call_failed(error: &Error, failures: u32, unsettled: usize) {
    tracing::warn!(failures, unsettled, error = %chain(error), "call failed; it will be repeated");
}

pub(crate) fn settlement_dropped(delivery_id: Option<i64>) {
    tracing::error!(
        delivery.id = delivery_id,
        "a settlement cannot be stored; the delivery will be repeated"
    );
}

pub(crate) fn load_failed(error: &Error) {
    tracing::warn!(error = %chain(error), "subscribers could not be read; they will be asked for again");
}

pub(crate) fn scan_failed(error: &Error) {
    tracing::warn!(error = %chain(error), "scan failed; it will be repeated");
}

pub(crate) fn unparked(count: i32) {
    if count > 0 {
        tracing::debug!(count, "parked heads made due at takeover");
    }
}

pub(crate) fn sweep_found(counters: &Counters, lane: i32, delivery_id: i64) {
    add(&counters.sweep_found, 1);
    tracing::warn!(
        subscriber.id = lane,
        delivery.id = delivery_id,
        "a sweep found a row that reading had missed; please report this"
    );
}

pub(crate) fn shard_released(shard: &ShardId, term: i64) {
    tracing::debug!(shard = %shard, term, "shard drained and given back");
}

pub(crate) fn disabled(lane: i32, reason: &str) {
    tracing::warn!(subscriber.id = lane, reason, "subscriber disabled; its deliveries wait");
}

/// Per event it is told for debugging only; a template that fails once usually fails for every event.
pub(crate) fn template_failed(lane: i32, pattern: &str, line: Option<usize>, is_first: bool) {
    if is_first {
        tracing::warn!(
            subscriber.id = lane,
            pattern,
            line,
            "the template for {pattern} failed; the default message is posted, and the attempts say why"
        );
    } else {
        tracing::debug!(
            subscriber.id = lane,
            pattern,
            line,
            "the template for {pattern} failed again"
        );
    }
}

pub(crate) fn health_turned(lane: i32, note: &Note) {
    match note.trouble {
        Some(trouble) if trouble.open.is_some() => tracing::warn!(
            subscriber.id = lane,
            failures = trouble.failures,
            pause_ms = trouble.open.unwrap_or_default().as_millis(),
            "destination cannot be reached; one delivery is tried after a pause"
        ),
        Some(trouble) => tracing::info!(
            subscriber.id = lane,
            failures = trouble.failures,
            "destination is failing"
        ),
        None => tracing::info!(subscriber.id = lane, "destination takes deliveries again"),
    }
}

pub(crate) fn not_noted(lane: i32, error: &Error) {
    tracing::warn!(subscriber.id = lane, error = %chain(error), "a change of the subscriber could not be written down");
}

pub(crate) fn listening_failed(error: &sqlx::Error) {
    tracing::debug!(%error, "not listening for wake-ups; polling goes on");
}

pub(crate) fn reported(name: &str, report: &Report, events: usize) {
    let window = &report.window;
    tracing::info!(
        reporter.name = name,
        sequence = window.sequence,
        window.start = %window.start,
        window.end = %window.end,
        events,
        "report registered"
    );
}

pub(crate) fn report_superseded(name: &str) {
    tracing::info!(reporter.name = name, "report given up: another process leads and has made it");
}

pub(crate) fn collector_failed(name: &str, error: &CollectorError) {
    let CollectorError { collector, error: code, message } = error;
    tracing::warn!(
        reporter.name = name,
        collector,
        error = message,
        "collector {collector} had nothing to tell ({code}); what it counts is in the next report"
    );
}

pub(crate) fn report_failed(name: &str, error: &Error) {
    tracing::warn!(reporter.name = name, error = %chain(error), "reporting failed; it will be repeated");
}

pub(crate) fn pruned(what: &'static str, count: u64) {
    tracing::info!(count, "{what}");
}

pub(crate) fn prune_failed(error: &sqlx::Error) {
    tracing::warn!(%error, "maintenance failed; it will be repeated");
}

pub(crate) fn partitions_near_end(hours: i64) {
    tracing::error!(hours, "the last event partition ends soon; registering will fail then");
}
