//! The deliveries of one call on their way through one request after another, until each has its answer.
//!
//! ```text
//! parts ──next──▶ request ──▶ outcome ──took──▶ answers
//!   ▲                            │
//!   └──── halves, if refused ────┘   a sink that has to be left alone ends the turn
//! ```

use std::time::Duration;

use tidings::{
    analytics::wire::{Batch, Bisect, Encoded, Outcome, Sink, Verdict as Said},
    deliverer::{Answer, Verdict},
};

/// How long a service is left alone that asks for patience and does not say for how long.
const PATIENCE: Duration = Duration::from_secs(5);

/// A delivery by its place in the call, as it will leave.
type Item = (usize, Encoded);

/// Deliveries on their way.
#[derive(Debug)]
pub(super) struct Turn {
    parts: Bisect<Item>,
    answers: Vec<Option<Answer>>,
}

impl Turn {
    /// Takes what came of each delivery when it was encoded.
    pub(super) fn new(encoded: Vec<Result<Encoded, Answer>>) -> Self {
        let (mut items, mut answers) = (Vec::with_capacity(encoded.len()), Vec::new());
        for (place, encoded) in encoded.into_iter().enumerate() {
            match encoded {
                Ok(encoded) => {
                    items.push((place, encoded));
                    answers.push(None);
                }
                Err(answer) => answers.push(Some(answer)),
            }
        }
        Self { parts: Bisect::new(items), answers }
    }

    /// Returns what is to be sent now, and which deliveries that are; `None` is the end.
    pub(super) fn next(&mut self, sink: &Sink) -> Option<(Batch, Vec<Item>)> {
        let mut part = self.parts.next_part()?;
        let mut batch = sink.batch();
        let full = part.iter().position(|(_, encoded)| batch.push(encoded.clone()).is_err());
        let behind = part.split_off(full.unwrap_or(part.len()));
        self.parts.put_back(behind);
        Some((batch, part))
    }

    /// Takes in what became of `part`.
    pub(super) fn took(&mut self, part: Vec<Item>, outcome: Outcome, status: Option<u16>) {
        match outcome {
            Outcome::Delivered => self.answer(&part, &with(Answer::delivered(), status)),
            Outcome::Mixed(verdicts) => {
                // In the order of the batch, which is that of the part.
                for (item, (_, said)) in part.iter().zip(verdicts) {
                    let answer = match said {
                        Said::Delivered => Answer::delivered(),
                        Said::Retry { reason } => Answer::failed(Verdict::Retry, reason),
                        Said::Rejected { reason } => Answer::failed(Verdict::Refused, reason),
                    };
                    self.answer(std::slice::from_ref(item), &with(answer, status));
                }
            }
            Outcome::TooLarge { reason } | Outcome::Rejected { reason } => {
                if let Some(culprit) = self.parts.refused(part) {
                    let answer = with(Answer::failed(Verdict::Refused, reason), status);
                    self.answer(&[culprit], &answer);
                }
            }
            Outcome::Transient { reason } => {
                self.answer(&part, &with(Answer::failed(Verdict::Retry, reason), status));
                self.end("the request before it failed");
            }
            Outcome::Throttled { wait, reason } => {
                let verdict = Verdict::Throttled(wait.unwrap_or(PATIENCE));
                self.answer(&part, &with(Answer::failed(verdict, reason), status));
                self.end("the service asks for patience");
            }
            Outcome::Unauthorized { reason } => {
                let reason = format!("{reason}; give it another key, then resume it");
                self.answer(&part, &with(Answer::failed(Verdict::Gone, reason), status));
                self.end("the service does not accept the key");
            }
            Outcome::QuotaLimited { reason } => {
                let reason = format!("{reason}; settle its quota, then resume it");
                self.answer(&part, &with(Answer::failed(Verdict::Gone, reason), status));
                self.end("the service is out of quota");
            }
        }
    }

    /// Leaves what was not sent for another time.
    pub(super) fn end(&mut self, reason: &str) {
        let rest = std::mem::replace(&mut self.parts, Bisect::new(Vec::new())).into_items();
        let reason = format!("not sent: {reason}");
        self.answer(&rest, &Answer::failed(Verdict::Throttled(Duration::ZERO), reason));
    }

    /// Returns the answers in the order of the deliveries.
    pub(super) fn into_answers(mut self) -> Vec<Answer> {
        self.end("its turn did not come");
        let missing = || Answer::failed(Verdict::Retry, "the service said nothing about it");
        self.answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
    }

    fn answer(&mut self, items: &[Item], answer: &Answer) {
        for (place, _) in items {
            if let Some(slot) = self.answers.get_mut(*place) {
                *slot = Some(answer.clone());
            }
        }
    }
}

fn with(answer: Answer, status: Option<u16>) -> Answer {
    match status {
        Some(status) => answer.with_status(status),
        None => answer,
    }
}
