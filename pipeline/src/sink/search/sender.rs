//! Sends documents until the engine has said something about each of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use reqwest::{
    Method,
    header::{CONTENT_ENCODING, HeaderMap, HeaderValue},
};
use tidings_analytics::wire::{Bisect, Response};
use tokio::sync::Semaphore;

use super::{
    answer::{Answer, Said},
    bulk,
    options::{Options, Storage},
};
use crate::{
    log::Limits,
    reason::Reason,
    sink::{
        drive::{Target, Verdict, Verdicts},
        event::Event,
        http::{self, Http, Request},
        metrics::Metrics,
        patience,
    },
    telemetry,
};

/// What the engine is asked to answer: less is to be written, sent and read.
const FILTER: &str = "filter_path=items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by,error,status";

/// How often several documents go unanswered together before they are sent in halves: one of them may be what the engine,
/// or something before it, dies of.
const UNANSWERED_SPLIT: u32 = 3;

/// How often one document goes unanswered by an engine that is well before it is given up.
const UNANSWERED_MAX: u32 = 5;

/// How often the engine breaks on a document before it is given up; with the pauses between, some minutes.
const BROKEN_MAX: u32 = 10;

/// Sends documents.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) http: Http,
    pub(super) headers: HeaderMap,
    pub(super) permits: Semaphore,
    /// What is sent at once: less than configured once more was refused.
    pub(super) bytes_max: AtomicUsize,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: Options,
}

/// What has gone wrong with the documents of one request so far.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    attempt: u32,
    unanswered: u32,
    /// Whether it has led to halves already.
    halved: bool,
    broken: u32,
    seed: u64,
    /// How long the last answer asks to wait.
    asked: Option<Duration>,
    /// Whether the sink is counted as waiting.
    paused: bool,
}

impl Target for Sender {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn limits(&self) -> Limits {
        // An eighth is left for the lines with the ids, so that a turn of small events is one request.
        let bytes = self.bytes_max.load(Ordering::Relaxed);
        Limits { records: self.options.bulk_documents_max, bytes: bytes - bytes / 8 }
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn decide(&self, mut events: Vec<Event>) -> Verdicts {
        let sizes: Vec<_> = events.iter().map(|event| (event.day, bulk::bytes(event))).collect();
        let daily = self.options.storage == Storage::Daily;
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        let ranges = bulk::parts(&sizes, daily, bytes_max, self.options.bulk_documents_max);
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges.into_iter().rev() {
            parts.push(events.split_off(range.start));
        }
        let decided = join_all(parts.into_iter().rev().map(|part| self.settle(part))).await;
        let mut verdicts = Verdicts::default();
        for other in decided {
            verdicts.extend(other);
        }
        verdicts
    }
}

impl Sender {
    /// Has the engine decide documents of one index.
    async fn settle(&self, events: Vec<Event>) -> Verdicts {
        // Closed never: nobody closes it.
        let permit = self.permits.acquire().await;
        let mut verdicts = Verdicts::default();
        let mut trouble = Trouble { seed: seed(&events), ..Trouble::default() };
        let mut parts = Bisect::new(events);
        while let Some(part) = parts.next_part() {
            let bytes: usize = part.iter().map(bulk::bytes).sum();
            if part.len() > 1 && bytes > self.bytes_max.load(Ordering::Relaxed) {
                // Narrowed since it was put together.
                drop(parts.refused(part));
                continue;
            }
            match self.send(&part).await {
                Ok(response) => {
                    trouble.asked = http::wait(&response.headers);
                    let answer = Answer::read(&response, part.len());
                    let rest = self.take(part, answer, &mut trouble, &mut verdicts).await;
                    match rest {
                        Rest::Again(part) => parts.put_back(part),
                        Rest::Halves(part, reason) => {
                            Metrics::add(&self.metrics.split, 1);
                            if let Some(culprit) = parts.refused(part) {
                                let verdict = Verdict::Rejected(reason);
                                verdicts.put(&self.options.name, &culprit, verdict);
                            }
                        }
                    }
                }
                Err(reason) => {
                    let culprit = self.unanswered(part, &reason, &mut trouble, &mut parts).await;
                    if let Some(culprit) = culprit {
                        let reason = unanswerable(&reason);
                        verdicts.put(&self.options.name, &culprit, Verdict::Rejected(reason));
                    }
                }
            }
        }
        self.go_on(&mut trouble);
        drop(permit);
        verdicts
    }

