//! A reference for people.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    reference::{definitions, name},
    sample,
};
use crate::catalogue::snapshot::{Entry, Snapshot};

/// A table does not show fields deeper than that; the schema does.
const DEPTH_MAX: usize = 8;

/// Returns the document.
pub(super) fn write(snapshot: &Snapshot, title: &str) -> String {
    let mut text = format!("# {}\n", line(title));
    if snapshot.is_empty() {
        text.push_str("\nNo event types are declared.\n");
        return text;
    }
    text.push_str("\n## Contents\n\n");
    for entry in snapshot.iter() {
        let (heading, anchor) = (heading(entry), anchor(entry));
        let mut summary = entry.documentation.lines().next().map(line).unwrap_or_default();
        if snapshot.is_retired(&entry.id) {
            summary = format!("*Retired.* {summary}");
        }
        let summary = summary.trim();
        let dash = if summary.is_empty() { "" } else { " — " };
        // Writing to a string cannot fail, here and below.
        writeln!(text, "* [{heading}](#{anchor}){dash}{summary}").ok();
    }
    for entry in snapshot.iter() {
        section(&mut text, entry, snapshot.is_retired(&entry.id));
    }
    text
}

fn heading(entry: &Entry) -> String {
    format!("`{}` version {}", entry.id.event_type, entry.id.version)
}

/// Returns an anchor that does not depend on how a renderer makes them of headings.
fn anchor(entry: &Entry) -> String {
    format!("{}-v{}", entry.id.event_type.replace(':', "-"), entry.id.version)
}

fn section(text: &mut String, entry: &Entry, retired: bool) {
    writeln!(text, "\n<a id=\"{}\"></a>\n\n## {}\n", anchor(entry), heading(entry)).ok();
    if retired {
        text.push_str("**Retired**: events of this type are no longer registered.\n\n");
    }
    if !entry.documentation.is_empty() {
        writeln!(text, "{}\n", entry.documentation.trim()).ok();
    }
    let scopes = match entry.scopes.as_slice() {
        [] => "none".to_owned(),
        scopes => format!("`{}`", scopes.join("`, `")),
    };
    writeln!(text, "| | |\n|---|---|").ok();
    writeln!(text, "| Audience | {} |", entry.audience.join(", ")).ok();
    writeln!(text, "| Scope | {scopes} |").ok();
    writeln!(text, "| Telemetry level | {} |", entry.level).ok();

    let mut rows = Vec::new();
    let mut fields = Fields { root: &entry.schema, rows: &mut rows };
    fields.of(&entry.schema, "", &mut Vec::new());
    if !rows.is_empty() {
        text.push_str("\n| Field | Type | Required | Meaning |\n|---|---|---|---|\n");
        text.extend(rows);
    }
    if let Some(example) = sample::of(&entry.schema).filter(|example| !example.is_null()) {
        writeln!(text, "\n```json\n{example:#}\n```").ok();
    }
}

/// The rows of a table of fields.
struct Fields<'a> {
    root: &'a Value,
    rows: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    /// Adds a row for each field of `schema` and of what is in it; `open` are the references that it is in.
    fn of(&mut self, schema: &'a Value, path: &str, open: &mut Vec<&'a str>) {
        if path.matches('.').count() >= DEPTH_MAX {
            return;
        }
        let Some(object) = schema.as_object() else { return };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str)
            && !open.contains(&reference)
            && let Some(target) = definitions(self.root).get(reference).copied()
        {
            open.push(reference);
            self.of(target, path, open);
            open.pop();
        }
        for part in ["allOf", "anyOf", "oneOf"].iter().flat_map(|name| parts(object, name)) {
            self.of(part, path, open);
        }
        let required = parts(object, "required");
        for (name, field) in
            object.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let is_required = required.iter().any(|required| required == name);
            self.row(&path, field, is_required);
            self.of(field, &path, open);
        }
        for (keyword, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some(inner) = object.get(keyword) {
                self.of(inner, &format!("{path}{suffix}"), open);
            }
        }
    }

    fn row(&mut self, path: &str, field: &Value, is_required: bool) {
        let required = if is_required { "yes" } else { "no" };
        let described = field.get("description").and_then(Value::as_str);
        let meaning = described.unwrap_or_default();
        let (kind, meaning) = (cell(&kind(field)), cell(meaning));
        let row = format!("| `{}` | {kind} | {required} | {meaning} |\n", cell(path));
        // Alternatives of one union have fields in common.
        if !self.rows.contains(&row) {
            self.rows.push(row);
        }
    }
}

/// Returns the type of a field in words.
fn kind(schema: &Value) -> String {
    let Some(object) = schema.as_object() else { return "anything".to_owned() };
    if let Some(value) = object.get("const") {
        return format!("`{value}`");
    }
    let values = parts(object, "enum");
    if !values.is_empty() {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
        return name(reference).to_owned();
    }
    let alternatives: Vec<_> =
        ["anyOf", "oneOf"].iter().flat_map(|name| parts(object, name)).map(kind).collect();
    if !alternatives.is_empty() {
        return alternatives.join(" or ");
    }
    let of_type = |name: &str| match (name, object.get("items"), object.get("additionalProperties"))
    {
        ("array", Some(items), _) => format!("array of {}", kind(items)),
        ("object", _, Some(values @ Value::Object(_))) => format!("map of {}", kind(values)),
        _ => match object.get("format").and_then(Value::as_str) {
            Some(format) if name != "null" => format!("{name} ({format})"),
            _ => name.to_owned(),
        },
    };
    match object.get("type") {
        Some(Value::String(name)) => of_type(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(of_type).collect::<Vec<_>>().join(" or ")
        }
        _ => match parts(object, "allOf") {
            [] => "anything".to_owned(),
            all => all.iter().map(kind).collect::<Vec<_>>().join(" and "),
        },
    }
}

fn parts<'a>(object: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    object.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns text for a cell of a table: one line, and no bar.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
