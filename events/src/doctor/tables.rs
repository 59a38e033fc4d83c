//! Partitions, dead rows, the age of tables, and indexes.

use sqlx::PgConnection;

use super::{Finding, count};
use crate::{
    Result,
    store::doctor::{self as store, PartitionRow, TableRow},
};

/// Partitions are made a week ahead; when two days are left, whoever makes them has been gone for five.
const DAYS_AHEAD: i32 = 2;

/// Fewer dead rows than this cost nothing worth a word.
const DEAD_ROWS_MIN: i64 = 50_000;

/// A queue that has been emptied has more dead rows than live ones until it is vacuumed, so many times more it should not.
const DEAD_ROWS_FACTOR: i64 = 4;

/// The server begins to freeze by itself at `autovacuum_freeze_max_age`; past twice that it does not get through.
const AGE_FACTOR: i64 = 2;

/// The server stops taking writes at two thousand million.
const AGE_FATAL: i64 = 1_200_000_000;

/// What the queue's table is made with, and what keeps it small.
const QUEUE_SETTINGS: &str = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, \
     autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000";

/// The indexes that registering and fetching stand on, each with the statement that makes it.
const INDEXES: [(&str, &str); 5] = [
    (
        "delivery_pkey",
        "alter table tidings.delivery add primary key (subscriber_id, due_at, delivery_id);",
    ),
    (
        "delivery_key",
        "create index concurrently delivery_key on tidings.delivery (subscriber_id, key_hash, delivery_id) where key_hash is not null;",
    ),
    (
        "subscription_route",
        "create index concurrently subscription_route on tidings.subscription (pattern_id, tenant, scope, subscriber_id) include (subscription_id, ordered) where deleted_at is null;",
    ),
    (
        "subscription_expand",
        "create index concurrently subscription_expand on tidings.subscription (pattern_id, tenant, scope, subscriber_id);",
    ),
    ("event_pkey", "alter table tidings.event add primary key (event_id);"),
];

pub(super) async fn partitions(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    Ok(of_partitions(&store::partitions(conn, DAYS_AHEAD).await?))
}

pub(super) async fn tables(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    let rows = store::tables(conn).await?;
    let mut found: Vec<_> = rows.iter().flat_map(of_table).collect();
    let names: Vec<String> = INDEXES.iter().map(|(name, _)| (*name).to_owned()).collect();
    for row in store::indexes(conn, &names).await? {
        let make = INDEXES.iter().find(|(name, _)| *name == row.name).map_or("", |(_, make)| make);
        found.push(of_index(&row.name, row.there, make));
    }
    Ok(found)
}

fn of_partitions(missing: &[PartitionRow]) -> Vec<Finding> {
    let make = "select tidings.make_partitions(7); -- as the owner of the schema; a running worker does it every minute";
    let of_parent = |parent: &str| {
        let days: Vec<_> = missing.iter().filter(|row| row.parent == parent).collect();
        let first = days.first()?.days_ahead;
        let what = match (parent, first) {
            ("event", 0) => {
                "there is no partition for today's events, so nothing can be registered".to_owned()
            }
            (_, 0) => "there is no partition for today's attempts, so no attempt is written down"
                .to_owned(),
            (parent, first) => format!(
                "the partitions of `{parent}` end within {}; no worker has made new ones for days",
                count(first.into(), "day", "days")
            ),
        };
        let code = if first == 0 { "partition_missing" } else { "partitions_short" };
        let finding = match (parent, first) {
            ("event", 0) => Finding::error(code, what, make),
            _ => Finding::warning(code, what, make),
        };
        Some(finding)
    };
    ["event", "attempt"].into_iter().filter_map(of_parent).collect()
}

fn of_table(row: &TableRow) -> Vec<Finding> {
    let name = &row.name;
    let mut found = Vec::new();
    let is_queue = name == "delivery";
    let set = |setting: &str| row.options.iter().any(|option| option == setting);
    if set("autovacuum_enabled=false") || set("autovacuum_enabled=off") {
        found.push(Finding::warning(
            "vacuum_settings",
            format!("autovacuum is off for tidings.{name}"),
            format!("alter table tidings.{name} reset (autovacuum_enabled);"),
        ));
    }
    if is_queue && !set("autovacuum_vacuum_scale_factor=0") {
        found.push(Finding::warning(
            "vacuum_settings",
            "tidings.delivery has the autovacuum settings of any table, which come too late for a queue",
            format!("alter table tidings.delivery set ({QUEUE_SETTINGS});"),
        ));
    }
    if row.dead_rows >= DEAD_ROWS_MIN && row.dead_rows > DEAD_ROWS_FACTOR * row.live_rows {
        found.push(Finding::warning(
            "dead_rows",
            format!(
                "tidings.{name} has {} dead rows beside {} live ones, which make reading it slower",
                row.dead_rows, row.live_rows
            ),
            format!(
                "vacuum tidings.{name}; -- if that removes nothing, the check `horizon` says who keeps them"
            ),
        ));
    }
    found.extend(of_age(name, row.age.into(), row.age_max.into()));
    found
}

fn of_age(name: &str, age: i64, age_max: i64) -> Option<Finding> {
    if age <= AGE_FACTOR * age_max && age < AGE_FATAL {
        return None;
    }
    let what = format!(
        "tidings.{name} is {age} transactions old and autovacuum does not get through; at 2000000000 the server stops taking writes"
    );
    let cure = format!(
        "vacuum (freeze, verbose) tidings.{name}; -- first see the check `horizon` for what holds it back"
    );
    Some(if age < AGE_FATAL {
        Finding::warning("wraparound", what, cure)
    } else {
        Finding::error("wraparound", what, cure)
    })
}

fn of_index(name: &str, there: bool, make: &str) -> Finding {
    if there {
        let what =
            format!("the index tidings.{name} is invalid: making it did not come to its end");
        let cure = format!("reindex index concurrently tidings.{name};");
        return Finding::warning("index_invalid", what, cure);
    }
    let what = format!("the index tidings.{name} is missing, so each call reads its whole table");
    Finding::error("index_missing", what, make)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn age_warns_when_freezing_does_not_get_through_and_is_an_error_before_the_end() {
        let severity = |age| of_age("event", age, 200_000_000).map(|found| found.severity);
        assert_eq!(severity(400_000_000), None);
        assert_eq!(severity(400_000_001), Some(Severity::Warning));
        assert_eq!(severity(1_200_000_000), Some(Severity::Error));
    }
}
