//! A schema as a TypeScript type.
//!
//! Where TypeScript cannot say what a schema says, a range for example, the type allows more and never less.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value};

use super::{comment, identifier::field};

/// Writes the types of one document's schemas.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    /// What references are called.
    names: &'a BTreeMap<String, String>,
}

impl<'a> Shape<'a> {
    pub(super) const fn new(names: &'a BTreeMap<String, String>) -> Self {
        Self { names }
    }

    /// Returns the body of an interface, or `None` where the schema is not just an object with fields.
    pub(super) fn body(&self, schema: &Value) -> Option<String> {
        let object = schema.as_object()?;
        let is_more = ["$ref", "allOf", "anyOf", "const", "enum", "oneOf"];
        let is_object = object.get("type").is_none_or(|name| name == "object");
        let has_fields = object.get("properties").is_some_and(Value::is_object);
        let is_plain = !is_more.iter().any(|keyword| object.contains_key(*keyword));
        (is_object && has_fields && is_plain).then(|| self.fields(object, ""))
    }

    /// Returns the type of `schema`; its lines after the first are indented by `indent`.
    pub(super) fn of(&self, schema: &Value, indent: &str) -> String {
        let object = match schema {
            Value::Bool(false) => return "never".to_owned(),
            Value::Object(object) => object,
            _ => return "unknown".to_owned(),
        };
        let mut all = Vec::new();
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            all.push(self.names.get(reference).map_or_else(|| "unknown".to_owned(), Clone::clone));
        }
        let of_parts = |keyword| parts(object, keyword).iter().map(|part| self.of(part, indent));
        all.extend(of_parts("allOf"));
        for keyword in ["anyOf", "oneOf"] {
            if object.contains_key(keyword) {
                all.push(union(of_parts(keyword).collect()));
            }
        }
        if let Some(own) = self.own(object, indent) {
            all.push(own);
        }
        all.retain(|part| part != "unknown");
        all.dedup();
        match all.as_slice() {
            [] => "unknown".to_owned(),
            [one] => one.clone(),
            many => many.iter().map(|part| grouped(part)).collect::<Vec<_>>().join(" & "),
        }
    }

    /// Returns what an object of keywords says by itself.
    fn own(&self, object: &Map<String, Value>, indent: &str) -> Option<String> {
        if let Some(value) = object.get("const") {
            return Some(literal(value));
        }
        if let Some(Value::Array(values)) = object.get("enum") {
            return Some(union(values.iter().map(literal).collect()));
        }
        let is_object = ["properties", "additionalProperties", "patternProperties"];
        match object.get("type") {
            Some(Value::String(name)) => Some(self.of_type(name, object, indent)),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                Some(union(names.map(|name| self.of_type(name, object, indent)).collect()))
            }
            _ if is_object.iter().any(|keyword| object.contains_key(*keyword)) => {
                Some(self.fields(object, indent))
            }
            _ => None,
        }
    }

    fn of_type(&self, name: &str, object: &Map<String, Value>, indent: &str) -> String {
        match name {
            "object" => self.fields(object, indent),
            "array" => self.array(object, indent),
            "string" | "boolean" | "null" => name.to_owned(),
            "integer" | "number" => "number".to_owned(),
            _ => "unknown".to_owned(),
        }
    }

    /// Returns the fields of an object, between braces.
    fn fields(&self, object: &Map<String, Value>, indent: &str) -> String {
        let properties = object.get("properties").and_then(Value::as_object);
        let inner = format!("{indent}  ");
        let (mut text, mut kinds) = (String::from("{\n"), Vec::new());
        for (name, schema) in properties.into_iter().flatten() {
            let is_required = parts(object, "required").iter().any(|required| required == name);
            let described = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            comment(&mut text, &inner, described, false);
            let (kind, optional) = (self.of(schema, &inner), if is_required { "" } else { "?" });
            // Writing to a string cannot fail.
            writeln!(text, "{inner}{}{optional}: {kind};", field(name)).ok();
            kinds.push(kind);
            if !is_required {
                kinds.push("undefined".to_owned());
            }
        }
        let rest = self.rest(object, &inner);
        if rest.is_empty() && kinds.is_empty() {
            let is_closed = object.get("additionalProperties") == Some(&Value::Bool(false));
            let kind = if is_closed { "never" } else { "unknown" };
            return format!("Record<string, {kind}>");
        }
        if !rest.is_empty() {
            // A named field has to fit into the type of all fields, in TypeScript.
            let kind = union([rest, kinds].concat());
            writeln!(text, "{inner}[key: string]: {kind};").ok();
        }
        text.push_str(indent);
        text.push('}');
        text
    }

    /// Returns the types of fields without a name of their own: the values of a map.
    fn rest(&self, object: &Map<String, Value>, indent: &str) -> Vec<String> {
        let patterns = object.get("patternProperties").and_then(Value::as_object);
        let patterns = patterns.into_iter().flat_map(Map::values);
        let others = object.get("additionalProperties").filter(|others| others.is_object());
        patterns.chain(others).map(|schema| self.of(schema, indent)).collect()
    }

    fn array(&self, object: &Map<String, Value>, indent: &str) -> String {
        let first = parts(object, "prefixItems");
        let items = object.get("items");
        let count = |keyword| object.get(keyword).and_then(Value::as_u64);
        if first.is_empty() {
            let of_items =
                items.map_or_else(|| "unknown".to_owned(), |items| self.of(items, indent));
            return format!("{}[]", grouped(&of_items));
        }
        let sure = count("minItems").unwrap_or(0);
        let mut members: Vec<_> = (0_u64..)
            .zip(first)
            .map(|(at, part)| {
                let kind = self.of(part, indent);
                if at < sure { kind } else { format!("({kind})?") }
            })
            .collect();
        let is_full = count("maxItems").is_some_and(|max| max <= first.len() as u64);
        if !is_full && items != Some(&Value::Bool(false)) {
            let rest = items.map_or_else(|| "unknown".to_owned(), |items| self.of(items, indent));
            members.push(format!("...{}[]", grouped(&rest)));
        }
        format!("[{}]", members.join(", "))
    }
}

/// Returns the type that has this value only.
fn literal(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| format!("{}: {}", field(name), literal(value));
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join("; "))
        }
        scalar => scalar.to_string(),
    }
}

/// Returns a type that is any of these, each named once.
fn union(kinds: Vec<String>) -> String {
    let mut different: Vec<String> = Vec::new();
    for kind in kinds {
        if kind == "unknown" {
            return kind;
        }
        if kind != "never" && !different.contains(&kind) {
            different.push(kind);
        }
    }
    if different.is_empty() { "never".to_owned() } else { different.join(" | ") }
}

/// Returns the type with brackets around it, if it could be torn apart otherwise.
fn grouped(kind: &str) -> String {
    if kind.contains(" | ") || kind.contains(" & ") { format!("({kind})") } else { kind.to_owned() }
}

fn parts<'a>(object: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    object.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
