//! Reports from collectors that work and that do not, over restarts, in every form in which they leave.

use std::{
    collections::BTreeMap,
    future::{pending, ready},
    task::{Context, Poll, Waker},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Anonymous, Value,
    wire::{Host, Id, Key, PostHog, Settings, Sink},
};

const HOUR: Duration = Duration::from_hours(1);

/// What a collector in a test does.
#[derive(Clone)]
enum Behaviour {
    Tells(Vec<(&'static str, u64)>, Vec<(&'static str, Value)>),
    Fails,
    Hangs,
}

struct Stub {
    name: &'static str,
    statistics: &'static [&'static str],
    traits: &'static [&'static str],
    is_durable: bool,
    behaviour: Behaviour,
}

impl Collector for Stub {
    fn name(&self) -> &'static str {
        self.name
    }

    fn statistics(&self) -> &[&'static str] {
        self.statistics
    }

    fn traits(&self) -> &[&'static str] {
        self.traits
    }

    fn is_durable(&self) -> bool {
        self.is_durable
    }

    fn collect(&self) -> Collecting<'_> {
        let (statistics, traits) = match self.behaviour.clone() {
            Behaviour::Hangs => return Box::pin(pending()),
            Behaviour::Fails => {
                let error = CollectError::new("no table `ada_secret_project`");
                return Box::pin(ready(Err(error)));
            }
            Behaviour::Tells(statistics, traits) => (statistics, traits),
        };
        let mut collected = Collected::new();
        for (name, value) in statistics {
            collected.statistic(name, value);
        }
        for (name, value) in traits {
            collected.trait_value(name, &Made(value));
        }
        Box::pin(ready(Ok(collected)))
    }
}

struct Made(Value);

