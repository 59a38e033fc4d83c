//! Whether telemetry gets through the pipeline.
//!
//! It asks the log that is chosen, and the accounts in the database.

use std::time::Duration;

use anyhow::Result;
use chrono::Days;
use sqlx::PgPool;
use tidings::doctor::Finding;
use tidings_pipeline::{
    Error,
    dedup::Evicted,
    lag::{self, Lag},
    ledger::account::{self, Account},
};
use tokio::time::timeout;

use crate::{
    arguments::doctor::Doctor,
    commands::telemetry::{Opened, settled_account, sinks},
    context::Context,
    duration,
    failure::chain,
    telemetry_log::on_log,
};

/// How long the log may take at least: brokers that are being looked for take longer than a statement.
const LOG_MIN: Duration = Duration::from_secs(20);

/// How many days' accounts are looked at.
const DAYS: u64 = 7;

/// From which share of a day's events on it is reported that they are refused: one in so many.
const FAILED_SHARE: i64 = 20;

/// Fewer are no matter.
const FAILED_MIN: i64 = 20;

/// Looks for what does not get through; nothing is found where no telemetry is collected.
pub(super) async fn telemetry(context: &Context, doctor: &Doctor) -> Result<Vec<Finding>> {
    let opened = Opened::open(context, &doctor.log).await?;
    let pool = opened.pool.clone();
    let looked = look(opened, doctor).await;
    pool.close().await;
    Ok(looked.unwrap_or_else(|error| {
        let what = format!("this check did not come to its end: {}", chain(&error));
        let cure = "run it as a role that may execute telemetry_days_v1, telemetry_evicted_v1 and the functions of the log";
        vec![Finding::warning("unchecked", what, cure)]
    }))
}

async fn look(opened: Opened, doctor: &Doctor) -> Result<Vec<Finding>> {
    let Opened { log, pool, now } = opened;
    let sinks = sinks(&pool, now).await?;
    let measured = async {
        on_log!(&log, log => lag::measure(log, &lag::groups_on(log, &sinks).await, now).await)
    };
    let mut found = match timeout(doctor.timeout.max(LOG_MIN), measured).await {
        Ok(Ok(lags)) => lags.iter().filter_map(|lag| of_group(lag, doctor.behind_after)).collect(),
        // Nobody has made the topics.
        Ok(Err(Error::NoSuchPartition { .. })) => Vec::new(),
        Ok(Err(error)) => vec![unanswered(&chain(&error.into()))],
        Err(_) => vec![unanswered("it took too long")],
    };
    let today = now.date_naive();
    for back in (0..DAYS).rev() {
        let day = today.checked_sub_days(Days::new(back)).unwrap_or(today);
        found.extend(of_day(&settled_account(&pool, day).await?));
    }
    let since = now.checked_sub_days(Days::new(1)).unwrap_or(now);
    found.extend(evicted(&pool, since).await?.map(of_keys));
    Ok(found)
}

async fn evicted(pool: &PgPool, since: chrono::DateTime<chrono::Utc>) -> Result<Option<Evicted>> {
    let mut conn = pool.acquire().await?;
    Ok(account::evicted(&mut conn, since).await?)
}

fn unanswered(why: &str) -> Finding {
    let what = format!("the log of telemetry was not looked into: {why}");
    let cure = "see to the brokers, or correct --kafka-brokers and TIDINGS_KAFKA_PROPERTIES";
    Finding::warning("log_unanswered", what, cure)
}

/// Returns what is wrong with a group.
fn of_group(lag: &Lag, behind_after: Duration) -> Option<Finding> {
    let Lag { group, topic, members, .. } = lag;
    let oldest = Duration::from_secs(u64::try_from(lag.oldest_age_s()?).ok()?);
    let (records, age) = (lag.records(), duration::format(oldest));
    let sink = group.strip_prefix("sink.");
    if *members == Some(0) {
        let cure = match sink {
            None => "start `tidings up`, or `tidings pipeline` on this log".to_owned(),
            Some(sink) => format!(
                "start a pipeline with this sink; nothing has to be done if `{sink}` is gone for good"
            ),
        };
        let what = format!(
            "nobody reads {topic} as {group}: {records} records wait, the oldest for {age}"
        );
        return Some(if sink.is_none() {
            Finding::error("group_unheld", what, cure)
        } else {
            Finding::warning("group_unheld", what, cure)
        });
    }
    if oldest < behind_after {
        return None;
    }
    let what = format!("{group} is behind by {records} records, the oldest {age} old");
    Some(match sink {
        None => {
            let cure = "look for its name in the log of the pipeline; if it just has too much to do, add processes or --members";
            Finding::warning("group_behind", what, cure)
        }
        Some(sink) => {
            let cure = format!(
                "look for `sink {sink} waits` in the log of the pipeline, which says what its service lacks"
            );
            Finding::warning("sink_behind", what, cure)
        }
    })
}

