//! What has changed between two JSON Schemas of one type.
//!
//! Both are walked at once, from the root of the notification view down, references followed on both sides.
//! A pair of schemas that was compared is not compared again, which ends every recursion.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, VecDeque},
};

use serde_json::{Map, Value};

use super::{
    branch::{self, Branch, LOWER, UPPER, branches, json_type},
    difference::{Kind, Note},
};

/// Numbers with a format, from the narrowest range to the widest, signed ones and unsigned ones by themselves.
const RANGES: [&[&str]; 3] = [
    &["uint8", "uint16", "uint32", "uint64", "uint128"],
    &["int8", "int16", "int32", "int64", "int128"],
    &["float", "double"],
];

/// Compared one by one; whatever else stands in an alternative is compared as a whole.
const WALKED: &[&str] = &[
    "additionalProperties",
    "enum",
    "format",
    "items",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
];

const ANYTHING: Value = Value::Bool(true);

/// Returns what is different in `new`.
pub(super) fn compare(old: &Value, new: &Value) -> Vec<Note> {
    let mut comparison =
        Comparison { old, new, seen: BTreeSet::new(), open: VecDeque::new(), notes: Vec::new() };
    comparison.node("$".to_owned(), old, new);
    comparison.finish()
}

#[derive(Clone)]
struct Comparison<'a> {
    /// The roots, to which references point.
    old: &'a Value,
    new: &'a Value,
    seen: BTreeSet<(String, String)>,
    /// What is still to be compared, the outer before the inner, so that the shortest path is told.
    open: VecDeque<(String, Value, Value)>,
    notes: Vec<Note>,
}

