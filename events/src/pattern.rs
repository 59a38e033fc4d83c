//! Which event types a subscription is for.
//!
//! A pattern is a name in which a part may be `*`, which stands for one part, or `**`, which stands for one or more:
//! `project:*:failed`, `project:**`, `**:failed`.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{BYTES_MAX, Fault, PARTS_MAX, PARTS_MIN, is_reserved, part_fault, past_tense};

/// Stands for one part.
const ONE: &str = "*";
/// Stands for one or more parts.
const MANY: &str = "**";
/// More of them would say nothing that a person could still read.
const MANY_MAX: usize = 3;

/// An event name, in which wildcards may stand for parts.
///
/// It has at most eight parts and 200 bytes, and at most three of the parts are `**`.
/// A pattern that no name could match is refused when it is read.
#[derive(
    Clone, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// The first fault, with the part that has it and what would be right.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        if pattern.len() > BYTES_MAX {
            return Err(PatternError::Length { bytes: pattern.len() });
        }
        let parts: Vec<_> = pattern.split(':').collect();
        for (index, part) in parts.iter().enumerate() {
            check_part(part).map_err(|fault| PatternError::Part {
                pattern: pattern.to_owned(),
                number: index + 1,
                part: (*part).to_owned(),
                fault,
            })?;
        }
        let many = parts.iter().filter(|part| **part == MANY).count();
        let fault = if parts.len() > PARTS_MAX {
            "it has more than 8 parts, and no name has"
        } else if parts.len() < PARTS_MIN && many == 0 {
            "it has one part, and every name has at least two"
        } else if many > MANY_MAX {
            "it has `**` more than three times"
        } else if parts
            .last()
            .is_some_and(|last| !is_wildcard(last) && !past_tense(last.as_bytes()))
        {
            "its last part is not a verb in the past tense, and that of every name is"
        } else {
            return Ok(Self(pattern.to_owned()));
        };
        Err(PatternError::Whole { pattern: pattern.to_owned(), fault })
    }

    /// Returns whether the event name `name` matches.
    ///
    /// Our own events, `tidings:…`, are matched by patterns alone that begin with that word, so that `**` means the
    /// events of the application.
    /// The time it takes grows with the product of both lengths in parts, at most eight each.
    pub fn matches(&self, name: &str) -> bool {
        if is_reserved(name) && !is_reserved(&self.0) {
            return false;
        }
        // The last `**` that was met, and where the parts that it may still take begin.
        let mut retry = None;
        let (mut pattern, mut rest) = (self.0.split(':'), name.split(':'));
        loop {
            let matched = match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some(MANY), Some(_)) => {
                    retry = Some((pattern.clone(), rest.clone()));
                    true
                }
                (Some(part), Some(name_part)) => part == ONE || part == name_part,
                // The name is at its end, and taking more of it cannot help.
                (Some(_), None) => return false,
                (None, Some(_)) => false,
            };
            if matched {
                continue;
            }
            // The last `**` takes one part more, and what follows it is tried again from there.
            let Some((after_many, taken)) = &mut retry else { return false };
            if taken.next().is_none() {
                return false;
            }
            (pattern, rest) = (after_many.clone(), taken.clone());
        }
    }

    /// Returns whether the pattern is a name, without wildcards.
    pub fn is_exact(&self) -> bool {
        !self.0.split(':').any(is_wildcard)
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Pattern {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, Self::Err> {
        Self::parse(pattern)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        Self::parse(&pattern)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

/// Text that is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is too long.
    #[error(
        "the pattern has {bytes} bytes, and {BYTES_MAX} are the most; write it like `project:*:failed`"
    )]
    Length {
        /// How long it is.
        bytes: usize,
    },
    /// A part is neither a wildcard nor the part of a name.
    #[error(
        "`{pattern}` is not a pattern: part {number}, `{part}`, {fault}; \
         write `*` for one part and `**` for any number, as in `project:*:failed` or `project:**`"
    )]
    Part {
        /// What was given.
        pattern: String,
        /// Which part, from one.
        number: usize,
        /// The part.
        part: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// No name could match.
    #[error(
        "`{pattern}` is not a pattern: {fault}; \
         write `*` for one part and `**` for any number, as in `project:*:failed` or `project:**`"
    )]
    Whole {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        fault: &'static str,
    },
}

fn is_wildcard(part: &str) -> bool {
    part == ONE || part == MANY
}

