//! Which events a subscriber gets: event types by name or pattern, within a scope.
//!
//! A subscription matches an event whose type its pattern matches, whose scope begins with its scope, and whose tenant
//! is that of its subscriber.
//! Several that match one event make one delivery.
//!
//! An edit changes what is registered from its commit on; deliveries that were registered before stay as they are.

mod closest;
mod plan;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgTransaction};

pub(crate) use self::closest::closest;
use self::plan::Plan;
use crate::{
    Error, Result,
    catalogue::StoredType,
    filter::Filter,
    name::is_reserved,
    pattern::Pattern,
    scope::Scope,
    store::{
        self,
        subscription::{self as rows, Target},
    },
    subscriber::View,
};

/// A subscription as it is stored.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Subscription {
    /// Its id; another one after every edit.
    pub subscription_id: i32,
    /// Whose it is.
    pub subscriber_id: i32,
    /// The name or pattern of event types.
    pub pattern: String,
    /// The tenant, that of its subscriber.
    pub tenant: String,
    /// The scope within which events match; empty for all.
    pub scope: String,
    /// Whether events with an ordering key come in the order of registering.
    pub ordered: bool,
    /// What has to hold for the notification of an event; `None` matches every event.
    pub filter: Option<Filter>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// A subscription that a subscriber is to have.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Wanted {
    /// The name or pattern of event types.
    pub pattern: Pattern,
    /// The scope within which events match; the root for all.
    #[serde(default)]
    pub scope: Scope,
    /// Whether events with an ordering key come in the order of registering.
    #[serde(default)]
    pub ordered: bool,
    /// What has to hold for the notification of an event; `None` matches every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// What adding a subscription came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Added {
    /// The subscription.
    pub subscription_id: i32,
    /// Whether it was not there before.
    pub added: bool,
}

/// What setting the subscriptions of a subscriber came to, by id.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Changes {
    /// Those that were there and stay.
    pub kept: Vec<i32>,
    /// Those that are new.
    pub added: Vec<i32>,
    /// Those that are gone.
    pub removed: Vec<i32>,
}

/// A subscription that matches an event.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Route {
    /// Who would be notified.
    pub subscriber_id: i32,
    /// The subscriber's name.
    pub name: String,
    /// Which deliverer serves it.
    pub kind: String,
    /// The subscription that matches.
    pub subscription_id: i32,
    /// Its pattern.
    pub pattern: String,
    /// Its scope, one that covers the event's.
    pub matched_scope: String,
    /// Whether it keeps order.
    pub ordered: bool,
    /// Its filter.
    pub filter: Option<Filter>,
    /// Whether the filter lets the payload through; `None` if there is a filter and no payload was given.
    pub passes: Option<bool>,
}

impl Wanted {
    /// Wants every event that `pattern` matches, in whatever order.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, scope: Scope::root(), ordered: false, filter: None }
    }

    /// Wants events within `scope` only.
    #[must_use]
    pub fn within(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Wants events with an ordering key in the order of registering, if `ordered`.
    #[must_use]
    pub fn ordered(self, ordered: bool) -> Self {
        Self { ordered, ..self }
    }

    /// Wants only events for whose notification `filter` holds.
    #[must_use]
    pub fn filter(self, filter: impl Into<Option<Filter>>) -> Self {
        Self { filter: filter.into(), ..self }
    }
}

/// Adds a subscription in the caller's transaction, or finds the one that is there.
///
/// The same pattern and scope with another order or filter replaces the one that is there, under a new id.
/// A pattern with wildcards may match no type yet.
/// Until the transaction ends, other edits of subscriptions wait.
///
/// # Errors
///
/// No such subscriber, a scope, order or filter for a sink, a name that is no event type (with the names that come closest), a type
/// that is not for subscribers, a scope that no event of the
/// type has, or a filter that means nothing; the transaction stays usable.
/// A database that does not answer; the transaction is lost.
pub async fn add(tx: &mut PgTransaction<'_>, subscriber_id: i32, wanted: &Wanted) -> Result<Added> {
    let (tenant, view) = lock(tx, subscriber_id).await?;
    let target = Target::from(wanted);
    check_view(view, std::slice::from_ref(&target))?;
    check(tx, view, std::slice::from_ref(&target)).await?;
    rows::subscribe(tx, subscriber_id, &tenant, &target).await
}

