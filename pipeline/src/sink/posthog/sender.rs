//! Sends events until PostHog has said something about each of them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use reqwest::Method;
use tidings_analytics::wire::{self, Attempt, Batch, Bisect, Encoded, Outcome, Verdict as Said};
use uuid::Uuid;

use super::{message::message, options::Options};
use crate::{
    log::Limits,
    reason::Reason,
    sink::{
        drive::{Target, Verdict, Verdicts},
        event::Event,
        http::{Http, Request},
        metrics::Metrics,
        patience,
    },
    telemetry,
};

/// Sends events.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) wire: wire::Sink,
    pub(super) http: Http,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: Options,
}

/// An event, and the bytes in which it leaves.
type Item = (Event, Encoded);

impl Target for Sender {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn limits(&self) -> Limits {
        // With names written out, an event grows by half or more.
        let limits = self.wire.limits();
        Limits { records: limits.batch_events_max(), bytes: limits.batch_bytes_max() / 2 }
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn decide(&self, events: Vec<Event>) -> Verdicts {
        let (mut verdicts, mut items) = (Verdicts::default(), Vec::with_capacity(events.len()));
        for event in events {
            let message = message(&event.record.value, &event.id, &self.options);
            let too_large = |error: wire::Error| Reason::new("$", "too_large", error.to_string());
            match message.and_then(|message| self.wire.encode(&message).map_err(too_large)) {
                Ok(encoded) => items.push((event, encoded)),
                Err(reason) => {
                    verdicts.put(&self.options.name, &event, Verdict::Rejected(reason));
                }
            }
        }
        self.settle(items, &mut verdicts).await;
        verdicts
    }
}

impl Sender {
    async fn settle(&self, items: Vec<Item>, verdicts: &mut Verdicts) {
        let mut tries = 0;
        let mut parts = Bisect::new(items);
        while let Some(part) = parts.next_part() {
            let (batch, part, behind) = self.batch(part);
            parts.put_back(behind);
            let outcome = self.send(&batch, tries).await;
            let (wait, reason, act) = match outcome {
                Outcome::Delivered => {
                    tries = self.go_on(tries);
                    for (event, _) in &part {
                        verdicts.put(&self.options.name, event, Verdict::Stored);
                    }
                    continue;
                }
                Outcome::TooLarge { reason } | Outcome::Rejected { reason } => {
                    Metrics::add(&self.metrics.split, 1);
                    tries = self.go_on(tries);
                    if let Some((culprit, _)) = parts.refused(part) {
                        let verdict = Verdict::Rejected(Reason::new("$", "rejected", reason));
                        verdicts.put(&self.options.name, &culprit, verdict);
                    }
                    continue;
                }
                Outcome::Mixed(said) => {
                    let (rest, reason) = self.sort(part, said, verdicts);
                    if rest.is_empty() {
                        tries = self.go_on(tries);
                        continue;
                    }
                    parts.put_back(rest);
                    (None, reason, false)
                }
                Outcome::Transient { reason } => {
                    Metrics::add(&self.metrics.unanswered, 1);
                    parts.put_back(part);
                    (None, reason, false)
                }
                Outcome::Throttled { wait, reason } => {
                    Metrics::add(&self.metrics.throttled, 1);
                    parts.put_back(part);
                    (wait, reason, false)
                }
                Outcome::Unauthorized { reason } => {
                    parts.put_back(part);
                    (None, format!("{reason}; give it the key of the project"), true)
                }
                Outcome::QuotaLimited { reason } => {
                    parts.put_back(part);
                    (None, format!("{reason}; settle the quota of the project"), true)
                }
            };
            tries = self.wait(tries, wait, &reason, act).await;
        }
        self.go_on(tries);
    }

    /// Returns what goes into one request, and what has no room in it.
    fn batch(&self, part: Vec<Item>) -> (Batch, Vec<Item>, Vec<Item>) {
        let mut batch = self.wire.batch();
        let mut items = VecDeque::from(part);
        let mut within = Vec::with_capacity(items.len());
        while let Some((event, encoded)) = items.pop_front() {
            if let Err(encoded) = batch.push(encoded.clone()) {
                items.push_front((event, encoded));
                break;
            }
            within.push((event, encoded));
        }
        (batch, within, items.into())
    }

    async fn send(&self, batch: &Batch, tries: u32) -> Outcome {
        let now = (self.options.clock)();
        let id = batch.events().first().map_or(Uuid::nil(), Encoded::id);
        let attempt = Attempt { number: tries.saturating_add(1), ..Attempt::first(id, now) };
        let wire::Request { url, headers, body } = self.wire.request(batch, &attempt);
        Metrics::add(&self.metrics.requests, 1);
        Metrics::add(&self.metrics.request_bytes, batch.body_bytes());
        match self.http.send(Request { method: Method::POST, url, headers, body }).await {
            Ok(response) => self.wire.classify(batch, &response, (self.options.clock)()),
            Err(reason) => Outcome::unanswered(reason),
        }
    }

    /// Counts those about which PostHog has decided, and returns the rest with one reason.
    fn sort(
        &self,
        part: Vec<Item>,
        said: Vec<(Uuid, Said)>,
        verdicts: &mut Verdicts,
    ) -> (Vec<Item>, String) {
        let mut said: HashMap<_, _> = said.into_iter().collect();
        let (mut rest, mut why) = (Vec::new(), String::new());
        for (event, encoded) in part {
            let verdict = match said.remove(&encoded.id()) {
                Some(Said::Delivered) => Verdict::Stored,
                Some(Said::Rejected { reason }) => {
                    Verdict::Rejected(Reason::new("$", "rejected", reason))
                }
                Some(Said::Retry { reason }) => {
                    why = reason;
                    rest.push((event, encoded));
                    continue;
                }
                None => {
                    rest.push((event, encoded));
                    continue;
                }
            };
            verdicts.put(&self.options.name, &event, verdict);
        }
        (rest, why)
    }

    async fn wait(&self, tries: u32, asked: Option<Duration>, reason: &str, act: bool) -> u32 {
        let name = &self.options.name;
        if tries == 0 {
            Metrics::add(&self.metrics.paused, 1);
        }
        // First, and then every few minutes.
        if act && tries.is_multiple_of(10) {
            telemetry::sink_needs_somebody(name, reason);
        } else if tries == 0 {
            telemetry::sink_waits(name, reason);
        }
        let tries = tries.saturating_add(1);
        tokio::time::sleep(patience::pause(tries, asked, u64::from(tries))).await;
        tries
    }

    fn go_on(&self, tries: u32) -> u32 {
        if tries > 0 {
            Metrics::add(&self.metrics.resumed, 1);
            telemetry::sink_goes_on(&self.options.name);
        }
        0
    }
}