/// Returns what is wrong with a day.
fn of_day(account: &Account) -> Vec<Finding> {
    let day = account.day;
    let mut found = Vec::new();
    if !account.is_balanced() {
        let what = format!("the account of {day} is not balanced");
        let cure =
            format!("look at `tidings telemetry account --day {day} --batches`, and report it");
        found.push(Finding::error("account_unbalanced", what, cure));
    }
    let rejected: i64 = account.sinks.iter().map(|sink| sink.rejected).sum();
    let failed = account.failed + account.batches_failed + rejected;
    if failed >= FAILED_MIN && failed.saturating_mul(FAILED_SHARE) >= account.received {
        let what =
            format!("{failed} of {} events of {day} were refused", account.received.max(failed));
        let cure = "see why with `tidings telemetry failed list`; once the cause is mended, send them again with `replay`";
        found.push(Finding::warning("quarantine_growing", what, cure));
    }
    found
}

/// Returns what is wrong with dedup.
fn of_keys(evicted: Evicted) -> Finding {
    let reach = duration::format(Duration::from_secs(evicted.reaches_s));
    let what = format!(
        "{} keys of dedup went before their time within a day; duplicates older than {reach} get through",
        evicted.keys
    );
    let cure = "raise `memory_mib` of [dedup] in the file of --pipeline-config, add processes, or shorten its `window`";
    Finding::warning("dedup_cut", what, cure)
}

#[cfg(test)]
mod tests {
    use tidings_pipeline::{lag::Partition, ledger::account::SinkAccount};

    use super::*;

    fn lag(group: &str, members: usize, oldest_age_s: Option<i64>) -> Lag {
        let records = i64::from(oldest_age_s.is_some()) * 7;
        let partition = Partition {
            partition: 0,
            position: Some(1),
            end: 8,
            records,
            oldest_at: None,
            oldest_age_s,
        };
        let (group, topic) = (group.to_owned(), "telemetry.unique".to_owned());
        Lag { group, topic, members: Some(members), partitions: vec![partition] }
    }

    #[test]
    fn group_is_reported_where_nobody_is_in_it_or_it_is_late() {
        let table = [
            (lag("refine", 0, None), None),
            (lag("refine", 0, Some(1)), Some("group_unheld")),
            (lag("refine", 2, Some(3599)), None),
            (lag("refine", 2, Some(3600)), Some("group_behind")),
            (lag("sink.search", 0, Some(1)), Some("group_unheld")),
            (lag("sink.search", 1, Some(4000)), Some("sink_behind")),
        ];
        for (lag, code) in table {
            let found = of_group(&lag, Duration::from_hours(1));
            assert_eq!(found.map(|found| found.code), code, "{lag:?}");
        }
    }

    #[test]
    fn day_is_reported_where_it_is_not_balanced_or_much_is_refused() {
        let of = |received, unique, failed, rejected| {
            let sink = SinkAccount {
                sink: "search".to_owned(),
                stored: unique - rejected,
                already_there: 0,
                rejected,
                filtered: 0,
                pending: 0,
            };
            Account { received, unique, failed, sinks: vec![sink], ..Account::default() }
        };
        let table = [
            (of(1000, 1000, 0, 0), vec![]),
            (of(1000, 999, 0, 0), vec!["account_unbalanced"]),
            (of(1000, 951, 49, 0), vec![]),
            (of(1000, 950, 50, 0), vec!["quarantine_growing"]),
            (of(1000, 980, 20, 30), vec!["quarantine_growing"]),
            (of(10, 0, 10, 0), vec![]),
        ];
        for (account, codes) in table {
            let found = of_day(&account);
            assert_eq!(
                found.iter().map(|found| found.code).collect::<Vec<_>>(),
                codes,
                "{account:?}"
            );
        }
    }
}
