//! `tidings telemetry lag`.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tidings_pipeline::lag::{self, Lag};

use super::{Opened, sinks};
use crate::{
    arguments::telemetry,
    context::Context,
    duration,
    output::table::{Cell, Column, Table},
    telemetry_log::on_log,
};

/// How far a group is behind, as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    records: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_age_s: Option<i64>,
    #[serde(flatten)]
    lag: Lag,
}

/// Shows how far each group is behind.
pub(super) async fn run(context: &Context, arguments: &telemetry::Lag) -> Result<()> {
    let Opened { log, pool, now } = Opened::open(context, &arguments.log).await?;
    let sinks = sinks(&pool, now).await?;
    let lags = on_log!(&log, log => {
        lag::measure(log, &lag::groups_on(log, &sinks).await, now).await
    })?;
    pool.close().await;
    let shown = |lag: Lag| Shown { records: lag.records(), oldest_age_s: lag.oldest_age_s(), lag };
    let shown: Vec<_> = lags.into_iter().map(shown).collect();
    context
        .output
        .list(&shown, || if arguments.partitions { by_partition(&shown) } else { by_group(&shown) })
}

fn by_group(shown: &[Shown]) -> Table {
    let columns = [
        Column::new("GROUP"),
        Column::flexible("TOPIC"),
        Column::number("MEMBERS"),
        Column::number("BEHIND"),
        Column::new("OLDEST"),
    ];
    let mut table = Table::new(&columns, "there are no groups");
    for Shown { records, oldest_age_s, lag } in shown {
        table.row([
            Cell::new(lag.group.as_str()),
            Cell::new(lag.topic.as_str()),
            Cell::new(lag.members.unwrap_or_default().to_string()),
            Cell::new(records.to_string()),
            Cell::new(age(*oldest_age_s)),
        ]);
    }
    table
}

fn by_partition(shown: &[Shown]) -> Table {
    let columns = [
        Column::new("GROUP"),
        Column::number("PARTITION"),
        Column::number("POSITION"),
        Column::number("END"),
        Column::number("BEHIND"),
        Column::new("OLDEST"),
    ];
    let mut table = Table::new(&columns, "there are no groups");
    for Shown { lag, .. } in shown {
        for of in &lag.partitions {
            let position = of.position.map_or_else(|| "none".to_owned(), |at| at.to_string());
            table.row([
                Cell::new(lag.group.as_str()),
                Cell::new(of.partition.to_string()),
                Cell::new(position),
                Cell::new(of.end.to_string()),
                Cell::new(of.records.to_string()),
                Cell::new(age(of.oldest_age_s)),
            ]);
        }
    }
    table
}

/// Returns an age for people; nothing where there is none.
fn age(seconds: Option<i64>) -> String {
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or_else(String::new, |seconds| duration::format(Duration::from_secs(seconds)))
}
