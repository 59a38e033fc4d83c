//! Who it was, as far as that leaves the relay's memory: keyed hashes.
//!
//! Without an installed key nothing is said at all, because a hash without a key can be undone.

use serde_json::{Map, Value, json};
use tidings_analytics::HashKeys;

/// The longest id of a person or a group, in bytes.
const ID_BYTES_MAX: usize = 1000;

/// The ids of a call, as they came.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Identity {
    pub(crate) user: Option<String>,
    pub(crate) anonymous: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) previous: Option<String>,
}

impl Identity {
    /// Returns the headers of an event: the hashes, and what was consented to.
    pub(crate) fn headers(
        &self,
        keys: Option<&HashKeys>,
        consent: Option<&Map<String, Value>>,
    ) -> Option<String> {
        let ids = [
            ("user", &self.user),
            ("anonymous", &self.anonymous),
            ("group", &self.group),
            ("previous", &self.previous),
        ];
        let mut analytics = Map::new();
        for (name, id) in ids {
            if let Some(hash) = id.as_ref().zip(keys).and_then(|(id, keys)| keys.hash(id)) {
                analytics.insert(name.to_owned(), hash.into());
            }
        }
        if let Some(consent) = consent {
            analytics.insert("consent".to_owned(), consent.clone().into());
        }
        (!analytics.is_empty()).then(|| json!({"analytics": analytics}).to_string())
    }
}

/// Reads an id: text that is not empty, or a number, which careless clients send.
pub(crate) fn id(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= ID_BYTES_MAX).then_some(text)
}

/// Reads what was consented to: categories, each yes or no.
pub(crate) fn consent(value: Option<&Value>) -> Option<Map<String, Value>> {
    let categories = value?.as_object()?;
    let is_category = |(name, agreed): &(&String, &Value)| agreed.is_boolean() && name.len() <= 100;
    let kept = categories.iter().filter(is_category).take(100);
    Some(kept.map(|(name, agreed)| (name.clone(), agreed.clone())).collect())
}

#[cfg(test)]
mod tests {
    use tidings_analytics::HashKey;

    use super::*;

    #[test]
    fn only_hashes_leave_and_without_a_key_nothing() {
        let identity = Identity { user: Some("ada@example.com".to_owned()), ..Identity::default() };
        assert_eq!(identity.headers(None, None), None);
        let keys = HashKeys::new(HashKey::new("k1", vec![7; 32]).unwrap());
        let headers = identity.headers(Some(&keys), None).unwrap();
        assert!(headers.starts_with(r#"{"analytics":{"user":"k1:"#), "{headers}");
        assert!(!headers.contains("ada"));
    }

    #[test]
    fn consent_to_nothing_is_kept_as_what_it_is() {
        let consent = consent(Some(&json!({"Analytics": false, "Ads": "maybe"})));
        let headers = Identity::default().headers(None, consent.as_ref());
        assert_eq!(headers.as_deref(), Some(r#"{"analytics":{"consent":{"Analytics":false}}}"#));
        let nothing = super::consent(Some(&json!({})));
        let headers = Identity::default().headers(None, nothing.as_ref());
        assert_eq!(headers.as_deref(), Some(r#"{"analytics":{"consent":{}}}"#));
    }

    #[test]
    fn id_is_text_or_a_number() {
        assert_eq!(id(Some(&json!(7))).as_deref(), Some("7"));
        assert_eq!(id(Some(&json!(" u1 "))).as_deref(), Some("u1"));
        for value in [json!(""), json!(null), json!({}), json!("x".repeat(1001))] {
            assert_eq!(id(Some(&value)), None, "{value}");
        }
    }
}
