//! Both hops over a log in memory: what comes in goes out once, whatever is aborted and whoever takes over.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::{
    refine::{Gear, Refine},
    unbundle::Unbundle,
    *,
};
use crate::{
    Failed, Headers, Stage,
    ledger::Entry,
    log::Memory,
    settings::Settings,
    steps::Steps,
    topic::{self, Layout},
    value::Value,
};

mod imported;
mod metered;
mod retreat;

pub(crate) const PARTITIONS: i32 = 4;
const LIMITS: Limits = Limits { records: 3, bytes: 1 << 20 };
const WINDOW: Duration = Duration::from_hours(72);

pub(crate) fn clock() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

pub(crate) async fn log() -> Memory {
    let log = Memory::new();
    log.set_clock(clock());
    let layout = Layout { partitions: PARTITIONS, ..Layout::default() };
    log.prepare(&layout.specs()).await.unwrap();
    log
}

pub(crate) fn event(mid: &str, device: &str, content: u32) -> String {
    format!(
        r#"{{"eid":"LOG","ets":1700000000000,"ver":"3.0","mid":"{mid}","actor":{{"id":"u","type":"User"}},"context":{{"channel":"c","pdata":{{"id":"p"}},"env":"e","did":"{device}"}},"edata":{{"type":"system","level":"INFO","message":"{content}"}}}}"#
    )
}

