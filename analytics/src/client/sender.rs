//! The task that sends: one batch after the other, one request at a time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{counts::LossReason, http::Http, queue::Item, shared::Shared};
use crate::wire::{Attempt, Batch, Bisect, Outcome, Sink, Verdict};

/// The task that sends.
#[derive(Debug)]
pub(super) struct Sender {
    shared: Arc<Shared>,
    http: Http,
    sink: Sink,
    /// How many requests in a row the sink has not taken.
    failed: u32,
}

/// What follows an answer.
enum Next {
    /// The next request.
    Go,
    /// The same one again, after a while.
    Again(Duration),
}

impl Sender {
    pub(super) const fn new(shared: Arc<Shared>, http: Http, sink: Sink) -> Self {
        Self { shared, http, sink, failed: 0 }
    }

    /// Sends until the client is closed and nothing waits any more.
    pub(super) async fn run(mut self) {
        while self.shared.ready(&self.sink).await {
            let items = self.shared.take(&self.sink);
            self.deliver(items).await;
        }
    }

    /// Sends events until each of them is settled.
    async fn deliver(&mut self, items: Vec<Item>) {
        let mut parts = Bisect::new(items);
        let mut earlier: Option<Attempt> = None;
        while let Some(part) = parts.next_part() {
            let part = self.shared.still_allowed(part);
            let (batch, part) = self.compose(part, &mut parts);
            if batch.is_empty() {
                earlier = None;
                continue;
            }
            let now = self.shared.sources.now();
            let first = || Attempt::first(self.shared.sources.event_id(now), now);
            let attempt = earlier.map_or_else(first, |earlier| earlier.next(now));
            let outcome = self.send(&batch, &attempt).await;
            self.shared.answered(&outcome);
            earlier = match self.settle(outcome, part, &mut parts) {
                Next::Go => None,
                Next::Again(delay) => {
                    sleep(delay).await;
                    Some(attempt)
                }
            };
        }
    }

    /// Returns the batch of `part` with what is in it; what has no room goes back.
    fn compose(&self, part: Vec<Item>, parts: &mut Bisect<Item>) -> (Batch, Vec<Item>) {
        let mut batch = self.sink.batch();
        let mut fits = |item: &Item| batch.push(item.encoded.clone()).is_ok();
        let (part, rest) = part.into_iter().partition(&mut fits);
        parts.put_back(rest);
        (batch, part)
    }

    async fn send(&self, batch: &Batch, attempt: &Attempt) -> Outcome {
        match self.http.send(self.sink.request(batch, attempt)).await {
            Ok(response) => self.sink.classify(batch, &response, self.shared.sources.now()),
            Err(reason) => Outcome::unanswered(reason),
        }
    }

    /// Settles what the answer decides, and gives the rest back to be sent.
    fn settle(&mut self, outcome: Outcome, part: Vec<Item>, parts: &mut Bisect<Item>) -> Next {
        match outcome {
            Outcome::Delivered => {
                self.failed = 0;
                self.shared.delivered(&part);
                Next::Go
            }
            Outcome::Mixed(verdicts) => self.judge(verdicts.into_iter().collect(), part, parts),
            Outcome::TooLarge { reason } | Outcome::Rejected { reason } => {
                self.failed = 0;
                let culprit = parts.refused(part);
                self.shared.lost(culprit.as_slice(), LossReason::Rejected, Some(&reason));
                Next::Go
            }
            Outcome::Transient { reason } => {
                parts.put_back(self.charge(part, &reason));
                self.again(None)
            }
            Outcome::Throttled { wait, .. } => {
                parts.put_back(part);
                // Without a word of how long, no shorter than the first bound: it asked for less.
                let wait = wait.unwrap_or(self.shared.retry.base);
                self.again(Some(wait))
            }
            Outcome::Unauthorized { .. } | Outcome::QuotaLimited { .. } => {
                parts.put_back(part);
                Next::Again(self.shared.retry.pause)
            }
        }
    }

    /// Settles the events of which the sink spoke one by one.
    fn judge(
        &mut self,
        mut verdicts: HashMap<Uuid, Verdict>,
        part: Vec<Item>,
        parts: &mut Bisect<Item>,
    ) -> Next {
        let (mut delivered, mut left) = (Vec::new(), Vec::new());
        for item in part {
            match verdicts.remove(&item.encoded.id()) {
                Some(Verdict::Delivered) => delivered.push(item),
                Some(Verdict::Rejected { reason }) => {
                    self.shared.lost(&[item], LossReason::Rejected, Some(&reason));
                }
                Some(Verdict::Retry { reason }) => left.extend(self.charge(vec![item], &reason)),
                None => left.push(item),
            }
        }
        self.shared.delivered(&delivered);
        if left.is_empty() {
            self.failed = 0;
            return Next::Go;
        }
        parts.put_back(left);
        self.again(None)
    }

    /// Charges an attempt to each event; returns those that are not given up.
    fn charge(&self, mut part: Vec<Item>, reason: &str) -> Vec<Item> {
        let now = Instant::now();
        for item in &mut part {
            item.failed += 1;
        }
        let retry = self.shared.retry;
        let (gone, left) = part.into_iter().partition(|item: &Item| {
            retry.gives_up(item.failed, now.saturating_duration_since(item.queued_at))
        });
        let gone: Vec<_> = gone;
        self.shared.lost(&gone, LossReason::GivenUp, Some(reason));
        left
    }

    /// Counts a failure of the sink; the wait is no shorter than `floor`.
    fn again(&mut self, floor: Option<Duration>) -> Next {
        self.failed = self.failed.saturating_add(1);
        let delay = self.shared.retry.delay(self.failed, self.shared.sources.fraction());
        Next::Again(floor.map_or(delay, |floor| delay.max(floor)))
    }
}
