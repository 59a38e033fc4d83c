//! Look-ups: what tables know of an event's device, user or content, added to the event.
//!
//! The keys are taken before anything is redacted ([`Lookups::keys`]), the rows of a whole batch are fetched by one
//! query a look-up ([`Loader::load`]), and adding them is pure ([`Lookups::apply`]).
//! So a table may be keyed by plain ids while the event that leaves has hashes of them.

mod cache;
mod key;
mod loader;
mod preset;
mod settings;

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

pub use self::{
    key::{KeyType, Keys},
    loader::Loader,
    settings::{Columns, Entry, Miss, Preset},
};
use crate::{
    condition::Condition,
    path::Path,
    reason::Reason,
    value::{Object, Value},
};

/// The compiled look-ups of an installation.
#[derive(Clone, Debug, Default)]
pub struct Lookups(Vec<Lookup>);

/// One compiled look-up.
#[derive(Clone, Debug)]
struct Lookup {
    name: String,
    /// The member of `flags` that says whether something was found.
    flag: String,
    /// What fetches the rows of some keys: the key and the columns as JSON.
    query: Arc<str>,
    key_type: KeyType,
    paths: Vec<Path>,
    /// Keys that mean nobody.
    except: Vec<String>,
    /// Where the row goes; a look-up without it serves redaction alone.
    into: Option<String>,
    defaults: Vec<(String, String)>,
    miss: Miss,
    wait: Duration,
    cache: Duration,
    cache_entries: usize,
    condition: Condition,
}

/// A row as it is added to events.
type Row = Arc<Object<'static>>;

/// What is known of the keys of a batch.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Vec<HashMap<String, Option<Row>>>);

impl Lookups {
    /// Returns whether there is none, and nothing has to be loaded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the keys out of an event that came under a key of `channel`; call it before redaction.
    #[must_use]
    pub fn keys<'a>(&self, event: &Value<'a>, channel: &str) -> Keys<'a> {
        Keys(self.0.iter().map(|lookup| lookup.key(event, channel)).collect())
    }

    /// Adds to an event what was found by its keys, and says in `flags` what was not.
    ///
    /// Members of these names that the sender has written are gone afterwards, found or not.
    ///
    /// # Errors
    ///
    /// There is no row, and the look-up is set to fail then: the event goes to `failed`.
    pub fn apply<'a>(
        &'a self,
        event: &mut Value<'a>,
        keys: &Keys<'_>,
        snapshot: &'a Snapshot,
        flags: &mut Object<'a>,
    ) -> Result<(), Reason> {
        let Some(event) = event.as_object_mut() else { return Ok(()) };
        for (index, lookup) in self.0.iter().enumerate() {
            let Some(into) = &lookup.into else { continue };
            event.remove(into);
            let Some(key) = keys.get(index) else { continue };
            let row = snapshot.row(index, key);
            if row.is_none() && lookup.miss == Miss::Fail {
                return Err(lookup.missed());
            }
            flags.set(lookup.flag.as_str(), row.is_some());
            let mut added = row.map(Object::lend).unwrap_or_default();
            for (name, default) in &lookup.defaults {
                if added.get(name).is_none_or(|value| *value == Value::Null) {
                    added.set(name.as_str(), default.as_str());
                }
            }
            if !added.is_empty() {
                event.set(into.as_str(), added);
            }
        }
        Ok(())
    }

    /// Returns the number of the look-up of this name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|lookup| lookup.name == name)
    }

    /// Returns where rows are added.
    pub(crate) fn members(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|lookup| lookup.into.as_deref())
    }
}

impl Lookup {
    fn key<'a>(&self, event: &Value<'a>, channel: &str) -> Option<Cow<'a, str>> {
        if !self.condition.holds(event, channel) {
            return None;
        }
        let read = |value: &Value<'a>| {
            let key = self.key_type.read(value)?;
            let nobody = self.except.iter().any(|word| word.eq_ignore_ascii_case(&key));
            (!nobody).then_some(key)
        };
        let of_path = |path: &Path| read(path.find(event, |value| read(value).is_some())?);
        self.paths.iter().find_map(of_path)
    }

    fn missed(&self) -> Reason {
        let path = self.paths.first().map_or("$", Path::as_str).to_owned();
        let message = format!(
            "the look-up {} has no row for it; add the row and replay the event, or set miss = \"pass\"",
            self.name
        );
        Reason::new(path, "lookup_missed", message)
    }
}

