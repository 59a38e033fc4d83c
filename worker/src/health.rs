//! How a destination is doing, and what its lane does about it: slows down, stops and probes, warns, gives up.
//!
//! A lane belongs to one worker, so all of this is in memory and costs nothing while all is well.
//! It does no I/O and reads no clock.
//!
//! ```text
//!            busy, several in a row            the time is over
//!   closed ─────────────────────────▶ open ────────────────────▶ probing: one delivery
//!      ▲                               ▲                            │        │
//!      │                               └───────────busy─────────────┘        │
//!      └──────────────────────────any other answer───────────────────────────┘
//! ```
//!
//! *Busy* is no answer at all, 408, 429 and 5xx: the destination is overloaded or away.
//! Any other answer shows that it is there, so it closes the breaker, also where it is a refusal.
//! What has to end for [`Rules::disable`] is another thing: that nothing was delivered for days.

use std::time::Duration;

use tidings::{
    deliverer::{Answer, Verdict},
    subscriber::{Note, Trouble, Turn},
};
use tokio::time::Instant;

/// What a success gives back to a lane that was slowed down, in deliveries in flight.
const RECOVERY: f64 = 0.125;

/// A count of failures is worth writing down from here on, at each doubling.
const NOTED_MIN: u32 = 8;

/// And after so long, however few there were.
const NOTED_EVERY: Duration = Duration::from_hours(1);

/// A pause of a breaker is longer by up to this part, so that not all lanes of a receiver probe at once.
const JITTER: f64 = 0.2;

/// What a worker does about destinations that are not well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Whether a busy destination gets fewer deliveries at a time: half with each sign of it, and again one more with
    /// every eight successes.
    pub slow_down: bool,
    /// When deliveries stop for a while; `None`: never.
    pub breaker: Option<Breaker>,
    /// When the subscriber is disabled; `None`: never.
    pub disable: Option<Disable>,
}

/// When deliveries stop for a while, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Breaker {
    /// After so many busy answers in a row; at least one.
    pub failures: u32,
    /// The first pause.
    pub pause: Duration,
    /// The longest pause; each is twice the one before, until something is delivered.
    pub pause_max: Duration,
}

/// When a subscriber is disabled because nothing can be delivered to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Disable {
    /// When nothing was delivered for so long, although it was tried.
    pub after: Duration,
    /// And so many attempts have failed; a delivery that nobody tried says nothing about its destination.
    pub failures: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            slow_down: true,
            breaker: Some(Breaker::default()),
            disable: Some(Disable::default()),
        }
    }
}

impl Rules {
    /// Does nothing about it.
    pub const OFF: Self = Self { slow_down: false, breaker: None, disable: None };
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 10, pause: Duration::from_secs(5), pause_max: Duration::from_mins(5) }
    }
}

impl Default for Disable {
    fn default() -> Self {
        Self { after: Duration::from_hours(5 * 24), failures: 20 }
    }
}

/// What an answer says about its destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sign {
    /// It has the delivery.
    Well,
    /// It is there, and does not want this delivery.
    Refusing,
    /// It is overloaded, or away.
    Busy,
}

impl Sign {
    /// Reads an answer; without a status it was none.
    pub(crate) fn of(answer: &Answer) -> Self {
        match (answer.verdict, answer.status) {
            (Verdict::Delivered, _) => Self::Well,
            (Verdict::Refused | Verdict::Filtered | Verdict::Gone, _) => Self::Refusing,
            (_, None | Some(408 | 429 | 500..=599)) => Self::Busy,
            _ => Self::Refusing,
        }
    }
}

