//! The name of a topic, with places for what an event says.
//!
//! Two events that are to be told apart never get one name by accident: what would have to be changed to fit into the name
//! of a topic is refused instead.

use std::fmt;

use tidings::{delivery::RegisteredEvent, scope::Scope};

/// The longest name of a topic that Kafka takes.
const NAME_BYTES_MAX: usize = 249;

/// The name of a topic: letters, digits, `.`, `_` and `-`, with `{type}`, `{version}`, `{tenant}` and `{scope.KEY}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    /// The event type, with `.` between its parts.
    Type,
    Version,
    Tenant,
    /// The value of a key of the scope.
    Scope(String),
}

/// A template that no name can be made of.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It is empty, or its name alone is none that Kafka takes.
    #[error(
        "a topic has 1 to {NAME_BYTES_MAX} of letters, digits, `.`, `_` and `-`, and is neither `.` nor `..` nor one of Kafka's own, which begin with `__`"
    )]
    Name,
    /// A place for what there is not.
    #[error(
        "a topic has places for {{type}}, {{version}}, {{tenant}} and {{scope.KEY}}, and no other"
    )]
    Place,
}

/// Why an event has no topic.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NoTopic {
    #[error("the event has no {0}, which its topic is named by; subscribe to events that have one")]
    Absent(Place),
    #[error(
        "the {0} of the event has other characters than letters, digits, `_` and `-`, so no topic can be named by it; name the topic by something else"
    )]
    Unfit(Place),
    #[error(
        "the name of the event's topic would have {0} bytes, and Kafka takes {NAME_BYTES_MAX}; name the topic by less"
    )]
    Long(usize),
}

/// What a topic is named by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Tenant,
    Scope(String),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            let (place, after) = behind.split_once('}').ok_or(TemplateError::Place)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::parse(place)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let is_good = |part: &Part| match part {
            Part::Text(text) => text.bytes().all(|byte| byte == b'.' || is_word(byte)),
            _ => true,
        };
        let bytes: usize = parts.iter().map(Part::bytes_min).sum();
        let is_reserved = match &parts[..] {
            [] => true,
            [Part::Text(text)] => matches!(text.as_str(), "." | "..") || text.starts_with("__"),
            [Part::Text(text), ..] => text.starts_with("__"),
            _ => false,
        };
        if is_reserved || bytes > NAME_BYTES_MAX || !parts.iter().all(is_good) {
            return Err(TemplateError::Name);
        }
        Ok(Self { parts })
    }

    /// Returns the name of the topic of an event.
    pub(super) fn render(&self, event: &RegisteredEvent) -> Result<String, NoTopic> {
        let mut name = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Type => name.extend(event.event_type.chars().map(dotted)),
                Part::Version => name.push_str(&event.version.to_string()),
                Part::Tenant => name.push_str(fit(&event.tenant, Place::Tenant)?),
                Part::Scope(key) => {
                    let scope = Scope::parse(&event.scope).unwrap_or_default();
                    let found = scope.elements().find(|(found, _)| found == key);
                    let value = found.map(|(_, value)| value).unwrap_or_default();
                    name.push_str(fit(&value, Place::Scope(key.clone()))?);
                }
            }
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(NoTopic::Long(name.len()));
        }
        Ok(name)
    }
}

impl Part {
    fn parse(place: &str) -> Result<Self, TemplateError> {
        match place {
            "type" => Ok(Self::Type),
            "version" => Ok(Self::Version),
            "tenant" => Ok(Self::Tenant),
            _ => match place.strip_prefix("scope.") {
                Some(key) if Scope::default().with(key, "x").is_ok() => {
                    Ok(Self::Scope(key.to_owned()))
                }
                _ => Err(TemplateError::Place),
            },
        }
    }

    /// Returns how many bytes it has at least.
    fn bytes_min(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant"),
            Self::Scope(key) => write!(f, "scope {key}"),
        }
    }
}