fn check_part(part: &str) -> Result<(), &'static str> {
    match part_fault(part.as_bytes()) {
        _ if is_wildcard(part) => Ok(()),
        None => Ok(()),
        Some(Fault::Character) if part.contains('*') => {
            Err("has a wildcard beside other characters")
        }
        Some(fault) => Err(fault.words()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    /// What a pattern means, said as plainly as possible.
    fn matches_naively(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([MANY, rest @ ..], [_, after @ ..]) => {
                matches_naively(rest, after) || matches_naively(pattern, after)
            }
            ([part, rest @ ..], [first, after @ ..]) => {
                (*part == ONE || part == first) && matches_naively(rest, after)
            }
            _ => false,
        }
    }

    #[test]
    fn wildcard_stands_for_one_part_or_for_many() {
        let cases = [
            ("project:job:failed", "project:job:failed", true),
            ("project:job:failed", "project:job:started", false),
            ("project:*:failed", "project:job:failed", true),
            ("project:*:failed", "project:failed", false),
            ("project:*:failed", "project:job:run:failed", false),
            ("project:**", "project:created", true),
            ("project:**", "project:job:run:failed", true),
            ("project:**", "projects:created", false),
            ("**:failed", "project:job:failed", true),
            ("**:failed", "project:job:started", false),
            ("**", "order:placed", true),
            ("project:**:run:**:failed", "project:job:run:run:failed", true),
            ("project:**:run:**:failed", "project:run:step:failed", false),
            ("**:*:failed", "job:failed", false),
            ("**:*:failed", "project:job:failed", true),
        ];
        for (text, name, expected) in cases {
            assert_eq!(pattern(text).matches(name), expected, "{text} {name}");
        }
    }

    #[test]
    fn pattern_without_wildcards_is_exact() {
        assert!(pattern("order:placed").is_exact());
        assert!(!pattern("order:*").is_exact());
        assert!(!pattern("**").is_exact());
    }

    #[test]
    fn error_says_what_is_wrong_and_how_it_is_done_right() {
        let cases = [
            ("", "part 1, ``, is empty"),
            ("project:j*b:failed", "part 2, `j*b`, has a wildcard beside other characters"),
            ("project:***", "part 2, `***`, has a wildcard beside other characters"),
            ("Project:**", "part 1, `Project`, has a character other than a-z, 0-9 and hyphen"),
            ("project", "it has one part, and every name has at least two"),
            ("*", "it has one part, and every name has at least two"),
            ("**:a:**:b:**:c:**", "it has `**` more than three times"),
            ("*:*:*:*:*:*:*:*:*", "it has more than 8 parts, and no name has"),
            ("**:fail", "its last part is not a verb in the past tense"),
        ];
        for (text, fault) in cases {
            let error = Pattern::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a pattern: {fault}")), "{error}");
            assert!(error.ends_with("as in `project:*:failed` or `project:**`"), "{error}");
        }
        let error = Pattern::parse(&"*:".repeat(101)).unwrap_err().to_string();
        assert!(error.starts_with("the pattern has 202 bytes"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn matcher_agrees_with_a_naive_one(
            parts in proptest::collection::vec(prop_oneof!["[ab]", Just("*".to_owned()), Just("**".to_owned())], 1..8),
            name in proptest::collection::vec("[ab]", 1..10),
        ) {
            // Also what `parse` refuses: the matcher does not rely on it.
            let pattern = Pattern(parts.join(":"));
            let parts: Vec<_> = parts.iter().map(String::as_str).collect();
            let parts_of_name: Vec<_> = name.iter().map(String::as_str).collect();
            prop_assert_eq!(pattern.matches(&name.join(":")), matches_naively(&parts, &parts_of_name));
        }

        #[test]
        fn name_matches_itself_and_whatever_a_wildcard_leaves_of_it(
            parts in proptest::collection::vec("[a-z][a-z0-9]{0,5}", 1..8), at: proptest::sample::Index, many: bool,
        ) {
            let mut parts: Vec<_> = parts.iter().map(String::as_str).chain(["ended"]).collect();
            let name = parts.join(":");
            prop_assert!(pattern(&name).matches(&name));
            let at = at.index(parts.len());
            parts[at] = if many { MANY } else { ONE };
            prop_assert!(pattern(&parts.join(":")).matches(&name));
        }

        #[test]
        fn any_text_is_answered(text: String) {
            drop(Pattern::parse(&text));
        }
    }
}
