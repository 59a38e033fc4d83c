//! Nested members as properties with dotted names.

use serde_json::{Map, Value as Json};

use crate::value::Value;

/// Members at the top that PostHog would take for its own, or that are said elsewhere.
const LEFT_OUT: [&str; 6] = ["@timestamp", "api_key", "distinct_id", "metadata", "syncts", "token"];

/// Properties being made.
#[derive(Debug)]
pub(super) struct Flattened {
    properties: Map<String, Json>,
    bytes: usize,
    bytes_max: usize,
}

/// The properties are longer than may be sent: dotted names repeat what stands above them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooLong;

impl Flattened {
    /// Returns the members of an event as properties, of at most `bytes_max` bytes of names and texts.
    ///
    /// `hashed` are the paths whose texts leave as what `hash` makes of them, or not at all. Null, and what is empty, is
    /// left out.
    pub(super) fn of(
        event: &Value<'_>,
        bytes_max: usize,
        hashed: &[&str],
        hash: impl Fn(&str) -> Option<String>,
    ) -> Result<Map<String, Json>, TooLong> {
        let mut flattened = Self { properties: Map::new(), bytes: 0, bytes_max };
        for (name, value) in event.as_object().into_iter().flat_map(crate::value::Object::iter) {
            if !name.starts_with('$') && !LEFT_OUT.contains(&name) {
                flattened.add(name, value)?;
            }
        }
        for path in hashed {
            if let Some(found) = flattened.properties.remove(*path)
                && let Some(hash) = found.as_str().and_then(&hash)
            {
                flattened.properties.insert((*path).to_owned(), hash.into());
            }
        }
        Ok(flattened.properties)
    }

    fn add(&mut self, path: &str, value: &Value<'_>) -> Result<(), TooLong> {
        let leaf = match value {
            Value::Null => return Ok(()),
            Value::Bool(value) => Json::from(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::from(text.as_ref()),
            Value::List(list) => {
                for (index, item) in list.iter().enumerate() {
                    self.step(path, &index.to_string(), item)?;
                }
                return Ok(());
            }
            Value::Object(object) => {
                for (name, member) in object.iter() {
                    self.step(path, name, member)?;
                }
                return Ok(());
            }
        };
        let text = leaf.as_str().map_or(8, str::len);
        self.spend(path.len() + text)?;
        self.properties.insert(path.to_owned(), leaf);
        Ok(())
    }

    fn step(&mut self, path: &str, name: &str, value: &Value<'_>) -> Result<(), TooLong> {
        // Paid for before it is made: a long name above a long list would be gigabytes.
        self.spend(path.len() / 8 + 1)?;
        self.add(&format!("{path}.{name}"), value)
    }

    const fn spend(&mut self, bytes: usize) -> Result<(), TooLong> {
        self.bytes += bytes;
        if self.bytes > self.bytes_max { Err(TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flat(text: &str, bytes_max: usize) -> Result<Json, TooLong> {
        let value = Value::parse(text.as_bytes()).unwrap();
        let hash = |text: &str| (!text.is_empty()).then(|| format!("#{text}"));
        Flattened::of(&value, bytes_max, &["actor.id"], hash).map(Json::Object)
    }

    /// The form that Samagra's plugin for PostHog makes.
    #[test]
    fn members_become_dotted_names() {
        let text = r#"{"eid":"INTERACT","actor":{"id":"u","type":"User"},"context":{"cdata":[{"id":"a"},{"id":"b"}]},
            "edata":{"n":1.5,"yes":true,"no":null,"list":[],"$set":{"x":1}},"metadata":{"id":"x"},"$set":{"admin":true},
            "distinct_id":"me","token":"t","@timestamp":"t"}"#;
        let wanted = json!({
            "eid": "INTERACT", "actor.id": "#u", "actor.type": "User", "context.cdata.0.id": "a",
            "context.cdata.1.id": "b", "edata.n": 1.5, "edata.yes": true, "edata.$set.x": 1,
        });
        assert_eq!(flat(text, 10_000).unwrap(), wanted);
    }

    #[test]
    fn id_that_cannot_be_hashed_is_left_out() {
        assert_eq!(flat(r#"{"actor":{"id":7}}"#, 100).unwrap(), json!({}));
        assert_eq!(flat(r#"{"actor":{"id":""}}"#, 100).unwrap(), json!({}));
    }

    #[test]
    fn long_name_above_a_long_list_is_refused_before_it_is_written_out() {
        let text = format!(r#"{{"{}":[{}0]}}"#, "n".repeat(100_000), "0,".repeat(100_000));
        assert_eq!(flat(&text, 900_000), Err(TooLong));
        let empty = format!(r#"{{"{}":[{}[]]}}"#, "n".repeat(100_000), "[],".repeat(100_000));
        assert_eq!(flat(&empty, 900_000), Err(TooLong));
    }
}
