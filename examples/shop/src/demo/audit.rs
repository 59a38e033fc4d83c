//! The audit: what stands in the database against what receivers have verified.
//!
//! The database says what was registered and when each transaction committed; the receivers say what came and when.
//! Neither the shop nor the worker is asked.

use std::collections::HashSet;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use sqlx::PgPool;
use uuid::Uuid;

use super::receipts::Receipts;

/// How many examples of a fault are named.
const EXAMPLES: usize = 3;

/// Far more than the demo takes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// An event as the database has it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Registered {
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    /// When its transaction committed, in microseconds since 1970.
    pub(crate) committed_us: i64,
}

/// What the database knows about one subscriber.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub(crate) struct Lane {
    /// Attempts that delivered.
    #[sqlx(try_from = "i64")]
    pub(crate) delivered: u64,
    /// Attempts that failed and came again.
    #[sqlx(try_from = "i64")]
    pub(crate) retried: u64,
    /// Deliveries that have not been made yet.
    #[sqlx(try_from = "i64")]
    pub(crate) waiting: u64,
    /// Deliveries that were given up.
    #[sqlx(try_from = "i64")]
    pub(crate) dead: u64,
}

/// What is wrong between the database and one receiver.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Gap {
    /// Registered and never received.
    pub(crate) missing: Vec<Uuid>,
    /// Received and not registered: what was rolled back has leaked.
    pub(crate) leaked: Vec<Uuid>,
}

/// Reads every event of an order that has been registered.
pub(crate) async fn registered(pool: &PgPool) -> Result<Vec<Registered>> {
    sqlx::query_as(
        "select e.event_id, e.type as event_type,
           (extract(epoch from pg_xact_commit_timestamp(e.xmin)) * 1000000)::bigint as committed_us
         from tidings.event e where starts_with(e.type, 'shop:order:')",
    )
    .fetch_all(pool)
    .await
    .context("read the registered events")
}

/// What the database knows of analytics.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub(crate) struct Collected {
    /// Events with telemetry, each of which every sink is to get.
    #[sqlx(try_from = "i64")]
    pub(crate) events: usize,
    /// Those of them that the shop's page has told the relay.
    #[sqlx(try_from = "i64")]
    pub(crate) of_page: usize,
}

/// Reads what analytics are to get.
pub(crate) async fn collected(pool: &PgPool) -> Result<Collected> {
    sqlx::query_as(
        "select count(*) filter (where e.telemetry is not null) as events,
           count(*) filter (where not starts_with(e.type, 'shop:order:')) as of_page
         from tidings.event e",
    )
    .fetch_one(pool)
    .await
    .context("read what analytics are to get")
}

/// Reads what became of the deliveries to one subscriber.
pub(crate) async fn lane(pool: &PgPool, subscriber_id: i32) -> Result<Lane> {
    sqlx::query_as(
        "select count(*) filter (where a.outcome = 'delivered') as delivered,
           count(*) filter (where a.outcome = 'retry') as retried,
           (select count(*) from tidings.delivery d where d.subscriber_id = $1) as waiting,
           (select count(*) from tidings.dead d where d.subscriber_id = $1) as dead
         from tidings.attempt a
         where a.subscriber_id = $1",
    )
    .bind(subscriber_id)
    .fetch_one(pool)
    .await
    .context("read what became of the deliveries")
}

/// Counts the orders whose number of events is not the number of their changes, and the events without an order.
pub(crate) async fn mismatched_orders(pool: &PgPool) -> Result<i64> {
    sqlx::query_scalar(
        "select count(*)
         from shop.orders o
         full join (
           select e.ordering_key::uuid as order_id, count(*) as events from tidings.event e
           where starts_with(e.type, 'shop:order:') group by 1
         ) e using (order_id)
         where o.revision is distinct from e.events",
    )
    .fetch_one(pool)
    .await
    .context("compare the orders with their events")
}

/// Compares what was registered with what one receiver has.
pub(crate) fn gap(registered: &[Registered], receipts: &Receipts) -> Gap {
    let known: HashSet<Uuid> = registered.iter().map(|event| event.event_id).collect();
    let missing = known.iter().filter(|id| receipts.of(**id).is_none()).copied().collect();
    let came = receipts.after(0).iter().map(|receipt| receipt.event_id);
    let leaked = came.filter(|id| !known.contains(id)).collect();
    Gap { missing, leaked }
}

/// Returns how long each event took from its commit to its first receipt, in microseconds, within a thousandth.
pub(crate) fn latency(registered: &[Registered], receipts: &Receipts) -> Result<Histogram<u64>> {
    let mut latency = Histogram::new_with_max(LATENCY_US_MAX, 3).context("make a histogram")?;
    for event in registered {
        let Some(receipt) = receipts.of(event.event_id) else { continue };
        let elapsed_us = receipt.at_us.saturating_sub(event.committed_us);
        latency.saturating_record(u64::try_from(elapsed_us).unwrap_or(0));
    }
    Ok(latency)
}

impl Gap {
    /// Says what is wrong, for `subscriber`; nothing where all is well.
    pub(crate) fn complaints(&self, subscriber: &str) -> Vec<String> {
        let complaint = |ids: &[Uuid], what: &str| {
            let examples: Vec<_> = ids.iter().take(EXAMPLES).map(Uuid::to_string).collect();
            let more = if ids.len() > EXAMPLES { ", …" } else { "" };
            let (count, examples) = (ids.len(), examples.join(", "));
            (count > 0).then(|| format!("{subscriber}: {what}: {count} ({examples}{more})"))
        };
        let missing = complaint(&self.missing, "registered events that never came");
        let leaked = complaint(&self.leaked, "events that came and are not registered");
        missing.into_iter().chain(leaked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::receipts::Receipt;

    fn registered(ids: &[u128]) -> Vec<Registered> {
        let event = |id: &u128| Registered {
            event_id: Uuid::from_u128(*id),
            event_type: "shop:order:placed".into(),
            committed_us: 1_000,
        };
        ids.iter().map(event).collect()
    }

    fn receipts(ids: &[u128], at_us: i64) -> Receipts {
        let mut receipts = Receipts::default();
        for id in ids {
            receipts.take(Receipt {
                event_id: Uuid::from_u128(*id),
                event_type: "shop:order:placed".into(),
                order_id: Uuid::from_u128(*id),
                revision: 1,
                at_us,
            });
        }
        receipts
    }

    #[test]
    fn event_that_never_came_is_missing_and_one_without_a_row_has_leaked() {
        let gap = gap(&registered(&[1, 2, 3]), &receipts(&[1, 3, 4], 0));
        assert_eq!((gap.missing.len(), gap.leaked.len()), (1, 1));
        assert_eq!(
            gap.complaints("warehouse"),
            [
                "warehouse: registered events that never came: 1 (00000000-0000-0000-0000-000000000002)",
                "warehouse: events that came and are not registered: 1 (00000000-0000-0000-0000-000000000004)",
            ]
        );
    }

    #[test]
    fn nothing_is_said_where_all_came() {
        let gap = gap(&registered(&[1, 2]), &receipts(&[2, 1], 0));
        assert!(gap.complaints("warehouse").is_empty());
    }

    #[test]
    fn latency_is_counted_from_the_commit_and_only_for_what_came() {
        let latency = latency(&registered(&[1, 2]), &receipts(&[1], 3_500)).unwrap();
        assert_eq!((latency.len(), latency.max()), (1, latency.highest_equivalent(2_500)));
    }
}