/// Gives a subscriber exactly the subscriptions in `wanted`, in the caller's transaction.
///
/// Those that are there already keep their ids.
/// Of several with one pattern and scope one is made: ordered if any of them is, and for the events that any of their
/// filters lets through.
/// Until the transaction ends, other edits of subscriptions wait.
///
/// # Errors
///
/// Those of [`add`], before anything is changed.
pub async fn set(
    tx: &mut PgTransaction<'_>,
    subscriber_id: i32,
    wanted: &[Wanted],
) -> Result<Changes> {
    let (tenant, view) = lock(tx, subscriber_id).await?;
    let present = rows::list(tx, subscriber_id).await?;
    let plan = Plan::new(&tenant, &present, wanted);
    check_view(view, &plan.add)?;
    check(tx, view, &plan.add).await?;
    let mut added = Vec::with_capacity(plan.add.len());
    for target in &plan.add {
        added.push(rows::subscribe(tx, subscriber_id, &tenant, target).await?.subscription_id);
    }
    for id in &plan.remove {
        rows::unsubscribe(tx, *id).await?;
    }
    let removed = plan.replaced.into_iter().chain(plan.remove).collect();
    Ok(Changes { kept: plan.keep, added, removed })
}

/// Lists the subscriptions of a subscriber, oldest first.
///
/// # Errors
///
/// A database that does not answer.
pub async fn list(conn: &mut PgConnection, subscriber_id: i32) -> Result<Vec<Subscription>> {
    rows::list(conn, subscriber_id).await
}

/// Removes a subscription; answers whether there was one.
///
/// # Errors
///
/// A database that does not answer.
pub async fn remove(conn: &mut PgConnection, subscription_id: i32) -> Result<bool> {
    rows::unsubscribe(conn, subscription_id).await
}

/// Says who would be notified of an event of `event_type` in `scope`, one row per subscription that matches.
///
/// It is the look-up of registering: the subscribers in the answer are those that would get a delivery, but for those
/// whose filter the `payload` does not pass; [`Filter::explain`] says why.
///
/// # Errors
///
/// A database that does not answer.
pub async fn explain(
    conn: &mut PgConnection,
    event_type: &str,
    scope: &Scope,
    tenant: &str,
    payload: Option<&Value>,
) -> Result<Vec<Route>> {
    rows::explain(conn, event_type, (scope, tenant), payload).await
}

/// Keeps other edits away, and returns the subscriber's tenant and view.
async fn lock(tx: &mut PgTransaction<'_>, subscriber_id: i32) -> Result<(String, View)> {
    // First the lock: a removal of the subscriber that is under way has ended when the next statement looks.
    rows::lock(tx).await?;
    let found = store::subscriber::tenant(tx, subscriber_id).await?;
    found.ok_or(Error::NoSuchSubscriber { subscriber_id })
}

/// Refuses what a sink cannot ask for: it is told of every tenant and scope, in no order, and of all that may leave.
fn check_view(view: View, targets: &[Target<'_>]) -> Result<()> {
    let asks = |target: &Target<'_>| {
        target.ordered || target.filter.is_some() || !target.scope.as_str().is_empty()
    };
    match targets.iter().find(|target| view == View::Telemetry && asks(target)) {
        Some(target) => Err(Error::SinkSubscription { pattern: target.pattern.to_string() }),
        None => Ok(()),
    }
}

/// Checks the filters, and that every exact name is an event type that is for this view and whose events can have the
/// scope.
async fn check(conn: &mut PgConnection, view: View, targets: &[Target<'_>]) -> Result<()> {
    for filter in targets.iter().filter_map(|target| target.filter.as_ref()) {
        filter.check(conn).await?;
    }
    if !targets.iter().any(|target| target.pattern.is_exact()) {
        return Ok(());
    }
    let types = store::catalogue::types(conn).await?;
    let mut exact = targets.iter().filter(|target| target.pattern.is_exact());
    exact.try_for_each(|target| check_exact(&types, view, target))
}

fn check_exact(types: &[StoredType], view: View, target: &Target<'_>) -> Result<()> {
    let name = target.pattern.as_str();
    let known = || types.iter().filter(|known| known.retired_at.is_none());
    let versions: Vec<_> = known().filter(|known| known.event_type == name).collect();
    let Some(newest) = versions.last() else {
        // Our own events are no guess for one of the application's.
        let alike = known().filter(|known| known.is_reserved() == is_reserved(name));
        let known = closest(name, alike.map(|known| known.event_type.as_str()));
        return Err(Error::NoSuchType { event_type: name.to_owned(), known });
    };
    let keys: Vec<_> = target.scope.elements().map(|(key, _)| key).collect();
    let fits = |version: &&StoredType| {
        let declared = version.scopes.iter().map(String::as_str);
        // A type that was declared in SQL may say nothing about its scope.
        version.scopes.is_empty() || declared.take(keys.len()).eq(keys.iter().copied())
    };
    if view == View::Notification && !versions.iter().any(|version| version.is_subscribable()) {
        let audience = newest.audience.join(", ");
        return Err(Error::NotForSubscribers { event_type: name.to_owned(), audience });
    }
    if versions.iter().any(fits) {
        return Ok(());
    }
    Err(Error::ScopeMismatch {
        event_type: name.to_owned(),
        scope: target.scope.to_string(),
        keys: newest.scopes.join(", "),
    })
}

#[cfg(test)]
mod tests;