impl Anonymous for Made {
    fn to_value(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

fn stub(name: &'static str, behaviour: Behaviour) -> Stub {
    Stub { name, statistics: &[], traits: &[], is_durable: false, behaviour }
}

fn boxed(stubs: Vec<Stub>) -> Result<Collectors, Error> {
    Collectors::new(stubs.into_iter().map(|stub| Box::new(stub) as Box<dyn Collector>).collect())
}

/// Runs a future whose timers are all over at once.
fn collect(collectors: &Collectors) -> Gathered {
    let timers = |_| ready(());
    let mut work = Box::pin(collectors.collect(Uuid::from_u128(9), timers));
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(gathered) => gathered,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn environment() -> Environment {
    let organization = Id::new("0192-acme").unwrap();
    Environment::new(Uuid::from_u128(1), organization, "shop", "1.2.0")
        .unwrap()
        .at("aws", "us-east-1")
        .unwrap()
}

fn schedule() -> Schedule {
    Schedule::new(Uuid::from_u128(1), HOUR).unwrap()
}

fn moment(hours: i64) -> Moment {
    let now = DateTime::from_timestamp(1_795_316_400 + hours * 3600, 0).unwrap();
    Moment { now, boot_id: Uuid::from_u128(9), partial: false }
}

fn gathered(orders: u64, traits: Json) -> Gathered {
    let Json::Object(traits) = traits else { panic!("traits are an object") };
    let counters = [("orders".to_owned(), orders), ("errors".to_owned(), 0)].into();
    let source = Source::Process(Uuid::from_u128(9));
    Gathered { samples: vec![Sample { source, counters }], traits, errors: Vec::new() }
}

/// The first report, and the second with its errors.
fn reports() -> [Report; 2] {
    let next = |baseline: Option<&Baseline>, gathered, moment| {
        Report::next(environment(), &schedule(), baseline, gathered, moment)
    };
    let traits = json!({"active_sources": 5, "replicas": {"large": 1, "small": 2}});
    let (first, baseline) = next(None, gathered(10, traits.clone()), moment(0));
    let errors = vec![CollectorError {
        collector: "sinks",
        error: "failed",
        message: "no table `ada_secret_project`".to_owned(),
    }];
    let second = Gathered { errors, ..gathered(33, traits) };
    let stopping = Moment { partial: true, ..moment(1) };
    let (second, _) = next(Some(&baseline), second, stopping);
    [first, second]
}

fn sinks() -> [Sink; 2] {
    let settings = || Settings::new(Host::Us, Key::new("key").unwrap(), "reports");
    let posthog = PostHog { group_type: "organization".to_owned(), ..PostHog::default() };
    [Sink::segment(settings()).unwrap(), Sink::posthog(settings(), posthog).unwrap()]
}

#[test]
fn collectors_that_clash_are_refused_at_the_start() {
    let made = |statistics, traits| {
        let one = Stub { statistics, ..stub("one", Behaviour::Fails) };
        let two = Stub { traits, ..stub("two", Behaviour::Fails) };
        boxed(vec![one, two]).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(made(&["orders"], &["sources"]), Ok(()));
    assert_eq!(
        made(&["orders"], &["orders"]).unwrap_err(),
        "`orders` is declared by one and by two: rename one of them"
    );
    assert_eq!(
        made(&["sequence"], &[]).unwrap_err(),
        "`sequence` is declared by the report itself and by one: rename one of them"
    );
    for name in [&["Orders"], &["or ders"], &[""]] {
        assert!(made(name, &[]).unwrap_err().contains("is no name of a statistic"), "{name:?}");
    }
    let many: Vec<&'static str> = (0..251).map(|n| &*format!("n{n}").leak()).collect();
    assert!(made(many.leak(), &[]).unwrap_err().starts_with("251 statistics and traits"));
}

#[test]
fn collector_that_fails_or_hangs_costs_its_own_part_and_is_named() {
    let tells = Behaviour::Tells(vec![("orders", 3)], vec![("sources", Value::from(5_u64))]);
    let good = Stub { statistics: &["orders"], traits: &["sources"], ..stub("good", tells) };
    let fails = Stub { traits: &["sinks"], ..stub("fails", Behaviour::Fails) };
    let hangs = Stub { statistics: &["hits"], ..stub("hangs", Behaviour::Hangs) };
    let odd = Behaviour::Tells(vec![("hidden", 1)], vec![]);
    let odd = Stub { statistics: &["declared"], ..stub("odd", odd) };
    let durable = Behaviour::Tells(vec![("rows", 7)], vec![]);
    let durable = Stub { is_durable: true, statistics: &["rows"], ..stub("durable", durable) };

    let gathered = collect(&boxed(vec![fails, hangs, odd, good, durable]).unwrap());
    let sample =
        |source, name: &str, value| Sample { source, counters: [(name.to_owned(), value)].into() };
    let process = Source::Process(Uuid::from_u128(9));
    let expected = [sample(process, "orders", 3), sample(Source::Durable, "rows", 7)];
    assert_eq!(gathered.samples, expected);
    assert_eq!(Json::Object(gathered.traits), json!({"sources": 5}));
    let errors: Vec<_> = gathered
        .errors
        .iter()
        .map(|error| (error.collector, error.error, error.message.as_str()))
        .collect();
    assert_eq!(
        errors,
        [
            ("fails", "failed", "no table `ada_secret_project`"),
            ("hangs", "timeout", "no answer in 10s"),
            ("odd", "missing", "declared"),
            ("odd", "undeclared", "hidden"),
        ]
    );
}

/// Counts by partition, as well as by itself.
struct Partitions(Vec<(u128, u64)>);

impl Collector for Partitions {
    fn name(&self) -> &'static str {
        "partitions"
    }

    fn statistics(&self) -> &[&'static str] {
        &["rows"]
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn collect(&self) -> Collecting<'_> {
        let mut collected = Collected::new();
        for (id, rows) in &self.0 {
            collected.statistic_of(Uuid::from_u128(*id), "rows", *rows);
        }
        Box::pin(ready(Ok(collected)))
    }
}

#[test]
fn sources_that_come_and_go_are_added_up() {
    let mut baseline = None;
    let mut report = |partitions: &[(u128, u64)], hours| {
        let collectors = Collectors::new(vec![Box::new(Partitions(partitions.to_vec()))]).unwrap();
        let gathered = collect(&collectors);
        assert_eq!(gathered.errors, [], "what is told of a source is no missing name");
        let next =
            Report::next(environment(), &schedule(), baseline.as_ref(), gathered, moment(hours));
        baseline = Some(next.1);
        next.0.statistics.map(|statistics| (statistics.values["rows"], statistics.counter_reset))
    };
    assert_eq!(report(&[(1, 1_000)], 0), None);
    assert_eq!(report(&[(1, 1_005), (2, 3)], 1), Some((8, false)));
    assert_eq!(report(&[(2, 10)], 2), Some((7, false)), "one that is gone takes nothing with it");
}

#[test]
fn counters_of_this_process_are_read_apart_from_all_others() {
    let tells = |name| Behaviour::Tells(vec![(name, 3)], vec![]);
    let own = Stub { statistics: &["orders"], ..stub("own", tells("orders")) };
    let durable =
        Stub { statistics: &["rows"], is_durable: true, ..stub("durable", tells("rows")) };
    let only_traits = Stub { traits: &["sinks"], ..stub("traits", Behaviour::Fails) };
    let collectors = boxed(vec![durable, only_traits, own]).unwrap();
    let timers = |_| ready(());
    let mut work = Box::pin(collectors.collect_counters(Uuid::from_u128(9), timers));
    let Poll::Ready(gathered) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for something")
    };
    assert_eq!(gathered.samples.len(), 1);
    assert_eq!(gathered.samples[0].counters, [("orders".to_owned(), 3)].into());
    assert_eq!(gathered.errors, []);
}

#[test]
fn counters_of_an_application_are_a_collector() {
    static ORDERS: Counter = Counter::new("orders");
    static ERRORS: Counter = Counter::new("errors");
    ORDERS.increment();
    ORDERS.add(2);
    let counters = Counters::new([&ORDERS, &ERRORS]);
    let gathered = collect(&Collectors::new(vec![Box::new(counters)]).unwrap());
    let expected = BTreeMap::from([("orders".to_owned(), 3), ("errors".to_owned(), 0)]);
    assert_eq!(gathered.samples[0].counters, expected);
    assert_eq!(gathered.errors, []);
}

#[test]
fn first_report_has_no_statistics_and_the_second_has_differences() {
    let [first, second] = reports();
    assert_eq!((first.statistics.as_ref(), first.window.sequence), (None, 0));
    let calls = |report: &Report| -> Vec<_> {
        report.messages().unwrap().iter().map(crate::wire::Message::call).collect()
    };
    assert_eq!(calls(&first), [crate::wire::Call::Group]);
    assert_eq!(calls(&second), [crate::wire::Call::Group, crate::wire::Call::Track]);
    assert_eq!(second.statistics.unwrap().values["orders"], 23);
    assert_eq!(second.window.start, first.window.end);
    assert_eq!((second.window.sequence, second.window.partial), (1, true));
}

#[test]
fn report_that_is_made_again_after_a_crash_has_the_same_ids() {
    let (_, baseline) =
        Report::next(environment(), &schedule(), None, gathered(1, json!({})), moment(0));
    let stored: Baseline =
        serde_json::from_str(&serde_json::to_string(&baseline).unwrap()).unwrap();
    let ids = |orders: u64, hours| {
        let moment = Moment { boot_id: Uuid::from_u128(orders.into()), ..moment(hours) };
        let gathered = gathered(orders, json!({}));
        let report = Report::next(environment(), &schedule(), Some(&stored), gathered, moment).0;
        report.messages().unwrap().iter().map(crate::wire::Message::id).collect::<Vec<_>>()
    };
    assert_eq!(ids(5, 1), ids(8, 2));
    let [first, second] = reports();
    let all: std::collections::HashSet<_> = [&first, &second]
        .into_iter()
        .flat_map(|report| report.messages().unwrap())
        .map(|message| message.id())
        .collect();
    assert_eq!(all.len(), 3, "each part of each report has its own");
}

#[test]
fn report_leaves_in_every_form_without_the_words_of_errors() {
    let [_, second] = reports();
    let mut text = String::new();
    for (title, sink) in ["Segment", "PostHog"].into_iter().zip(sinks()) {
        for message in second.messages().unwrap() {
            let json: Json =
                serde_json::from_slice(sink.encode(&message).unwrap().bytes()).unwrap();
            text +=
                &[title, " ", message.call().as_str(), "\n", &format!("{json:#}"), "\n\n"].concat();
        }
    }
    text += &second.dry_run().unwrap();
    assert!(!text.contains("ada_secret_project"));
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn largest_report_fits_into_one_event_of_each_service() {
    let names: Vec<String> = (0..250).map(|n| format!("{n:064}")).collect();
    let counters: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), u64::MAX)).collect();
    let (_, baseline) =
        Report::next(environment(), &schedule(), None, gathered(0, json!({})), moment(0));
    let huge: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("size{n}"), json!(n))).collect();
    let traits = json!({"replicas": huge, "list": vec![7; 20_000], "text": "\"".repeat(40_000)});
    let source = Source::Process(Uuid::from_u128(8));
    let mut gathered = gathered(1, traits);
    gathered.samples = vec![Sample { source, counters }];
    let error = CollectorError {
        collector: "n".repeat(64).leak(),
        error: "undeclared",
        message: String::new(),
    };
    gathered.errors = vec![error; 300];
    let (report, _) =
        Report::next(environment(), &schedule(), Some(&baseline), gathered, moment(1));
    for message in report.messages().unwrap() {
        for sink in sinks() {
            sink.encode(&message).unwrap();
        }
    }
    let track = report.track().unwrap().unwrap();
    assert_eq!(track.properties().as_map()[&names[249]], json!(u64::MAX));
}

