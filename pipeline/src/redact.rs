//! Redaction: what must not be kept is taken out before anything is stored beyond quarantine.
//!
//! It fails closed.
//! A rule that may concern an event concerns it; what a rule cannot be applied to makes the event fail, and never goes
//! on as it is.

mod action;
mod preset;
mod settings;

use std::sync::Arc;

use tidings_analytics::HashKeys;

pub(crate) use self::action::stripped;
pub use self::{
    action::Action,
    settings::{Preset, Rule, Settings},
};
use self::{action::Problem, preset::Answers};
use crate::{
    condition::Condition,
    lookup::{Keys, Snapshot},
    path::Path,
    reason::Reason,
    value::Value,
};

/// The compiled rules of an installation.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// For the event as it came, in order.
    before: Vec<Compiled>,
    /// For what enrichment adds: hashing twice would hide what was hashed once.
    after: Vec<Compiled>,
    keys: Option<Arc<HashKeys>>,
}

/// A compiled rule.
#[derive(Clone, Debug)]
struct Compiled {
    condition: Condition,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Path(Path, Action),
    Answers(Answers),
}

/// What is known of an event beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'e> {
    /// The channel of the key under which it came; empty where there was none.
    pub channel: &'e str,
    /// The keys of its look-ups.
    pub keys: &'e Keys<'e>,
    /// The rows of its batch.
    pub snapshot: &'e Snapshot,
}

impl Redactor {
    /// Returns it with other keys, after a rotation; without any, what has to be hashed fails.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<Arc<HashKeys>>) -> Self {
        self.keys = keys;
        self
    }

    /// Redacts an event as it came; returns whether something in it is another.
    ///
    /// After an error the event is half redacted, and of no use.
    ///
    /// # Errors
    ///
    /// A rule cannot be applied: there is no key to hash under (`redact_no_key`), a value is of a type that its action
    /// has no meaning for (`redact_type`), or something stands in the way of a path (`redact_blocked`).
    pub fn apply(&self, event: &mut Value<'_>, facts: Facts<'_>) -> Result<bool, Reason> {
        self.run(&self.before, event, facts)
    }

    /// Redacts what enrichment has added, such as `$.metadata.sender`; otherwise as [`apply`](Self::apply).
    pub fn apply_added(&self, event: &mut Value<'_>, facts: Facts<'_>) -> Result<bool, Reason> {
        self.run(&self.after, event, facts)
    }

    fn run(
        &self,
        rules: &[Compiled],
        event: &mut Value<'_>,
        facts: Facts<'_>,
    ) -> Result<bool, Reason> {
        let mut changed = false;
        for rule in rules {
            if !rule.condition.may_hold(event, facts.channel) {
                continue;
            }
            changed |= match &rule.what {
                What::Path(path, action) => path
                    .edit(event, &mut |value| action.apply(value, self.keys.as_deref()))
                    .map_err(|problem: Problem| problem.reason(path, *action))?,
                What::Answers(answers) => answers.empty(event, facts),
            };
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests;
