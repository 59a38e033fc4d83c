//! How far groups are behind: what they have not read yet, and how old the oldest of it is.
//!
//! On Kafka the number counts control records and aborted ones too, which nobody reads; the age does not.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    Log, Result, hop,
    log::{Bounds, Position},
    metrics::Metrics,
    telemetry, topic,
};

/// How often it is measured for metrics.
const MEASURE_EVERY: Duration = Duration::from_secs(30);

/// How far one group is behind in one topic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Lag {
    /// The group.
    pub group: String,
    /// The topic that it reads.
    pub topic: String,
    /// How many members it has, in all processes; `None` where that was not asked for.
    pub members: Option<usize>,
    /// Each partition.
    pub partitions: Vec<Partition>,
}

/// How far a group is behind in one partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Partition {
    /// The partition.
    pub partition: i32,
    /// The offset that is read next; `None` if the group has never committed here.
    pub position: Option<i64>,
    /// The offset behind the last record.
    pub end: i64,
    /// How many records have not been read.
    pub records: i64,
    /// When the log took the oldest of them; `None` if there is none.
    pub oldest_at: Option<DateTime<Utc>>,
    /// Its age in seconds.
    pub oldest_age_s: Option<i64>,
}

impl Lag {
    /// Returns how many records have not been read.
    #[must_use]
    pub fn records(&self) -> i64 {
        self.partitions.iter().map(|of| of.records).sum()
    }

    /// Returns the age of the oldest of them in seconds; `None` if there is none.
    #[must_use]
    pub fn oldest_age_s(&self) -> Option<i64> {
        self.partitions.iter().filter_map(|of| of.oldest_age_s).max()
    }
}

/// Returns the groups of a pipeline with these sinks, with sessions or without, each with the topic that it reads.
fn groups(sinks: &[String], sessions: bool) -> Vec<(String, &'static str)> {
    let hops = [("unbundle", topic::RAW), ("refine", topic::EVENTS), ("ledger", topic::LEDGER)];
    let hops = hops.map(|(group, topic)| (group.to_owned(), topic));
    let sinks = sinks.iter().map(|sink| (format!("sink.{sink}"), topic::UNIQUE));
    let sessions = sessions.then(|| (hop::sessions::GROUP.to_owned(), topic::UNIQUE));
    hops.into_iter().chain(sessions).chain(sinks).collect()
}

/// Returns the groups of a pipeline with these sinks on a log, with sessions if their topic is there.
pub async fn groups_on<L: Log>(log: &L, sinks: &[String]) -> Vec<(String, &'static str)> {
    groups(sinks, log.partitions(topic::SESSIONS).await.is_ok())
}

