//! Subscriptions, and the event types that they can be for.

use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    Error, Result,
    filter::Filter,
    pattern::Pattern,
    scope::Scope,
    subscription::{Added, Route, Subscription, Wanted},
};

/// What is to be subscribed to.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) pattern: &'a Pattern,
    pub(crate) scope: &'a Scope,
    pub(crate) ordered: bool,
    pub(crate) filter: Option<Filter>,
}

impl<'a> From<&'a Wanted> for Target<'a> {
    fn from(wanted: &'a Wanted) -> Self {
        let Wanted { pattern, scope, ordered, filter } = wanted;
        Self { pattern, scope, ordered: *ordered, filter: filter.clone() }
    }
}

/// Keeps other edits of subscriptions away until the transaction ends.
///
/// A statement of its own: what is read after it sees what they have committed.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<()> {
    sqlx::query_file!("src/queries/lock_subscriptions.sql")
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("wait for other edits of subscriptions"))?;
    Ok(())
}

pub(crate) async fn subscribe(
    conn: &mut PgConnection,
    subscriber_id: i32,
    tenant: &str,
    target: &Target<'_>,
) -> Result<Added> {
    sqlx::query_file_as!(
        Added,
        "src/queries/subscribe.sql",
        subscriber_id,
        target.pattern.as_str(),
        tenant,
        target.scope.as_str(),
        target.ordered,
        target.filter.as_ref().map(Filter::as_value),
    )
    .fetch_one(conn)
    .await
    .map_err(Error::unanswered("add the subscription"))
}

pub(crate) async fn list(conn: &mut PgConnection, subscriber_id: i32) -> Result<Vec<Subscription>> {
    sqlx::query_file_as!(Subscription, "src/queries/list_subscriptions.sql", subscriber_id)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("list the subscriptions"))
}

pub(crate) async fn unsubscribe(conn: &mut PgConnection, id: i32) -> Result<bool> {
    sqlx::query_scalar!(r#"select tidings.unsubscribe_v1($1) as "removed!""#, id)
        .fetch_one(conn)
        .await
        .map_err(Error::unanswered("remove the subscription"))
}

pub(crate) async fn explain(
    conn: &mut PgConnection,
    event_type: &str,
    (scope, tenant): (&Scope, &str),
    payload: Option<&Value>,
) -> Result<Vec<Route>> {
    let scope = scope.as_str();
    sqlx::query_file_as!(Route, "src/queries/explain.sql", event_type, scope, tenant, payload)
        .fetch_all(conn)
        .await
        .map_err(Error::unanswered("look up who would be notified"))
}
