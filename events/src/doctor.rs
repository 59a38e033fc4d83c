//! What is wrong with an installation, and what cures it.
//!
//! Each [`Check`] reads, changes nothing, and answers with findings; a healthy database has none that is worse than
//! [`Severity::Info`].
//! The caller bounds the time, with `statement_timeout`, and gives each check a transaction of its own, because one that
//! fails spoils the rest of its transaction.
//! Cures are commands and statements as they are typed.

mod catalogue;
mod horizon;
mod lanes;
mod server;
mod subscribers;
mod tables;
mod workers;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;

use crate::{Result, secret::Keyring, store::doctor as store};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know; nothing has to be done.
    Info,
    /// Something will go wrong, or goes more slowly than it should.
    Warning,
    /// Something does not work.
    Error,
}

/// Something that was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs. Codes are for ever.
    pub code: &'static str,
    /// What it is, for people, in one sentence.
    pub what: String,
    /// What to do about it: a command, a statement, or a sentence.
    pub cure: String,
}

/// One kind of trouble that is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// How the server is set up, and what the role may see.
    Server,
    /// Whether the clock of this machine agrees with the database's.
    Clock,
    /// Whether there are partitions for today and the next days.
    Partitions,
    /// Dead rows, settings of autovacuum, the age of tables, and indexes.
    Tables,
    /// What keeps dead rows from being removed.
    Horizon,
    /// Who serves which kind, and shards that nobody holds.
    Workers,
    /// Deliveries that do not go on.
    Lanes,
    /// Subscribers that get nothing for now.
    Subscribers,
    /// Secrets that cannot be opened.
    Secrets,
    /// Subscriptions that match nothing, and types that nobody is told of.
    Catalogue,
    /// Deliveries that were given up.
    Dead,
}

/// What an examination goes by.
#[derive(Clone, Copy, Debug)]
pub struct Examination<'a> {
    /// The keys that open secrets, if there are any.
    pub keyring: Option<&'a Keyring>,
    /// The clock of this machine.
    pub clock: fn() -> DateTime<Utc>,
    /// A transaction is old from this age on. 5 minutes where nobody says otherwise.
    pub transaction_age: Duration,
    /// A delivery that has been due for so long is stuck. 5 minutes where nobody says otherwise.
    pub stuck_after: Duration,
}

/// Where a subscriber is called, as it is stored.
#[derive(Clone, Debug)]
pub struct Called {
    /// Its id.
    pub subscriber_id: i32,
    /// Its tenant; empty where the application has none.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Which deliverer serves it.
    pub kind: String,
    /// Its configuration, which may hold secrets.
    pub config: Value,
}

impl Finding {
    /// Returns something that does not work.
    pub fn error(code: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, what: what.into(), cure: cure.into() }
    }

    /// Returns something that will go wrong.
    pub fn warning(code: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, what, cure) }
    }

    /// Returns something that is good to know.
    pub fn info(code: &'static str, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { severity: Severity::Info, ..Self::error(code, what, cure) }
    }
}

impl Check {
    /// Every check, in the order in which they are reported.
    pub const ALL: [Self; 11] = [
        Self::Server,
        Self::Clock,
        Self::Partitions,
        Self::Tables,
        Self::Horizon,
        Self::Workers,
        Self::Lanes,
        Self::Subscribers,
        Self::Secrets,
        Self::Catalogue,
        Self::Dead,
    ];

    /// Returns the word that is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Clock => "clock",
            Self::Partitions => "partitions",
            Self::Tables => "tables",
            Self::Horizon => "horizon",
            Self::Workers => "workers",
            Self::Lanes => "lanes",
            Self::Subscribers => "subscribers",
            Self::Secrets => "secrets",
            Self::Catalogue => "catalogue",
            Self::Dead => "dead",
        }
    }

    /// Says whether it needs our schema; the others look at the server alone.
    #[must_use]
    pub const fn needs_schema(self) -> bool {
        !matches!(self, Self::Server | Self::Clock | Self::Horizon)
    }

    /// Looks for this kind of trouble; an empty answer is good news.
    ///
    /// # Errors
    ///
    /// The database did not answer, or not within the time that the session allows, or the role may not look.
    pub async fn examine(
        self,
        conn: &mut PgConnection,
        with: &Examination<'_>,
    ) -> Result<Vec<Finding>> {
        match self {
            Self::Server => server::server(conn).await,
            Self::Clock => server::clock(conn, with).await,
            Self::Partitions => tables::partitions(conn).await,
            Self::Tables => tables::tables(conn).await,
            Self::Horizon => horizon::horizon(conn, with.transaction_age).await,
            Self::Workers => workers::workers(conn).await,
            Self::Lanes => lanes::lanes(conn, with.stuck_after).await,
            Self::Subscribers => subscribers::subscribers(conn).await,
            Self::Secrets => subscribers::secrets(conn, with.keyring).await,
            Self::Catalogue => catalogue::catalogue(conn).await,
            Self::Dead => catalogue::dead(conn).await,
        }
    }
}

impl<'a> Examination<'a> {
    /// Returns an examination with the usual limits.
    #[must_use]
    pub const fn new(keyring: Option<&'a Keyring>, clock: fn() -> DateTime<Utc>) -> Self {
        let five_minutes = Duration::from_mins(5);
        Self { keyring, clock, transaction_age: five_minutes, stuck_after: five_minutes }
    }
}

/// Reads where up to `limit` subscribers behind the id `after` are called, so that their endpoints can be checked.
///
/// # Errors
///
/// The database did not answer.
pub async fn called(conn: &mut PgConnection, after: i32, limit: u32) -> Result<Vec<Called>> {
    store::endpoints(conn, after, i64::from(limit)).await
}

/// Returns a subscriber as commands take it.
#[must_use]
pub fn named(tenant: &str, name: &str) -> String {
    match tenant {
        "" => name.to_owned(),
        tenant => format!("{name} --tenant {tenant}"),
    }
}

/// Returns a span of time in its largest unit.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// Returns a count with its noun.
fn count(number: i64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_a_unit_that_says_something() {
        let table = [(0.4, "0 s"), (119.0, "119 s"), (300.0, "5 min"), (7200.0, "2 h")];
        for (seconds, expected) in table {
            assert_eq!(span(seconds), expected);
        }
        assert_eq!(span(259_200.0), "3 days");
    }

    #[test]
    fn severities_are_ordered_so_that_the_worst_can_be_found() {
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Error);
    }
}