impl Snapshot {
    /// Returns what was found by a key, if anything was.
    pub(crate) fn row(&self, lookup: usize, key: &str) -> Option<&Object<'static>> {
        self.0.get(lookup)?.get(key)?.as_deref()
    }

    /// Returns what the first look-up is to have found.
    #[cfg(test)]
    pub(crate) fn of(rows: &[(&str, &str)]) -> Self {
        let row = |json: &str| match Value::parse(json.as_bytes()).unwrap().into_owned() {
            Value::Object(object) => Arc::new(object),
            _ => unreachable!("rows are objects"),
        };
        let known = rows.iter().map(|(key, json)| ((*key).to_owned(), Some(row(json))));
        Self(vec![known.collect()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookups(toml: &str) -> Lookups {
        #[derive(serde::Deserialize)]
        struct File {
            lookup: Vec<Entry>,
        }
        let file: File = toml::from_str(toml).unwrap();
        Lookups::compile(&file.lookup).unwrap()
    }

    fn applied(lookups: &Lookups, event: &str, snapshot: &Snapshot) -> Result<String, Reason> {
        let mut event = Value::parse(event.as_bytes()).unwrap();
        let keys = lookups.keys(&event, "");
        let mut flags = Object::new();
        lookups.apply(&mut event, &keys, snapshot, &mut flags)?;
        event.as_object_mut().unwrap().set("flags", flags);
        Ok(String::from_utf8(event.to_bytes()).unwrap())
    }

    const USER: &str = "[[lookup]]\npreset = 'user'\ntable = 'person'\n";

    #[test]
    fn user_gets_what_is_known_with_the_words_of_sunbird_where_it_is_not() {
        let lookups = lookups(USER);
        let known = Snapshot::of(&[("u", r#"{"state":"Goa","usersignintype":null}"#)]);
        let event = |id: &str, kind: &str| {
            format!(r#"{{"actor":{{"id":"{id}","type":"{kind}"}},"userdata":"forged"}}"#)
        };
        let cases = [
            (
                event("u", "User"),
                r#"{"actor":{"id":"u","type":"User"},"userdata":{"state":"Goa","usersignintype":"Anonymous","userlogintype":"NA"},"flags":{"user_denorm":true}}"#,
            ),
            (
                event("v", "User"),
                r#"{"actor":{"id":"v","type":"User"},"userdata":{"userlogintype":"NA","usersignintype":"Anonymous"},"flags":{"user_denorm":false}}"#,
            ),
            (event("u", "System"), r#"{"actor":{"id":"u","type":"System"},"flags":{}}"#),
            (
                event("Anonymous", "User"),
                r#"{"actor":{"id":"Anonymous","type":"User"},"flags":{}}"#,
            ),
            (event("", "User"), r#"{"actor":{"id":"","type":"User"},"flags":{}}"#),
        ];
        for (event, expected) in cases {
            assert_eq!(applied(&lookups, &event, &known).unwrap(), expected, "{event}");
        }
    }

    #[test]
    fn miss_fails_the_event_where_it_is_set_so_and_does_not_tell_the_key() {
        let lookups = lookups(&format!("{USER}miss = 'fail'"));
        let event = r#"{"actor":{"id":"ada@example.org","type":"User"}}"#;
        let reason = applied(&lookups, event, &Snapshot::of(&[])).unwrap_err();
        assert_eq!((&*reason.path, &*reason.code), ("$.actor.id", "lookup_missed"));
        assert!(!reason.message.contains("ada"), "{}", reason.message);
    }

    #[test]
    fn keys_survive_the_redaction_of_the_event() {
        let lookups = lookups(USER);
        let mut event = Value::parse(br#"{"actor":{"id":"u","type":"User"}}"#).unwrap();
        let keys = lookups.keys(&event, "");
        event.at_mut(&["actor"]).unwrap().as_object_mut().unwrap().set("id", "k1:hash");
        let (known, mut flags) = (Snapshot::of(&[("u", r#"{"state":"Goa"}"#)]), Object::new());
        lookups.apply(&mut event, &keys, &known, &mut flags).unwrap();
        assert_eq!(event.at(&["userdata", "state"]).and_then(Value::as_str), Some("Goa"));
    }
}