#[test]
fn traits_have_the_same_hash_until_one_of_them_changes() {
    let hash = |traits| {
        let gathered = gathered(1, traits);
        Report::next(environment(), &schedule(), None, gathered, moment(0)).0.traits_hash()
    };
    assert_eq!(hash(json!({"a": 1, "b": 2})), hash(json!({"b": 2, "a": 1})));
    assert_ne!(hash(json!({"a": 1})), hash(json!({"a": 2})));
}

#[test]
fn clock_that_was_set_back_makes_a_window_of_no_length() {
    let next = |baseline: Option<&Baseline>, hours| {
        Report::next(environment(), &schedule(), baseline, gathered(1, json!({})), moment(hours))
    };
    let (_, baseline) = next(None, 5);
    let (report, baseline) = next(Some(&baseline), 3);
    assert_eq!(report.window.start, report.window.end);
    assert_eq!(baseline.window_start(), moment(5).now);
}

/// What happens to an installation of two processes and a database.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A process counts; so does the database.
    Count { process: usize, count: u64 },
    /// A report is made and registered; the process that does not answer is left out.
    Report { silent: Option<usize> },
    /// A report is made, and the reporter is killed before it has committed.
    Crash,
    /// A process is killed and started again, and its memory is gone.
    Restart { process: usize },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..2, 0_u64..50).prop_map(|(process, count)| Step::Count { process, count }),
        prop::option::of(0_usize..2).prop_map(|silent| Step::Report { silent }),
        Just(Step::Crash),
        (0_usize..2).prop_map(|process| Step::Restart { process }),
    ]
}

