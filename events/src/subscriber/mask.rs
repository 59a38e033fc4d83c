//! What of a configuration may be shown.
//!
//! The path of a URL, the value of a header and whatever else is text may be a secret, and only a kind's deliverer
//! knows which of them is.
//! So of texts nothing is shown, but for the host of a URL, the few words of the formats of webhooks and the templates of
//! messages; numbers and the names of fields stay.

use serde_json::{Map, Value};
use url::Url;

use crate::endpoint;

/// Stands for a text that is not shown.
const HIDDEN: &str = "…";

/// Below it are texts that people wrote to be read: templates of messages.
const TEMPLATES: &str = "templates";

/// Below it nothing is taken for a URL: a header's value is a secret as a whole.
const HEADERS: &str = "headers";

/// The kind whose destinations are topics of Kafka.
const KAFKA: &str = "kafka";

/// Texts of that kind that are no secrets.
const NO_SECRETS_OF_KAFKA: [&str; 3] = ["topic", "brokers", "sasl_mechanism"];

/// Returns `config` as it may be shown.
pub(super) fn mask(config: &Value) -> Value {
    map_texts(config, &|text| match web_url(text) {
        Some(url) => url,
        None if endpoint::is_word(text) => text.to_owned(),
        None => HIDDEN.to_owned(),
    })
}

/// Returns `config` of a subscriber of that kind as it may be shown: of a topic, its name and its brokers too.
pub(super) fn mask_of(kind: &str, config: &Value) -> Value {
    let mut masked = mask(config);
    if let (KAFKA, Value::Object(shown)) = (kind, &mut masked) {
        for name in NO_SECRETS_OF_KAFKA {
            if let Some(text) = config.get(name).filter(|value| value.is_string()) {
                shown.insert(name.to_owned(), text.clone());
            }
        }
    }
    masked
}

/// Returns where a subscriber with this `config` is called, as far as it may be shown.
pub(super) fn endpoint(config: &Value) -> Option<String> {
    web_url(config.get("url")?.as_str()?)
}

fn map_texts(value: &Value, show: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(show(text)),
        Value::Array(items) => items.iter().map(|item| map_texts(item, show)).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| {
                    let value = match name.as_str() {
                        HEADERS => map_texts(value, &|_| HIDDEN.to_owned()),
                        TEMPLATES => value.clone(),
                        _ => map_texts(value, show),
                    };
                    (name.clone(), value)
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn web_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| endpoint::redacted(&url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_texts_only_the_host_of_a_url_and_the_words_of_formats_are_shown() {
        let config = json!({
            "url": "https://user:s3cr3t@example.com:8443/hook/s3cr3t?token=s3cr3t#s3cr3t",
            "headers": {"authorization": "Bearer s3cr3t", "x-callback": "https://s3cr3t.example"},
            "timeout_ms": 2000,
            "templates": {"order:*": "Order {{ data.number }}"},
            "write_key": "s3cr3t",
            "nested": [{"token": "s3cr3t", "on": true, "none": null}],
            "other": "ftp://s3cr3t.example",
            "profile": "orchest",
            "content_type": "application/json",
            "signatures": ["v1a"],
        });
        assert_eq!(
            mask(&config),
            json!({
                "url": "https://example.com:8443/…",
                "headers": {"authorization": "…", "x-callback": "…"},
                "timeout_ms": 2000,
                "templates": {"order:*": "Order {{ data.number }}"},
                "write_key": "…",
                "nested": [{"token": "…", "on": true, "none": null}],
                "other": "…",
                "profile": "orchest",
                "content_type": "application/json",
                "signatures": ["v1a"],
            })
        );
    }

    #[test]
    fn topic_is_shown_where_it_is_one_of_kafka() {
        let config = json!({"topic": "orders.{type}", "brokers": "k:9092", "ca": "s3cr3t"});
        let shown = json!({"topic": "orders.{type}", "brokers": "k:9092", "ca": "…"});
        assert_eq!(mask_of("kafka", &config), shown);
        assert_eq!(mask_of("ntfy", &config)["topic"], "…");
    }

    #[test]
    fn endpoint_is_there_only_where_the_configuration_has_one() {
        let endpoint_of = |config| endpoint(&config);
        let shown = Some("https://example.com/…".to_owned());
        assert_eq!(endpoint_of(json!({"url": "https://example.com/a/b"})), shown);
        for config in [json!({}), json!({"url": 7}), json!({"url": "no url"}), json!(null)] {
            assert_eq!(endpoint_of(config), None);
        }
    }
}
