//! Templates of messages: minijinja, with nothing in it that could leave the event or go on for ever.
//!
//! A template sees `event` and `data`, and the function `link`.
//! It cannot name another template, a file or the environment, because the engine is built without what does that.
//! What it prints is escaped by [`super::print`] and [`escape`] whatever a filter has made of it:
//! there is no safe text, except [`Link`]s.
//! Work is bounded by fuel, depth by the engine, and output by the writer, all of them while the template runs.

use std::{cmp::Reverse, collections::BTreeMap, io};

use minijinja::{
    AutoEscape, Environment, ErrorKind, UndefinedBehavior,
    syntax::SyntaxConfig,
    value::{Serde, Value},
};
use serde_json::json;
use tidings::{delivery::RegisteredEvent, pattern::Pattern, scope::Scope};

use super::{
    Error, Kind, OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX, TemplateError, escape::escape, link::Link,
    print, sample, words::words,
};

/// Enough to loop over some thousands of values; it is spent in a few milliseconds.
const FUEL: u64 = 50_000;

/// Far deeper than anybody reads, and far from the end of the stack.
const RECURSION_MAX: usize = 64;

/// The name of the only template of an engine.
const NAME: &str = "template";

/// Blocks that catch what was printed: it is escaped already, and would be escaped again when it is printed.
const CATCHING: [&str; 3] = ["endset", "endfilter", "endautoescape"];

/// One template, compiled.
#[derive(Debug)]
pub(super) struct Source {
    engine: Environment<'static>,
}

/// The templates of one subscriber, the most specific first.
#[derive(Debug)]
pub(super) struct Templates(Vec<(Pattern, Result<Source, TemplateError>)>);

impl Source {
    /// Compiles a template for `kind`.
    ///
    /// # Errors
    ///
    /// It is too large, or its text is wrong.
    pub(super) fn compile(kind: Kind, source: &str) -> Result<Self, TemplateError> {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::too_large(source.len()));
        }
        if let Some((line, tag)) = catching(source) {
            let name = tag.trim_start_matches("end");
            let reason = format!(
                "a block `{{% {name} %}} … {{% {tag} %}}` cannot be used; write `{{% set name = … %}}` and \
                 `{{{{ value | filter }}}}`, everything is escaped by itself"
            );
            return Err(TemplateError::text(Some(line), reason));
        }
        let mut engine = engine(kind)?;
        engine.add_template_owned(NAME, source.to_owned())?;
        Ok(Self { engine })
    }

    /// Renders the message of `event`.
    ///
    /// # Errors
    ///
    /// The template fails on this event, does too much, or prints too much or nothing.
    pub(super) fn render(&self, event: &RegisteredEvent) -> Result<String, TemplateError> {
        let mut output = Bounded(Vec::new());
        let template = self.engine.get_template(NAME)?;
        let rendered = template.render_captured_to(context(event), &mut output);
        rendered.map(drop)?;
        let text = String::from_utf8_lossy(&output.0);
        match text.trim() {
            "" => Err(TemplateError::prints_nothing()),
            text => Ok(text.to_owned()),
        }
    }
}

impl Templates {
    /// Compiles the templates of one subscriber; one that does not work fails when it is used.
    ///
    /// # Errors
    ///
    /// The name of one is neither a type nor a pattern.
    pub(super) fn compile(kind: Kind, sources: &BTreeMap<String, String>) -> Result<Self, Error> {
        let compile = |(pattern, source): (&String, &String)| {
            Ok((Pattern::parse(pattern)?, Source::compile(kind, source)))
        };
        let mut templates = sources.iter().map(compile).collect::<Result<Vec<_>, Error>>()?;
        templates.sort_by_key(|(pattern, _)| Reverse(specific(pattern)));
        Ok(Self(templates))
    }

    /// Renders the message of `event` by the most specific template; `None` if there is none for it.
    pub(super) fn render(
        &self,
        event: &RegisteredEvent,
    ) -> Option<(&str, Result<String, TemplateError>)> {
        let (pattern, source) =
            self.0.iter().find(|(pattern, _)| pattern.matches(&event.event_type))?;
        let rendered =
            source.as_ref().map_err(Clone::clone).and_then(|source| source.render(event));
        Some((pattern.as_str(), rendered))
    }
}

/// Checks a template as far as that is possible without an event: it is compiled, and rendered with one that has no
/// content.
///
/// # Errors
///
/// What is wrong with it whatever the event.
pub(super) fn check(kind: Kind, pattern: &str, source: &str) -> Result<(), TemplateError> {
    let rendered = Source::compile(kind, source)?.render(&sample::event(pattern));
    match rendered {
        Err(error) if error.is_general() => Err(error),
        _ => Ok(()),
    }
}

/// Returns how specific a pattern is: the type itself, then more literal parts, then fewer `**`, then longer text.
fn specific(pattern: &Pattern) -> (bool, usize, Reverse<usize>, usize) {
    let parts = || pattern.as_str().split(':');
    let literal = parts().filter(|part| !part.contains('*'));
    let (count, bytes) =
        literal.fold((0, 0), |(count, bytes), part| (count + 1, bytes + part.len()));
    let many = parts().filter(|part| *part == "**").count();
    (pattern.is_exact(), count, Reverse(many), bytes)
}

/// Returns the first block that catches output, with its line.
fn catching(source: &str) -> Option<(usize, &'static str)> {
    source.match_indices("{%").find_map(|(at, _)| {
        let tag = source[at + 2..].trim_start_matches(['-', '+']).trim_start();
        let word = &tag[..tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len())];
        let found = CATCHING.into_iter().find(|name| *name == word)?;
        Some((source[..at].matches('\n').count() + 1, found))
    })
}

fn engine(kind: Kind) -> Result<Environment<'static>, TemplateError> {
    let mut engine = Environment::new();
    // What would mark text as safe has no meaning here, and what shows the insides is for programmers.
    for name in ["safe", "escape", "e", "pprint"] {
        engine.remove_filter(name);
    }
    engine.remove_global("debug");
    engine.add_filter("words", |name: &str| words(name));
    engine.add_function("link", |url: Value, text: Option<Value>| {
        let text = text.map(|text| print::text(&text));
        Value::from_object(Link::new(&print::text(&url), text.as_deref()))
    });
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_formatter(move |out, _, value| {
        let text = match value.downcast_object_ref::<Link>() {
            Some(link) => link.markup(kind),
            None => escape(kind, &print::text(value)),
        };
        out.write_str(&text).map_err(|_| ErrorKind::WriteFailure.into())
    });
    engine.set_undefined_behavior(UndefinedBehavior::Chainable);
    engine.set_fuel(Some(FUEL));
    engine.set_recursion_limit(RECURSION_MAX);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    engine.set_syntax(syntax);
    Ok(engine)
}

/// Returns what a template sees.
fn context(event: &RegisteredEvent) -> Value {
    // What is no JSON for us, a number beyond any type for example, is not there.
    let data: serde_json::Value = serde_json::from_str(&event.payload).unwrap_or_default();
    let scope = Scope::parse(&event.scope).unwrap_or_else(|_| Scope::root());
    let scope: serde_json::Map<_, _> =
        scope.elements().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    Value::from(Serde(json!({
        "event": {
            "type": event.event_type,
            "version": event.version,
            "id": event.event_id,
            "occurred_at": event.occurred_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            "scope": scope,
            "tenant": event.tenant,
        },
        "data": data,
    })))
}

/// A buffer that refuses what is too much.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
