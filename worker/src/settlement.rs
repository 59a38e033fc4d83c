//! What is done with a delivery after an attempt.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tidings::deliverer::{Answer, Verdict};
use uuid::Uuid;

use crate::ladder::Ladder;

/// The longest error text that is kept, in characters.
const ERROR_CHARS_MAX: usize = 1000;

/// A delivery that was read, as its owner remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) lane: i32,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) delivery_id: i64,
    pub(crate) event_id: Uuid,
    pub(crate) subscription_id: Option<i32>,
    pub(crate) key_hash: Option<i32>,
    /// Failed attempts before this one.
    pub(crate) failed: i16,
    /// How old it was when it was read.
    pub(crate) age: Duration,
}

/// What is done with a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// The destination has it: the row goes.
    Delivered,
    /// It is not to be sent, and that is no failure: the row goes.
    Filtered,
    /// It failed and comes again after the delay.
    Retry(Duration),
    /// It comes again after the delay, and nothing is counted.
    Defer(Duration),
    /// It goes to the dead letters.
    Bury(Reason),
}

/// Why a delivery is buried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    Exhausted,
    Refused,
    EventGone,
    WorkerDied,
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Refused => "refused",
            Self::EventGone => "event_gone",
            Self::WorkerDied => "worker_died",
        }
    }
}

impl Action {
    /// Decides what follows from `verdict` on a delivery that was read as `read`.
    pub(crate) fn after(verdict: Verdict, read: &Read, ladder: &Ladder, random: f64) -> Self {
        let failed = u16::try_from(read.failed).unwrap_or(0).saturating_add(1);
        let next = ladder.next(failed, read.age, random);
        match verdict {
            Verdict::Delivered => Self::Delivered,
            Verdict::Filtered => Self::Filtered,
            Verdict::Throttled(pause) => Self::Defer(pause),
            Verdict::Refused => Self::Bury(Reason::Refused),
            // The subscriber is disabled; whoever enables it again wants what has waited.
            Verdict::Gone => Self::Retry(next.unwrap_or_default()),
            Verdict::Retry => next.map_or(Self::Bury(Reason::Exhausted), Self::Retry),
            Verdict::RetryAfter(floor) => next.map_or(Self::Bury(Reason::Exhausted), |delay| {
                Self::Retry(Ladder::with_floor(delay, floor, random))
            }),
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Filtered => "filtered",
            Self::Retry(_) => "retry",
            Self::Defer(_) => "defer",
            Self::Bury(_) => "bury",
        }
    }
}

/// A delivery whose attempt is over, to be settled under the term it was read.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    pub(crate) read: Read,
    pub(crate) term: i64,
    pub(crate) action: Action,
    pub(crate) status: Option<i16>,
    pub(crate) error: Option<String>,
    pub(crate) elapsed_ms: Option<i32>,
}

impl Settlement {
    /// Returns the settlement of an attempt that was answered with `answer`.
    pub(crate) fn new(
        read: Read,
        term: i64,
        action: Action,
        answer: Answer,
        elapsed: Duration,
    ) -> Self {
        Self {
            read,
            term,
            action,
            status: answer.status.and_then(|status| i16::try_from(status).ok()),
            error: answer.error.map(|error| clean(&error)),
            elapsed_ms: i32::try_from(elapsed.as_millis()).ok(),
        }
    }

    /// Returns the settlement of a delivery that was not attempted.
    pub(crate) fn unattempted(read: Read, term: i64, action: Action, error: &str) -> Self {
        Self { read, term, action, status: None, error: Some(clean(error)), elapsed_ms: None }
    }

    pub(crate) fn delay_ms(&self) -> Option<i64> {
        match self.action {
            Action::Retry(delay) | Action::Defer(delay) => i64::try_from(delay.as_millis()).ok(),
            Action::Delivered | Action::Filtered | Action::Bury(_) => None,
        }
    }

    pub(crate) const fn reason(&self) -> Option<&'static str> {
        match self.action {
            Action::Bury(reason) => Some(reason.as_str()),
            _ => None,
        }
    }
}

/// Cuts a text to what the database can store: no NUL, and not without end.
fn clean(text: &str) -> String {
    text.chars().filter(|char| *char != '\0').take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(failed: i16, age_s: u64) -> Read {
        Read {
            lane: 1,
            due_at: DateTime::UNIX_EPOCH,
            delivery_id: 1,
            event_id: Uuid::nil(),
            subscription_id: None,
            key_hash: None,
            failed,
            age: Duration::from_secs(age_s),
        }
    }

    #[test]
    fn floor_of_the_destination_never_changes_the_number_of_attempts() {
        let ladder = Ladder::default();
        let asked = Verdict::RetryAfter(Duration::from_hours(24));
        for (failed, age_s, buried) in [(0, 0, false), (9, 0, false), (9, 300_000, true)] {
            for verdict in [Verdict::Retry, asked] {
                let action = Action::after(verdict, &read(failed, age_s), &ladder, 0.5);
                assert_eq!(
                    action == Action::Bury(Reason::Exhausted),
                    buried,
                    "{verdict:?} {failed}"
                );
            }
        }
    }

    #[test]
    fn gone_keeps_the_delivery() {
        let action = Action::after(Verdict::Gone, &read(500, 10_000_000), &Ladder::default(), 0.5);
        assert!(matches!(action, Action::Retry(_)));
    }

    proptest! {
        #[test]
        fn text_that_is_stored_has_no_nul_and_an_end(text in ".{0,3000}") {
            let cleaned = clean(&format!("{text}\0{text}"));
            prop_assert!(!cleaned.contains('\0'));
            prop_assert!(cleaned.chars().count() <= ERROR_CHARS_MAX);
        }
    }
}
