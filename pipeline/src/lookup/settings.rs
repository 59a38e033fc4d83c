//! The settings of look-ups.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{KeyType, Lookup, Lookups};
use crate::{
    Error, Result,
    condition::{Condition, When},
    path::Path,
    settings::duration,
};

/// The longest name in Postgres; it would cut longer ones off without a word.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// The longest that a batch is held up for rows.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Members that the pipeline writes, or that events stand on.
const TAKEN: [&str; 13] = [
    "@timestamp",
    "actor",
    "context",
    "edata",
    "eid",
    "ets",
    "flags",
    "metadata",
    "mid",
    "object",
    "syncts",
    "tags",
    "ver",
];

/// A look-up as it stands in the settings.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// A ready-made look-up; only the table is missing, and everything may be said otherwise.
    pub preset: Option<Preset>,
    /// What it is called; the flag is `<name>_denorm`.
    pub name: String,
    /// The table or view, `table` or `schema.table`.
    pub table: String,
    /// The column that events are looked up by; unique.
    pub key_column: String,
    /// The type of that column.
    pub key_type: KeyType,
    /// The columns whose values are added.
    pub columns: Columns,
    /// Where in an event the key stands; the first path that finds one counts.
    pub key: Vec<String>,
    /// Keys that mean nobody, in any case.
    pub except: Vec<String>,
    /// The member of the event that gets the values.
    pub into: Option<String>,
    /// What a member is where neither row nor column says it.
    pub defaults: BTreeMap<String, String>,
    /// What happens where there is no row.
    pub miss: Miss,
    /// For how long a batch waits for rows, with `miss = "wait"`; up to a minute.
    #[serde(with = "duration")]
    pub wait: Duration,
    /// For how long a row, or that there is none, is remembered.
    #[serde(with = "duration")]
    pub cache: Duration,
    /// How many of them.
    pub cache_entries: usize,
    /// Which events are looked up.
    pub when: When,
}

/// The columns of a look-up.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Columns {
    /// Columns whose names the members have too.
    Plain(Vec<String>),
    /// Columns by member; `a.b` is the member `b` of the member `a`.
    Named(BTreeMap<String, String>),
}

/// A ready-made look-up.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Sunbird's `devicedata`, by `context.did`.
    Device,
    /// Sunbird's `userdata`, by `actor.id`.
    User,
    /// Sunbird's `contentdata`, by `object.id`.
    Content,
    /// The type of a question, for the rule `registration-answers`; nothing is added to events.
    Question,
}

/// What happens where there is no row.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Miss {
    /// The event goes on, and its flags say so.
    #[default]
    Pass,
    /// The batch waits for the row; when it has waited for long enough, the event goes on as with `pass`.
    Wait,
    /// The event goes to `failed`.
    Fail,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            preset: None,
            name: String::new(),
            table: String::new(),
            key_column: String::new(),
            key_type: KeyType::Text,
            columns: Columns::Plain(Vec::new()),
            key: Vec::new(),
            except: Vec::new(),
            into: None,
            defaults: BTreeMap::new(),
            miss: Miss::Pass,
            wait: Duration::from_secs(10),
            cache: Duration::from_mins(10),
            cache_entries: 100_000,
            when: When::default(),
        }
    }
}

impl Lookups {
    /// Compiles look-ups, in their order.
    ///
    /// # Errors
    ///
    /// Which setting cannot be used, and what to write.
    pub fn compile(entries: &[Entry]) -> Result<Self> {
        let mut lookups = Self::default();
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("enrich.lookup[{}]", index + 1);
            let mut entry = entry.clone();
            if let Some(preset) = entry.preset {
                preset.fill(&mut entry);
            }
            if lookups.position(&entry.name).is_some() {
                let message = format!("there is a look-up `{}` already; name this one", entry.name);
                return Err(Error::setting(format!("{place}.name"), message));
            }
            let into = entry.into.as_deref();
            if let Some(into) = into.filter(|into| lookups.members().any(|member| member == *into))
            {
                let message =
                    format!("another look-up writes `{into}` already; name another member");
                return Err(Error::setting(format!("{place}.into"), message));
            }
            lookups.0.push(entry.compile(&place)?);
        }
        Ok(lookups)
    }
}

impl Entry {
    fn compile(self, place: &str) -> Result<Lookup> {
        let at = |field: &str| format!("{place}.{field}");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.name.is_empty() || !self.name.bytes().all(plain) {
            let message =
                "name it with a-z, 0-9 and _, or write a preset: device, user, content or question";
            return Err(Error::setting(at("name"), message));
        }
        if self.into.as_deref().is_some_and(|into| into.is_empty() || TAKEN.contains(&into)) {
            let message = "this member has another meaning; name one such as \"devicedata\"";
            return Err(Error::setting(at("into"), message));
        }
        if self.key.is_empty() {
            let message = "say where the key stands, such as [\"$.context.did\"]";
            return Err(Error::setting(at("key"), message));
        }
        if self.wait > WAIT_MAX {
            return Err(Error::setting(at("wait"), "no batch waits longer than 1m"));
        }
        let mut paths = Vec::with_capacity(self.key.len());
        for text in &self.key {
            let path = Path::parse(text);
            paths.push(path.map_err(|error| Error::setting(at("key"), error.to_string()))?);
        }
        Ok(Lookup {
            flag: format!("{}_denorm", self.name),
            query: self.query(place)?.into(),
            key_type: self.key_type,
            paths,
            except: self.except,
            into: self.into,
            defaults: self.defaults.into_iter().collect(),
            miss: self.miss,
            wait: self.wait,
            cache: self.cache,
            cache_entries: self.cache_entries,
            condition: Condition::compile(&self.when, &at("when"))?,
            name: self.name,
        })
    }

