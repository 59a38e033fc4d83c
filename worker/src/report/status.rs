//! Looking at reporters from outside: what they have reported, when the next report is due, and asking for one now.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value as Json;
use sqlx::PgConnection;
use tidings::analytics::report::{Baseline, Schedule};
use uuid::Uuid;

use crate::{Error, Result, store::report as store};

/// A reporter, as the database knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The name of the application.
    pub name: String,
    /// The environment that it reports of.
    pub environment_id: Uuid,
    /// How often a report is made, in seconds.
    pub interval_s: u64,
    /// When the next report is due; none before the first one, which is made at once.
    pub due_at: Option<DateTime<Utc>>,
    /// How many reports there were, since the level last forbade them.
    pub reports: u64,
    /// When the last one was made.
    pub reported_at: Option<DateTime<Utc>>,
    /// Since when somebody wants one now.
    pub requested_at: Option<DateTime<Utc>>,
    /// Where the process runs that leads; none where nobody does.
    pub leader: Option<String>,
    /// How many processes there are.
    pub processes: u64,
    /// What the last report said, as a webhook is told it.
    pub last_report: Option<Json>,
}

/// Returns all reporters, or the one with this name.
///
/// # Errors
///
/// The database does not answer, or what it has is not understood.
pub async fn list(conn: &mut PgConnection, name: Option<&str>) -> Result<Vec<Status>> {
    store::list(conn, name).await?.into_iter().map(Status::try_from).collect()
}

/// Asks the leader of a reporter for a report now; it is made within a minute. Answers whether there is such a reporter.
///
/// # Errors
///
/// The database does not answer.
pub async fn request(conn: &mut PgConnection, name: &str) -> Result<bool> {
    store::request(conn, name).await
}

impl TryFrom<store::Row> for Status {
    type Error = Error;

    fn try_from(row: store::Row) -> Result<Self> {
        let corrupt = || Error::Corrupt { what: "a reporter" };
        let baseline: Option<Baseline> =
            row.baseline.map(serde_json::from_value).transpose().map_err(|_| corrupt())?;
        let interval = Duration::from_secs(row.interval_s.unsigned_abs());
        let schedule = Schedule::new(row.environment_id, interval).map_err(|_| corrupt())?;
        Ok(Self {
            name: row.name,
            environment_id: row.environment_id,
            interval_s: interval.as_secs(),
            due_at: baseline.as_ref().map(|baseline| schedule.next_after(baseline.window_start())),
            reports: baseline.as_ref().map_or(0, Baseline::sequence),
            reported_at: row.reported_at,
            requested_at: row.requested_at,
            leader: row.leader,
            processes: row.processes.unsigned_abs(),
            last_report: row.last_report,
        })
    }
}
