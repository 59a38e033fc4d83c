use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::json;

use super::*;
use crate::{
    Answer, Destination, Verdict,
    deliverer::{BoxFuture, Memory, OpenError},
    delivery::Delivery,
    subscriber::Subscriber,
};

const REFUSED: &str = "\"refused\"";

fn fixtures() -> Fixtures {
    Fixtures::new(json!({})).refused(REFUSED)
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let memory = Memory::new();
    assert_eq!(deliverer(&memory, &Fixtures::new(json!({}))).await, Ok(()));
    assert!(memory.count() >= 10, "{}", memory.count());
    assert_eq!(deliverer(&Memory::counting(500), &Fixtures::new(json!({}))).await, Ok(()));
}

#[tokio::test]
async fn memory_that_refuses_keeps_it_too() {
    let memory = Memory::scripted(|delivery| match delivery.event.payload.as_str() {
        REFUSED => Answer::failed(Verdict::Refused, "refused"),
        _ => Answer::delivered(),
    });
    assert_eq!(deliverer(&memory, &fixtures()).await, Ok(()));
}

/// How a deliverer can break the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Kind(&'static str),
    NoShard,
    PanicsInOpen,
    RefusesWithoutReason,
    RefusesToOpen,
    NoBatch,
    NothingInFlight,
    NoTime,
    AnswersNothing,
    AnswersOne,
    AnswersTheLastFirst,
    RefusesAll,
    RefusesRepetition,
    PanicsInDeliver,
    Hangs,
    OneAtATime,
    SpoiltByDrop,
}

#[derive(Debug)]
struct Faulty(Fault);

#[derive(Debug)]
struct Place {
    fault: Fault,
    /// Calls that have begun and not ended; a call that is dropped never ends here.
    open: AtomicUsize,
}

impl Deliverer for Faulty {
    fn kind(&self) -> &str {
        if let Fault::Kind(kind) = self.0 { kind } else { "faulty" }
    }

    fn shards(&self) -> u16 {
        u16::from(self.0 != Fault::NoShard)
    }

    fn open(&self, subscriber: &Subscriber) -> Result<Box<dyn Destination>, OpenError> {
        let is_odd = subscriber.config != json!({"good": true});
        match self.0 {
            Fault::PanicsInOpen => assert!(!is_odd, "on purpose"),
            Fault::RefusesWithoutReason if is_odd => return Err(OpenError::new(" ")),
            Fault::RefusesToOpen => return Err(OpenError::new("closed today")),
            _ => {}
        }
        Ok(Box::new(Place { fault: self.0, open: AtomicUsize::new(0) }))
    }
}

impl Destination for Place {
    fn batch_max(&self) -> usize {
        if self.fault == Fault::NoBatch { 0 } else { 4 }
    }

    fn in_flight_max(&self) -> usize {
        if self.fault == Fault::NothingInFlight { 0 } else { 4 }
    }

    fn timeout(&self) -> Duration {
        match self.fault {
            Fault::NoTime => Duration::ZERO,
            Fault::Hangs => Duration::from_millis(20),
            _ => Duration::from_mins(1),
        }
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(self.answer(deliveries))
    }
}

impl Place {
    async fn answer(&self, deliveries: &[Delivery]) -> Vec<Answer> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let mut answers: Vec<_> = deliveries
            .iter()
            .map(|delivery| match delivery.event.payload.as_str() {
                REFUSED => Answer::failed(Verdict::Refused, "refused"),
                _ => Answer::delivered(),
            })
            .collect();
        let refuse = match self.fault {
            Fault::RefusesAll => true,
            Fault::RefusesRepetition => deliveries.iter().any(|delivery| delivery.attempt > 1),
            Fault::SpoiltByDrop => open >= 4,
            Fault::OneAtATime => open > 0,
            _ => false,
        };
        match self.fault {
            _ if refuse => answers.fill(Answer::failed(Verdict::Retry, "on purpose")),
            Fault::AnswersNothing => answers.clear(),
            Fault::AnswersOne => answers = vec![Answer::delivered()],
            Fault::AnswersTheLastFirst => answers.reverse(),
            Fault::PanicsInDeliver => panic!("on purpose"),
            Fault::Hangs => std::future::pending().await,
            _ => {}
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        answers
    }
}

#[tokio::test]
async fn each_rule_is_found_broken() {
    for (fault, expected) in [
        (Fault::None, "keeps it"),
        (Fault::Kind(""), "a kind has 1 to 40"),
        (Fault::Kind("Web"), "a kind has 1 to 40"),
        (Fault::Kind("7web"), "a kind has 1 to 40"),
        (Fault::Kind("system"), "a kind has 1 to 40"),
        (Fault::NoShard, "a kind has 1 to 32767 shards: it has 0"),
        (Fault::PanicsInOpen, "opening does not panic: it does with null"),
        (
            Fault::RefusesWithoutReason,
            "a refused configuration has a reason: there is none for null",
        ),
        (
            Fault::RefusesToOpen,
            "the configuration of the fixtures opens, and opens again: closed today",
        ),
        (Fault::NoBatch, "batch_max is at least 1: it is 0"),
        (Fault::NothingInFlight, "in_flight_max is at least 1: it is 0"),
        (Fault::NoTime, "the timeout is longer than nothing: it is nothing"),
        (Fault::AnswersNothing, "there is one answer per delivery: 1 deliveries had 0 answers"),
        (Fault::AnswersOne, "a batch of none has no answers: there are 1"),
        (
            Fault::AnswersTheLastFirst,
            "answers come in the order of the deliveries: the refused one is number 0 of 4",
        ),
        (Fault::RefusesAll, "what the fixtures say is accepted is delivered: it was answered with"),
        (
            Fault::RefusesRepetition,
            "a delivery that comes again is delivered: it was answered with",
        ),
        (Fault::PanicsInDeliver, "delivering does not panic: it does"),
        (
            Fault::Hangs,
            "a call takes no longer than its own timeout: 0 deliveries took longer than 20ms",
        ),
        (Fault::OneAtATime, "calls that overlap are delivered, each of them: it was answered with"),
        (
            Fault::SpoiltByDrop,
            "a call after one that was dropped is delivered: it was answered with",
        ),
    ] {
        let fixtures = Fixtures::new(json!({"good": true})).refused(REFUSED);
        let verdict = deliverer(&Faulty(fault), &fixtures).await;
        let verdict =
            verdict.map_or_else(|failure| failure.to_string(), |()| "keeps it".to_owned());
        assert!(verdict.starts_with(expected), "{fault:?}: {verdict}");
    }
}
