//! The default message: what an event says, in the few lines that a person reads.
//!
//! A headline made of the type, the names of the layers from the outermost in, links, some short facts, and the time.
//! The facts that say how it went come first, those of the innermost layer before the others; ids that no person reads
//! and whatever looks like a secret are left out.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tidings::delivery::RegisteredEvent;
use uuid::Uuid;

use super::{
    Kind,
    body::block,
    cut::line,
    escape::escape,
    link::{Link, web},
    words::{capital, headline, words},
};

/// More facts are a list that nobody reads.
const FACTS_MAX: usize = 10;

/// More links are more than one needs to get there.
const LINKS_MAX: usize = 5;

/// More items of a list are counted.
const ITEMS_MAX: usize = 5;

/// Deeper layers than any application has.
const DEPTH_MAX: usize = 12;

const NAME_CHARS_MAX: usize = 80;
const VALUE_CHARS_MAX: usize = 160;

/// Of what went wrong people want to read more.
const REASON_CHARS_MAX: usize = 400;

/// Fields with one of these words in their name say how it went.
const OUTCOMES: [&str; 9] =
    ["cause", "error", "fail", "message", "outcome", "reason", "result", "state", "status"];

/// Fields with one of these words in their name may be secrets.
const SECRETS: [&str; 6] = ["apikey", "api_key", "authorization", "password", "secret", "token"];

/// Below these are values that the application's users chose; they come last.
const SETTINGS: [&str; 4] = ["parameters", "params", "settings", "options"];

/// The default message of one event.
#[derive(Clone, Debug)]
pub(super) struct Digest {
    headline: String,
    /// What it belongs to, from the outermost in: `Project` and `Sales`.
    layers: Vec<(String, String)>,
    links: Vec<(String, String)>,
    facts: Vec<(String, String)>,
    at: DateTime<Utc>,
}

/// What is found in a payload.
#[derive(Default)]
struct Found {
    layers: Vec<(String, String)>,
    links: Vec<(String, String)>,
    facts: Vec<Fact>,
}

struct Fact {
    rank: Rank,
    depth: usize,
    label: String,
    value: String,
}

/// How much a fact is worth, the best first.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Outcome,
    Plain,
    Setting,
    Id,
}

impl Digest {
    /// Returns the default message of `event`.
    pub(super) fn of(event: &RegisteredEvent) -> Self {
        let mut found = Found::default();
        match serde_json::from_str(&event.payload) {
            Ok(Value::Object(fields)) => found.object(&fields, &mut Vec::new()),
            Ok(value) => found.value("data", &value, &mut Vec::new()),
            // What cannot be read is not shown; the type says what has happened.
            Err(_) => {}
        }
        let Found { layers, mut links, mut facts } = found;
        links.truncate(LINKS_MAX);
        // How the outer layers go on says little about what has happened inside.
        let is_outcome = |fact: &&Fact| fact.rank == Rank::Outcome;
        let innermost = facts.iter().filter(is_outcome).map(|fact| fact.depth).max();
        for fact in &mut facts {
            if fact.rank == Rank::Outcome && Some(fact.depth) != innermost {
                fact.rank = Rank::Plain;
            }
        }
        facts.sort_by_key(|fact| (fact.rank, Reverse(fact.depth)));
        facts.truncate(FACTS_MAX);
        let facts = facts.into_iter().map(|fact| (fact.label, fact.value)).collect();
        let headline = headline(&event.event_type);
        Self { headline, layers, links, facts, at: event.occurred_at }
    }

    /// Returns the message in the markup of `kind`.
    pub(super) fn text(&self, kind: Kind) -> String {
        let (bold, slanted) = match kind {
            Kind::Slack => ("*", "_"),
            Kind::Teams | Kind::Discord => ("**", "_"),
        };
        let mut lines = vec![format!("{bold}{}{bold}", escape(kind, &self.headline))];
        lines.extend(self.belongs(kind));
        let facts = self.facts.iter();
        lines.extend(
            facts.map(|(label, value)| format!("{}: {}", escape(kind, label), escape(kind, value))),
        );
        lines.extend(self.targets(kind));
        lines.push(format!("{slanted}{}{slanted}", self.moment()));
        let separator = if kind == Kind::Teams { "\n\n" } else { "\n" };
        lines.join(separator)
    }

    /// Returns the message as the body of a card.
    pub(super) fn card(&self) -> Vec<Value> {
        let with = |text: &str, fields: &[(&str, Value)]| {
            let mut block = block(text);
            for (name, value) in fields {
                block[*name] = value.clone();
            }
            block
        };
        let headline = escape(Kind::Teams, &self.headline);
        let mut card =
            vec![with(&headline, &[("size", "Medium".into()), ("weight", "Bolder".into())])];
        card.extend(self.belongs(Kind::Teams).map(|text| block(&text)));
        if !self.facts.is_empty() {
            let fact = |(label, value): &(String, String)| {
                serde_json::json!({
                    "title": escape(Kind::Teams, label), "value": escape(Kind::Teams, value),
                })
            };
            let facts: Vec<Value> = self.facts.iter().map(fact).collect();
            card.push(serde_json::json!({ "type": "FactSet", "facts": facts }));
        }
        card.extend(self.targets(Kind::Teams).map(|text| block(&text)));
        card.push(with(&self.moment(), &[("size", "Small".into()), ("isSubtle", true.into())]));
        card
    }

