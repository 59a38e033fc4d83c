//! Who serves which kind, and shards that nobody holds.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::{Finding, count, span};
use crate::{
    Result,
    store::doctor::{self as store, KindRow, ShardRow, WorkerRow},
};

/// Shards find an owner within two leases of ten seconds.
const SETTLED_S: f64 = 30.0;

/// The group of our own lane, which every worker serves.
const SYSTEM: &str = "system";

pub(super) async fn workers(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    let kinds = store::kinds(conn).await?;
    let mut found: Vec<_> = kinds.iter().filter_map(of_kind).collect();
    found.extend(store::workers(conn).await?.iter().map(of_worker));
    found.extend(of_shards(&store::shards(conn, SETTLED_S).await?));
    Ok(found)
}

fn of_kind(row: &KindRow) -> Option<Finding> {
    let KindRow { kind, subscribers, workers, waiting, waiting_s } = row;
    if *workers > 0 || (kind == SYSTEM && *waiting == 0) {
        return None;
    }
    let cure = match kind.as_str() {
        "webhook" | SYSTEM => "start a worker: `tidings worker`, or `tidings up`".to_owned(),
        kind => format!("start a worker that has a deliverer for the kind `{kind}`"),
    };
    let whom = if kind == SYSTEM {
        "large fan-outs have".to_owned()
    } else {
        let many = format!("subscribers of kind `{kind}` have");
        count((*subscribers).into(), &format!("subscriber of kind `{kind}` has"), &many)
    };
    match waiting_s {
        None => Some(Finding::warning(
            "kind_unserved",
            format!("{whom} no worker; nothing is due yet"),
            cure,
        )),
        Some(waiting_s) => Some(Finding::error(
            "kind_unserved",
            format!("{whom} no worker, and deliveries have been due for {}", span(*waiting_s)),
            cure,
        )),
    }
}

fn of_worker(row: &WorkerRow) -> Finding {
    let WorkerRow { worker_id, host, pid, silent_s } = row;
    Finding::warning(
        "worker_dead",
        format!(
            "the worker {worker_id} on {host} (pid {pid}) has not been heard of for {}, and nobody has taken over its shards",
            span(*silent_s)
        ),
        "start a worker: `tidings worker`; it buries the dead one and takes its shards",
    )
}

fn of_shards(rows: &[ShardRow]) -> Vec<Finding> {
    let mut unheld: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.held) {
        unheld.entry(&row.group_name).or_default().push(row.shard.to_string());
    }
    let of_group = |(group, shards): (&str, Vec<String>)| {
        Finding::warning(
            "shards_unheld",
            format!(
                "nobody holds the shards {} of `{group}`, although workers serve it",
                shards.join(", ")
            ),
            "look for `hold` in the logs of the workers, and for locks: select * from pg_locks where not granted;",
        )
    };
    let careful = rows.iter().filter(|row| row.deaths >= 3).map(|row| {
        let ShardRow { group_name, shard, deaths, .. } = row;
        Finding::warning(
            "shard_careful",
            format!(
                "{deaths} owners of shard {shard} of `{group_name}` died within a minute of taking it, so it is worked one delivery at a time"
            ),
            format!(
                "look at why the workers died; what they died of: select d.* from tidings.delivery d join tidings.subscriber s using (subscriber_id) where s.kind = '{group_name}' and s.shard = {shard} and d.crashes > 0;"
            ),
        )
    });
    unheld.into_iter().map(of_group).chain(careful).collect()
}