/// Returns a value that may stand in a name; without dots, so that it cannot run into what stands beside it.
fn fit(value: &str, place: Place) -> Result<&str, NoTopic> {
    if value.is_empty() {
        return Err(NoTopic::Absent(place));
    }
    if !value.bytes().all(is_word) {
        return Err(NoTopic::Unfit(place));
    }
    Ok(value)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn dotted(char: char) -> char {
    if char == ':' { '.' } else { char }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn event(event_type: &str, tenant: &str, scope: &str) -> RegisteredEvent {
        RegisteredEvent {
            event_id: Uuid::nil(),
            event_type: event_type.to_owned(),
            version: 2,
            tenant: tenant.to_owned(),
            scope: scope.to_owned(),
            ordering_key: None,
            occurred_at: DateTime::UNIX_EPOCH,
            payload: "{}".to_owned(),
            headers: None,
        }
    }

    #[test]
    fn topic_is_named_by_what_the_event_says() {
        let event = event("shop:order:line-added", "acme", "project=p1/job=j_2");
        for (template, name) in [
            ("orders", "orders"),
            ("{type}", "shop.order.line-added"),
            ("app.{type}.v{version}", "app.shop.order.line-added.v2"),
            ("{tenant}-{scope.job}.{scope.project}_x", "acme-j_2.p1_x"),
        ] {
            assert_eq!(Template::parse(template).unwrap().render(&event).as_deref(), Ok(name));
        }
    }

    #[test]
    fn template_that_no_name_can_be_made_of_is_refused() {
        let long = "x".repeat(250);
        for template in ["", ".", "..", "a b", "a/b", "or:ders", "é", "__offsets", "a}", &long] {
            assert_eq!(Template::parse(template), Err(TemplateError::Name), "{template}");
        }
        for template in ["{", "a{type", "{}", "{Type}", "{scope.}", "{scope.a=b}", "{a{type}}"] {
            assert_eq!(Template::parse(template), Err(TemplateError::Place), "{template}");
        }
        assert!(Template::parse(&"x".repeat(249)).is_ok());
    }

    #[test]
    fn event_without_what_its_topic_is_named_by_has_none() {
        let render = |template: &str, event: &RegisteredEvent| {
            Template::parse(template).unwrap().render(event).unwrap_err().to_string()
        };
        let event = event("order:placed", "", "project=a%2Fb");
        assert!(render("{tenant}", &event).contains("no tenant"));
        assert!(render("{scope.job}", &event).contains("no scope job"));
        assert!(render("{scope.project}", &event).contains("scope project of the event has other"));
        let long = format!("{}{{type}}", "x".repeat(240));
        assert!(render(&long, &event).contains("252 bytes"));
    }

    #[test]
    fn tenant_with_a_dot_cannot_take_the_topic_of_another() {
        let template = Template::parse("{tenant}.{type}").unwrap();
        let of_a = template.render(&event("b:placed", "a", ""));
        assert_eq!(of_a.as_deref(), Ok("a.b.placed"));
        assert_eq!(
            template.render(&event("placed", "a.b", "")),
            Err(NoTopic::Unfit(Place::Tenant))
        );
    }

    proptest! {
        #[test]
        fn whatever_is_rendered_is_a_name_that_kafka_takes(
            template in "[a-z._{}]{0,5}(\\{type\\}|\\{tenant\\}|\\{scope\\.a\\})?[a-z.]{0,3}",
            tenant in ".{0,6}",
            value in "[^/=%]{1,6}",
        ) {
            let scope = Scope::default().with("a", &value);
            let scope = scope.map(|scope| scope.as_str().to_owned()).unwrap_or_default();
            if let Ok(template) = Template::parse(&template)
                && let Ok(name) = template.render(&event("a:b", &tenant, &scope))
            {
                prop_assert!((1..=249).contains(&name.len()));
                prop_assert!(name.bytes().all(|byte| byte == b'.' || is_word(byte)), "{}", name);
            }
        }
    }
}
