//! The rules of the contract, one function each.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt as _, future::join_all};
use serde_json::{Value, json};

use super::{
    Failure,
    fixtures::{Content, Fixtures},
};
use crate::{
    Answer, Deliverer, Destination, Verdict, deliverer::OpenError, delivery::Delivery,
    subscriber::Subscriber,
};

const ACCEPTED: &str = "what the fixtures say is accepted is delivered";

/// The longest kind that the database stores.
const KIND_BYTES_MAX: usize = 40;

/// The most shards that the database counts.
const SHARDS_MAX: u16 = 32_767;

/// The largest batch that the suite sends, whatever a destination takes.
const BATCH_MAX: usize = 1000;

/// How many calls the suite makes at once, where the destination takes so many.
const CALLS_MAX: usize = 8;

/// How often a call is polled before it is dropped, at most; each time may be another place in it.
const POLLS_MAX: usize = 6;

/// Groups of our own.
const RESERVED_KINDS: [&str; 2] = ["maintenance", "system"];

pub(super) fn check_kind(deliverer: &dyn Deliverer) -> Result<(), Failure> {
    let kind = deliverer.kind();
    let may_stand = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let is_word = kind.starts_with(|first: char| first.is_ascii_lowercase())
        && kind.len() <= KIND_BYTES_MAX
        && kind.bytes().all(may_stand);
    ensure(
        is_word && !RESERVED_KINDS.contains(&kind),
        "a kind has 1 to 40 of a-z, 0-9, _ and -, begins with a letter, and is not system or maintenance",
        || format!("the kind is {kind:?}"),
    )?;
    let shards = deliverer.shards();
    ensure((1..=SHARDS_MAX).contains(&shards), "a kind has 1 to 32767 shards", || {
        format!("it has {shards}")
    })
}

pub(super) fn check_odd_configurations(
    deliverer: &dyn Deliverer,
    fixtures: &Fixtures,
) -> Result<(), Failure> {
    for config in odd_configurations() {
        let subscriber = Subscriber { config, ..fixtures.subscriber(deliverer.kind()) };
        if let Err(OpenError { reason }) = open(deliverer, &subscriber)? {
            ensure(!reason.trim().is_empty(), "a refused configuration has a reason", || {
                format!("there is none for {}", shorten(&subscriber.config.to_string()))
            })?;
        }
    }
    Ok(())
}

/// Opens the destination of the fixtures, twice, as after a change.
pub(super) fn check_open(
    deliverer: &dyn Deliverer,
    fixtures: &Fixtures,
) -> Result<Box<dyn Destination>, Failure> {
    let subscriber = fixtures.subscriber(deliverer.kind());
    let refused = |OpenError { reason }| Failure {
        rule: "the configuration of the fixtures opens, and opens again",
        found: reason,
    };
    drop(open(deliverer, &subscriber)?.map_err(refused)?);
    open(deliverer, &subscriber)?.map_err(refused)
}

pub(super) fn check_limits(destination: &dyn Destination) -> Result<(), Failure> {
    let (batch_max, in_flight_max) = (destination.batch_max(), destination.in_flight_max());
    ensure(batch_max >= 1, "batch_max is at least 1", || format!("it is {batch_max}"))?;
    ensure(in_flight_max >= 1, "in_flight_max is at least 1", || format!("it is {in_flight_max}"))?;
    ensure(destination.timeout() > Duration::ZERO, "the timeout is longer than nothing", || {
        "it is nothing".to_owned()
    })
}

pub(super) async fn check_answers(
    destination: &dyn Destination,
    fixtures: &Fixtures,
) -> Result<(), Failure> {
    let answers = deliver(destination, &[]).await?;
    ensure(answers.is_empty(), "a batch of none has no answers", || {
        format!("there are {}", answers.len())
    })?;
    accept(destination, &fixtures.deliveries(1, 1), ACCEPTED).await?;
    let full = destination.batch_max().min(BATCH_MAX);
    accept(destination, &fixtures.deliveries(10, full), ACCEPTED).await
}

pub(super) async fn check_order(
    destination: &dyn Destination,
    fixtures: &Fixtures,
) -> Result<(), Failure> {
    if !fixtures.has_refused() {
        return Ok(());
    }
    let size = destination.batch_max().min(10);
    for place in [0, size / 2, size - 1] {
        let mut batch = fixtures.deliveries(2000, size);
        batch[place] = fixtures.delivery(3000, Content::Refused);
        let answers = deliver(destination, &batch).await?;
        check_number(&answers, &batch)?;
        for (at, answer) in answers.iter().enumerate() {
            let delivered = answer.verdict == Verdict::Delivered;
            ensure(
                delivered == (at != place),
                "answers come in the order of the deliveries",
                || {
                    let of = size;
                    format!(
                        "the refused one is number {place} of {of}, and number {at} was answered with {answer:?}"
                    )
                },
            )?;
        }
    }
    Ok(())
}

