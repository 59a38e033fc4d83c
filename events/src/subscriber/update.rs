//! Changing a subscriber, without undoing what somebody else has changed meanwhile.

use std::fmt;

use serde_json::Value;
use sqlx::PgTransaction;

use super::{NewSubscriber, SYSTEM_LANE, fit::check_stored, mask::mask};
use crate::{Error, Result, endpoint::Policy, store::subscriber as store};

/// What is to be changed of a subscriber; what is `None` stays as it is.
#[derive(Clone, Default)]
pub struct Update {
    /// Another name, free in its tenant.
    pub name: Option<String>,
    /// Changes of the configuration, as a JSON merge patch (RFC 7396): members replace those that are there, and `null`
    /// removes.
    pub config: Option<Value>,
    /// How many deliveries may be in flight, 1 to 100,000; `Some(None)` for the kind's default.
    pub in_flight_max: Option<Option<i32>>,
    /// How many deliveries may start per second, above 0 and at most 1,000,000; `Some(None)` for no limit.
    pub rate_per_s: Option<Option<f64>>,
    /// When failed deliveries come again, a JSON object; `Some(None)` for the default ladder.
    pub retry: Option<Option<Value>>,
    /// The version that the change was made from: with any other it is refused. `None` changes whatever is there.
    pub if_version: Option<i32>,
}

/// Changes a subscriber in the caller's transaction, and returns its new version.
///
/// The owner of its lane works by the change within a second or so of the commit; what is in flight ends as it began.
/// A change that changes nothing gives a new version as well.
///
/// # Errors
///
/// [`Error::NoSuchSubscriber`]; [`Error::Changed`] if its version is another than [`Update::if_version`]; those of
/// [`NewSubscriber::check`]; a configuration that the stored keys or credentials do not fit; a name that is taken.
/// The transaction stays usable.
/// A database that does not answer; the transaction is lost.
pub async fn update(
    tx: &mut PgTransaction<'_>,
    policy: &Policy,
    id: i32,
    update: &Update,
) -> Result<i32> {
    let missing = || Error::NoSuchSubscriber { subscriber_id: id };
    if id == SYSTEM_LANE {
        return Err(missing());
    }
    let (mut subscriber, version) = store::lock(tx, id).await?.ok_or_else(missing)?;
    if update.if_version.is_some_and(|expected| expected != version) {
        return Err(Error::Changed { name: subscriber.name, version });
    }
    update.apply(&mut subscriber);
    if update.config.is_some() {
        subscriber.check(policy)?;
        check_stored(tx, id, &subscriber).await?;
    } else {
        // Where it goes stays as it is: whoever allowed that need not do so again.
        subscriber.check_terms()?;
    }
    match store::update(tx, id, &subscriber).await? {
        Some(version) => Ok(version),
        None => Err(Error::SubscriberExists { name: subscriber.name }),
    }
}

impl Update {
    fn apply(&self, subscriber: &mut NewSubscriber) {
        if let Some(name) = &self.name {
            subscriber.name.clone_from(name);
        }
        if let Some(patch) = &self.config {
            merge(&mut subscriber.config, patch);
        }
        if let Some(in_flight_max) = self.in_flight_max {
            subscriber.in_flight_max = in_flight_max;
        }
        if let Some(rate_per_s) = self.rate_per_s {
            subscriber.rate_per_s = rate_per_s;
        }
        if let Some(retry) = &self.retry {
            subscriber.retry.clone_from(retry);
        }
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("name", &self.name)
            .field("config", &self.config.as_ref().map(mask))
            .field("in_flight_max", &self.in_flight_max)
            .field("rate_per_s", &self.rate_per_s)
            .field("retry", &self.retry)
            .field("if_version", &self.if_version)
            .finish()
    }
}

/// Applies a JSON merge patch (RFC 7396, section 2).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patch_does_what_its_specification_shows() {
        // The cases of RFC 7396, appendix A.
        for (mut target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, expected, "{patch}");
        }
    }

    #[test]
    fn what_is_not_said_stays() {
        let mut subscriber = NewSubscriber::webhook("kept", "https://example.com/hook");
        subscriber.rate_per_s = Some(5.0);
        let update = Update { in_flight_max: Some(Some(3)), ..Update::default() };
        update.apply(&mut subscriber);
        assert_eq!((subscriber.in_flight_max, subscriber.rate_per_s), (Some(3), Some(5.0)));
        assert_eq!(subscriber.config, json!({"url": "https://example.com/hook"}));
        Update { rate_per_s: Some(None), ..Update::default() }.apply(&mut subscriber);
        assert_eq!(subscriber.rate_per_s, None);
    }

    #[test]
    fn debug_shows_no_path_of_a_url() {
        let config = Some(json!({"url": "https://example.com/s3cr3t"}));
        assert!(!format!("{:?}", Update { config, ..Update::default() }).contains("s3cr3t"));
    }
}