proptest! {
    #[test]
    fn differences_add_up_to_all_that_was_ever_seen_whatever_crashes(
        steps in prop::collection::vec(any_step(), 0..80),
    ) {
        // By boot: what it has counted, and what was last seen of it.
        let (mut boots, mut seen): (Vec<u64>, Vec<u64>) = (vec![0, 0], vec![0, 0]);
        let mut running = [0, 1];
        let mut rows = 0_u64;
        let mut baseline: Option<Baseline> = None;
        let (mut rows_reported, mut orders_reported, mut sequence) = (0, 0, 0);
        let (mut rows_before, mut orders_before) = (0, 0);
        for step in steps {
            let silent = match step {
                Step::Count { process, count } => {
                    boots[running[process]] += count;
                    rows += count;
                    continue;
                }
                Step::Restart { process } => {
                    running[process] = boots.len();
                    boots.push(0);
                    seen.push(0);
                    continue;
                }
                Step::Crash => None,
                Step::Report { silent } => silent,
            };
            let answering = (0..2).filter(|process| Some(*process) != silent);
            let answering: Vec<usize> = answering.map(|process| running[process]).collect();
            let mut samples: Vec<_> = answering
                .iter()
                .map(|boot| Sample {
                    source: Source::Process(Uuid::from_u128(u128::try_from(*boot).unwrap() + 1)),
                    counters: [("orders".to_owned(), boots[*boot])].into(),
                })
                .collect();
            let counters = [("rows".to_owned(), rows)].into();
            samples.push(Sample { source: Source::Durable, counters });
            let gathered = Gathered { samples, ..Gathered::default() };
            let (report, next) = Report::next(
                environment(), &schedule(), baseline.as_ref(), gathered, moment(sequence),
            );
            if matches!(step, Step::Crash) {
                continue;
            }
            for boot in answering {
                seen[boot] = boots[boot];
            }
            match report.statistics {
                // What was before the first report is in none.
                None => (rows_before, orders_before) = (rows, seen.iter().sum()),
                Some(statistics) => {
                    rows_reported += statistics.values["rows"];
                    orders_reported += statistics.values.get("orders").copied().unwrap_or_default();
                    prop_assert!(!statistics.counter_reset);
                }
            }
            prop_assert_eq!(report.window.sequence, u64::try_from(sequence).unwrap());
            baseline = Some(next);
            sequence += 1;
            prop_assert_eq!(rows_before + rows_reported, rows);
            prop_assert_eq!(orders_before + orders_reported, seen.iter().sum::<u64>());
        }
    }
}
