//! Why one subscriber would be notified, or would not: each of its subscriptions, beside the event.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use tidings::{
    filter::Condition, pattern::Pattern, scope::Scope, subscriber::State,
    subscription::Subscription,
};

use super::{Event, Explained, conditions};
use crate::{
    commands::{subscriber::find, subscription::everywhere},
    output::{
        sheet::Sheet,
        style::Tone,
        table::{Cell, Column, Table},
    },
};

/// What a subscriber has to do with an event.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    subscriber_id: i32,
    name: String,
    state: State,
    /// Whether it would be notified; nobody knows without a payload where a filter decides.
    notified: Option<bool>,
    subscriptions: Vec<Compared>,
}

/// A subscription beside an event.
#[derive(Debug, Serialize)]
struct Compared {
    #[serde(flatten)]
    subscription: Subscription,
    /// Whether its pattern matches the type.
    matches: bool,
    /// Whether its scope covers that of the event.
    covers: bool,
    /// Whether its filter, if it has one, lets the payload through; it is tried where pattern and scope fit, and there
    /// is a payload.
    passes: Option<bool>,
    /// Whether it was there when the event was registered, so that the event went to it.
    in_time: bool,
    /// Each condition of the filter; empty where there is none, or no payload to try it on.
    conditions: Vec<Condition>,
}

impl Compared {
    fn is_notified(&self) -> Option<bool> {
        if self.matches && self.covers && self.in_time { self.passes } else { Some(false) }
    }
}

/// Compares each subscription of a subscriber with an event.
pub(super) async fn explain(
    conn: &mut PgConnection,
    event: &Event,
    name: &str,
) -> Result<Explanation> {
    let found = find(conn, &event.tenant, name).await?;
    let routed = super::explain(conn, event).await?;
    let subscriptions = found.subscriptions.into_iter();
    let subscriptions =
        subscriptions.map(|it| compare(event, &routed, it)).collect::<Result<Vec<_>>>()?;
    let answers = || subscriptions.iter().map(Compared::is_notified);
    let notified = if answers().any(|answer| answer == Some(true)) {
        Some(true)
    } else if answers().any(|answer| answer.is_none()) {
        None
    } else {
        Some(false)
    };
    let (subscriber_id, state) = (found.summary.subscriber_id, found.summary.state);
    Ok(Explanation { subscriber_id, name: found.summary.name, state, notified, subscriptions })
}

fn compare(event: &Event, routed: &[Explained], subscription: Subscription) -> Result<Compared> {
    let pattern = Pattern::parse(&subscription.pattern).context("read the pattern")?;
    let scope = Scope::parse(&subscription.scope).context("read the scope")?;
    let routed = routed.iter().find(|it| it.route.subscription_id == subscription.subscription_id);
    Ok(Compared {
        matches: pattern.matches(&event.name),
        covers: scope.covers(&event.scope),
        passes: routed.and_then(|it| it.route.passes),
        in_time: event.registered_at.is_none_or(|at| subscription.created_at <= at),
        conditions: routed.map(|it| it.conditions.clone()).unwrap_or_default(),
        subscription,
    })
}

/// Shows it to people.
pub(super) fn sheet(explanation: &Explanation, now: DateTime<Utc>) -> Sheet {
    let (said, tone) = match explanation.notified {
        Some(true) => ("yes", Tone::Good),
        Some(false) => ("no", Tone::Bad),
        None => ("a filter decides; give --payload or --event", Tone::Warning),
    };
    let mut sheet = Sheet::new().toned("notified", said, tone);
    let waits = match explanation.state {
        State::Active => None,
        State::HeldBack => Some("held back: its deliveries wait for the time that it has named"),
        State::Failing => Some("failing: its deliveries wait until a probe gets through"),
        State::Paused => Some("paused: its deliveries wait until it is resumed"),
        State::Disabled => Some("disabled: its deliveries wait until it is resumed"),
    };
    if let Some(waits) = waits {
        sheet = sheet.toned("state", waits, Tone::Warning);
    }
    let all = || explanation.subscriptions.iter();
    sheet.table("Subscriptions", subscriptions(all(), now)).table(
        "Filters",
        conditions(all().map(|it| (it.subscription.subscription_id, it.conditions.as_slice()))),
    )
}

fn subscriptions<'a>(all: impl Iterator<Item = &'a Compared>, now: DateTime<Utc>) -> Table {
    let columns = [
        Column::number("SUBSCRIPTION"),
        Column::new("PATTERN"),
        Column::new("TYPE"),
        Column::flexible("WITHIN"),
        Column::new("SCOPE"),
        Column::new("FILTER"),
        Column::new("ADDED"),
    ];
    let mut table =
        Table::new(&columns, "it has no subscriptions; add one with `tidings subscription add`");
    for it in all {
        let filter = match (&it.subscription.filter, it.passes) {
            (None, _) => Cell::new("none"),
            (_, Some(true)) => Cell::new("passes").tone(Tone::Good),
            (_, Some(false)) => Cell::new("does not pass").tone(Tone::Bad),
            (_, None) => Cell::new("not tried").tone(Tone::Warning),
        };
        let added = if it.in_time {
            Cell::when(it.subscription.created_at, now)
        } else {
            Cell::new("after the event").tone(Tone::Bad)
        };
        table.row([
            Cell::new(it.subscription.subscription_id.to_string()),
            Cell::new(&it.subscription.pattern),
            verdict(it.matches, "matches", "does not match"),
            Cell::new(everywhere(&it.subscription.scope)),
            verdict(it.covers, "covers it", "does not cover it"),
            filter,
            added,
        ]);
    }
    table
}

fn verdict(holds: bool, yes: &str, no: &str) -> Cell {
    if holds { Cell::new(yes).tone(Tone::Good) } else { Cell::new(no).tone(Tone::Bad) }
}