impl Comparison<'_> {
    fn note(&mut self, path: &str, kind: Kind, message: String) {
        self.notes.push(Note { path: path.to_owned(), kind, message });
    }

    /// Takes note that two schemas are to be compared, unless they were.
    fn node(&mut self, path: String, old: &Value, new: &Value) {
        if self.seen.insert((old.to_string(), new.to_string())) {
            self.open.push_back((path, old.clone(), new.clone()));
        }
    }

    fn finish(mut self) -> Vec<Note> {
        self.drain();
        self.notes
    }

    fn drain(&mut self) {
        while let Some((path, old, new)) = self.open.pop_front() {
            let (olds, news) = (branches(&old, self.old), branches(&new, self.new));
            self.alternatives(&path, &olds, &news);
        }
    }

    /// Compares all that is allowed in one place.
    fn alternatives(&mut self, path: &str, olds: &[Branch], news: &[Branch]) {
        if olds.iter().any(Map::is_empty) {
            return;
        }
        let (strangers, familiar): (Vec<_>, Vec<_>) =
            news.iter().partition(|new| !olds.iter().any(|old| allows(old, new)));
        for new in &strangers {
            let message = match (olds, news) {
                ([old], [_]) => {
                    format!("type changed from {} to {}", type_name(old), type_name(new))
                }
                ([], _) => format!("is {} now, and nothing was allowed", type_name(new)),
                _ => format!("may be {} now", type_name(new)),
            };
            self.note(path, Kind::TypeChanged, message);
        }
        for new in familiar {
            self.alternative(path, olds, new, news.len());
        }
        let gone = olds.iter().filter(|old| {
            let remains =
                |new: &Branch| json_type(new).is_none() || allows(old, new) || allows(new, old);
            json_type(old).is_some() && !news.iter().any(remains)
        });
        for old in gone.filter(|_| strangers.is_empty()) {
            let message = format!("is never {} any more", type_name(old));
            self.note(path, Kind::TypeNarrowed, message);
        }
    }

    /// Looks for an old alternative that allows all that `new` allows, and tells what is different from the closest.
    fn alternative(&mut self, path: &str, olds: &[Branch], new: &Branch, count: usize) {
        let candidates: Vec<_> = olds.iter().filter(|old| allows(old, new)).collect();
        let tag = branch::tag(new);
        let is_new = tag.is_some() && candidates.iter().all(|old| branch::tag(old) != tag);
        let is_union = olds.len() > 1 || count > 1;
        if let [old] = candidates.as_slice()
            && !(is_new && is_union)
        {
            return self.branch(path, old, new);
        }
        let trials = candidates.iter().map(|old| {
            let mut trial = Self { notes: Vec::new(), open: VecDeque::new(), ..self.clone() };
            trial.branch(path, old, new);
            trial.drain();
            let breaks = trial.notes.iter().filter(|note| note.kind.is_breaking()).count();
            ((breaks, trial.notes.len()), trial)
        });
        let Some(((breaks, _), trial)) = trials.min_by_key(|(differences, _)| *differences) else {
            return;
        };
        if breaks > 0 && (is_new || tag.is_none()) {
            let what = match tag {
                Some((name, Value::Null)) => format!("with `{name}`"),
                Some((name, value)) => format!("with `{name}` {value}"),
                None => format!("of {}", type_name(new)),
            };
            self.note(path, Kind::AlternativeAdded, format!("has another alternative {what}"));
        } else {
            self.seen = trial.seen;
            self.notes.extend(trial.notes);
        }
    }

    /// Compares two alternatives whose JSON types fit.
    fn branch(&mut self, path: &str, old: &Branch, new: &Branch) {
        if json_type(old) != json_type(new) {
            let message = format!("is always {} now", type_name(new));
            self.note(path, Kind::TypeNarrowed, message);
        }
        self.values(path, old, new);
        self.format(path, old, new);
        let keywords: BTreeSet<_> =
            old.keys().chain(new.keys()).filter(|name| !WALKED.contains(&name.as_str())).collect();
        for keyword in keywords {
            self.rule(path, keyword, old.get(keyword), new.get(keyword));
        }
        if json_type(new).is_none_or(|name| name == "object") {
            self.object(path, old, new);
        }
        if json_type(new).is_none_or(|name| name == "array") {
            self.array(path, old, new);
        }
    }

    fn values(&mut self, path: &str, old: &Branch, new: &Branch) {
        let values = |branch: &Branch| branch.get("enum").and_then(Value::as_array).cloned();
        match (values(old), values(new)) {
            (Some(old), Some(new)) => {
                for value in new.iter().filter(|value| !old.contains(value)) {
                    self.note(path, Kind::ValueAdded, format!("value {value} added"));
                }
                for value in old.iter().filter(|value| !new.contains(value)) {
                    self.note(path, Kind::ValueRemoved, format!("value {value} removed"));
                }
            }
            (Some(old), None) => {
                let message = format!("was one of {}, and may be any now", Value::Array(old));
                self.note(path, Kind::RuleLoosened, message);
            }
            (None, Some(new)) => {
                let message = format!("is one of {} now", Value::Array(new));
                self.note(path, Kind::RuleTightened, message);
            }
            (None, None) => {}
        }
    }

    fn format(&mut self, path: &str, old: &Branch, new: &Branch) {
        let format =
            |branch: &Branch| branch.get("format").and_then(Value::as_str).map(str::to_owned);
        let (old, new) = (format(old), format(new));
        if old == new {
            return;
        }
        let place = |format: &Option<String>| {
            let format = format.as_deref()?;
            RANGES.iter().enumerate().find_map(|(row, range)| {
                range.iter().position(|name| *name == format).map(|column| (row, column))
            })
        };
        let is_narrower = match (place(&old), place(&new)) {
            (Some((row, wide)), Some((same, narrow))) => row == same && narrow < wide,
            _ => old.is_none(),
        };
        let word = |format: Option<String>| format.unwrap_or_else(|| "none".to_owned());
        let message = format!("format changed from {} to {}", word(old), word(new));
        self.note(path, verdict(is_narrower), message);
    }

    fn rule(&mut self, path: &str, keyword: &str, old: Option<&Value>, new: Option<&Value>) {
        // A length of at least nothing is no rule.
        let zero = |value: &&Value| {
            !(keyword.starts_with("min") && keyword != "minimum" && value.as_u64() == Some(0))
        };
        let (old, new) = (old.filter(zero), new.filter(zero));
        if old == new {
            return;
        }
        let order = old.and_then(Value::as_f64).zip(new.and_then(Value::as_f64));
        let order = order.and_then(|(old, new)| new.partial_cmp(&old));
        let is_narrower = match order {
            Some(Ordering::Equal) => return,
            Some(Ordering::Greater) if LOWER.contains(&keyword) => true,
            Some(Ordering::Less) if UPPER.contains(&keyword) => true,
            _ => old.is_none() || (keyword == "uniqueItems" && old == Some(&Value::Bool(false))),
        };
        let word =
            |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
        let message = format!("{keyword} changed from {} to {}", word(old), word(new));
        self.note(path, verdict(is_narrower), message);
    }

    fn object(&mut self, path: &str, old: &Branch, new: &Branch) {
        let (none, others) =
            (Map::new(), |branch: &Branch| branch.get("additionalProperties").cloned());
        let fields = |branch: &Branch, name| branch.get(name).and_then(Value::as_object).cloned();
        let (before, after) = (fields(old, "properties"), fields(new, "properties"));
        let (before, after) = (before.as_ref().unwrap_or(&none), after.as_ref().unwrap_or(&none));
        let closed = others(old) == Some(Value::Bool(false));
        for (name, schema) in before {
            let path = format!("{path}.{name}");
            match after.get(name) {
                Some(newer) => {
                    self.presence(&path, requires(old, name), requires(new, name));
                    self.node(path, schema, newer);
                }
                None => self.note(&path, Kind::FieldRemoved, "field removed".to_owned()),
            }
        }
        for (name, newer) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
            let path = format!("{path}.{name}");
            let patterns = fields(old, "patternProperties").is_some();
            match others(old) {
                _ if patterns => {}
                Some(Value::Bool(false)) => {
                    let message = "field added, where no others were allowed".to_owned();
                    self.note(&path, Kind::FieldUnexpected, message);
                }
                Some(other @ Value::Object(_)) => self.node(path, &other, newer),
                _ => self.note(&path, Kind::FieldAdded, "field added".to_owned()),
            }
        }
        self.others(path, (others(old), others(new)));
        let (before, after) = (fields(old, "patternProperties"), fields(new, "patternProperties"));
        for (pattern, newer) in after.iter().flatten() {
            let path = format!("{path}.*");
            match before.as_ref().and_then(|before| before.get(pattern)) {
                Some(older) => self.node(path, older, newer),
                None if before.is_some() || closed => {
                    let message = format!("fields that match {pattern} are allowed now");
                    self.note(&path, Kind::RuleLoosened, message);
                }
                None => {}
            }
        }
    }

    fn presence(&mut self, path: &str, before: bool, after: bool) {
        match (before, after) {
            (true, false) => {
                let message = "may be absent now".to_owned();
                self.note(path, Kind::FieldMadeOptional, message);
            }
            (false, true) => {
                self.note(path, Kind::FieldMadeRequired, "is always there now".to_owned());
            }
            _ => {}
        }
    }

    /// Compares what is said of fields that are not named.
    fn others(&mut self, path: &str, others: (Option<Value>, Option<Value>)) {
        let (old, new) = others;
        let new = new.unwrap_or(ANYTHING);
        match old {
            Some(Value::Bool(false)) if new != Value::Bool(false) => {
                let message = "other fields are allowed now".to_owned();
                self.note(path, Kind::RuleLoosened, message);
            }
            Some(old @ Value::Object(_)) => self.node(format!("{path}.*"), &old, &new),
            _ => {}
        }
    }

    fn array(&mut self, path: &str, old: &Branch, new: &Branch) {
        let first = |branch: &Branch| {
            branch.get("prefixItems").and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (before, after) = (first(old), first(new));
        let rest = |branch: &Branch| branch.get("items").cloned().unwrap_or(ANYTHING);
        let (old, new) = (rest(old), rest(new));
        for at in 0..before.len().max(after.len()) {
            let (older, newer) = (before.get(at).unwrap_or(&old), after.get(at).unwrap_or(&new));
            self.node(format!("{path}[{at}]"), older, newer);
        }
        self.node(format!("{path}[]"), &old, &new);
    }
}

fn verdict(is_narrower: bool) -> Kind {
    if is_narrower { Kind::RuleTightened } else { Kind::RuleLoosened }
}

fn requires(branch: &Branch, name: &str) -> bool {
    let required = branch.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

/// Returns whether the JSON type of `new` is one that `old` allows.
fn allows(old: &Branch, new: &Branch) -> bool {
    match (json_type(old), json_type(new)) {
        (None, _) => true,
        (Some("number"), Some("integer")) => true,
        (old, new) => old == new,
    }
}

fn type_name(branch: &Branch) -> &str {
    json_type(branch).unwrap_or("anything")
}