    /// Returns the statement that fetches the rows of the keys in `$1`.
    fn query(&self, place: &str) -> Result<String> {
        let at = |field: &str| format!("{place}.{field}");
        let key = quoted(&self.key_column, &at("key_column"))?;
        let table = match self.table.split_once('.') {
            Some((schema, table)) => {
                format!("{}.{}", quoted(schema, &at("table"))?, quoted(table, &at("table"))?)
            }
            None => quoted(&self.table, &at("table"))?,
        };
        let mut list = String::new();
        for (member, column) in self.columns.pairs() {
            let comma = if list.is_empty() { "" } else { ", " };
            let (column, member) =
                (quoted(column, &at("columns"))?, quoted(member, &at("columns"))?);
            list.extend([comma, "found.", &column, " as ", &member]);
        }
        if list.is_empty() {
            let message = "name the columns whose values are added, such as [\"state\", \"city\"]";
            return Err(Error::setting(at("columns"), message));
        }
        Ok(format!(
            "-- lookup: {}, the rows of the keys of a batch.\n\
             select found.{key}::text, (select row_to_json(picked)::text from (select {list}) as picked)\n\
             from {table} as found where found.{key} = any($1)",
            self.name
        ))
    }
}

impl Columns {
    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Plain(names) => names.is_empty(),
            Self::Named(names) => names.is_empty(),
        }
    }

    /// Returns members and their columns.
    fn pairs(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Plain(names) => names.iter().map(|name| (&**name, &**name)).collect(),
            Self::Named(names) => {
                names.iter().map(|(member, column)| (&**member, &**column)).collect()
            }
        }
    }
}

/// Returns an identifier in quotes.
fn quoted(name: &str, place: &str) -> Result<String> {
    if name.is_empty() || name.len() > IDENTIFIER_BYTES_MAX || name.contains('\0') {
        let message =
            format!("`{name}` is no name in Postgres; write 1 to {IDENTIFIER_BYTES_MAX} bytes");
        return Err(Error::setting(place, message));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(toml: &str) -> Result<Lookups> {
        Lookups::compile(&[toml::from_str::<Entry>(toml).unwrap()])
    }

    #[test]
    fn names_in_a_query_are_quoted() {
        let toml = r#"name = "a"
            table = 'my schema.drop table x; --"'
            key_column = 'k"'
            columns = { "b.c" = 'v"; delete' }
            key = ["$.k"]"#;
        let query = &*compiled(toml).unwrap().0[0].query;
        assert_eq!(
            query,
            "-- lookup: a, the rows of the keys of a batch.\n\
             select found.\"k\"\"\"::text, (select row_to_json(picked)::text from (select found.\"v\"\"; delete\" as \"b.c\") as picked)\n\
             from \"my schema\".\"drop table x; --\"\"\" as found where found.\"k\"\"\" = any($1)"
        );
    }

    #[test]
    fn preset_needs_a_table_alone_and_lets_everything_be_said_otherwise() {
        for preset in ["device", "user", "content", "question"] {
            compiled(&format!("preset = '{preset}'\ntable = 't'")).unwrap();
        }
        let toml =
            "preset = 'user'\ntable = 't'\nname = 'person'\ninto = 'person'\ncolumns = ['age']";
        let lookups = compiled(toml).unwrap();
        assert_eq!(lookups.0[0].flag, "person_denorm");
        assert_eq!(lookups.0[0].into.as_deref(), Some("person"));
        assert!(lookups.0[0].query.contains("\"age\""));
        assert!(!lookups.0[0].query.contains("userlogintype"));
    }

    #[test]
    fn mistake_is_named_with_its_place_and_what_to_write() {
        let cases = [
            ("table = 't'", "enrich.lookup[1].name: name it with"),
            ("preset = 'user'", "enrich.lookup[1].table: `` is no name in Postgres"),
            ("preset = 'user'\ntable = 't'\nkey = ['id']", "enrich.lookup[1].key: `id` is no path"),
            ("preset = 'user'\ntable = 't'\ninto = 'edata'", "enrich.lookup[1].into: this member"),
            ("preset = 'user'\ntable = 't'\nwait = '2m'", "enrich.lookup[1].wait: no batch waits"),
            (
                "name = 'a'\ntable = 't'\nkey = ['$.a']\nkey_column = 'k'",
                "enrich.lookup[1].columns: name",
            ),
        ];
        for (toml, expected) in cases {
            let error = compiled(toml).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let user =
            |into: &str| toml::from_str(&format!("preset='user'\ntable='t'\n{into}")).unwrap();
        let error = Lookups::compile(&[user(""), user("")]).unwrap_err().to_string();
        assert!(error.starts_with("enrich.lookup[2].name: there is a look-up `user`"), "{error}");
        let error = Lookups::compile(&[user(""), user("name='b'")]).unwrap_err().to_string();
        assert!(error.starts_with("enrich.lookup[2].into: another look-up writes"), "{error}");
    }
}
