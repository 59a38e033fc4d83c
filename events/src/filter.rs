//! Which events of a type a subscription is for, by what is in their notification.
//!
//! A filter has the shape of the payload, and every member of it has to hold:
//!
//! | Written | Holds if |
//! |---|---|
//! | `{"status": "failed"}` | the member is that value, or a list that has it, if only in a list of its own |
//! | `{"order": {"country": "DE", "paid": true}}` | the member is an object, or a list with one object, for which all of it holds |
//! | `{"tags": ["a", "b"]}` | each of these is in the list |
//! | `{"country": {"$in": ["DE", "FR"]}}` | one of these fits |
//! | `{"total": {"$gte": 100, "$lt": 1000}}` | one number, or text, is in the range: `$gt`, `$gte`, `$lt`, `$lte` |
//! | `{"coupon": {"$exists": false}}` | the member is not there; with `true`, it is |
//! | `{"country": {"$not": "DE"}}` | the opposite; also where the member is not there |
//! | `{"$or": [{…}, {…}]}` | one of these filters holds |
//!
//! Numbers and texts never equal each other, and a text is in a range by its Unicode code points, so that times in
//! RFC 3339 of one offset are in the order of time.
//! A filter has at most 4,096 bytes and 12 levels.
//!
//! Filters are evaluated by Postgres when an event is registered, in the same call; a type none of whose subscriptions
//! has one pays nothing.
//! A payload that Postgres cannot read as `jsonb` passes every filter: a delivery too many can be put right by its
//! receiver, and one that is missing cannot.
//! What a subscriber may see at all is for tenants and scopes to say, not for filters.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{Error, Result, store};

/// A condition on the content of events; see the [module](self).
///
/// ```
/// use serde_json::json;
/// use tidings::filter::Filter;
///
/// let filter = Filter::new(json!({"order": {"total": {"$gte": 100}}}));
/// assert_eq!(filter.to_string(), r#"{"order":{"total":{"$gte":100}}}"#);
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, sqlx::Type)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Filter(Value);

/// One condition of a filter, and what an event has there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// Where in the payload, `$.order.total` for example.
    pub path: String,
    /// What is asked there: a value, or operators.
    pub condition: Value,
    /// What is there; several values where there is a list on the way, and `None` where there is nothing.
    pub found: Option<Value>,
    /// Whether the condition holds by itself.
    ///
    /// All may hold and the filter not, where different elements of a list make them hold.
    pub holds: bool,
}

impl Filter {
    /// Takes a filter as it is written; it is checked when it is subscribed with.
    #[must_use]
    pub const fn new(filter: Value) -> Self {
        Self(filter)
    }

    /// Returns the filter as it was written.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    /// Returns the filter that holds where this one or `other` does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        let either = vec![self.0, other.0];
        Self(json!({ "$or": either }))
    }

    /// Checks that this is a filter.
    ///
    /// # Errors
    ///
    /// [`Error::BadFilter`] with what is wrong and where; the transaction stays usable.
    /// A database that does not answer.
    pub async fn check(&self, conn: &mut PgConnection) -> Result<()> {
        match store::filter::check(conn, &self.0).await? {
            Some(problem) => Err(Error::BadFilter { problem }),
            None => Ok(()),
        }
    }

    /// Says of each condition whether it holds for `payload`, and what was found.
    ///
    /// # Errors
    ///
    /// [`Error::BadFilter`], or a database that does not answer.
    pub async fn explain(
        &self,
        conn: &mut PgConnection,
        payload: &Value,
    ) -> Result<Vec<Condition>> {
        self.check(conn).await?;
        store::filter::explain(conn, &self.0, payload).await
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_of_two_filters_is_one() {
        let (a, b) = (Filter::new(json!({"a": 1})), Filter::new(json!({"b": 1})));
        assert_eq!(a.clone().or(a.clone()), a);
        assert_eq!(a.or(b).to_string(), r#"{"$or":[{"a":1},{"b":1}]}"#);
    }
}
