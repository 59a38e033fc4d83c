//! The settings of redaction.

use std::sync::Arc;

use serde::Deserialize;
use tidings_analytics::HashKeys;

use super::{
    Action, Compiled, Redactor, What,
    preset::{Answers, DIGIT},
};
use crate::{
    Error, Result,
    condition::{Condition, When},
    lookup::Lookups,
    path::Path,
};

/// What is redacted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The rules, applied in their order.
    pub rule: Vec<Rule>,
}

/// A rule: a ready-made one, or a path and an action.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// A ready-made rule.
    pub preset: Option<Preset>,
    /// What it is about.
    pub path: Option<String>,
    /// What happens to it.
    pub action: Option<Action>,
    /// The look-up that knows the types of questions, for `registration-answers`.
    pub questions: Option<String>,
    /// Which events it concerns; one of which that is not known is concerned.
    pub when: When,
}

/// A ready-made rule.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Answers to questions of Sunbird's type `Registration`, and to those whose type is not known, are emptied.
    RegistrationAnswers,
    /// What eGov DIGIT's client tells of people.
    Digit,
}

impl Redactor {
    /// Compiles rules; without keys, what has to be hashed fails.
    ///
    /// # Errors
    ///
    /// Which setting cannot be used, and what to write.
    pub fn compile(
        settings: &Settings,
        lookups: &Lookups,
        keys: Option<Arc<HashKeys>>,
    ) -> Result<Self> {
        let mut redactor = Self::default().with_keys(keys);
        for (index, rule) in settings.rule.iter().enumerate() {
            let place = format!("redact.rule[{}]", index + 1);
            let condition = Condition::compile(&rule.when, &format!("{place}.when"))?;
            for what in rule.compile(lookups, &place)? {
                let added = match &what {
                    What::Path(path, _) => {
                        path.begins_with("metadata")
                            || lookups.members().any(|member| path.begins_with(member))
                    }
                    What::Answers(_) => false,
                };
                let rules = if added { &mut redactor.after } else { &mut redactor.before };
                rules.push(Compiled { condition: condition.clone(), what });
            }
        }
        Ok(redactor)
    }
}

impl Rule {
    fn compile(&self, lookups: &Lookups, place: &str) -> Result<Vec<What>> {
        let at = |field: &str| format!("{place}.{field}");
        if self.questions.is_some() && self.preset != Some(Preset::RegistrationAnswers) {
            let message = "only the preset registration-answers asks for questions; take it out";
            return Err(Error::setting(at("questions"), message));
        }
        let path = |text: &str, action| {
            let path = Path::parse(text);
            let path = path.map_err(|error| Error::setting(at("path"), error.to_string()))?;
            if let Some(name) = KEPT.into_iter().find(|name| path.as_str() == format!("$.{name}")) {
                let message =
                    format!("`{name}` is what the pipeline goes by; it cannot be redacted");
                return Err(Error::setting(at("path"), message));
            }
            Ok(What::Path(path, action))
        };
        match (self.preset, &self.path, self.action) {
            (Some(Preset::Digit), None, None) => {
                DIGIT.into_iter().map(|(text, action)| path(text, action)).collect()
            }
            (Some(Preset::RegistrationAnswers), None, None) => {
                let number = |name: &String| {
                    lookups.position(name).ok_or_else(|| {
                        let message = format!(
                            "there is no look-up `{name}`; add one to [[enrich.lookup]], with preset = \"question\""
                        );
                        Error::setting(at("questions"), message)
                    })
                };
                let questions = self.questions.as_ref().map(number).transpose()?;
                Ok(vec![What::Answers(Answers { questions })])
            }
            (None, Some(text), Some(action)) => Ok(vec![path(text, action)?]),
            _ => {
                let message = "write either a preset (registration-answers, digit), or path and action (drop, mask, hash, strip-query)";
                Err(Error::setting(place, message))
            }
        }
    }
}

/// Members by which the pipeline goes after redaction.
const KEPT: [&str; 4] = ["eid", "ets", "mid", "ver"];
