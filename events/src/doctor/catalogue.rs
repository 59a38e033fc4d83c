//! Subscriptions that match nothing, types that nobody is told of, and deliveries that were given up.

use sqlx::PgConnection;

use super::{Finding, count};
use crate::{
    Result,
    store::doctor::{self as store, DeadRow, PatternRow},
};

/// How many names a sentence lists.
const LISTED_MAX: usize = 10;

/// More dead letters than this are not counted.
const COUNTED_MAX: i64 = 10_000;

pub(super) async fn catalogue(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    let mut found: Vec<_> = store::patterns(conn).await?.iter().map(of_pattern).collect();
    found.extend(of_types(&store::types(conn).await?));
    Ok(found)
}

pub(super) async fn dead(conn: &mut PgConnection) -> Result<Vec<Finding>> {
    Ok(of_dead(&store::dead(conn).await?).into_iter().collect())
}

fn of_pattern(row: &PatternRow) -> Finding {
    let PatternRow { pattern, subscriptions, name } = row;
    let others = match subscriptions {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    Finding::warning(
        "pattern_unmatched",
        format!("`{name}`{others} is subscribed to `{pattern}`, and no event type matches it"),
        "sync the catalogue of the application that registers it, or correct the subscription; `tidings subscription list` shows its id",
    )
}

fn of_types(types: &[String]) -> Option<Finding> {
    let (first, rest) = types.split_at_checked(LISTED_MAX).unwrap_or((types, &[]));
    if first.is_empty() {
        return None;
    }
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let length = i64::try_from(types.len()).unwrap_or(i64::MAX);
    Some(Finding::info(
        "types_unsubscribed",
        format!(
            "nobody is subscribed to {}: {}{more}",
            count(length, "event type", "event types"),
            first.join(", ")
        ),
        "nothing to do, unless somebody should be: `tidings subscription add SUBSCRIBER PATTERN`",
    ))
}

fn of_dead(rows: &[DeadRow]) -> Option<Finding> {
    let total: i64 = rows.iter().map(|row| i64::from(row.count)).sum();
    if total == 0 {
        return None;
    }
    let most = if total >= COUNTED_MAX { "at least " } else { "" };
    let listed: Vec<_> = rows
        .iter()
        .take(LISTED_MAX)
        .map(|row| format!("{} to `{}` ({})", row.count, row.name, row.reason))
        .collect();
    Some(Finding::info(
        "dead_letters",
        format!(
            "{most}{} not replayed: {}",
            count(total, "dead letter was", "dead letters were"),
            listed.join(", ")
        ),
        "`tidings dead list` says why; once the receiver is well, `tidings dead replay --all --subscriber NAME`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let types: Vec<String> = (0..12).map(|n| format!("order:n{n}ed")).collect();
        let found = of_types(&types).unwrap();
        assert!(found.what.starts_with("nobody is subscribed to 12 event types: order:n0ed"));
        assert!(found.what.ends_with("order:n9ed and 2 more"), "{found:?}");
        assert_eq!(of_types(&[]), None);
        assert!(of_types(&types[..1]).unwrap().what.ends_with("1 event type: order:n0ed"));
    }
}