pub(super) async fn check_repetition(
    destination: &dyn Destination,
    fixtures: &Fixtures,
) -> Result<(), Failure> {
    let mut batch = fixtures.deliveries(4000, 1);
    for attempt in 1..=3 {
        batch[0].attempt = attempt;
        accept(destination, &batch, "a delivery that comes again is delivered").await?;
    }
    Ok(())
}

pub(super) async fn check_concurrency(
    destination: &dyn Destination,
    fixtures: &Fixtures,
) -> Result<(), Failure> {
    let calls = u32::try_from(destination.in_flight_max().min(CALLS_MAX)).unwrap_or(1);
    let batches: Vec<_> = (0..calls).map(|call| fixtures.deliveries(5000 + call, 1)).collect();
    let calls = batches
        .iter()
        .map(|batch| accept(destination, batch, "calls that overlap are delivered, each of them"));
    join_all(calls).await.into_iter().collect()
}

pub(super) async fn check_cancellation(
    destination: &dyn Destination,
    fixtures: &Fixtures,
) -> Result<(), Failure> {
    let batch = fixtures.deliveries(6000, 1);
    for polls in 0..=POLLS_MAX {
        let cut_short = AssertUnwindSafe(poll_some(destination, &batch, polls));
        cut_short.catch_unwind().await.map_err(|_| panicked())?;
        accept(destination, &batch, "a call after one that was dropped is delivered").await?;
    }
    Ok(())
}

/// Polls a call up to `polls` times and drops it.
async fn poll_some(destination: &dyn Destination, batch: &[Delivery], polls: usize) {
    let mut call = destination.deliver(batch);
    for _ in 0..polls {
        let done = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await;
        if done {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Delivers what the destination is said to accept.
async fn accept(
    destination: &dyn Destination,
    batch: &[Delivery],
    rule: &'static str,
) -> Result<(), Failure> {
    let answers = deliver(destination, batch).await?;
    check_number(&answers, batch)?;
    let refused = answers.iter().find(|answer| answer.verdict != Verdict::Delivered);
    ensure(refused.is_none(), rule, || format!("it was answered with {refused:?}"))
}

fn check_number(answers: &[Answer], batch: &[Delivery]) -> Result<(), Failure> {
    let (answers, deliveries) = (answers.len(), batch.len());
    ensure(answers == deliveries, "there is one answer per delivery", || {
        format!("{deliveries} deliveries had {answers} answers")
    })
}

async fn deliver(
    destination: &dyn Destination,
    batch: &[Delivery],
) -> Result<Vec<Answer>, Failure> {
    let timeout = destination.timeout();
    let call = AssertUnwindSafe(async { destination.deliver(batch).await }).catch_unwind();
    match tokio::time::timeout(timeout, call).await {
        Ok(answers) => answers.map_err(|_| panicked()),
        Err(_) => Err(Failure {
            rule: "a call takes no longer than its own timeout",
            found: format!("{} deliveries took longer than {timeout:?}", batch.len()),
        }),
    }
}

fn open(
    deliverer: &dyn Deliverer,
    subscriber: &Subscriber,
) -> Result<Result<Box<dyn Destination>, OpenError>, Failure> {
    catch_unwind(AssertUnwindSafe(|| deliverer.open(subscriber))).map_err(|_| Failure {
        rule: "opening does not panic",
        found: format!("it does with {}", shorten(&subscriber.config.to_string())),
    })
}

fn panicked() -> Failure {
    Failure { rule: "delivering does not panic", found: "it does".to_owned() }
}

fn ensure(holds: bool, rule: &'static str, found: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure { rule, found: found() }) }
}

/// What a person or a program could have stored.
fn odd_configurations() -> Vec<Value> {
    let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
    let long = "x".repeat(100_000);
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(""),
        json!("https://example.com"),
        json!([]),
        json!({}),
        json!({"": ""}),
        json!({"unknown": {"field": []}}),
        json!({"url": null}),
        json!({"url": 7}),
        json!({"url": ""}),
        json!({"url": "\u{0}\u{202e}\n"}),
        json!({"url": "https://"}),
        json!({"url": "https://user:password@example.com:0/#fragment"}),
        json!({"url": format!("https://{long}.example")}),
        json!({"url": "https://example.com", "headers": [long]}),
        json!({"url": "https://example.com", "headers": {"\r\n": "\r\n"}}),
        json!({"url": "https://example.com", "timeout_ms": -1}),
        json!({"url": "https://example.com", "timeout_ms": u64::MAX}),
        json!({"url": deep}),
    ]
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}
