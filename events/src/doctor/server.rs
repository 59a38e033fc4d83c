//! How the server is set up, and its clock.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{Examination, Finding, count};
use crate::{
    Result,
    store::doctor::{self as store, ServerRow},
};

/// From this share of the connections on, the next deployment may not get one.
const CONNECTIONS_PERCENT: i32 = 85;

/// Less than this is noise, and hurts nobody.
const SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// Receivers refuse signatures whose time is five minutes away; a minute is left for the way.
const SKEW_FATAL: TimeDelta = TimeDelta::seconds(240);

pub(super) async fn server(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    Ok(of_server(&store::server(conn).await?))
}

pub(super) async fn clock(conn: &mut PgConnection, with: &Examination<'_>) -> Result<Vec<Finding>> {
    let before = (with.clock)();
    let theirs = store::clock(conn).await?;
    let after = (with.clock)();
    Ok(of_skew(skew(before, theirs, after)).into_iter().collect())
}

fn of_server(row: &ServerRow) -> Vec<Finding> {
    let mut found = of_durability(row);
    let database = &row.database;
    if row.read_only {
        found.push(Finding::error(
            "server_read_only",
            "the server takes no writes: it is a standby, or its transactions are read only by default",
            "point DATABASE_URL at the primary; `select pg_is_in_recovery()` tells a standby",
        ));
    }
    if !row.autovacuum {
        found.push(Finding::warning(
            "autovacuum_off",
            "autovacuum is off, so settled deliveries leave dead rows that make every fetch slower",
            "alter system set autovacuum = on; alter system set track_counts = on; select pg_reload_conf();",
        ));
    }
    if row.connections * 100 >= row.connections_max * CONNECTIONS_PERCENT {
        found.push(Finding::warning(
            "connections_scarce",
            format!(
                "{} of {} connections are taken; a worker needs one for each pump and a few more",
                row.connections, row.connections_max
            ),
            "raise max_connections and restart the server, or put a pooler before the applications",
        ));
    }
    if row.hidden > 0 {
        found.push(Finding::info(
            "sessions_hidden",
            format!(
                "{} of other roles on `{database}` cannot be looked at by `{}`, so an old transaction among them stays unseen",
                count(row.hidden.into(), "session", "sessions"),
                row.role
            ),
            format!("grant pg_read_all_stats to \"{}\";", row.role),
        ));
    }
    found
}

fn of_durability(row: &ServerRow) -> Vec<Finding> {
    let mut found = Vec::new();
    for setting in &row.reckless {
        found.push(Finding::warning(
            "fsync_off",
            format!("{setting} is off, so a crash of the machine can destroy the whole database"),
            format!("alter system set {setting} = on; select pg_reload_conf();"),
        ));
    }
    if row.synchronous_commit == "off" {
        found.push(Finding::warning(
            "synchronous_commit_off",
            "synchronous_commit is off, so a crash of the server can lose events whose transaction was confirmed",
            format!(
                "alter database \"{}\" set synchronous_commit = on; alter role \"{}\" set synchronous_commit = on;",
                row.database, row.role
            ),
        ));
    }
    found
}

/// Returns how far the database is ahead, as far as that can be told from when it was asked and when it had answered.
fn skew(before: DateTime<Utc>, theirs: DateTime<Utc>, after: DateTime<Utc>) -> TimeDelta {
    if theirs < before {
        theirs - before
    } else if theirs > after {
        theirs - after
    } else {
        TimeDelta::zero()
    }
}

fn of_skew(skew: TimeDelta) -> Option<Finding> {
    let size = skew.abs();
    if size <= SKEW_MAX {
        return None;
    }
    let seconds = size.num_seconds();
    let direction = if skew > TimeDelta::zero() { "behind" } else { "ahead of" };
    let what = format!("the clock of this machine is {seconds} s {direction} the database's");
    let cure = "set both machines by NTP: `timedatectl set-ntp true`";
    if size < SKEW_FATAL {
        return Some(Finding::warning("clock_skew", what, cure));
    }
    let what = format!("{what}, and receivers refuse signatures whose time is off by five minutes");
    Some(Finding::error("clock_skew", what, cure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn clock_is_only_blamed_for_what_the_round_trip_cannot_explain() {
        let at = |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap();
        let table = [(0, 5, 9, 0), (0, 20, 9, 11), (100, 40, 109, -60)];
        for (before, theirs, after, expected) in table {
            assert_eq!(skew(at(before), at(theirs), at(after)), TimeDelta::seconds(expected));
        }
    }

    #[test]
    fn skew_warns_early_and_is_an_error_before_signatures_are_refused() {
        let severity = |seconds| of_skew(TimeDelta::seconds(seconds)).map(|found| found.severity);
        assert_eq!(severity(2), None);
        assert_eq!(severity(-2), None);
        assert_eq!(severity(-3), Some(Severity::Warning));
        assert_eq!(severity(239), Some(Severity::Warning));
        assert_eq!(severity(240), Some(Severity::Error));
        let what = of_skew(TimeDelta::seconds(3)).unwrap().what;
        assert_eq!(what, "the clock of this machine is 3 s behind the database's");
    }
}