/// How the destination of a lane is doing.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    rules: Rules,
    /// How many may be in flight; `None` while nothing slows it down.
    limit: Option<f64>,
    /// When it was slowed down last: what was sent before says nothing new.
    slowed_at: Option<Instant>,
    /// Busy answers in a row.
    busy: u32,
    circuit: Circuit,
    failing: Option<Failing>,
    /// Whether the database has something about it that is no longer so, when all is well.
    noted: bool,
}

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Circuit {
    Closed,
    /// Nothing starts before, and then one; the pause was that many times doubled.
    Open {
        until: Instant,
        opened: u32,
    },
    /// One is on its way.
    Probing {
        opened: u32,
    },
}

/// Since when nothing was delivered.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    failures: u32,
    warned: bool,
    noted_at: Option<Instant>,
}

/// What follows from an answer, beyond its delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Consequence {
    /// The database is to know.
    Note(Note),
    /// The subscriber is to be disabled, because of so many failures for so long.
    Disable { failures: u32, failing: Duration },
}

impl Health {
    pub(crate) const fn new(rules: Rules) -> Self {
        Self {
            rules,
            limit: None,
            slowed_at: None,
            busy: 0,
            circuit: Circuit::Closed,
            failing: None,
            noted: false,
        }
    }

    /// Starts from what the owner before has written down.
    pub(crate) fn resume(rules: Rules, trouble: Option<&Trouble>, now: Instant) -> Self {
        let mut health = Self::new(rules);
        let Some(trouble) = trouble else { return health };
        health.noted = true;
        if rules.breaker.is_some() && trouble.opened > 0 {
            let until = now + trouble.open.unwrap_or_default();
            health.circuit = Circuit::Open { until, opened: trouble.opened };
        }
        health.failing = trouble.failing.and_then(|failing| {
            let since = now.checked_sub(failing)?;
            let (failures, warned) = (trouble.failures, trouble.warned);
            Some(Failing { since, failures, warned, noted_at: Some(now) })
        });
        health
    }

    /// Starts anew, because a person has resumed the subscriber: whatever else is on its way to the database is over,
    /// and the first success says so.
    pub(crate) const fn anew(rules: Rules) -> Self {
        Self { noted: true, ..Self::new(rules) }
    }

    /// Takes in that what was to be written down is not: the next success says how things are.
    pub(crate) fn doubted(&mut self) {
        self.noted = true;
    }