    async fn send(&self, events: &[Event]) -> Result<Response, String> {
        let body = bulk::body(events);
        Metrics::add(&self.metrics.requests, 1);
        Metrics::add(&self.metrics.request_bytes, body.len());
        let mut headers = self.headers("application/x-ndjson");
        let body = if self.options.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            let packed = tokio::task::spawn_blocking(move || bulk::packed(&body)).await;
            packed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?
        } else {
            Bytes::from(body)
        };
        let day = events.first().map(|event| event.day).unwrap_or_default();
        let mut url = self.url(&[&self.index(day), "_bulk"]);
        url.set_query(Some(FILTER));
        self.http.send(Request { method: Method::POST, url, headers, body }).await
    }

    /// Takes an answer in; what comes back is still to be decided.
    async fn take(
        &self,
        part: Vec<Event>,
        answer: Answer,
        trouble: &mut Trouble,
        verdicts: &mut Verdicts,
    ) -> Rest {
        trouble.unanswered = 0;
        match answer {
            Answer::Items(items) => {
                let (rest, why) = self.sort(part, items, trouble, verdicts);
                match why {
                    None => trouble.attempt = 0,
                    Some(Why::Index(index, reason)) => match self.create(&index).await {
                        Ok(()) => {}
                        Err(error) => {
                            let reason = format!("{reason}; making it: {error}");
                            self.wait(trouble, &reason, true).await;
                        }
                    },
                    Some(Why::Busy(reason)) => {
                        Metrics::add(&self.metrics.throttled, 1);
                        self.wait(trouble, &reason, false).await;
                    }
                    Some(Why::Somebody(reason)) => self.wait(trouble, &reason, true).await,
                }
                Rest::Again(rest)
            }
            Answer::Busy(reason) => {
                Metrics::add(&self.metrics.throttled, 1);
                self.wait(trouble, &reason, false).await;
                Rest::Again(part)
            }
            Answer::Misconfigured(reason) => {
                self.wait(trouble, &reason, true).await;
                Rest::Again(part)
            }
            Answer::TooLarge(reason) => {
                if part.len() > 1 {
                    self.narrow(part.iter().map(bulk::bytes).sum::<usize>() / 2);
                }
                let message = format!("the engine takes no document of this size: {reason}");
                Rest::Halves(part, Reason::new("$", "too_large", message))
            }
            Answer::Refused(reason) => Rest::Halves(part, reason),
        }
    }

    /// Counts what is decided, and returns the rest with the gravest reason why it is not.
    fn sort(
        &self,
        part: Vec<Event>,
        items: Vec<Said>,
        trouble: &mut Trouble,
        verdicts: &mut Verdicts,
    ) -> (Vec<Event>, Option<Why>) {
        let (mut rest, mut why) = (Vec::new(), None);
        let broken_before = trouble.broken;
        let mut again = |event, reason| {
            rest.push(event);
            why = match (why.take(), reason) {
                (Some(Why::Busy(_)) | None, reason) => Some(reason),
                (graver, _) => graver,
            };
        };
        for (event, said) in part.into_iter().zip(items) {
            let verdict = match said {
                Said::Stored => Verdict::Stored,
                Said::AlreadyThere => Verdict::AlreadyThere,
                Said::Rejected(reason) => Verdict::Rejected(reason),
                Said::Broken(reason) if broken_before >= BROKEN_MAX => Verdict::Rejected(reason),
                Said::Broken(reason) => {
                    trouble.broken = broken_before + 1;
                    again(event, Why::Busy(reason.code.into_owned()));
                    continue;
                }
                Said::Busy(reason) => {
                    again(event, Why::Busy(reason));
                    continue;
                }
                Said::NoIndex(reason) => {
                    let index = self.index(event.day);
                    again(event, Why::Index(index, reason));
                    continue;
                }
                Said::Misconfigured(reason) => {
                    again(event, Why::Somebody(reason));
                    continue;
                }
            };
            verdicts.put(&self.options.name, &event, verdict);
        }
        (rest, why)
    }

