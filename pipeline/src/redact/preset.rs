//! Ready-made rules.

use super::{Action, Facts};
use crate::value::Value;

/// What the client of eGov DIGIT sends of people: URLs with queries, browser, city, and the user's UUID.
pub(super) const DIGIT: [(&str, Action); 5] = [
    ("$.edata.url", Action::StripQuery),
    ("$.edata.userAgent", Action::Drop),
    ("$.edata.cityId", Action::Drop),
    ("$.edata.uuid", Action::Hash),
    ("$.actor.id", Action::Hash),
];

/// The type of question whose answers tell of a person.
const REGISTRATION: &str = "registration";

/// The column of the look-up `question`.
const TYPE: &str = "questiontype";

/// Answers to registration questions are emptied, and so are those to questions of which nothing is known.
///
/// The original let what it did not know pass.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// The look-up that knows the types of questions; without one, events are believed.
    pub(super) questions: Option<usize>,
}

impl Answers {
    /// Empties the answers of an event, unless they are known to be harmless; returns whether there were any.
    pub(super) fn empty(&self, event: &mut Value<'_>, facts: Facts<'_>) -> bool {
        let concerns = event.get("eid").and_then(Value::as_str).is_none_or(|eid| {
            eid.eq_ignore_ascii_case("ASSESS") || eid.eq_ignore_ascii_case("RESPONSE")
        });
        if !concerns || self.harmless(event, facts) {
            return false;
        }
        let Some(edata) = event.at_mut(&["edata"]).and_then(Value::as_object_mut) else {
            return false;
        };
        let mut changed = false;
        for name in ["resvalues", "values"] {
            if let Some(answers) = edata.get_mut(name)
                && !matches!(answers, Value::Null)
                && answers.as_list().is_none_or(|list| !list.is_empty())
            {
                *answers = Value::List(Vec::new());
                changed = true;
            }
        }
        changed
    }

    fn harmless(&self, event: &Value<'_>, facts: Facts<'_>) -> bool {
        let said = event.at(&["edata", "item", "type"]).and_then(Value::as_str);
        let known = match self.questions {
            Some(lookup) => facts
                .keys
                .get(lookup)
                .and_then(|key| facts.snapshot.row(lookup, key))
                .and_then(|row| row.get(TYPE)?.as_str()),
            None => said,
        };
        let registers = |word: &str| word.trim().eq_ignore_ascii_case(REGISTRATION);
        known.is_some_and(|word| !word.trim().is_empty() && !registers(word))
            && !said.is_some_and(registers)
    }
}
