//! Deliveries that do not go on.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Finding, count, named, span};
use crate::{
    Result,
    store::doctor::{self as store, ExpansionRow, LaneRow, OrphanRow, ParkedRow},
};

/// Maintenance removes what is left of a removed subscriber every minute.
const ORPHANED_S: f64 = 600.0;

pub(super) async fn lanes(conn: &mut PgConnection, stuck_after: Duration) -> Result<Vec<Finding>> {
    let stuck_s = stuck_after.as_secs_f64();
    let mut found: Vec<_> = store::lanes(conn, stuck_s).await?.iter().map(of_lane).collect();
    found.extend(store::parked(conn).await?.iter().map(of_parked));
    found.extend(store::orphans(conn, ORPHANED_S).await?.iter().map(of_orphan));
    found.extend(store::expansions(conn, stuck_s).await?.iter().map(of_expansion));
    Ok(found)
}

fn of_lane(row: &LaneRow) -> Finding {
    let name = &row.name;
    let who = named(&row.tenant, name);
    let limits = match (row.in_flight_max, row.rate_per_s) {
        (None, None) => String::new(),
        (Some(max), None) => format!("; {max} may be in flight at a time"),
        (None, Some(rate)) => format!("; {rate} may start per second"),
        (Some(max), Some(rate)) => {
            format!("; {max} may be in flight at a time, and {rate} may start per second")
        }
    };
    let cure = if limits.is_empty() {
        format!(
            "look at `tidings subscriber show {who}` and `tidings delivery list --subscriber {who}`; if its requests hang, lower its timeout, and if nothing is in flight, restart that worker"
        )
    } else {
        format!(
            "if the backlog grows, raise the limits: `tidings subscriber update {who} --in-flight N --rate N`"
        )
    };
    let what = format!(
        "the oldest delivery to `{name}` has been due for {}, although the worker on {} (pid {}) holds its lane{limits}",
        span(row.waiting_s),
        row.host,
        row.pid
    );
    Finding::warning("deliveries_stuck", what, cure)
}

fn of_parked(row: &ParkedRow) -> Finding {
    let ParkedRow { name, subscriber_id, keys } = row;
    Finding::error(
        "key_without_head",
        format!(
            "in the lane of `{name}`, {} for a delivery that is gone",
            count((*keys).into(), "ordering key waits", "ordering keys wait")
        ),
        format!("select tidings.unpark_heads(array[{subscriber_id}]);"),
    )
}

fn of_orphan(row: &OrphanRow) -> Finding {
    let OrphanRow { subscriber_id, name } = row;
    Finding::warning(
        "deliveries_orphaned",
        format!(
            "the subscriber `{name}` (id {subscriber_id}) was removed, and still has deliveries"
        ),
        format!("select tidings.clear_lane({subscriber_id}, 10000); -- until it answers 0"),
    )
}

fn of_expansion(row: &ExpansionRow) -> Finding {
    let ExpansionRow { event_id, expanded, waiting_s, pending } = row;
    let what = format!(
        "the fan-out of event {event_id} has been due for {} and has reached {}",
        span(*waiting_s),
        count((*expanded).into(), "subscriber", "subscribers")
    );
    let cure = if *pending {
        "see whether a worker runs (the check `workers`), and look for `expand` in its log"
            .to_owned()
    } else {
        format!(
            "it was given up: `tidings dead list --event {event_id}` says why, and `tidings dead replay` goes on with it"
        )
    };
    Finding::warning("expansion_stuck", what, cure)
}
