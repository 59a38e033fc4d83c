//! What keeps dead rows from being removed: old transactions, and replication that looks back.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Finding, span};
use crate::{
    Result,
    store::doctor::{self as store, PreparedRow, ReplicaRow, TransactionRow},
};

/// A standby may look back this many transactions before it is worth a word.
const STANDBY_AGE_MAX: i32 = 1_000_000;

/// A slot that nobody reads may keep this much of the log.
const SLOT_BYTES_MAX: i64 = 1 << 30;

pub(super) async fn horizon(conn: &mut PgConnection, age: Duration) -> Result<Vec<Finding>> {
    let age_s = age.as_secs_f64();
    let mut found: Vec<_> =
        store::transactions(conn, age_s).await?.iter().map(of_transaction).collect();
    found.extend(store::prepared(conn, age_s).await?.iter().map(of_prepared));
    let replicas = store::replicas(conn, STANDBY_AGE_MAX).await?;
    found.extend(replicas.iter().filter_map(of_replica));
    Ok(found)
}

fn of_transaction(row: &TransactionRow) -> Finding {
    let TransactionRow { pid, application, role, state, age_s, writes } = row;
    let who =
        if application.is_empty() { "a session".to_owned() } else { format!("`{application}`") };
    let idle = state.starts_with("idle in transaction");
    let doing = if idle { "idle in a transaction" } else { "in a transaction" };
    let consequence = if *writes {
        "no dead row since then can be removed, and workers read their lanes from there again"
    } else {
        "no dead row since then can be removed"
    };
    let stop = format!("select pg_terminate_backend({pid});");
    let cure = if idle {
        format!(
            "{stop} -- and so that it does not come again: alter role \"{role}\" set idle_in_transaction_session_timeout = '1min';"
        )
    } else {
        format!("{stop} -- or wait for it, and run long reports on a standby")
    };
    let what = format!(
        "{who} (pid {pid}, role {role}) has been {doing} for {}; {consequence}",
        span(*age_s)
    );
    Finding::warning("old_transaction", what, cure)
}

fn of_prepared(row: &PreparedRow) -> Finding {
    let gid = row.gid.replace('\'', "''");
    let what = format!(
        "the transaction `{}` of {} was prepared {} ago and never ended; no dead row since then can be removed",
        row.gid,
        row.role,
        span(row.age_s)
    );
    let cure =
        format!("rollback prepared '{gid}'; -- or commit prepared, as its application would");
    Finding::warning("prepared_transaction", what, cure)
}

fn of_replica(row: &ReplicaRow) -> Option<Finding> {
    let name = &row.name;
    if row.kind == "standby" {
        return Some(Finding::warning(
            "standby_feedback",
            format!(
                "the standby `{name}` reads a state that is {} transactions old, and with hot_standby_feedback it keeps the dead rows since then",
                row.age.unwrap_or_default()
            ),
            "end the long query on the standby, or set max_standby_streaming_delay there and hot_standby_feedback = off",
        ));
    }
    let kept = row.held_bytes.unwrap_or_default();
    let what = match row.age {
        Some(age) => format!(
            "nobody reads the replication slot `{name}`, which keeps the dead rows of the last {age} transactions"
        ),
        None if kept > SLOT_BYTES_MAX => format!(
            "nobody reads the replication slot `{name}`, which keeps {} MB of the server's log",
            kept >> 20
        ),
        None => return None,
    };
    let name = name.replace('\'', "''");
    let cure =
        format!("select pg_drop_replication_slot('{name}'); -- or start again what reads it");
    Some(Finding::warning("replication_slot", what, cure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(kind: &str, age: Option<i32>, held_bytes: Option<i64>) -> Option<&'static str> {
        let row = ReplicaRow { kind: kind.to_owned(), name: "r".to_owned(), age, held_bytes };
        of_replica(&row).map(|found| found.code)
    }

    #[test]
    fn replica_is_only_named_for_what_it_keeps() {
        assert_eq!(replica("standby", Some(2_000_000), None), Some("standby_feedback"));
        assert_eq!(replica("slot", Some(5), None), Some("replication_slot"));
        assert_eq!(replica("slot", None, Some(2 << 30)), Some("replication_slot"));
        assert_eq!(replica("slot", None, Some(1 << 20)), None);
    }

    #[test]
    fn names_in_cures_are_quoted() {
        let row = PreparedRow { gid: "a'b".to_owned(), role: "shop".to_owned(), age_s: 400.0 };
        let found = of_prepared(&row);
        assert!(found.cure.starts_with("rollback prepared 'a''b';"), "{found:?}");
        assert!(found.what.contains("7 min ago"), "{found:?}");
    }
}