    /// Has what was not answered sent again, in halves after some tries; returns the one that the engine cannot answer.
    async fn unanswered(
        &self,
        part: Vec<Event>,
        reason: &str,
        trouble: &mut Trouble,
        parts: &mut Bisect<Event>,
    ) -> Option<Event> {
        Metrics::add(&self.metrics.unanswered, 1);
        // An engine that is away says nothing about documents.
        let is_well = self.call(Method::GET, &[], None).await.is_ok();
        trouble.unanswered = if is_well { trouble.unanswered + 1 } else { 0 };
        let max = match part.len() {
            1 => UNANSWERED_MAX,
            // Once halves are sent, each half that is not answered is halved at once.
            _ if trouble.halved => 1,
            _ => UNANSWERED_SPLIT,
        };
        if trouble.unanswered >= max {
            (trouble.unanswered, trouble.halved) = (0, true);
            Metrics::add(&self.metrics.split, 1);
            return parts.refused(part);
        }
        parts.put_back(part);
        self.wait(trouble, reason, false).await;
        None
    }

    fn narrow(&self, bytes_max: usize) {
        let bytes_max = bytes_max.max(1);
        if self.bytes_max.fetch_min(bytes_max, Ordering::Relaxed) > bytes_max {
            telemetry::sink_narrowed(&self.options.name, bytes_max);
        }
    }

    /// Lets time pass before the next try; says so once, and again where somebody has to act.
    pub(super) async fn wait(&self, trouble: &mut Trouble, reason: &str, act: bool) {
        trouble.attempt = trouble.attempt.saturating_add(1);
        if !trouble.paused {
            trouble.paused = true;
            Metrics::add(&self.metrics.paused, 1);
            if !act {
                telemetry::sink_waits(&self.options.name, reason);
            }
        }
        // First, and from then on whenever the pauses have doubled a few times: every few minutes.
        if act && trouble.attempt % 10 == 1 {
            telemetry::sink_needs_somebody(&self.options.name, reason);
        }
        tokio::time::sleep(patience::pause(trouble.attempt, trouble.asked.take(), trouble.seed))
            .await;
    }

    pub(super) fn go_on(&self, trouble: &mut Trouble) {
        if std::mem::take(&mut trouble.paused) {
            Metrics::add(&self.metrics.resumed, 1);
            telemetry::sink_goes_on(&self.options.name);
        }
    }
}

/// What is left of documents after an answer.
enum Rest {
    Again(Vec<Event>),
    /// To be sent in halves; one that is alone is refused for this reason.
    Halves(Vec<Event>, Reason),
}

/// Why documents are not decided yet.
enum Why {
    Busy(String),
    Index(String, String),
    Somebody(String),
}

fn unanswerable(reason: &str) -> Reason {
    let message =
        format!("the engine answers others and not this one, {UNANSWERED_MAX} times: {reason}");
    Reason::new("$", "unanswered", message)
}

/// Returns where the documents stand, as a number.
fn seed(events: &[Event]) -> u64 {
    let place = |event: &Event| {
        event.record.offset.cast_unsigned().wrapping_mul(1 << 16)
            ^ u64::from(event.record.partition.cast_unsigned())
    };
    events.first().map_or(0, place)
}
