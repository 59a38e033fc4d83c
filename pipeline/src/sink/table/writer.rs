//! Writes events to the table until something is known about each of them.

use std::sync::Arc;

use sqlx::{PgPool, error::DatabaseError};
use tidings_analytics::wire::Bisect;

use super::row::Row;
use crate::{
    Error, Result,
    log::Limits,
    reason::Reason,
    sink::{
        drive::{Target, Verdict, Verdicts},
        event::Event,
        metrics::Metrics,
        patience,
    },
    store::event::{Events, store_events},
    telemetry,
};

/// What goes into one statement: a round trip is nothing beside it, and it is a moment's work to repeat.
const LIMITS: Limits = Limits { records: 4_000, bytes: 8 * 1024 * 1024 };

/// Writes events.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) name: String,
    pub(super) pool: PgPool,
    pub(super) metrics: Arc<Metrics>,
}

impl Target for Writer {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn decide(&self, events: Vec<Event>) -> Verdicts {
        let (mut verdicts, mut rows) = (Verdicts::default(), Vec::with_capacity(events.len()));
        for event in events {
            match Row::read(event) {
                Ok(row) => rows.push(row),
                Err(unread) => {
                    let (event, reason) = *unread;
                    verdicts.put(&self.name, &event, Verdict::Rejected(reason));
                }
            }
        }
        self.settle(rows, &mut verdicts).await;
        verdicts
    }
}

impl Writer {
    async fn settle(&self, rows: Vec<Row>, verdicts: &mut Verdicts) {
        let mut tries = 0;
        let mut parts = Bisect::new(rows);
        while let Some(part) = parts.next_part() {
            match self.store(&part).await {
                Ok(there) => {
                    tries = self.go_on(tries);
                    for (row, there) in part.iter().zip(there) {
                        let verdict = if there { Verdict::AlreadyThere } else { Verdict::Stored };
                        verdicts.put(&self.name, &row.event, verdict);
                    }
                }
                Err(error) => {
                    if let Some(reason) = refusal(&error) {
                        Metrics::add(&self.metrics.split, 1);
                        if let Some(culprit) = parts.refused(part) {
                            verdicts.put(&self.name, &culprit.event, Verdict::Rejected(reason));
                        }
                    } else {
                        parts.put_back(part);
                        Metrics::add(&self.metrics.unanswered, 1);
                        tries = self.wait(tries, &error).await;
                    }
                }
            }
        }
    }

    /// Stores rows; returns for each whether it was there.
    async fn store(&self, rows: &[Row]) -> Result<Vec<bool>> {
        let mut events = Events::default();
        for row in rows {
            row.lay(&mut events);
        }
        Metrics::add(&self.metrics.requests, 1);
        Metrics::add(&self.metrics.request_bytes, events.bodies.iter().map(|one| one.len()).sum());
        let mut there = vec![false; rows.len()];
        for place in store_events(&self.pool, &events).await? {
            if let Some(there) = usize::try_from(place).ok().and_then(|place| there.get_mut(place))
            {
                *there = true;
            }
        }
        Ok(there)
    }

    async fn wait(&self, tries: u32, error: &Error) -> u32 {
        if tries == 0 {
            Metrics::add(&self.metrics.paused, 1);
        }
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let reason = format!("{error}: {source}");
        // First, and then every few minutes.
        if !error.is_transient() && tries.is_multiple_of(10) {
            telemetry::sink_needs_somebody(&self.name, &reason);
        } else if tries == 0 {
            telemetry::sink_waits(&self.name, &reason);
        }
        let tries = tries.saturating_add(1);
        tokio::time::sleep(patience::pause(tries, None, u64::from(tries))).await;
        tries
    }

    fn go_on(&self, tries: u32) -> u32 {
        if tries > 0 {
            Metrics::add(&self.metrics.resumed, 1);
            telemetry::sink_goes_on(&self.name);
        }
        0
    }
}

/// Returns why the database does not take these rows, if it is for what they are: data that it cannot read (22), or that
/// is more than it can hold (54). Anything else may pass, or somebody has to see to it.
fn refusal(error: &Error) -> Option<Reason> {
    let Error::Unanswered { source, .. } = error else { return None };
    let error = source.as_database_error()?;
    let code = error.code()?;
    (code.starts_with("22") || code.starts_with("54"))
        .then(|| Reason::new("$", "refused", format!("{} ({code})", DatabaseError::message(error))))
}