    /// Returns how many of `max` may be in flight at `now`.
    pub(crate) fn slots(&self, max: usize, in_flight: usize, now: Instant) -> usize {
        match self.circuit {
            Circuit::Closed => match self.limit {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it lies between one and the limit of the lane"
                )]
                Some(limit) => max.min((limit as usize).max(1)),
                None => max,
            },
            // What was in flight when it opened comes back first.
            Circuit::Open { until, .. } if now >= until && in_flight == 0 => max.min(1),
            Circuit::Open { .. } | Circuit::Probing { .. } => 0,
        }
    }

    /// Returns when a probe may start, if nothing may now.
    pub(crate) fn reopens_at(&self, now: Instant) -> Option<Instant> {
        match self.circuit {
            Circuit::Open { until, .. } if until > now => Some(until),
            _ => None,
        }
    }

    /// Notes that something starts.
    pub(crate) fn started(&mut self) {
        if let Circuit::Open { opened, .. } = self.circuit {
            self.circuit = Circuit::Probing { opened };
        }
    }

    /// Notes that what started was not attempted after all.
    pub(crate) fn unattempted(&mut self, now: Instant) {
        if let Circuit::Probing { opened } = self.circuit {
            self.circuit = Circuit::Open { until: now, opened };
        }
    }

    /// Takes in an answer to what was sent at `sent`, of a lane with `max` in flight at most.
    ///
    /// `random` is a number from 0 to 1.
    pub(crate) fn answered(
        &mut self,
        sign: Sign,
        (sent, now): (Instant, Instant),
        max: usize,
        random: f64,
    ) -> Option<Consequence> {
        self.pace(sign, (sent, now), max);
        let opened = self.turn(sign, now, random);
        if sign == Sign::Well {
            let was_failing = self.failing.take();
            if self.noted {
                self.noted = false;
                let turn = was_failing.filter(|failing| failing.noted_at.is_some());
                return Some(Consequence::Note(Note {
                    turn: turn.map(|_| Turn::Recovered),
                    trouble: None,
                }));
            }
            return None;
        }
        self.fail(now, opened)
    }

    /// Slows down and recovers.
    fn pace(&mut self, sign: Sign, (sent, now): (Instant, Instant), max: usize) {
        if !self.rules.slow_down {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
        let max = max as f64;
        match sign {
            Sign::Busy if self.slowed_at.is_none_or(|at| sent > at) => {
                self.limit = Some((self.limit.unwrap_or(max).min(max) / 2.0).max(1.0));
                self.slowed_at = Some(now);
            }
            Sign::Well => {
                self.limit = self.limit.map(|limit| limit + RECOVERY).filter(|limit| *limit < max);
            }
            Sign::Busy | Sign::Refusing => {}
        }
    }

    /// Turns the breaker; returns whether it has opened or stays open for another pause.
    fn turn(&mut self, sign: Sign, now: Instant, random: f64) -> bool {
        if sign != Sign::Busy {
            self.busy = 0;
            if let Circuit::Probing { .. } = self.circuit {
                // Slowly: it has just come back.
                self.limit = self.rules.slow_down.then_some(1.0);
            }
            // Also where it is open: what was sent before it opened has been taken.
            self.circuit = Circuit::Closed;
            return false;
        }
        self.busy = self.busy.saturating_add(1);
        let Some(breaker) = self.rules.breaker else { return false };
        let opened = match self.circuit {
            Circuit::Probing { opened } => opened.saturating_add(1),
            Circuit::Closed if self.busy >= breaker.failures.max(1) => 1,
            Circuit::Closed | Circuit::Open { .. } => return false,
        };
        let pause = breaker
            .pause
            .saturating_mul(2_u32.saturating_pow(opened - 1))
            .min(breaker.pause_max)
            .mul_f64(1.0 + JITTER * random.clamp(0.0, 1.0));
        self.circuit = Circuit::Open { until: now + pause, opened };
        true
    }

    /// Counts a failure, and decides what is to be known of it.
    fn fail(&mut self, now: Instant, opened: bool) -> Option<Consequence> {
        if self.rules.breaker.is_none() && self.rules.disable.is_none() {
            return None;
        }
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            failures: 0,
            warned: false,
            noted_at: None,
        });
        failing.failures = failing.failures.saturating_add(1);
        let (since, failures) = (now.duration_since(failing.since), failing.failures);
        let mut turn = None;
        if let Some(disable) = self.rules.disable {
            if since >= disable.after && failures >= disable.failures {
                // The count stands until somebody has resumed the subscriber: it may be that it could not be disabled.
                return Some(Consequence::Disable { failures, failing: since });
            }
            if !failing.warned && since >= disable.after / 2 && failures >= disable.failures / 2 {
                failing.warned = true;
                turn = Some(Turn::Warned);
            }
        }
        let due = match failing.noted_at {
            None => since >= NOTED_EVERY,
            Some(at) => now.duration_since(at) >= NOTED_EVERY,
        };
        let doubled = failures >= NOTED_MIN && failures.is_power_of_two();
        if !(opened || due || doubled || turn.is_some()) {
            return None;
        }
        failing.noted_at = Some(now);
        let (warned, failures) = (failing.warned, failing.failures);
        self.noted = true;
        let (open, opened) = match self.circuit {
            Circuit::Open { until, opened } => (until.checked_duration_since(now), opened),
            Circuit::Probing { opened } => (None, opened),
            Circuit::Closed => (None, 0),
        };
        let trouble = Trouble { open, opened, failures, failing: Some(since), warned };
        Some(Consequence::Note(Note { turn, trouble: Some(trouble) }))
    }
}

#[cfg(test)]
mod tests;