    fn belongs(&self, kind: Kind) -> Option<String> {
        let layers = self
            .layers
            .iter()
            .map(|(label, name)| format!("{} {}", escape(kind, label), escape(kind, name)));
        Some(layers.collect::<Vec<_>>().join(" · ")).filter(|text| !text.is_empty())
    }

    fn targets(&self, kind: Kind) -> Option<String> {
        let links = self.links.iter().map(|(label, url)| Link::new(url, Some(label)).markup(kind));
        Some(links.collect::<Vec<_>>().join(" · ")).filter(|text| !text.is_empty())
    }

    fn moment(&self) -> String {
        self.at.format("%-d %b %Y, %H:%M UTC").to_string()
    }
}

impl Found {
    fn object<'a>(&mut self, fields: &'a Map<String, Value>, path: &mut Vec<&'a str>) {
        if path.len() > DEPTH_MAX {
            return;
        }
        let is_setting = path.iter().any(|key| SETTINGS.contains(key));
        let layer = path.last().copied().filter(|_| !is_setting);
        let named = layer.zip(name(fields));
        if let Some((layer, (_, name))) = named {
            self.layers.push((capital(&words(layer)), line(name, NAME_CHARS_MAX)));
        }
        for (key, value) in fields {
            let is_name = named.is_some_and(|(_, (field, _))| field == key);
            if !is_name && Uuid::parse_str(key).is_err() {
                self.value(key, value, path);
            }
        }
    }

    fn value<'a>(&mut self, key: &'a str, value: &'a Value, path: &mut Vec<&'a str>) {
        let key_lower = key.to_ascii_lowercase();
        if SECRETS.iter().any(|word| key_lower.contains(word)) {
            return;
        }
        let rank = rank(&key_lower, path);
        let text = match value {
            Value::Object(fields) => {
                path.push(key);
                self.object(fields, path);
                path.pop();
                return;
            }
            Value::String(text) if web(text).is_some() => {
                self.links.push((target(path, key), text.clone()));
                return;
            }
            Value::Array(items) => list(items),
            value => scalar(value),
        };
        let chars_max = if rank == Rank::Outcome { REASON_CHARS_MAX } else { VALUE_CHARS_MAX };
        if let Some(value) = text {
            let (label, value) = (label(path, key), line(&value, chars_max));
            self.facts.push(Fact { rank, depth: path.len(), label, value });
        }
    }
}

fn rank(key: &str, path: &[&str]) -> Rank {
    if path.iter().any(|key| SETTINGS.contains(key)) || SETTINGS.contains(&key) {
        Rank::Setting
    } else if key == "id" || key == "uuid" || key.ends_with("_id") || key.ends_with("_uuid") {
        Rank::Id
    } else if OUTCOMES.iter().any(|word| key.contains(word)) {
        Rank::Outcome
    } else {
        Rank::Plain
    }
}

/// Returns the field that names an object, and its text.
fn name(fields: &Map<String, Value>) -> Option<(&'static str, &str)> {
    ["name", "title"].into_iter().find_map(|field| {
        let text = fields.get(field)?.as_str().filter(|text| !text.trim().is_empty())?;
        Some((field, text))
    })
}

/// Returns the words for a field: its own, behind those of what it belongs to.
fn label(path: &[&str], key: &str) -> String {
    let key = words(key);
    let owner = path.last().map(|owner| words(owner)).unwrap_or_default();
    let text = if owner.is_empty() || key.starts_with(owner.as_str()) {
        key
    } else {
        format!("{owner} {key}")
    };
    capital(&line(&text, NAME_CHARS_MAX))
}

/// Returns the words for a link: those of what it leads to.
fn target(path: &[&str], key: &str) -> String {
    let label = label(path, key);
    let what = ["url", "link", "href"].into_iter().find_map(|word| label.strip_suffix(word));
    what.map(str::trim_end).filter(|what| !what.is_empty()).unwrap_or(&label).to_owned()
}

/// Returns what is shown of one value; `None` where there is nothing that a person would read.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() || Uuid::parse_str(text).is_ok() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Bool(false) => Some("no".to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns the items of a list by their names, or how many there are.
fn list(items: &[Value]) -> Option<String> {
    let item = |item: &Value| match item {
        Value::Object(fields) => change(fields).or_else(|| Some(name(fields)?.1.to_owned())),
        item => scalar(item),
    };
    let shown: Vec<String> = items
        .iter()
        .take(ITEMS_MAX)
        .filter_map(item)
        .map(|text| line(&text, NAME_CHARS_MAX))
        .collect();
    match (items.len(), shown.len()) {
        (0, _) => None,
        (count, 0) => Some(count.to_string()),
        (count, shown_count) if count > shown_count => {
            Some(format!("{} and {} more", shown.join(", "), count - shown_count))
        }
        _ => Some(shown.join(", ")),
    }
}

/// Returns an item of a list of changes: `schedule: daily → hourly`, or only what has changed where it has no values.
fn change(fields: &Map<String, Value>) -> Option<String> {
    let object = words(fields.get("changed_object")?.as_str()?);
    let value = |field| fields.get(field).and_then(scalar);
    match (value("old_value"), value("new_value")) {
        (Some(old), Some(new)) => Some(format!("{object}: {old} → {new}")),
        (None, Some(new)) => Some(format!("{object}: {new}")),
        _ => Some(object),
    }
}

#[cfg(test)]
mod tests;
