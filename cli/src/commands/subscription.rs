//! `tidings subscription`.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tidings::{
    filter::Filter,
    pattern::Pattern,
    scope::Scope,
    subscription::{self, Subscription, Wanted},
};

use super::subscriber::find;
use crate::{
    arguments::subscriber::{AddSubscription, Named, SubscriptionCommand as Command},
    connection::now,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::table::{Cell, Column, Table},
};

#[derive(Debug, Serialize)]
struct Removed {
    subscription_id: i32,
    change: &'static str,
}

/// Does what `command` says.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Add(add) => self::add(context, add).await,
        Command::List(named) => list(context, named).await,
        Command::Remove { id } => remove(context, *id).await,
    }
}

async fn add(context: &Context, add: &AddSubscription) -> Result<()> {
    let AddSubscription { subscriber: named, pattern, scope, ordered, filter } = add;
    let doing = || format!("subscribe `{}` to `{pattern}`", named.name);
    let parsed = Pattern::parse(pattern).with_context(doing)?;
    let scope = Scope::parse(scope).with_context(doing)?;
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let id = find(&mut tx, &named.tenant.tenant, &named.name).await?.summary.subscriber_id;
    let wanted =
        Wanted::new(parsed).within(scope).ordered(*ordered).filter(filter.clone().map(Filter::new));
    let added = subscription::add(&mut tx, id, &wanted).await.with_context(doing)?;
    tidings::commit(tx).await?;
    database.close().await?;
    let (subscription_id, name) = (added.subscription_id, &named.name);
    let said = if added.added {
        format!("subscribed {name} to {pattern} (subscription {subscription_id})")
    } else {
        format!("{name} was subscribed to {pattern} already (subscription {subscription_id})")
    };
    context.output.done(&added, &said)
}

async fn list(context: &Context, named: &Named) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = find(&mut tx, &named.tenant.tenant, &named.name).await?.subscriptions;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    context.output.list(&found, || table(&found, now))
}

async fn remove(context: &Context, subscription_id: i32) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    if !subscription::remove(&mut tx, subscription_id).await? {
        let message = format!("there is no subscription {subscription_id}");
        let hint = "list those of a subscriber with `tidings subscription list SUBSCRIBER`";
        return Err(Coded::new(Exit::NotFound, message).hint(hint).into());
    }
    tidings::commit(tx).await?;
    database.close().await?;
    let removed = Removed { subscription_id, change: "removed" };
    let said = format!(
        "subscription {subscription_id} removed; what was registered before is still delivered"
    );
    context.output.done(&removed, &said)
}

/// Returns subscriptions for people.
pub(super) fn table(found: &[Subscription], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::number("ID"),
        Column::new("PATTERN"),
        Column::flexible("SCOPE"),
        Column::new("ORDERED"),
        Column::flexible("FILTER"),
        Column::new("ADDED"),
    ];
    let mut table =
        Table::new(&columns, "there are no subscriptions; add one with `tidings subscription add`");
    for subscription in found {
        table.row([
            Cell::new(subscription.subscription_id.to_string()),
            Cell::new(&subscription.pattern),
            Cell::new(everywhere(&subscription.scope)),
            Cell::new(if subscription.ordered { "yes" } else { "no" }),
            Cell::new(subscription.filter.as_ref().map(ToString::to_string).unwrap_or_default()),
            Cell::when(subscription.created_at, now),
        ]);
    }
    table
}

pub(super) fn everywhere(scope: &str) -> &str {
    if scope.is_empty() { "everywhere" } else { scope }
}