fn batch(events: &[String]) -> Output {
    let value = format!(r#"{{"id":"x","ver":"3.0","ets":1,"events":[{}]}}"#, events.join(","));
    raw(value.into())
}

fn raw(value: Bytes) -> Output {
    let headers = Headers::new().with("syncts", "1700000000000").with("channel", "portal");
    Output { topic: topic::RAW.into(), partition: 1, key: None, headers, value }
}

pub(crate) fn steps() -> Steps {
    Steps::compile(&Settings::default(), None).unwrap()
}

fn fresh_refine(log: &Memory) -> Refine<Memory> {
    Refine::new(log.clone(), Gear::new(Arc::new(steps()), None), (WINDOW, usize::MAX), clock)
}

/// One member of a hop, by hand.
pub(crate) struct Hand<S> {
    member: crate::log::memory::MemoryMember,
    pub(crate) step: S,
}

impl<S: Step> Hand<S> {
    pub(crate) async fn new(log: &Memory, group: &str, topic: &str, step: S) -> Self {
        Self { member: log.join(group, topic).await.unwrap(), step }
    }

    /// One turn; whether there was anything to do.
    pub(crate) async fn turn(&mut self) -> Result<bool> {
        if let Some(Tick { outputs, positions }) = self.step.tick().await? {
            self.commit(outputs, &positions).await?;
            return Ok(true);
        }
        match self.member.next(LIMITS).await? {
            Turn::Idle => Ok(false),
            Turn::Changed(change) => {
                self.step.changed(&change).await?;
                Ok(true)
            }
            Turn::Records(records) => {
                let positions = positions(&records);
                assert!(self.step.prepare(&records).await?);
                let outputs = self.step.process(records);
                self.commit(outputs, &positions).await?;
                Ok(true)
            }
        }
    }

    async fn commit(&mut self, outputs: Vec<Output>, positions: &[Position]) -> Result<()> {
        match self.member.commit(outputs, positions).await? {
            Outcome::Committed => self.step.committed(),
            Outcome::Aborted => self.step.aborted(),
        }
        Ok(())
    }

    pub(crate) async fn drain(&mut self) {
        while self.turn().await.unwrap() {}
    }
}

pub(crate) async fn run_dry(log: &Memory) {
    Hand::new(log, "unbundle", topic::RAW, Unbundle::new(PARTITIONS)).await.drain().await;
    Hand::new(log, "refine", topic::EVENTS, fresh_refine(log)).await.drain().await;
}

/// How often each mid stands in a topic.
pub(crate) fn mids(log: &Memory, topic: &str) -> BTreeMap<String, usize> {
    let mut mids = BTreeMap::new();
    for record in log.records(topic) {
        let event = Value::parse(&record.value).unwrap();
        let mid = event.get("mid").and_then(Value::as_str).unwrap().to_owned();
        *mids.entry(mid).or_default() += 1;
    }
    mids
}

/// The sums of the ledger: received, passed, taken, derived, unique, duplicate, failed by each hop.
pub(crate) fn sums(log: &Memory) -> [u64; 8] {
    let mut sums = [0; 8];
    for record in log.records(topic::LEDGER) {
        match Entry::read(&record.value).unwrap() {
            Entry::Unbundle { batches, .. } => {
                for batch in batches {
                    sums[0] += batch.received;
                    sums[1] += batch.passed;
                    sums[2] += batch.failed;
                }
            }
            Entry::Refine { batches, .. } | Entry::Sessions { batches, .. } => {
                for batch in batches {
                    assert!(batch.is_balanced(), "{batch:?}");
                    sums[3] += batch.taken;
                    sums[4] += batch.derived;
                    sums[5] += batch.unique;
                    sums[6] += batch.duplicate;
                    sums[7] += batch.failed;
                }
            }
            Entry::Sink { .. } => {}
        }
    }
    sums
}

#[tokio::test]
async fn event_goes_on_once_and_everything_is_accounted_for() {
    let log = log().await;
    let (a, b, c) = (event("a", "d1", 1), event("b", "d2", 1), event("c", "d1", 1));
    log.append(vec![
        batch(&[a.clone(), b.clone(), a.clone()]),
        batch(&[b.clone(), c.clone(), "7".to_owned()]),
        batch(&[event("a", "d1", 2), event("a", "d3", 1)]),
        raw(Bytes::from_static(b"{no json")),
    ])
    .await
    .unwrap();
    run_dry(&log).await;
    let expected = [("a", 3), ("b", 1), ("c", 1)].map(|(mid, n)| (mid.to_owned(), n));
    assert_eq!(mids(&log, topic::UNIQUE), expected.into());
    let expected = [("a", 1), ("b", 1)].map(|(mid, n)| (mid.to_owned(), n));
    assert_eq!(mids(&log, topic::DUPLICATE), expected.into());
    assert_eq!(sums(&log), [8, 7, 1, 7, 0, 5, 2, 0]);
    let failed: Vec<_> = log.records(topic::FAILED).iter().filter_map(Failed::read).collect();
    let stages: Vec<_> = failed.iter().map(|failed| (failed.stage, failed.index)).collect();
    assert_eq!(stages, [(Stage::Unbundle, Some(2)), (Stage::Check, None)]);
    assert_eq!((&*failed[0].bytes, &*failed[1].bytes), (&b"7"[..], &b"{no json"[..]));
    let broken = log.records(topic::LEDGER).iter().any(|record| {
        matches!(Entry::read(&record.value).unwrap(), Entry::Unbundle { batches, .. }
            if batches.iter().any(|batch| batch.broken_bytes == 8 && batch.received == 0))
    });
    assert!(broken, "the batch that could not be read is counted with its bytes");
}

#[tokio::test]
async fn document_ids_of_a_collision_differ_and_a_device_stays_in_its_partition() {
    let log = log().await;
    log.append(vec![batch(&[event("a", "d1", 1), event("a", "d1", 2)])]).await.unwrap();
    run_dry(&log).await;
    let unique = log.records(topic::UNIQUE);
    let id = |record: &Record| {
        let event = Value::parse(&record.value).unwrap();
        event.at(&["metadata", "id"]).and_then(Value::as_str).unwrap().to_owned()
    };
    assert_ne!(id(&unique[0]), id(&unique[1]));
    let partition = crate::identity::partition("d1", PARTITIONS);
    assert!(unique.iter().all(|record| record.partition == partition));
    assert_eq!(log.records(topic::SEEN)[0].partition, partition);
}

#[tokio::test]
async fn device_that_is_hashed_stands_nowhere_beside_the_event() {
    let log = log().await;
    let settings =
        Settings::parse("[[redact.rule]]\npath = \"$.context.did\"\naction = \"drop\"\n").unwrap();
    let steps = Steps::compile(&settings, None).unwrap();
    let mut output = batch(&[event("a", "secret-device", 1)]);
    output.headers.push("x-device-id", "secret-device");
    log.append(vec![output]).await.unwrap();
    Hand::new(&log, "unbundle", topic::RAW, Unbundle::new(PARTITIONS)).await.drain().await;
    let refine =
        Refine::new(log.clone(), Gear::new(Arc::new(steps), None), (WINDOW, usize::MAX), clock);
    Hand::new(&log, "refine", topic::EVENTS, refine).await.drain().await;
    let [unique] = &log.records(topic::UNIQUE)[..] else { panic!("one event") };
    assert!(!format!("{unique:?}").contains("secret-device"), "{unique:?}");
    let event = Value::parse(&unique.value).unwrap();
    assert_eq!(event.at(&["flags", "redacted"]), Some(&Value::Bool(true)));
}

#[tokio::test]
async fn who_was_erased_is_counted_and_kept_nowhere() {
    let log = log().await;
    let of = |mid: &str, actor: &str, device: &str| {
        event(mid, device, 1).replace(r#""id":"u""#, &format!(r#""id":"{actor}""#))
    };
    let broken = r#"{"mid":"x","actor":{"id":"ada"},"context":{"did":"d3"}}"#.to_owned();
    let unreadable = r#"{"mid":"y","context":{"did":"d1"},"edata":"\ud800"}"#.to_owned();
    let events = [
        of("a", "ada", "d2"),
        of("b", "bob", "d1"),
        of("c", "bob", "d2"),
        of("c", "bob", "d2"),
        broken,
        unreadable,
    ];
    log.append(vec![batch(&events)]).await.unwrap();
    Hand::new(&log, "unbundle", topic::RAW, Unbundle::new(PARTITIONS)).await.drain().await;
    let erased = crate::gate::tombstones::tests::of(&[
        (crate::gate::Kind::Actor, "ada"),
        (crate::gate::Kind::Device, "d1"),
    ]);
    let rules = crate::gate::Rules::new(crate::level::History::default(), erased);
    let gear = Gear::new(Arc::new(steps()), None).by(rules);
    let refine = Refine::new(log.clone(), gear, (WINDOW, usize::MAX), clock);
    Hand::new(&log, "refine", topic::EVENTS, refine).await.drain().await;
    assert_eq!(mids(&log, topic::UNIQUE), [("c".to_owned(), 1)].into());
    assert_eq!(mids(&log, topic::DUPLICATE), [("c".to_owned(), 1)].into());
    assert!(log.records(topic::FAILED).is_empty(), "{:?}", log.records(topic::FAILED));
    let ledger = log.records(topic::LEDGER);
    let filtered = ledger.iter().map(|record| {
        let Entry::Refine { batches, .. } = Entry::read(&record.value).unwrap() else { return 0 };
        batches.iter().map(|batch| batch.filtered).sum()
    });
    assert_eq!(filtered.sum::<u64>(), 4);
}

#[tokio::test]
async fn record_that_somebody_else_has_written_stops_nothing() {
    let log = log().await;
    let (headers, key) = (Headers::new(), Some(Bytes::from_static(b"d1")));
    let partition = crate::identity::partition("d1", PARTITIONS);
    let value = Bytes::from_static(b"hello");
    let topic = topic::EVENTS.into();
    log.append(vec![Output { topic, partition, key, headers, value }]).await.unwrap();
    log.append(vec![batch(&[event("a", "d1", 1)])]).await.unwrap();
    run_dry(&log).await;
    assert_eq!(mids(&log, topic::UNIQUE).len(), 1);
    assert_eq!(log.records(topic::FAILED).len(), 1);
}

#[derive(Clone, Debug)]
enum Act {
    Send(Vec<(u8, u8, u32)>),
    Unbundle,
    Refine(u8),
    Abort,
    /// A member's process dies without a word, and another one begins.
    Die,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => proptest::collection::vec((0_u8..6, 0_u8..3, 0_u32..2), 1..5).prop_map(Act::Send),
        3 => Just(Act::Unbundle),
        5 => (0_u8..2).prop_map(Act::Refine),
        1 => Just(Act::Abort),
        1 => Just(Act::Die),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two members of the second hop, which abort, die and take over in any order.
    #[test]
    fn every_event_goes_on_exactly_once(acts in proptest::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let log = log().await;
            let mut first =
                Hand::new(&log, "unbundle", topic::RAW, Unbundle::new(PARTITIONS)).await;
            let mut refines = Vec::new();
            for _ in 0..2 {
                refines.push(Hand::new(&log, "refine", topic::EVENTS, fresh_refine(&log)).await);
            }
            let mut sent = BTreeMap::new();
            for act in acts {
                match act {
                    Act::Send(events) => {
                        let texts: Vec<_> = events.iter().map(|(mid, device, content)| {
                            *sent.entry((*mid, *device, *content)).or_insert(0) += 1;
                            event(&format!("m{mid}"), &format!("d{device}"), *content)
                        }).collect();
                        log.append(vec![batch(&texts)]).await.unwrap();
                    }
                    Act::Unbundle => drop(first.turn().await),
                    Act::Refine(n) => {
                        let member = &mut refines[usize::from(n)];
                        if member.turn().await.is_err() {
                            *member = Hand::new(&log, "refine", topic::EVENTS, fresh_refine(&log)).await;
                        }
                    }
                    Act::Abort => log.abort_next(1),
                    Act::Die => log.fence("refine", topic::EVENTS),
                }
            }
            log.abort_next(0);
            drop(refines);
            first.drain().await;
            run_dry(&log).await;
            let unique: usize = mids(&log, topic::UNIQUE).values().sum();
            assert_eq!(unique, sent.len());
            let duplicate: usize = mids(&log, topic::DUPLICATE).values().sum();
            assert_eq!(duplicate, sent.values().sum::<usize>() - sent.len());
            let [received, passed, _, taken, _, counted, ..] = sums(&log);
            assert_eq!((received, received), (passed, taken));
            assert_eq!(counted, unique as u64);
        });
    }
}
