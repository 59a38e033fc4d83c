//! Sessions over a log in memory: each event is in one summary and each summary is there once, whatever is aborted,
//! whoever takes over, and whether a record or the clock says that a session is over.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
};

use proptest::prelude::*;
use tidings_analytics::Level;

use super::*;
use crate::{
    gate::Tombstones,
    hop::tests::{Hand, PARTITIONS, log, mids, steps, sums},
    identity,
    level::History,
    log::Memory,
    session::KIND,
    steps::Steps,
};

/// A day's morning, the time at which the clock of the log stands first.
const T: i64 = 1_700_000_000_000;

const MINUTE: i64 = 60_000;

/// A pipeline's third hop, with a clock that stands still unless it is moved.
struct Scene {
    log: Memory,
    now: Arc<AtomicI64>,
    steps: Arc<Steps>,
    sent: i64,
}

impl Scene {
    async fn new() -> Self {
        Self::with(steps()).await
    }

    async fn with(steps: Steps) -> Self {
        let log = log().await;
        log.prepare(&[topic::Layout { partitions: PARTITIONS, ..Default::default() }.sessions()])
            .await
            .unwrap();
        Self { log, now: Arc::new(AtomicI64::new(T)), steps: Arc::new(steps), sent: 0 }
    }

    fn step(&self) -> Summarize<Memory> {
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || {
            let now = now.load(Ordering::Relaxed);
            Box::pin(async move { Ok(DateTime::from_timestamp_millis(now).unwrap()) })
        });
        Summarize::new(
            self.log.clone(),
            (Arc::clone(&self.steps), Settings::default()),
            clock,
            None,
        )
    }

    async fn hand(&self) -> Hand<Summarize<Memory>> {
        Hand::new(&self.log, GROUP, topic::UNIQUE, self.step()).await
    }

    /// Writes a unique event of a device, so many minutes from the first, which was taken so many minutes later.
    async fn send(&mut self, device: &str, at: i64, late: i64) {
        let (ets, number) = (T + at * MINUTE, self.sent);
        let syncts = ets + late * MINUTE;
        let value = format!(
            r#"{{"eid":"INTERACT","ets":{ets},"ver":"3.0","mid":"{number}","actor":{{"id":"u","type":"User"}},"context":{{"channel":"c","pdata":{{"id":"p"}},"env":"e","did":"{device}"}},"edata":{{}},"syncts":{syncts},"metadata":{{"id":"{number}","source":"2/{number}/0","channel":"portal"}}}}"#
        );
        self.sent += 1;
        let partition = identity::partition(device, PARTITIONS);
        let (topic, key, headers) = (topic::UNIQUE.into(), None, Headers::new());
        let output = Output { topic, partition, key, headers, value: value.into() };
        self.log.append(vec![output]).await.unwrap();
    }

    /// Moves the clock, and the one of this machine with it.
    async fn pass(&self, minutes: i64) {
        self.now.fetch_add(minutes * MINUTE, Ordering::Relaxed);
        tokio::time::advance(Duration::from_mins(minutes.unsigned_abs())).await;
    }

    /// Returns the summaries, as their ids and how many events they are of.
    fn summaries(&self) -> Vec<(String, u64)> {
        let summary = |record: &Record| {
            let event = Value::parse(&record.value).unwrap();
            let text = |name| event.get(name).and_then(Value::as_str).unwrap().to_owned();
            (text("eid") == KIND).then(|| {
                let kinds = event.at(&["edata", "events_summary"]).and_then(Value::as_list);
                let count = |kind: &Value<'_>| kind.get("count").and_then(Value::as_i64).unwrap();
                let events: i64 = kinds.unwrap().iter().map(count).sum();
                (text("mid"), u64::try_from(events).unwrap())
            })
        };
        self.log.records(topic::UNIQUE).iter().filter_map(summary).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn session_that_is_over_is_a_unique_event_of_its_last_batch_and_is_accounted_for() {
    let mut scene = Scene::new().await;
    for at in [0, 1, 5] {
        scene.send("d1", at, 0).await;
    }
    let mut hand = scene.hand().await;
    hand.drain().await;
    assert_eq!(scene.summaries(), []);
    scene.send("d1", 5 + 60, 0).await;
    hand.drain().await;
    assert_eq!(scene.summaries().iter().map(|(_, events)| *events).collect::<Vec<_>>(), [3]);
    let [.., summary] = &scene.log.records(topic::UNIQUE)[..] else { panic!("a summary") };
    let event = Value::parse(&summary.value).unwrap();
    let text = |path: &[&str]| event.at(path).and_then(Value::as_str).unwrap().to_owned();
    assert_eq!(summary.partition, identity::partition("d1", PARTITIONS));
    assert_eq!(summary.key.as_deref(), Some(&b"d1"[..]));
    assert_eq!(text(&["metadata", "source"]), "2/2/0");
    assert_eq!(text(&["metadata", "channel"]), "portal");
    assert_eq!(event.get("syncts").and_then(Value::as_i64), Some(T + 5 * MINUTE));
    let [.., derived, unique, _, _] = sums(&scene.log);
    assert_eq!((derived, unique), (1, 1));
    let batches = scene.log.records(topic::LEDGER).into_iter().map(|record| {
        match Entry::read(&record.value).unwrap() {
            Entry::Sessions { batches, .. } => (batches[0].partition, batches[0].offset),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(batches.collect::<Vec<_>>(), [(2, 2)]);
}

#[tokio::test(start_paused = true)]
async fn clock_closes_what_nothing_comes_after_and_a_takeover_at_once_says_it_no_second_time() {
    let mut scene = Scene::new().await;
    scene.send("d1", 0, 0).await;
    let mut hand = scene.hand().await;
    hand.drain().await;
    scene.pass(60).await;
    hand.drain().await;
    assert_eq!(scene.summaries(), [], "what is on its way comes before that");
    scene.pass(1).await;
    // The turn in which the clock is asked, and no other: the summary itself has not been read yet.
    assert!(hand.turn().await.unwrap());
    assert_eq!(scene.summaries().len(), 1);
    scene.log.fence(GROUP, topic::UNIQUE);
    let mut other = scene.hand().await;
    other.drain().await;
    // Of the same time, and late: it is of another session, as it was for the one before.
    scene.send("d1", 0, 60).await;
    other.drain().await;
    scene.pass(200).await;
    other.drain().await;
    let events: Vec<_> = scene.summaries().into_iter().map(|(_, events)| events).collect();
    assert_eq!(events, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn time_that_a_clock_has_told_is_told_again_as_long_as_no_record_has_said_as_much() {
    let mut scene = Scene::new().await;
    let first = identity::partition("d0", PARTITIONS);
    let names = (0..100).map(|number| format!("d{number}"));
    let names: Vec<_> =
        names.filter(|name| identity::partition(name, PARTITIONS) == first).take(3).collect();
    let [stays, goes, lags] = &names[..] else { panic!("three devices of one partition") };
    scene.send(stays, 0, 0).await;
    scene.send(goes, 10, 0).await;
    scene.send(stays, 30, 0).await;
    let mut hand = scene.hand().await;
    hand.drain().await;
    scene.pass(75).await;
    hand.drain().await;
    assert_eq!(scene.summaries().len(), 1, "that of the one that has gone");
    // What has waited on its way is older than what the clock has told, and a checkpoint is written with it.
    scene.log.set_clock(DateTime::from_timestamp_millis(T + 80 * MINUTE).unwrap());
    scene.send(lags, 20, 0).await;
    hand.drain().await;
    scene.log.fence(GROUP, topic::UNIQUE);
    let mut other = scene.hand().await;
    scene.send(stays, 85, 0).await;
    other.drain().await;
    assert_eq!(scene.summaries().len(), 1);
    scene.pass(300).await;
    other.drain().await;
    let events: u64 = scene.summaries().iter().map(|(_, events)| events).sum();
    assert_eq!(events, 5, "{:?}", scene.summaries());
}

#[tokio::test(start_paused = true)]
async fn aborted_commit_leaves_no_trace_of_what_it_has_closed() {
    let mut scene = Scene::new().await;
    scene.send("d1", 0, 0).await;
    let mut hand = scene.hand().await;
    hand.drain().await;
    scene.send("d1", 90, 0).await;
    scene.log.abort_next(2);
    hand.drain().await;
    assert_eq!(scene.summaries().len(), 1);
    scene.pass(200).await;
    scene.log.abort_next(1);
    hand.drain().await;
    scene.pass(1).await;
    hand.drain().await;
    let summaries: BTreeMap<_, _> = scene.summaries().into_iter().collect();
    assert_eq!((summaries.len(), summaries.values().sum::<u64>()), (2, 2));
    assert_eq!(sums(&scene.log)[4], 2);
}

#[tokio::test(start_paused = true)]
async fn summary_is_copied_to_the_topics_that_rules_name() {
    let text =
        "[[route.rule]]\ntopic = \"telemetry.times\"\nwhen = { eid = [\"ME_SESSION_SUMMARY\"] }\n";
    let settings = crate::settings::Settings::parse(text).unwrap();
    let mut scene = Scene::with(Steps::compile(&settings, None).unwrap()).await;
    let layout = topic::Layout { partitions: PARTITIONS, ..Default::default() };
    scene.log.prepare(&layout.routed(["telemetry.times"].into_iter())).await.unwrap();
    scene.send("d1", 0, 0).await;
    scene.send("d1", 100, 0).await;
    scene.hand().await.drain().await;
    assert_eq!(mids(&scene.log, "telemetry.times").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_of_a_time_whose_level_does_not_permit_it() {
    let mut scene = Scene::new().await;
    scene.send("d1", 0, 0).await;
    scene.send("d1", 10, 0).await;
    scene.send("d1", 100, 0).await;
    let mut hand = scene.hand().await;
    let levels = History::new(vec![(T + MINUTE, Level::Basic), (i64::MAX, Level::Full)]);
    hand.step.rules = Arc::new(Rules::new(levels, Tombstones::default()));
    hand.drain().await;
    assert_eq!(scene.summaries(), []);
    assert_eq!(sums(&scene.log)[4], 0, "what is not written is not counted");
    scene.pass(300).await;
    hand.drain().await;
    assert_eq!(scene.summaries().len(), 1, "what began later is said");
}

#[derive(Clone, Debug)]
enum Act {
    /// An event of a device, so many minutes old when a relay takes it, which comes through so many minutes later.
    Send(u8, i64, i64),
    Turn(u8),
    Abort,
    /// A member's process dies without a word.
    Die,
    /// Time passes, in which nothing comes.
    Pass(i64),
}

fn minutes() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 0..3_i64, 1 => 0..100_i64]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0_u8..6, minutes(), minutes())
            .prop_map(|(device, late, lag)| Act::Send(device, late, lag)),
        6 => (0_u8..2).prop_map(Act::Turn),
        1 => Just(Act::Abort),
        1 => Just(Act::Die),
        3 => prop_oneof![3 => 1..20_i64, 1 => 50..90_i64].prop_map(Act::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Two members, which abort, die and take over in any order, while time passes.
    #[test]
    fn every_event_is_in_one_summary_and_every_summary_is_there_once(
        acts in proptest::collection::vec(act(), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new().await;
            let mut hands = vec![scene.hand().await, scene.hand().await];
            for act in acts {
                match act {
                    Act::Send(device, late, lag) => {
                        let now = (scene.now.load(Ordering::Relaxed) - T) / MINUTE;
                        scene.send(&format!("d{device}"), now - lag - late, late).await;
                    }
                    Act::Turn(n) => {
                        let hand = &mut hands[usize::from(n)];
                        if hand.turn().await.is_err() {
                            *hand = scene.hand().await;
                        }
                    }
                    Act::Abort => scene.log.abort_next(1),
                    Act::Die => scene.log.fence(GROUP, topic::UNIQUE),
                    Act::Pass(minutes) => scene.pass(minutes).await,
                }
                scene.log.set_clock(
                    DateTime::from_timestamp_millis(scene.now.load(Ordering::Relaxed)).unwrap(),
                );
            }
            scene.log.abort_next(0);
            drop(hands);
            let mut last = scene.hand().await;
            last.drain().await;
            scene.pass(1000).await;
            last.drain().await;
            let summaries = scene.summaries();
            let once: BTreeMap<_, _> = summaries.iter().cloned().collect();
            assert_eq!(once.len(), summaries.len(), "{summaries:?}");
            let events: u64 = summaries.iter().map(|(_, events)| events).sum();
            assert_eq!(events, u64::try_from(scene.sent).unwrap(), "{summaries:?}");
            let [.., derived, unique, _, _] = sums(&scene.log);
            assert_eq!((derived, unique), (summaries.len() as u64, summaries.len() as u64));
        });
    }
}
