//! What the derives make of the structs of a report.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use serde_json::json;
use tidings::{
    Anonymous, Statistics, Traits,
    analytics::{
        Bucket, Count,
        report::{self, Collected, Collector, Counter},
    },
};

static SEARCHES: Counter = Counter::new("searches");

#[derive(Statistics)]
struct Work<'a> {
    orders: u64,
    #[report(name = "items_sold")]
    items: AtomicU32,
    visits: Arc<AtomicUsize>,
    searches: &'a Counter,
    r#type: u8,
    #[report(skip)]
    _name: String,
}

#[derive(Anonymous)]
enum Plan {
    Free,
    Team,
}

#[derive(Traits)]
struct Shop {
    plan: Plan,
    sources: Count,
    #[report(name = "catalogue")]
    items: Option<Bucket>,
    staff: Option<u32>,
    #[report(skip)]
    _owner: String,
}

fn shop(plan: Plan) -> Shop {
    let items = Bucket::of(&73_u64);
    Shop { plan, sources: Count::of(&[1, 2]), items, staff: None, _owner: "Ada".to_owned() }
}

#[test]
fn counters_of_a_struct_are_told_under_their_names() {
    let visits = Arc::new(AtomicUsize::new(4));
    SEARCHES.add(9);
    let work = Work {
        orders: 1,
        items: AtomicU32::new(2),
        visits: Arc::clone(&visits),
        searches: &SEARCHES,
        r#type: 5,
        _name: "Ada".to_owned(),
    };
    visits.fetch_add(1, Ordering::Relaxed);
    let mut told = Collected::new();
    work.tell(&mut told);
    let mut expected = Collected::new();
    for (name, value) in
        [("orders", 1), ("items_sold", 2), ("visits", 5), ("searches", 9), ("type", 5)]
    {
        expected.statistic(name, value);
    }
    assert_eq!(told, expected);
    assert_eq!(Work::NAMES, ["orders", "items_sold", "visits", "searches", "type"]);
}

#[test]
fn traits_of_a_struct_are_told_as_what_they_are() {
    let mut told = Collected::new();
    shop(Plan::Team).tell(&mut told);
    let mut expected = Collected::new();
    expected
        .trait_value("plan", &Plan::Team)
        .trait_value("sources", &2_u32)
        .trait_value("catalogue", &Bucket::of(&50_u64))
        .trait_value("staff", &None::<u32>);
    assert_eq!(told, expected);
}

#[test]
fn structs_are_collectors_once_somebody_reads_them() {
    let traits = report::traits("shop", || async { Ok(shop(Plan::Free)) });
    assert_eq!(traits.traits(), ["plan", "sources", "catalogue", "staff"]);
    assert_eq!((traits.name(), traits.statistics().len()), ("shop", 0));
    let mut reading = traits.collect();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Ok(told)) = reading.as_mut().poll(&mut context) else {
        panic!("it waits for something")
    };
    let json = format!("{told:?}");
    assert!(json.contains(&format!("{:?}", json!("free"))), "{json}");
    assert!(!json.contains("Ada"), "{json}");
}