/// Measures how far groups are behind at `now`, and counts their members.
///
/// # Errors
///
/// A topic is not there, or the log does not answer.
pub async fn measure<L: Log>(
    log: &L,
    groups: &[(String, &'static str)],
    now: DateTime<Utc>,
) -> Result<Vec<Lag>> {
    let mut lags = measure_alone(log, groups, now).await?;
    for lag in &mut lags {
        lag.members = Some(log.members(&lag.group, &lag.topic).await?);
    }
    Ok(lags)
}

/// Measures how far groups are behind.
async fn measure_alone<L: Log>(
    log: &L,
    groups: &[(String, &'static str)],
    now: DateTime<Utc>,
) -> Result<Vec<Lag>> {
    let mut lags = Vec::with_capacity(groups.len());
    for (group, topic) in groups {
        // In this order: a position that is read later could lie behind the end.
        let committed = log.committed(group, topic).await?;
        let bounds = log.bounds(topic).await?;
        let mut partitions: Vec<_> =
            committed.into_iter().zip(&bounds).map(|(at, bounds)| behind(at, *bounds)).collect();
        let open = partitions.iter_mut().zip(&bounds).filter(|(of, _)| of.records > 0);
        let (mut open, places): (Vec<_>, Vec<_>) = open
            .map(|(of, bounds)| {
                let offset = of.position.unwrap_or_default().max(bounds.first);
                (of, Position { partition: bounds.partition, offset })
            })
            .unzip();
        let times = log.taken_at(topic, &places).await?;
        for (of, oldest_at) in open.iter_mut().zip(times) {
            of.oldest_at = oldest_at;
            of.oldest_age_s = oldest_at.map(|at| (now - at).num_seconds().max(0));
            if oldest_at.is_none() {
                // What stands there is read by nobody.
                of.records = 0;
            }
        }
        let (group, topic) = (group.clone(), (*topic).to_owned());
        lags.push(Lag { group, topic, members: None, partitions });
    }
    Ok(lags)
}

/// Measures for the metrics, again and again until the shutdown.
pub(crate) async fn watch<L: Log>(
    log: &L,
    metrics: &Metrics,
    clock: fn() -> DateTime<Utc>,
    shutdown: &CancellationToken,
) {
    loop {
        let groups = groups(&metrics.sinks(), metrics.has_sessions());
        let measured = shutdown.run_until_cancelled(measure_alone(log, &groups, clock())).await;
        match measured {
            None => return,
            Some(Ok(lags)) => metrics.measured(lags),
            Some(Err(error)) => {
                // No number is better than an old one.
                metrics.measured(Vec::new());
                telemetry::unmeasured(&error);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(MEASURE_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn behind(position: Option<i64>, bounds: Bounds) -> Partition {
    let Bounds { partition, first, end } = bounds;
    // What is gone is not behind it any more.
    let records = (end - position.unwrap_or(first).max(first)).max(0);
    Partition { partition, position, end, records, oldest_at: None, oldest_age_s: None }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        log::{Limits, Member as _, Memory, Turn},
        record::{Headers, Output},
        topic::Layout,
    };

    fn raw(partition: i32) -> Output {
        let (key, headers, value) = (None, Headers::new(), Bytes::from_static(b"{}"));
        Output { topic: topic::RAW.into(), partition, key, headers, value }
    }

    fn second(number: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + number, 0).unwrap()
    }

    #[tokio::test]
    async fn group_is_behind_by_what_it_has_not_committed_and_by_its_age() {
        let log = Memory::new();
        log.prepare(&Layout { partitions: 2, ..Layout::default() }.specs()).await.unwrap();
        for number in 0..3 {
            log.set_clock(second(number * 10));
            log.append(vec![raw(1)]).await.unwrap();
        }
        let groups = [("unbundle".to_owned(), topic::RAW)];
        let lag = measure(&log, &groups, second(60)).await.unwrap().remove(0);
        assert_eq!((lag.records(), lag.oldest_age_s(), lag.members), (3, Some(60), Some(0)));
        let mut member = log.join("unbundle", topic::RAW).await.unwrap();
        while !matches!(
            member.next(Limits { records: 2, bytes: 1 << 20 }).await.unwrap(),
            Turn::Records(_)
        ) {}
        member.commit(Vec::new(), &[Position { partition: 1, offset: 2 }]).await.unwrap();
        let lag = measure(&log, &groups, second(60)).await.unwrap().remove(0);
        assert_eq!((lag.records(), lag.oldest_age_s(), lag.members), (1, Some(40), Some(1)));
        assert_eq!((lag.partitions[0].records, lag.partitions[1].position), (0, Some(2)));
    }

    #[test]
    fn what_has_lapsed_is_not_behind() {
        let bounds = Bounds { partition: 0, first: 10, end: 15 };
        let table = [(None, 5), (Some(3), 5), (Some(12), 3), (Some(15), 0), (Some(16), 0)];
        for (position, records) in table {
            assert_eq!(behind(position, bounds).records, records, "{position:?}");
        }
    }

    #[test]
    fn groups_are_the_hops_the_ledger_and_each_sink() {
        let groups = groups(&["search".to_owned()], false);
        let names: Vec<_> = groups.iter().map(|(group, _)| group.as_str()).collect();
        assert_eq!(names, ["unbundle", "refine", "ledger", "sink.search"]);
        assert_eq!(groups[3].1, topic::UNIQUE);
    }
}
